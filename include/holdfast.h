// Holdfast for C: a device that stays active, as in holdfast/device.h, with a stable binary form.
//
// Purpose:   what C, and every language that can call C, links: -lholdfast. Plain C99, and C++.
// Results:   each call that can fail returns HOLDFAST_OK (0) or a holdfast_error; then
//            holdfast_error_message() has one sentence about it. No exception leaves a call.
// Threads:   every call on a device may be made from any thread, at any time until
//            holdfast_close(). A message or a configuration is used by one thread at a time.
//            Handlers run one at a time on a thread of the device, in the order of their events;
//            one that blocks delays handlers only. They may make every call but holdfast_stop(),
//            holdfast_close() and those that wait; these are refused there. Log handlers run on
//            several threads of the device and must not block.
// Ownership: what _new(), _load() or _open() gives is the caller's, and ends with its _free() or
//            _close(). Texts and bytes that are given in are copied. What a handler is given is
//            good until it returns. `user` is passed on untouched: it must be good until the
//            handler cannot be called any more, at the latest when holdfast_close() has returned.
// Texts:     UTF-8, ended by NUL. A text that is given out is never NULL; "" means none.
// Growth:    calls, enumerators and members at the ends of structs may be added; nothing else
//            changes while the library's name ends in .so.0. So expect values that you do not know.
//            A struct's `size` says how much of it there is: set it to sizeof before it is filled
//            for you; in handlers the library has set it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define HOLDFAST_API __attribute__((visibility("default")))
#else
#define HOLDFAST_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors --------------------------------------------------------------------------------- */

/// Why a call failed. 1 to 16 are holdfast::Errc (holdfast/result.h).
typedef enum holdfast_error {
  HOLDFAST_OK = 0,
  HOLDFAST_INVALID_ARGUMENT = 1,  ///< What was passed can never work: NULL, a wrong handle, …
  HOLDFAST_INVALID_CONFIG = 2,    ///< A configuration key is wrong; the message names it.
  HOLDFAST_NOT_FOUND = 3,         ///< A file, lane, message or subscription does not exist.
  HOLDFAST_PERMISSION = 4,        ///< The operating system or the broker forbids it.
  HOLDFAST_IO = 5,                ///< Reading or writing failed; see holdfast_error_os().
  HOLDFAST_NO_SPACE = 6,          ///< The disk, or a limit of ours on it, is full.
  HOLDFAST_READ_ONLY = 7,         ///< The file system only allows reading.
  HOLDFAST_CORRUPT = 8,           ///< Bytes do not make sense.
  HOLDFAST_TOO_LARGE = 9,         ///< Over a named limit.
  HOLDFAST_FULL = 10,             ///< A bounded queue has no room now; try again later.
  HOLDFAST_TIMEOUT = 11,          ///< A deadline passed.
  HOLDFAST_IN_USE = 12,           ///< Somebody else holds the lock, the port or the client id.
  HOLDFAST_UNSUPPORTED = 13,      ///< This build, engine or broker cannot do it.
  HOLDFAST_CLOSED = 14,           ///< The device has been stopped.
  HOLDFAST_PROTOCOL = 15,         ///< A peer broke the protocol.
  HOLDFAST_INTERNAL = 16,         ///< A bug in Holdfast; please report it.
  HOLDFAST_REJECTED = 100,        ///< The message was not accepted; a holdfast_reject says why.
  HOLDFAST_DROPPED = 101          ///< It was accepted, and given up; a holdfast_drop says why.
} holdfast_error;

/// About the last call of this thread that failed: one sentence, no full stop, never a secret. Good
/// until this thread's next call that fails.
HOLDFAST_API const char* holdfast_error_message(void);
/// errno of that failure, if the operating system was its cause; else 0.
HOLDFAST_API int holdfast_error_os(void);
/// "invalid_config" …; "?" for a number that is none.
HOLDFAST_API const char* holdfast_error_name(int error);

