#include "lab/fault/faults.h"

#include <algorithm>
#include <array>
#include <set>

#include "lab/fault/faults_json.h"
#include "lab/fault/object_reader.h"
#include "lab/fault/values.h"

namespace holdfast::lab::fault {
namespace {

constexpr std::array<Named<Accept>, 3> kAccepts{
    {{"normal", Accept::normal}, {"refuse", Accept::refuse}, {"ignore", Accept::ignore}}};
constexpr std::array<Named<Upstream>, 3> kUpstreams{
    {{"normal", Upstream::normal}, {"refuse", Upstream::refuse}, {"ignore", Upstream::ignore}}};
constexpr std::array<Named<TlsFault>, 7> kTlsFaults{
    {{"none", TlsFault::none},
     {"no-handshake", TlsFault::no_handshake},
     {"expired", TlsFault::expired},
     {"wrong-name", TlsFault::wrong_name},
     {"unknown-ca", TlsFault::unknown_ca},
     {"oversized-chain", TlsFault::oversized_chain},
     {"old-suites-only", TlsFault::old_suites_only}}};
constexpr std::array<Named<TlsVersion>, 4> kTlsVersions{{{"1.0", TlsVersion::tls10},
                                                         {"1.1", TlsVersion::tls11},
                                                         {"1.2", TlsVersion::tls12},
                                                         {"1.3", TlsVersion::tls13}}};

constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 50U;
constexpr std::uint64_t kRecordLeast = 64;
constexpr std::uint64_t kRecordMost = 16'384;
constexpr std::size_t kPresetsMax = 16;

void read_corrupt_bytes(ObjectReader& in, ByteSettings& into) {
  const Json* const range = in.find("corrupt_bytes");
  if (range == nullptr) return;
  const bool two = range->is_array() && range->size() == 2 && (*range)[0].is_number_unsigned() &&
                   (*range)[1].is_number_unsigned();
  const std::uint64_t from = two ? (*range)[0].get<std::uint64_t>() : 0;
  const std::uint64_t to = two ? (*range)[1].get<std::uint64_t>() : 0;
  if (from >= to) {
    return in.wrong("corrupt_bytes",
                    "must be two numbers: the first byte and the one after the last");
  }
  into.corrupt_from = from;
  into.corrupt_to = to;
}

void read_bytes(ObjectReader& parent, std::string_view key, ByteSettings& into) {
  const Json* const json = parent.find(key);
  if (json == nullptr) return;
  ObjectReader in(*json, parent.path_of(key), parent.problem());
  in.read("latency", into.latency);
  in.read("jitter", into.jitter);
  in.read_size("bytes_per_second", 1, kBytesMax, into.bytes_per_second);
  std::uint64_t slice = into.slice_bytes;
  in.read_size("slice_bytes", 1, kBytesMax, slice);
  into.slice_bytes = slice;
  in.read("slice_pause", into.slice_pause);
  in.read("black_hole", into.black_hole);
  in.read("stop_reading", into.stop_reading);
  in.read_number("corrupt_one_in", 1, kBytesMax, into.corrupt_one_in);
  read_corrupt_bytes(in, into);
  if (in.find("reset_after_bytes") != nullptr) {
    std::uint64_t bytes = 0;
    in.read_size("reset_after_bytes", 0, kBytesMax, bytes);
    into.reset_after_bytes = bytes;
  }
  in.read("half_open", into.half_open);
  in.finish();
}

void read_version(ObjectReader& in, std::string_view key, std::optional<TlsVersion>& into) {
  TlsVersion version{};
  if (in.find(key) == nullptr) return;
  in.read_choice(key, kTlsVersions, version);
  into = version;
}

void read_tls(ObjectReader& parent, TlsSettings& into) {
  const Json* const json = parent.find("tls");
  if (json == nullptr) return;
  ObjectReader in(*json, parent.path_of("tls"), parent.problem());
  in.read_choice("fault", kTlsFaults, into.fault);
  std::uint64_t record = into.record_bytes;
  in.read_size("record_bytes", kRecordLeast, kRecordMost, record);
  into.record_bytes = record;
  read_version(in, "min_version", into.min_version);
  read_version(in, "max_version", into.max_version);
  if (into.min_version && into.max_version && *into.min_version > *into.max_version) {
    in.wrong("min_version", "is above max_version");
  }
  in.finish();
}

void read_rules(ObjectReader& in, std::vector<Rule>& into) {
  const Json* const rules = in.find("rules");
  if (rules == nullptr) return;
  if (!rules->is_array()) return in.wrong("rules", "must be a list of tables");
  for (std::size_t i = 0; i < rules->size() && !in.problem(); ++i) {
    const std::string path = in.path_of("rules[" + std::to_string(i) + "]");
    if (into.size() == Faults::kMaxRules) {
      return in.wrong("rules", "are more than " + std::to_string(Faults::kMaxRules));
    }
    Rule rule = parse_rule((*rules)[i], path, in.problem());
    if (rule.name.empty()) rule.name = "rule-" + std::to_string(into.size() + 1);
    const bool taken = std::any_of(into.begin(), into.end(),
                                   [&](const Rule& other) { return other.name == rule.name; });
    if (taken) in.problem().at(path + ".name", "is the name of another rule, too");
    into.push_back(std::move(rule));
  }
}

void take_faults(const Json& json, const std::string& path, bool presets_too, Problem& problem,
                 Faults& into);

void read_preset(const Json& name, const std::string& path, Problem& problem, Faults& into) {
  const auto* text = name.get_ptr<const std::string*>();
  for (const Preset& preset : presets()) {
    if (text == nullptr || preset.name != *text) continue;
    // A preset is ours; that each of them can be read is a test.
    return take_faults(Json::parse(preset.json, nullptr, false), path, false, problem, into);
  }
  problem.at(path, "must be the name of a preset; `holdfast lab fault --list` lists them");
}

void read_presets(const Json& names, const std::string& path, Problem& problem, Faults& into) {
  if (!names.is_array()) return read_preset(names, path, problem, into);
  if (names.size() > kPresetsMax) {
    return problem.at(path, "has more than " + std::to_string(kPresetsMax) + " presets");
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    read_preset(names[i], path + "[" + std::to_string(i) + "]", problem, into);
  }
}

/// What is not named in `json` stays as it is in `into`; rules are added.
void take_faults(const Json& json, const std::string& path, bool presets_too, Problem& problem,
                 Faults& into) {
  if (presets_too && (json.is_string() || json.is_array())) {
    return read_presets(json, path, problem, into);
  }
  ObjectReader in(json, path, problem);
  if (presets_too) {
    if (const Json* preset = in.find("preset")) {
      read_presets(*preset, in.path_of("preset"), problem, into);
    }
  }
  in.read_choice("accept", kAccepts, into.accept);
  in.read_choice("upstream", kUpstreams, into.upstream);
  read_bytes(in, "both", into.up);
  read_bytes(in, "both", into.down);
  read_bytes(in, "up", into.up);
  read_bytes(in, "down", into.down);
  read_tls(in, into.tls);
  read_rules(in, into.rules);
  in.finish();
}

Json bytes_json(const ByteSettings& bytes) {
  Json json = Json::object();
  if (bytes.latency > Duration::zero()) json["latency"] = duration_text(bytes.latency);
  if (bytes.jitter > Duration::zero()) json["jitter"] = duration_text(bytes.jitter);
  if (bytes.bytes_per_second != 0) json["bytes_per_second"] = size_text(bytes.bytes_per_second);
  if (bytes.slice_bytes != 0) json["slice_bytes"] = size_text(bytes.slice_bytes);
  if (bytes.slice_pause > Duration::zero()) json["slice_pause"] = duration_text(bytes.slice_pause);
  if (bytes.black_hole) json["black_hole"] = true;
  if (bytes.stop_reading) json["stop_reading"] = true;
  if (bytes.corrupt_one_in != 0) json["corrupt_one_in"] = bytes.corrupt_one_in;
  if (bytes.corrupt_to > bytes.corrupt_from) {
    json["corrupt_bytes"] = {bytes.corrupt_from, bytes.corrupt_to};
  }
  if (bytes.reset_after_bytes) json["reset_after_bytes"] = size_text(*bytes.reset_after_bytes);
  if (bytes.half_open) json["half_open"] = true;
  return json;
}

Json tls_json(const TlsSettings& tls) {
  Json json = Json::object();
  if (tls.fault != TlsFault::none) json["fault"] = to_string(tls.fault);
  if (tls.record_bytes != 0) json["record_bytes"] = size_text(tls.record_bytes);
  if (tls.min_version) json["min_version"] = to_string(*tls.min_version);
  if (tls.max_version) json["max_version"] = to_string(*tls.max_version);
  return json;
}

}  // namespace

Faults read_faults(const Json& json, const std::string& path, Problem& problem) {
  Faults faults;
  take_faults(json, path, true, problem, faults);
  return faults;
}

Result<Faults> parse_faults(const Json& json) {
  Problem problem;
  Faults faults = read_faults(json, "", problem);
  if (problem) return problem.error();
  return faults;
}

Json to_json(const Faults& faults) {
  Json json = Json::object();
  if (faults.accept != Accept::normal) json["accept"] = to_string(faults.accept);
  if (faults.upstream != Upstream::normal) json["upstream"] = to_string(faults.upstream);
  if (Json up = bytes_json(faults.up); !up.empty()) json["up"] = std::move(up);
  if (Json down = bytes_json(faults.down); !down.empty()) json["down"] = std::move(down);
  if (Json tls = tls_json(faults.tls); !tls.empty()) json["tls"] = std::move(tls);
  for (const Rule& rule : faults.rules) json["rules"].push_back(to_json(rule));
  return json;
}

std::string_view to_string(Accept accept) noexcept { return name_of(kAccepts, accept); }
std::string_view to_string(Upstream upstream) noexcept { return name_of(kUpstreams, upstream); }
std::string_view to_string(TlsFault fault) noexcept { return name_of(kTlsFaults, fault); }
std::string_view to_string(TlsVersion version) noexcept { return name_of(kTlsVersions, version); }

}  // namespace holdfast::lab::fault
