// The lines of the local API: requests read, answers and events written. Pure; docs/local-api.md.
//
// Purpose:  one place that knows the JSON, used by server, client, tests and fuzzer.
// Threads:  pure functions.
// Errors:   parse_request() names the byte offset (not JSON) or the field (JSON, but not a
//           request). Nothing is thrown. Lines written always are valid JSON, one line each.
// Sources:  RFC 8259 (JSON).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "holdfast/device.h"
#include "holdfast/result.h"
#include "holdfast/types.h"
#include "runtime/job_board.h"

namespace holdfast::runtime {

/// Of each client: publishes whose receipt is still owed. Above it publish answers queue_full.
inline constexpr std::size_t kLocalReceiptsOwed = 4096;
/// The largest payload that any configuration allows.
inline constexpr std::size_t kLocalPayloadMax = limits::kPayloadMax;
/// A request whose `timeout_ms` is not given waits so long.
inline constexpr Milliseconds kLocalAskTimeout{10'000};
/// Bytes of a request's id, written as JSON.
inline constexpr std::size_t kLocalIdMax = 128;
/// Messages on one page of a listing, and questions to the outbox that one client may have open.
inline constexpr std::size_t kLocalListMax = 1000;
inline constexpr std::size_t kLocalLooksOwed = 4;
/// What the updater tells: bytes of a text, steps of a job, and applications with a version.
inline constexpr std::size_t kLocalJobsText = 256;
inline constexpr std::uint64_t kLocalJobsSteps = 10'000;
inline constexpr std::size_t kLocalJobsVersions = 16;
/// Lines handled for one client before others have their turn.
inline constexpr std::size_t kLocalLinesPerTurn = 256;

/// The receipt a publisher wants its one answer for. A rejection is always answered.
enum class WantedReceipt : std::uint8_t { none, accepted, delivered };

struct PublishRequest {
  Message message;
  WantedReceipt receipt = WantedReceipt::accepted;
};
/// A message whose answer is wanted.
struct AskRequest {
  Message message;
  Milliseconds timeout{kLocalAskTimeout};
};
/// How messages are acknowledged; see ack_groups.h.
struct AckTerms {
  std::string group;
  std::size_t window = limits::kLocalWindow;
  Milliseconds within{limits::kLocalWithinMs};
  Milliseconds linger{limits::kLocalLingerMs};
};
struct SubscribeRequest {
  std::string filter;
  Qos qos = Qos::at_least_once;
  std::optional<AckTerms> acknowledge{};  ///< None: a message is taken when it is written.
};
/// Messages that the client has dealt with.
struct AcknowledgeRequest {
  std::vector<std::uint64_t> deliveries;
};
struct SubscribeUnmatchedRequest {};
struct UnsubscribeRequest {
  std::uint64_t subscription = 0;
};
struct StatusRequest {};
struct EventsRequest {};
struct ReconnectRequest {};
struct PingRequest {};
/// Where the page to look at is.
struct PageRequest {};
/// A sign of life; the first one of its name begins the heartbeat.
struct HeartbeatRequest {
  std::string name;
  Milliseconds every{0};  ///< 0: as before.
};
struct HeartbeatEndRequest {
  std::string name;
};
/// What the outbox holds. Answered by the storage thread, see outbox_look.h.
struct OutboxStatRequest {};
struct OutboxListRequest {
  std::optional<std::string> lane;
  std::size_t limit = kLocalListMax;
  std::string from;  ///< The `next` of the page before; empty: the beginning.
  bool payload = false;
};
struct OutboxMessageRequest {
  MessageId message_id = 0;
};
/// What became of a message.
struct FateRequest {
  MessageId message_id = 0;
};

/// Outages and starts, the newest.
struct HistoryRequest {
  std::size_t limit = kLocalListMax;
};

/// The levels of the log, after setting one if it is given: of the area, or of all.
struct LogLevelRequest {
  std::optional<LogArea> area;
  std::optional<LogLevel> level;
};
/// The last lines of the log.
struct LogsRequest {
  std::size_t limit = limits::kLogLast;
};
/// Publishes them. Without a topic: on log.topic.
struct SendLogsRequest {
  std::size_t limit = limits::kLogLast;
  std::string topic;
};

/// Everything is to be done again.
struct SafeModeEndRequest {};

/// The machine's power goes, or does not after all.
struct PowerFailRequest {
  std::string detail;  ///< Who says so.
};
struct PowerBackRequest {};
/// The machine is about to be shut down or restarted, for this reason.
struct GoingDownRequest {
  BootReason reason = BootReason::command;  ///< update, command or low_power.
  std::string detail;
};

/// What the updater does; replaces what was told before.
struct JobsRequest {
  JobsState jobs;
};

struct LocalRequest {
  std::string id;  ///< As JSON (a number or a quoted string), to be repeated; empty: none given.
  std::variant<PublishRequest, AskRequest, SubscribeRequest, SubscribeUnmatchedRequest,
               AcknowledgeRequest, UnsubscribeRequest, StatusRequest, EventsRequest,
               ReconnectRequest, PingRequest, OutboxStatRequest, OutboxListRequest,
               OutboxMessageRequest, FateRequest, HistoryRequest, LogLevelRequest, LogsRequest,
               SendLogsRequest, PageRequest, HeartbeatRequest, HeartbeatEndRequest,
               SafeModeEndRequest, PowerFailRequest, PowerBackRequest, GoingDownRequest,
               JobsRequest>
      what;
};

struct LocalRefusal {
  std::string id;
  std::string error;
};

/// One line, without its newline.
[[nodiscard]] std::variant<LocalRequest, LocalRefusal> parse_request(std::string_view line);

// --- answers and events, each with its newline ---

[[nodiscard]] std::string ok_line(const std::string& id);
/// `retry`: the same request may succeed in a moment.
[[nodiscard]] std::string error_line(const std::string& id, std::string_view error,
                                     bool retry = false);
[[nodiscard]] std::string receipt_line(const std::string& id, const Receipt& receipt);
[[nodiscard]] std::string response_line(const std::string& id, const Response& response);
/// The answer to power_fail: how long the saving took; nothing: it did not end in time.
[[nodiscard]] std::string saved_line(const std::string& id, std::optional<Milliseconds> took);
[[nodiscard]] std::string subscribed_line(const std::string& id, std::uint64_t subscription);
[[nodiscard]] std::string acknowledged_line(const std::string& id, std::size_t count);
[[nodiscard]] std::string status_line(const std::string& id, const DeviceState& state,
                                      const std::vector<FilterState>& filters,
                                      const IdentityState& identity, const LogState& log,
                                      const std::vector<HeartbeatState>& heartbeats,
                                      const std::optional<JobBoard::View>& jobs = {});
[[nodiscard]] std::string log_levels_line(const std::string& id, const LogState& log);
/// `lines` are JSON objects.
[[nodiscard]] std::string logs_line(const std::string& id, const std::vector<std::string>& lines);
[[nodiscard]] std::string page_line(const std::string& id, const std::string& url);
/// The answer to a ping: how much work each part has finished.
[[nodiscard]] std::string progress_line(const std::string& id, const Progress& progress);
[[nodiscard]] std::string connection_line(const ConnectionState& state);
[[nodiscard]] std::string identity_line(const IdentityState& state);
[[nodiscard]] std::string heartbeat_line(const HeartbeatState& state);
[[nodiscard]] std::string message_line(std::uint64_t subscription, const InboundMessage& message);
/// The same for one that is to be acknowledged.
[[nodiscard]] std::string held_line(std::uint64_t subscription, std::uint64_t delivery,
                                    bool duplicate, const InboundMessage& message);

// --- requests, for clients ---

/// A publish request with its newline; the payload goes as text if it is UTF-8, else as base64.
[[nodiscard]] std::string publish_line(std::uint64_t id, const Message& message,
                                       WantedReceipt receipt);
[[nodiscard]] std::string ask_line(std::uint64_t id, const Message& message, Milliseconds timeout);
[[nodiscard]] std::string subscribe_line(std::uint64_t id, const SubscribeRequest& request);
[[nodiscard]] std::string acknowledge_line(std::uint64_t id, std::uint64_t delivery);
/// {"op":OP,"id":ID}
[[nodiscard]] std::string op_line(std::uint64_t id, std::string_view op);

/// The same with fields: a JSON object as text, such as {"limit":10}.
[[nodiscard]] std::string op_line(std::uint64_t id, std::string_view op, std::string_view fields);

}  // namespace holdfast::runtime