/// Of the library that is running: "0.1.0".
HOLDFAST_API const char* holdfast_version(void);
/// The number behind .so of the library that is running.
HOLDFAST_API int holdfast_abi(void);

/* ---- the vocabulary: holdfast/types.h says more -----------------------------------------------
 */

/// How much an accepted message survives.
typedef enum holdfast_durability {
  HOLDFAST_DURABLE = 0,  ///< On disk and synced before it is accepted: crash and power cut.
  HOLDFAST_MEMORY = 1,   ///< In RAM: a lost connection, not the end of the process.
  HOLDFAST_SPILL = 2     ///< In RAM while online, on disk when that lasts and at the stop.
} holdfast_durability;

/// Why a message was not accepted.
typedef enum holdfast_reject {
  HOLDFAST_REJECT_NONE = 0,            ///< It was accepted.
  HOLDFAST_REJECT_INVALID_TOPIC = 1,   ///< Empty, a wildcard, not UTF-8, too long or too deep.
  HOLDFAST_REJECT_INVALID_FIELD = 2,   ///< A property is not UTF-8, an expiry not positive, …
  HOLDFAST_REJECT_UNKNOWN_LANE = 3,    ///< The lane is not in the configuration.
  HOLDFAST_REJECT_TOO_LARGE = 4,       ///< Payload or whole message over its limit.
  HOLDFAST_REJECT_QUEUE_FULL = 5,      ///< More comes than the storage takes; try again soon.
  HOLDFAST_REJECT_OUTBOX_FULL = 6,     ///< The outbox, or its disk, is full.
  HOLDFAST_REJECT_LANE_FULL = 7,       ///< The lane has reached its own limit.
  HOLDFAST_REJECT_STORAGE_FAILED = 8,  ///< The disk refuses to store.
  HOLDFAST_REJECT_STOPPING = 9,        ///< The device has been stopped.
  HOLDFAST_REJECT_POWER_FAILING = 10   ///< The machine's power is going.
} holdfast_reject;

/// Why an accepted message was given up. Each one is counted.
typedef enum holdfast_drop {
  HOLDFAST_DROP_EXPIRED = 0,        ///< Its expiry passed before it could be sent.
  HOLDFAST_DROP_REFUSED = 1,        ///< The broker refused it for good.
  HOLDFAST_DROP_TOO_LARGE = 2,      ///< The broker takes only smaller packets.
  HOLDFAST_DROP_EVICTED = 3,        ///< Made room for newer ones, by the lane's policy.
  HOLDFAST_DROP_CORRUPT = 4,        ///< Its bytes on disk failed their checksum.
  HOLDFAST_DROP_VOLATILE_LOST = 5,  ///< In RAM only, and the process ended before it was sent.
  HOLDFAST_DROP_SUPERSEDED = 6      ///< A newer message of the same key took its place.
} holdfast_drop;

/// The steps of a message.
typedef enum holdfast_receipt_kind {
  HOLDFAST_ACCEPTED = 0,          ///< Safe, as far as its durability says.
  HOLDFAST_RECEIPT_REJECTED = 1,  ///< Refused after the first answer; the last receipt.
  HOLDFAST_DELIVERED = 2,         ///< The broker has acknowledged it; the last receipt.
  HOLDFAST_RECEIPT_DROPPED = 3    ///< Given up; the last receipt.
} holdfast_receipt_kind;

/// How long receipts are wanted.
typedef enum holdfast_scope {
  HOLDFAST_UNTIL_ACCEPTED = 0,  ///< Accepted or rejected: costs nothing while it waits.
  HOLDFAST_UNTIL_SETTLED = 1    ///< Delivered, dropped or rejected.
} holdfast_scope;

/// What is known of a message by its id, also after a restart.
typedef enum holdfast_fate_kind {
  HOLDFAST_FATE_UNKNOWN = 0,    ///< Never accepted under this id.
  HOLDFAST_FATE_PENDING = 1,    ///< Waiting or in flight.
  HOLDFAST_FATE_DELIVERED = 2,  ///< The broker has acknowledged it.
  HOLDFAST_FATE_DROPPED = 3,    ///< Given up.
  HOLDFAST_FATE_FORGOTTEN = 4   ///< Ended so long ago that it is no longer known how.
} holdfast_fate_kind;

