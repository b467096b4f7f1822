// See outbox_look.h.
#include "runtime/outbox_look.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"
#include "base/utf8.h"
#include "runtime/history.h"

namespace holdfast::runtime {
namespace {

using nlohmann::ordered_json;

/// Bytes that are no UTF-8 become U+FFFD: a line must be JSON whatever is on the disk.
std::string dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string answer_line(const std::string& id, std::string_view name, const ordered_json& value) {
  std::string line = "{";
  if (!id.empty()) line += "\"id\":" + id + ",";
  line += "\"ok\":true,\"" + std::string(name) + "\":" + dump(value);
  return line + "}\n";
}

/// With the object's own fields instead of one that holds them.
std::string answer_line(const std::string& id, const ordered_json& fields) {
  std::string line = "{";
  if (!id.empty()) line += "\"id\":" + id + ",";
  return line + "\"ok\":true," + dump(fields).substr(1) + "\n";
}

template <std::size_t N>
std::string hex(const std::array<std::uint8_t, N>& bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::uint8_t b : bytes) {
    out += kDigits[b >> 4];
    out += kDigits[b & 15];
  }
  return out;
}

std::string lane_name(const std::vector<std::string>& lanes, std::size_t lane) {
  return lane < lanes.size() ? lanes[lane] : "lane " + std::to_string(lane);
}

ordered_json session_json(const outbox::SessionInfo& session) {
  return {{"openings", session.epoch},         {"closed_in_order", session.clean},
          {"boot_id", hex(session.boot)},      {"first_opening_of_boot", session.boot_first_epoch},
          {"wall_ms", session.wall_ms},        {"boot_ms", session.boot_ms},
          {"max_wall_ms", session.max_wall_ms}};
}

ordered_json ledger_of(const outbox::StoreView& view) {
  ordered_json dropped = ordered_json::object();
  std::uint64_t sum = view.counters.delivered + view.pending();
  for (std::size_t i = 0; i < kDropReasons; ++i) {
    dropped[std::string(to_string(static_cast<DropReason>(i)))] = view.counters.dropped[i];
    sum += view.counters.dropped[i];
  }
  return {{"accepted", view.counters.accepted},
          {"delivered", view.counters.delivered},
          {"pending", view.pending()},
          {"dropped", std::move(dropped)},
          {"balanced", sum == view.counters.accepted}};
}

ordered_json short_json(const outbox::ListedMessage& one, const std::vector<std::string>& lanes) {
  const StoredMessage& m = one.message;
  ordered_json out{{"message_id", m.id},
                   {"lane", lane_name(lanes, one.lane)},
                   {"accepted_ms", one.stamp.wall_ms},
                   {"size", m.payload.size()},
                   {"qos", static_cast<unsigned>(m.qos)},
                   {"retain", m.retain},
                   {"topic", m.topic}};
  if (one.locked) {
    out["locked"] = true;
    out.erase("topic");
    out.erase("size");
  }
  if (one.stamp.wall_suspect) out["clock_doubtful"] = true;
  if (m.expiry_seconds) out["expiry"] = *m.expiry_seconds;
  if (!m.key.empty()) out["key"] = m.key;
  if (m.alias != 0) out["accepted_as"] = m.alias;
  return out;
}

void put_rest(ordered_json& out, const outbox::ListedMessage& one) {
  if (one.locked) return;
  const StoredMessage& m = one.message;
  if (!m.content_type.empty()) out["content_type"] = m.content_type;
  if (!m.user_properties.empty()) {
    ordered_json list = ordered_json::array();
    for (const auto& [name, value] : m.user_properties) {
      list.push_back(ordered_json::array({name, value}));
    }
    out["user_properties"] = std::move(list);
  }
  if (!m.response_topic.empty()) out["response_topic"] = m.response_topic;
  if (!m.correlation_data.empty()) {
    out["correlation_data_base64"] = to_base64(m.correlation_data);
  }
  const std::string_view text(reinterpret_cast<const char*>(m.payload.data()), m.payload.size());
  if (valid_utf8(text)) {
    out["payload"] = text;
  } else {
    out["payload_base64"] = to_base64(m.payload);
  }
}

}  // namespace

ordered_json store_json(const outbox::StoreView& view) {
  const std::vector<std::string>& names = view.session.lanes;
  ordered_json lanes = ordered_json::object();
  for (std::size_t i = 0; i < view.waiting.size(); ++i)
    lanes[lane_name(names, i)] = view.waiting[i];
  ordered_json segments = ordered_json::array();
  for (const outbox::SegmentView& segment : view.segments) {
    ordered_json by_lane = ordered_json::object();
    for (std::size_t i = 0; i < segment.by_lane.size(); ++i) {
      if (segment.by_lane[i] > 0) by_lane[lane_name(names, i)] = segment.by_lane[i];
    }
    segments.push_back({{"place", segment.place},
                        {"sequence", segment.sequence},
                        {"slot", segment.slot},
                        {"state", segment.active ? "active" : "waiting"},
                        {"sealed", segment.key_id != 0},
                        {"end", segment.end},
                        {"messages", segment.messages},
                        {"waiting", segment.waiting},
                        {"lanes", std::move(by_lane)}});
  }
  return {{"store", hex(view.store)},
          {"format", outbox::kFormatVersion},
          {"segment_bytes", view.segment_bytes},
          {"slots", view.slots},
          {"bytes", view.bytes},
          {"ledger", ledger_of(view)},
          {"lanes", std::move(lanes)},
          {"session", session_json(view.session)},
          {"segments", std::move(segments)}};
}

