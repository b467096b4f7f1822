// See book.h.
#include "book.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"

namespace holdfast::fleet {
namespace {

using nlohmann::json;

/// Null if it is no object.
json object_of(std::string_view payload) {
  json body = json::parse(payload, nullptr, false);
  return body.is_object() ? body : json();
}

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<double> number(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

/// A number, or the sum of an object of numbers: a metric with a label.
std::optional<double> sum(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_object()) return number(object, key);
  double total = 0;
  for (const json& one : *found) {
    if (one.is_number()) total += one.get<double>();
  }
  return total;
}

/// Milliseconds since 1970, if it is a time that a clock may show.
std::int64_t stamp(const json& object, const char* key) {
  constexpr double kLatest = 4102444800000.0;  // 2100
  const double value = number(object, key).value_or(-1);
  return value >= 0 && value < kLatest ? static_cast<std::int64_t>(value) : -1;
}

/// The word of a presence message.
std::string word_of(std::string_view payload) {
  const json body = json::parse(payload, nullptr, false);
  if (!body.is_object()) return std::string(payload);
  for (const char* const key : {"state", "status", "online", "connected"}) {
    const auto found = body.find(key);
    if (found == body.end()) continue;
    return found->is_string() ? found->get<std::string>() : found->dump();
  }
  return {};
}

std::optional<std::size_t> verdict_of(const std::string& name) {
  for (std::size_t i = 0; i < kVerdicts; ++i) {
    if (to_string(static_cast<Verdict>(i)) == name) return i;
  }
  return std::nullopt;
}

MetricFamily& family(MetricFamilies& all, const char* name, MetricKind kind, const char* help) {
  return all.emplace_back(MetricFamily{name, help, kind, {}});
}

double seconds(WallTime at) { return static_cast<double>(at.ms) / 1000.0; }

template <class Counts, class Names>
void labelled(MetricFamily& to, const char* label, const Counts& counts, const Names& names) {
  HF_CHECK(counts.size() == names.size());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    to.samples.push_back({{{label, names[i]}}, static_cast<double>(counts[i])});
  }
}

}  // namespace

Book::Book(Settings settings) : settings_(std::move(settings)), verdicts_(kVerdicts) {
  HF_CHECK(settings_.devices_most > 0);
}

Book::Figures* Book::known(std::string_view device, WallTime at) {
  if (device.empty() || device.size() > kNameMost) {
    ignore(Ignored::name);
    return nullptr;
  }
  auto found = devices_.find(device);
  if (found == devices_.end()) {
    if (devices_.size() >= settings_.devices_most) {
      ignore(Ignored::too_many);
      return nullptr;
    }
    found = devices_.emplace(device, Figures{}).first;
  }
  found->second.heard = at;
  return &found->second;
}

void Book::settle(Figures& device, Presence presence, bool retained, WallTime at) {
  if (device.presence == presence) return;
  // What is retained may have been so for long, unless the other was known before.
  if (!retained || device.presence != Presence::unknown) {
    device.changed = at;
    ++(presence == Presence::online ? came_ : went_);
  }
  device.presence = presence;
}

void Book::presence(std::string_view device, std::string_view payload, bool retained, WallTime at) {
  heard(Word::presence);
  if (payload.empty()) {
    const auto found = devices_.find(device);
    if (found != devices_.end()) devices_.erase(found);
    return;
  }
  const std::string word = word_of(payload);
  if (word.empty()) return ignore(Ignored::malformed);
  Figures* const figures = known(device, at);
  if (figures == nullptr) return;
  const bool online = std::ranges::find(settings_.online, word) != settings_.online.end();
  settle(*figures, online ? Presence::online : Presence::offline, retained, at);
}

void Book::lifecycle(std::string_view payload, WallTime at) {
  heard(Word::lifecycle);
  const json body = object_of(payload);
  if (body.is_null()) return ignore(Ignored::malformed);
  const std::string event = text(body, "eventType");
  if (event != "connected" && event != "disconnected") return ignore(Ignored::malformed);
  Figures* const figures = known(text(body, "clientId"), at);
  if (figures == nullptr) return;
  // They come out of order and twice. A connection and its end have one number; it begins anew at 0
  // after an hour offline.
  const auto version = static_cast<std::int64_t>(number(body, "versionNumber").value_or(-1));
  const bool connected = event == "connected";
  const bool again = version == figures->version && figures->presence != Presence::unknown &&
                     (connected || figures->presence == Presence::offline);
  if ((version < figures->version && version != 0) || again) return ignore(Ignored::stale);
  figures->version = version;
  if (!connected) {
    const std::string reason = text(body, "disconnectReason");
    const auto* const found = std::ranges::find(kReasons, reason);
    const auto place = found == kReasons.end() ? kReasons.size() - 1
                                               : static_cast<std::size_t>(found - kReasons.begin());
    ++reasons_.at(place);
  }
  settle(*figures, connected ? Presence::online : Presence::offline, false, at);
}

void Book::outage(std::string_view device, std::string_view payload, WallTime at) {
  heard(Word::outage);
  const json body = object_of(payload);
  const std::int64_t began = body.is_null() ? -1 : stamp(body, "began_ms");
  const double lasted = body.is_null() ? -1 : number(body, "lasted_ms").value_or(-1);
  if (began < 0 || lasted < 0 || text(body, "event") != "outage") return ignore(Ignored::malformed);
  Figures* const figures = known(device, at);
  if (figures == nullptr) return;
  if (began == figures->last_began) return ignore(Ignored::stale);
  figures->last_began = began;
  ++figures->outages;
  figures->offline_seconds += lasted / 1000.0;
  figures->verdict = verdict_of(text(body, "verdict"));
  if (figures->verdict) ++verdicts_.at(*figures->verdict);
}