/// How a request ended.
typedef enum holdfast_response_kind {
  HOLDFAST_ANSWERED = 0,    ///< holdfast_response.message is the answer.
  HOLDFAST_TIMED_OUT = 1,   ///< No answer in time; whether it was carried out is not known.
  HOLDFAST_NOT_SENT = 2,    ///< It never reached the broker; holdfast_response.receipt says why.
  HOLDFAST_NO_ANSWERS = 3,  ///< Not sent: the broker refuses us the topic of the answer.
  HOLDFAST_STOPPED = 4      ///< The device stops; whether it was carried out is not known.
} holdfast_response_kind;

/// Where the connection stands.
typedef enum holdfast_state {
  HOLDFAST_IDLE = 0,        ///< Not started.
  HOLDFAST_CONNECTING = 1,  ///< An attempt is under way.
  HOLDFAST_CONNECTED = 2,   ///< Messages flow.
  HOLDFAST_WAITING = 3,     ///< Before the next attempt.
  HOLDFAST_STOPPING = 4,    ///< Leaving in order.
  HOLDFAST_STATE_STOPPED = 5
} holdfast_state;

/// Why there is no connection; holdfast_verdict_text() has a sentence for each.
typedef enum holdfast_verdict {
  HOLDFAST_VERDICT_NONE = 0,  ///< Nothing is wrong.
  HOLDFAST_VERDICT_NOT_STARTED = 1,
  HOLDFAST_VERDICT_NO_CREDENTIALS = 2,
  HOLDFAST_VERDICT_LINK_DOWN = 3,
  HOLDFAST_VERDICT_NO_ROUTE = 4,
  HOLDFAST_VERDICT_DNS_FAILED = 5,
  HOLDFAST_VERDICT_DNS_TIMEOUT = 6,
  HOLDFAST_VERDICT_TCP_REFUSED = 7,
  HOLDFAST_VERDICT_TCP_TIMEOUT = 8,
  HOLDFAST_VERDICT_PROXY_FAILED = 9,
  HOLDFAST_VERDICT_TLS_CLOCK = 10,
  HOLDFAST_VERDICT_TLS_SERVER_NAME = 11,
  HOLDFAST_VERDICT_TLS_SERVER_UNTRUSTED = 12,
  HOLDFAST_VERDICT_TLS_SERVER_EXPIRED = 13,
  HOLDFAST_VERDICT_TLS_CLIENT_REFUSED = 14,
  HOLDFAST_VERDICT_TLS_FAILED = 15,
  HOLDFAST_VERDICT_TLS_TIMEOUT = 16,
  HOLDFAST_VERDICT_MQTT_TIMEOUT = 17,
  HOLDFAST_VERDICT_NOT_AUTHORIZED = 18,
  HOLDFAST_VERDICT_PUBLISH_DENIED = 19,
  HOLDFAST_VERDICT_SUBSCRIBE_DENIED = 20,
  HOLDFAST_VERDICT_BAD_CREDENTIALS = 21,
  HOLDFAST_VERDICT_ID_TAKEN_OVER = 22,
  HOLDFAST_VERDICT_THROTTLED = 23,
  HOLDFAST_VERDICT_QUOTA_EXCEEDED = 24,
  HOLDFAST_VERDICT_SERVER_GONE = 25,
  HOLDFAST_VERDICT_PROTOCOL_ERROR = 26,
  HOLDFAST_VERDICT_SILENT_PEER = 27,
  HOLDFAST_VERDICT_ENGINE_FAILED = 28,
  HOLDFAST_VERDICT_CAPTIVE_PORTAL = 29
} holdfast_verdict;