ordered_json page_json(const outbox::Page& page, const std::vector<std::string>& lanes,
                       bool payload) {
  ordered_json messages = ordered_json::array();
  for (const outbox::ListedMessage& one : page.messages) {
    ordered_json message = short_json(one, lanes);
    if (payload) put_rest(message, one);
    messages.push_back(std::move(message));
  }
  ordered_json out{{"messages", std::move(messages)}};
  if (page.next) {
    const outbox::ListCursor& at = *page.next;
    out["next"] = std::to_string(at.place) + ":" + std::to_string(at.sequence) + ":" +
                  std::to_string(at.offset) + ":" + std::to_string(at.last);
  }
  return out;
}

ordered_json message_json(const outbox::ListedMessage& message,
                          const std::vector<std::string>& lanes) {
  ordered_json out = short_json(message, lanes);
  put_rest(out, message);
  out["accepted_boot_ms"] = message.stamp.boot_ms;
  out["sequence"] = message.sequence;
  out["slot"] = message.slot;
  out["offset"] = message.offset;
  return out;
}

Result<outbox::ListCursor> parse_cursor(std::string_view text) {
  outbox::ListCursor cursor;
  if (text.empty()) return cursor;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto take = [&](auto& number, char behind) {
    const auto got = std::from_chars(at, end, number);
    if (got.ec != std::errc()) return false;
    at = got.ptr;
    if (behind == 0) return at == end;
    return at != end && *at++ == behind;
  };
  if (take(cursor.place, ':') && take(cursor.sequence, ':') && take(cursor.offset, ':') &&
      take(cursor.last, 0)) {
    return cursor;
  }
  return Error{Errc::invalid_argument,
               "field \"from\": is not the \"next\" of a page; leave it out to begin", 0};
}

Result<outbox::ListQuery> list_query(const OutboxListRequest& request,
                                     const std::vector<std::string>& lanes) {
  outbox::ListQuery query;
  query.max_messages = request.limit;
  query.max_bytes = kLookBytes;
  query.max_scan = kLookScan;
  if (request.lane) {
    const auto lane = std::find(lanes.begin(), lanes.end(), *request.lane);
    if (lane == lanes.end()) {
      std::string all;
      for (const std::string& one : lanes) all += (all.empty() ? "" : ", ") + one;
      return Error{Errc::invalid_argument,
                   "field \"lane\": the outbox has no lane of this name, only " + all, 0};
    }
    query.lane = static_cast<outbox::StoreLane>(lane - lanes.begin());
  }
  return query;
}

Look make_look(const OutboxStatRequest&, std::string id, LookAnswer answer) {
  return [id = std::move(id), answer = std::move(answer)](outbox::Outbox& outbox) {
    answer(answer_line(id, "outbox", store_json(outbox.view())));
    return true;
  };
}

Look make_look(const OutboxListRequest& request, std::string id, LookAnswer answer) {
  return [request, id = std::move(id), answer = std::move(answer)](outbox::Outbox& outbox) {
    const std::vector<std::string> lanes = outbox.view().session.lanes;
    const auto from = parse_cursor(request.from);
    const auto query = list_query(request, lanes);
    if (!from || !query) {
      answer(error_line(id, (from ? query.error() : from.error()).message));
      return true;
    }
    answer(answer_line(id, page_json(outbox.list(*from, *query), lanes, request.payload)));
    return true;
  };
}

Look make_look(const OutboxMessageRequest& request, std::string id, LookAnswer answer) {
  return [request, id = std::move(id), answer = std::move(answer),
          at = outbox::ListCursor{}](outbox::Outbox& outbox) mutable {
    outbox::ListQuery query;
    query.id = request.message_id;
    query.max_scan = kLookScan;
    const outbox::Page page = outbox.list(at, query);
    if (page.messages.empty() && page.next) {
      at = *page.next;
      return false;
    }
    if (page.messages.empty()) {
      answer(error_line(id, "not_found"));
    } else {
      answer(answer_line(id, "message",
                         message_json(page.messages.front(), outbox.view().session.lanes)));
    }
    return true;
  };
}

Look make_look(const HistoryLook& request, std::string id, LookAnswer answer) {
  return [request, id = std::move(id), answer = std::move(answer)](outbox::Outbox&) {
    auto entries = read_history(request.directory, request.limit);
    if (entries) {
      answer(answer_line(id, "history", std::move(entries).value()));
    } else {
      answer(error_line(id, entries.error().message));
    }
    return true;
  };
}

Look make_look(const FateRequest& request, std::string id, LookAnswer answer) {
  return [request, id = std::move(id), answer = std::move(answer)](outbox::Outbox& outbox) {
    const Fate fate = outbox.fate(request.message_id);
    ordered_json fields{{"message_id", request.message_id}, {"fate", to_string(fate.kind)}};
    if (fate.kind == FateKind::dropped) fields["reason"] = to_string(fate.dropped);
    answer(answer_line(id, fields));
    return true;
  };
}

}  // namespace holdfast::runtime