void Book::report(std::string_view device, std::string_view payload, WallTime at) {
  heard(Word::report);
  const json body = object_of(payload);
  if (body.is_null() || !body.contains("metrics") || !body["metrics"].is_object()) {
    return ignore(Ignored::malformed);
  }
  Figures* const figures = known(device, at);
  if (figures == nullptr) return;
  const json& metrics = body["metrics"];
  if (const auto pending = number(metrics, "holdfast_messages_pending")) figures->pending = pending;
  if (const auto dropped = sum(metrics, "holdfast_messages_dropped_total")) {
    figures->dropped = dropped;
  }
}

void Book::forget_old(WallTime now) {
  const std::int64_t before = now.ms - std::chrono::milliseconds(settings_.forget).count();
  std::erase_if(devices_, [&](const auto& one) {
    return one.second.presence != Presence::online && one.second.heard.ms < before;
  });
}

void Book::add_totals(MetricFamilies& all) const {
  constexpr std::array<const char*, 3> kPresences{"unknown", "offline", "online"};
  std::array<std::uint64_t, kPresences.size()> there{};
  for (const auto& [name, device] : devices_) ++there.at(static_cast<std::size_t>(device.presence));
  labelled(family(all, "holdfast_fleet_devices", MetricKind::gauge,
                  "Devices that are known, by whether they are there."),
           "presence", there, kPresences);
  auto& changes = family(all, "holdfast_fleet_presence_changes_total", MetricKind::counter,
                         "How often a device came or went.");
  changes.samples = {{{{"to", "online"}}, static_cast<double>(came_)},
                     {{{"to", "offline"}}, static_cast<double>(went_)}};
  labelled(family(all, "holdfast_fleet_disconnects_total", MetricKind::counter,
                  "Connections that ended, by the reason that AWS IoT gives."),
           "reason", reasons_, kReasons);
  std::array<std::string, kVerdicts> names;
  for (std::size_t i = 0; i < kVerdicts; ++i) names.at(i) = to_string(static_cast<Verdict>(i));
  labelled(family(all, "holdfast_fleet_outages_total", MetricKind::counter,
                  "Outages that devices have told of, by the verdict with which they began."),
           "verdict", verdicts_, names);
  labelled(family(all, "holdfast_fleet_messages_total", MetricKind::counter,
                  "Messages heard, by what they tell."),
           "about", words_, kWords);
  labelled(family(all, "holdfast_fleet_ignored_total", MetricKind::counter,
                  "Messages heard and not taken, by the reason."),
           "reason", ignored_, kIgnored);
}

void Book::add_devices(MetricFamilies& all) const {
  const auto each = [&](const char* name, MetricKind kind, const char* help, auto value) {
    MetricFamily made{name, help, kind, {}};
    for (const auto& [device, figures] : devices_) {
      if (const std::optional<double> one = value(figures)) {
        made.samples.push_back({{{"device", device}}, *one});
      }
    }
    all.push_back(std::move(made));
  };
  using K = MetricKind;
  using Value = std::optional<double>;
  each("holdfast_fleet_device_online", K::gauge, "Whether the device is there.",
       [](const Figures& d) -> Value {
         if (d.presence == Presence::unknown) return std::nullopt;
         return d.presence == Presence::online ? 1 : 0;
       });
  each("holdfast_fleet_device_changed_timestamp_seconds", K::gauge,
       "Since when it is there, or not, if that was heard.",
       [](const Figures& d) -> Value { return d.changed ? Value(seconds(*d.changed)) : Value(); });
  each("holdfast_fleet_device_heard_timestamp_seconds", K::gauge,
       "When anything was last heard of it.",
       [](const Figures& d) -> Value { return seconds(d.heard); });
  each("holdfast_fleet_device_outages_total", K::counter, "Outages that it has told of.",
       [](const Figures& d) -> Value { return static_cast<double>(d.outages); });
  each("holdfast_fleet_device_offline_seconds_total", K::counter, "How long these lasted together.",
       [](const Figures& d) -> Value { return d.offline_seconds; });
  each("holdfast_fleet_device_pending", K::gauge, "Messages that wait in it, as it last reported.",
       [](const Figures& d) { return d.pending; });
  each("holdfast_fleet_device_dropped", K::gauge,
       "Accepted messages that it has given up, as it last reported.",
       [](const Figures& d) { return d.dropped; });
  auto& verdicts = family(all, "holdfast_fleet_device_verdict", K::gauge,
                          "1 for the verdict with which its last outage began.");
  for (const auto& [device, figures] : devices_) {
    if (!figures.verdict) continue;
    const std::string_view name = to_string(static_cast<Verdict>(*figures.verdict));
    verdicts.samples.push_back({{{"device", device}, {"verdict", std::string(name)}}, 1});
  }
}

MetricFamilies Book::families() const {
  MetricFamilies all;
  add_totals(all);
  add_devices(all);
  return all;
}

std::string_view device_of(std::string_view filter, std::string_view topic) {
  for (;;) {
    const std::size_t filter_end = std::min(filter.find('/'), filter.size());
    const std::size_t topic_end = std::min(topic.find('/'), topic.size());
    if (filter.substr(0, filter_end) == "+") return topic.substr(0, topic_end);
    if (filter_end == filter.size() || topic_end == topic.size()) return {};
    filter.remove_prefix(filter_end + 1);
    topic.remove_prefix(topic_end + 1);
  }
}

}  // namespace holdfast::fleet