/// How severe a line of the log is.
typedef enum holdfast_log_level {
  HOLDFAST_LOG_ERROR = 0,    ///< Somebody must do something.
  HOLDFAST_LOG_WARNING = 1,  ///< Something is wrong; the device goes on and tries again.
  HOLDFAST_LOG_INFO = 2,     ///< A change of state.
  HOLDFAST_LOG_DEBUG = 3     ///< Each step on the way.
} holdfast_log_level;

/// The names of these values, such as "tls_clock"; "?" for one that is none. Good for ever.
HOLDFAST_API const char* holdfast_durability_name(int durability);
HOLDFAST_API const char* holdfast_reject_name(int reason);
HOLDFAST_API const char* holdfast_drop_name(int reason);
HOLDFAST_API const char* holdfast_receipt_name(int kind);
HOLDFAST_API const char* holdfast_fate_name(int kind);
HOLDFAST_API const char* holdfast_response_name(int kind);
HOLDFAST_API const char* holdfast_state_name(int state);
HOLDFAST_API const char* holdfast_verdict_name(int verdict);
HOLDFAST_API const char* holdfast_log_level_name(int level);
/// One sentence for the operator: what a verdict means and what to look at.
HOLDFAST_API const char* holdfast_verdict_text(int verdict);

/// A pair of texts: a user property of MQTT 5, or a value beside a line of the log.
typedef struct holdfast_property {
  const char* name;
  const char* value;
} holdfast_property;

/* ---- configuration ----------------------------------------------------------------------------
 */

/// What a device is told: docs/configuration.md.
typedef struct holdfast_config holdfast_config;

/// One line of the device's log.
typedef struct holdfast_log_line {
  size_t size;
  const char* text;
  const char* area;                 ///< "connection", "outbox", …
  int32_t level;                    ///< holdfast_log_level.
  int32_t verdict;                  ///< holdfast_verdict, if the line tells one; else -1.
  const holdfast_property* fields;  ///< Values beside the sentence …
  size_t field_count;               ///< … so many.
} holdfast_log_line;
typedef void (*holdfast_log_handler)(const holdfast_log_line* line, void* user);

/// A configuration that is read from this TOML file when it is used: at each holdfast_open(),
/// holdfast_reload() and holdfast_config_check(). Environment variables override the file, as for
/// the agent.
HOLDFAST_API int holdfast_config_from_file(const char* path, holdfast_config** config);
/// The same with a text. Relative paths in it are relative to `folder`; NULL: to the present one.
HOLDFAST_API int holdfast_config_from_text(const char* toml, size_t length, const char* folder,
                                           holdfast_config** config);
/// Sets one key over what file, text and environment say: ("connection.host",
/// "broker.example.com"),
/// ("timing.backoff_cap", "30s"). Named sections ([lane.NAME], …) are for TOML. Errors: not_found:
/// no such key; invalid_config: the value, in this sentence.
HOLDFAST_API int holdfast_config_set(holdfast_config* config, const char* key, const char* value);
/// Who takes the log of a device that is opened with it; NULL: nobody. It gets each line that is
/// severe enough for log.level.
HOLDFAST_API int holdfast_config_on_log(holdfast_config* config, holdfast_log_handler handler,
                                        void* user);
/// Finds what would keep it from working, as far as can be known without the network: also
/// credentials, directories. Writes nothing. The message names the first problem and, if there are
/// more, how many.
HOLDFAST_API int holdfast_config_check(const holdfast_config* config);
/// NULL is nothing.
HOLDFAST_API void holdfast_config_free(holdfast_config* config);

/* ---- the device -------------------------------------------------------------------------------
 */

typedef struct holdfast_device holdfast_device;

/// Reads and checks the configuration, opens the outbox, starts the threads and begins to connect.
/// Does not wait for a connection: an unreachable broker or missing credentials are no errors here,
/// but verdicts. Errors: invalid_config; in_use: another process has the outbox; io, permission,
/// no_space: its directory cannot be used; not_found: no such file.
HOLDFAST_API int holdfast_open(const holdfast_config* config, holdfast_device** device);

/// Leaves in order: refuses new messages, saves what was accepted, sends DISCONNECT, ends the
/// threads. Returns within the deadline; below 0: timing.stop_deadline. What waits stays on disk.
/// Wakes those who wait (closed). Again: nothing. Then only status, names and close are of use.
HOLDFAST_API int holdfast_stop(holdfast_device* device, int64_t deadline_ms);

/// Stops it, if nobody has, and frees it. No handler runs any more once this has returned, unless
/// one did not return within the deadline. NULL is nothing; a handle that was closed is an error.
HOLDFAST_API int holdfast_close(holdfast_device* device);

/// A change of the connection.
typedef struct holdfast_connection {
  size_t size;
  int32_t state;         ///< holdfast_state.
  int32_t verdict;       ///< holdfast_verdict: why not connected; none while connected.
  const char* detail;    ///< The failure's own words.
  int64_t retry_in_ms;   ///< While waiting: time to the next attempt.
  uint32_t attempts;     ///< Since last connected.
  bool session_present;  ///< The broker remembered our session.
  const char* endpoint;  ///< "host:port".
  const char* endpoint_name;
  const char* client_id;  ///< Ours, or the one that the broker has assigned.
} holdfast_connection;
typedef void (*holdfast_connection_handler)(const holdfast_connection* now, void* user);

/// Calls `handler` at each change of the connection, beginning with the present state. One handler;
/// a second call replaces the first, NULL ends it.
HOLDFAST_API int holdfast_on_connection(holdfast_device* device,
                                        holdfast_connection_handler handler, void* user);
/// Waits until it is connected. Errors: timeout (the message has verdict and detail); closed.
/// 0 only looks. Not from a handler.
HOLDFAST_API int holdfast_wait_connected(holdfast_device* device, int64_t timeout_ms);
/// Connects now instead of after the present delay.
HOLDFAST_API int holdfast_reconnect_now(holdfast_device* device);
/// Takes over a changed configuration; its log handler is not looked at. Errors: invalid_config;
/// unsupported: a key that needs a restart, named; then nothing is changed.
HOLDFAST_API int holdfast_reload(holdfast_device* device, const holdfast_config* config);

/// Everything there is to see, as the JSON of docs/local-api.md ("status"). Ends with
/// holdfast_text_free().
HOLDFAST_API int holdfast_status_json(holdfast_device* device, char** json);
/// NULL is nothing.
HOLDFAST_API void holdfast_text_free(char* text);

/* ---- messages to publish ----------------------------------------------------------------------
 */

/// A message; it may be published several times. Its texts are checked when it is published.
typedef struct holdfast_message holdfast_message;

/// QoS 1, durable, in lane "normal", until told otherwise. `payload` may be NULL if `length` is 0.
HOLDFAST_API int holdfast_message_new(const char* topic, const void* payload, size_t length,
                                      holdfast_message** message);
HOLDFAST_API int holdfast_message_set_payload(holdfast_message* message, const void* payload,
                                              size_t length);
/// 0 or 1; there is no QoS 2.
HOLDFAST_API int holdfast_message_set_qos(holdfast_message* message, int qos);
HOLDFAST_API int holdfast_message_set_retain(holdfast_message* message, bool retain);
HOLDFAST_API int holdfast_message_set_durability(holdfast_message* message, int durability);
HOLDFAST_API int holdfast_message_set_lane(holdfast_message* message, const char* lane);
/// In a lane that conflates: a newer message of this key replaces it. "": the topic is the key.
HOLDFAST_API int holdfast_message_set_key(holdfast_message* message, const char* key);
/// Drop (and count) it if not sent within so many seconds, above 0.
HOLDFAST_API int holdfast_message_set_expiry(holdfast_message* message, int64_t seconds);
HOLDFAST_API int holdfast_message_set_content_type(holdfast_message* message, const char* type);
HOLDFAST_API int holdfast_message_set_response_topic(holdfast_message* message, const char* topic);
HOLDFAST_API int holdfast_message_set_correlation(holdfast_message* message, const void* data,
                                                  size_t length);
/// Adds one; they keep their order.
HOLDFAST_API int holdfast_message_add_property(holdfast_message* message, const char* name,
                                               const char* value);
/// NULL is nothing.
HOLDFAST_API void holdfast_message_free(holdfast_message* message);

/// One step of a message.
typedef struct holdfast_receipt {
  size_t size;
  uint64_t id;          ///< For ever, never reused; 0 when rejected.
  int32_t kind;         ///< holdfast_receipt_kind.
  int32_t rejected;     ///< holdfast_reject.
  int32_t dropped;      ///< holdfast_drop, if the kind says so; else -1.
  int32_t kept;         ///< When accepted: holdfast_durability; HOLDFAST_DURABLE means on disk.
  uint8_t reason_code;  ///< The PUBACK's, if there was one.
  bool last;            ///< No other receipt comes for this message.
} holdfast_receipt;
typedef void (*holdfast_receipt_handler)(const holdfast_receipt* receipt, void* user);

/// publish's answer, at once.
typedef struct holdfast_answer {
  size_t size;
  int32_t rejected;  ///< holdfast_reject; not none: refused.
  int32_t promised;  ///< holdfast_durability. Durable: accepted once its receipt says so.
} holdfast_answer;

/// Hands over one message; never waits for network or disk. A durable message is accepted, counted
/// and safe once its receipt says so. `handler` may be NULL; it is called for each step within
/// `scope` (holdfast_scope), and not after the device is stopped. `answer` may be NULL.
/// Errors: rejected (nothing else happens with the message); closed.
HOLDFAST_API int holdfast_publish(holdfast_device* device, const holdfast_message* message,
                                  int scope, holdfast_receipt_handler handler, void* user,
                                  holdfast_answer* answer);

/// The same, and waits: until accepted, or until delivered (`scope`). `receipt` may be NULL; else
/// it is the last one that came, id 0 if none has. Not from a handler. Errors: rejected; dropped;
/// timeout (what was promised about the message still holds: fate tells what becomes of its id);
/// full (accepted, but limits.receipts others wait for their ends); closed.
HOLDFAST_API int holdfast_publish_wait(holdfast_device* device, const holdfast_message* message,
                                       int scope, int64_t timeout_ms, holdfast_receipt* receipt);

/// What became of a message of this run or an earlier one.
typedef struct holdfast_fate {
  size_t size;
  uint64_t id;
  int32_t kind;     ///< holdfast_fate_kind.
  int32_t dropped;  ///< holdfast_drop, if dropped; else -1.
} holdfast_fate;
typedef void (*holdfast_fate_handler)(const holdfast_fate* fate, void* user);
/// Asks; `handler` is called once, unless the device is stopped first.
HOLDFAST_API int holdfast_ask_fate(holdfast_device* device, uint64_t id,
                                   holdfast_fate_handler handler, void* user);

/* ---- messages that come ------------------------------------------------------------------------
 */

/// A message that arrived. Its members are good until the handler returns.
typedef struct holdfast_inbound {
  size_t size;
  const char* topic;
  const void* payload;  ///< Not ended by NUL.
  size_t payload_length;
  uint8_t qos;
  bool retain;     ///< A retained message, sent because of the subscription.
  bool duplicate;  ///< The broker may have given it before.
  const char* content_type;
  const char* response_topic;
  const void* correlation;
  size_t correlation_length;
  const holdfast_property* properties;
  size_t property_count;
} holdfast_inbound;

/// Who must be acknowledged; see holdfast_subscribe_held().
typedef struct holdfast_hold holdfast_hold;

typedef void (*holdfast_message_handler)(const holdfast_inbound* message, void* user);
typedef void (*holdfast_held_handler)(const holdfast_inbound* message, holdfast_hold* hold,
                                      void* user);

/// Wants messages for a topic filter, now and after each reconnect. A QoS 1 message is acknowledged
/// when its handlers have returned. `id` may be NULL. Errors: invalid_argument: a bad filter; full:
/// at the limit; closed.
HOLDFAST_API int holdfast_subscribe(holdfast_device* device, const char* filter, int qos,
                                    holdfast_message_handler handler, void* user, uint64_t* id);
/// The same with an acknowledgement by hand: the handler owns `hold`, which ends with
/// holdfast_acknowledge(), on any thread, also after its device was closed. What is held when the
/// device stops comes again with the next run. What is held back holds back all that came later.
HOLDFAST_API int holdfast_subscribe_held(holdfast_device* device, const char* filter, int qos,
                                         holdfast_held_handler handler, void* user, uint64_t* id);
/// Wants what belongs to no subscription; nothing is asked of the broker.
HOLDFAST_API int holdfast_subscribe_unmatched(holdfast_device* device,
                                              holdfast_message_handler handler, void* user,
                                              uint64_t* id);
/// The message has been dealt with; frees the hold.
HOLDFAST_API int holdfast_acknowledge(holdfast_hold* hold);
/// Its handler does not run any more once this has returned, unless it is running now.
/// Errors: not_found.
HOLDFAST_API int holdfast_unsubscribe(holdfast_device* device, uint64_t id);

/* ---- requests and answers ----------------------------------------------------------------------
 */

/// How a request ended.
typedef struct holdfast_response {
  size_t size;
  int32_t kind;                     ///< holdfast_response_kind.
  const holdfast_inbound* message;  ///< When answered; else NULL.
  const holdfast_receipt* receipt;  ///< When not sent; else NULL.
} holdfast_response;
typedef void (*holdfast_response_handler)(const holdfast_response* response, void* user);

/// Publishes and waits for the answer (MQTT 5 only): response topic and correlation data are added
/// here. `handler` is called exactly once, also when the device stops; `timeout_ms` is above 0 and
/// at most a day. Errors as Device::request() in holdfast/device.h.
HOLDFAST_API int holdfast_request(holdfast_device* device, const holdfast_message* message,
                                  int64_t timeout_ms, holdfast_response_handler handler,
                                  void* user);
/// The message to publish in answer to a request, without payload. Errors: not_found: no answer is
/// wanted.
HOLDFAST_API int holdfast_message_answer(const holdfast_inbound* request,
                                         holdfast_message** message);

/* ---- signs of life, power -----------------------------------------------------------------------
 */

/// A sign of life of a part of the program, by a name of its own. If no other comes within
/// `every_ms` (0: as configured or as last told), it is missed: logged, counted, shown.
HOLDFAST_API int holdfast_heartbeat(holdfast_device* device, const char* name, int64_t every_ms);
/// That part ends in order. Errors: not_found.
HOLDFAST_API int holdfast_end_heartbeat(holdfast_device* device, const char* name);

/// How much work each part has finished: from one look to the next each number grows, or it is
/// stuck.
typedef struct holdfast_progress {
  size_t size;
  uint64_t loop;          ///< Connection, timers and local API.
  uint64_t engine;        ///< The MQTT library's own thread, where it has one.
  uint64_t storage;       ///< The outbox on disk.
  uint64_t callbacks;     ///< Handlers.
  uint64_t applications;  ///< Heartbeats that hold the watchdog back.
} holdfast_progress;
/// For a watchdog. Never blocks; wakes the threads, so call it seldom.
HOLDFAST_API int holdfast_get_progress(holdfast_device* device, holdfast_progress* progress);

/// Everything accepted is on disk, and took so long; below 0: it could not be saved in time.
typedef void (*holdfast_saved_handler)(int64_t took_ms, void* user);
/// The power is going: refuses messages, saves all, leaves the connection. `handler` may be NULL.
HOLDFAST_API int holdfast_power_fail(holdfast_device* device, const char* why,
                                     holdfast_saved_handler handler, void* user);
/// It is not going after all.
HOLDFAST_API int holdfast_power_back(holdfast_device* device);

#ifdef __cplusplus
}
#endif
