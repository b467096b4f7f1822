// The commands of `holdfast`: each talks to the agent over the local API and reports.
//
// Errors:   one line on standard error, "holdfast: what; what to do"; an exit code of exit_codes.h.
// Threads:  one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "exit_codes.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::cli {

struct PublishOptions {
  Message message;                      ///< Everything but the payload.
  std::optional<std::string> text;      ///< One message: this text …
  std::optional<std::string> file;      ///< … or this file's content …
  bool json = false;                    ///< Lines are publish requests with fields of their own.
  bool stdin_lines = false;             ///< … else a message for each line of standard input.
  bool wait_delivered = false;          ///< Else accepted is enough.
  std::optional<Milliseconds> timeout;  ///< Longest time without an answer; empty: for ever.
};

struct SubscribeOptions {
  std::vector<std::string> filters;
  bool unmatched = false;  ///< Also what belongs to no subscription.
  Qos qos = Qos::at_least_once;
  std::uint64_t count = 0;  ///< End after so many messages; 0: never.
  bool topic_prefix = false;
  bool json = false;                    ///< Each message whole, as an object a line.
  std::optional<Milliseconds> timeout;  ///< Longest wait for a message; empty: for ever.
  bool acknowledge = false;             ///< A message is dealt with when it has been printed.
  std::string group;                    ///< With others, whose messages are shared.
};

struct RequestOptions {
  Message message;                  ///< Everything but the payload …
  std::string text;                 ///< … which is this …
  std::optional<std::string> file;  ///< … or this file's content.
  Milliseconds timeout{10'000};     ///< For the answer.
  bool json = false;                ///< The answer whole, as an object.
};

struct HeartbeatOptions {
  std::string name;
  Milliseconds every{0};  ///< 0: as configured, or as said before.
  bool end = false;       ///< It ends in order, instead of a beat.
};

/// By this machine's clock.
[[nodiscard]] WallTime wall_now();

[[nodiscard]] ExitCode run_publish(const std::filesystem::path& socket,
                                   const PublishOptions& options);
[[nodiscard]] ExitCode run_subscribe(const std::filesystem::path& socket,
                                     const SubscribeOptions& options);
[[nodiscard]] ExitCode run_request(const std::filesystem::path& socket,
                                   const RequestOptions& options);
[[nodiscard]] ExitCode run_status(const std::filesystem::path& socket, bool json);
/// Exit code kFailed if a part of the agent stands still for `patience` or, where `connected` is
/// asked for, it is not connected.
[[nodiscard]] ExitCode run_health(const std::filesystem::path& socket, bool connected,
                                  Milliseconds patience);
[[nodiscard]] ExitCode run_receipt(const std::filesystem::path& socket, MessageId id, bool json);
/// Whether the agent is in safe mode, or the end of it.
[[nodiscard]] ExitCode run_safe_mode(const std::filesystem::path& socket, bool end);
/// One beat, or the end of a heartbeat.
[[nodiscard]] ExitCode run_heartbeat(const std::filesystem::path& socket,
                                     const HeartbeatOptions& options);
/// Says that the machine's power goes, and how long the saving took; or that it does not.
[[nodiscard]] ExitCode run_power_fail(const std::filesystem::path& socket,
                                      const std::string& detail, bool cancel);
/// Says why the machine is about to go down.
[[nodiscard]] ExitCode run_going_down(const std::filesystem::path& socket,
                                      const std::string& reason, const std::string& detail);
[[nodiscard]] ExitCode run_reconnect(const std::filesystem::path& socket);
/// Prints the address of the agent's page.
[[nodiscard]] ExitCode run_page(const std::filesystem::path& socket);
[[nodiscard]] ExitCode run_check_config(const std::filesystem::path& file);

/// The parts of the agent that have finished nothing from one answer to a ping to the next.
[[nodiscard]] std::vector<std::string> stuck_parts(const nlohmann::json& before,
                                                   const nlohmann::json& now);

/// The status for people; `status` is the object of the local API.
[[nodiscard]] std::string render_status(const nlohmann::json& status);

// --- what shows answers to people ---

/// A line "NAME  value" with the values in one column; nothing for an empty value.
void put_field(std::string& out, std::string_view name, const std::string& value);
/// Of a status: network, modems, lanes that wait, and the clock.
void put_network(std::string& out, const nlohmann::json& status);
/// Of a status: what the updater does; nothing where none tells it.
void put_jobs(std::string& out, const nlohmann::json& status);
/// A count of an answer; 0 if it has none of this name.
[[nodiscard]] std::uint64_t count_of(const nlohmann::json& object, const char* name);

/// A payload from a file, as far as any configuration allows it.
[[nodiscard]] Result<std::string> content_of(const std::string& file);
/// Prints the payload's bytes as they are, or all of the message as an object; a newline after, and
/// flushed, so that a pipe sees each at once. False: it cannot be written.
[[nodiscard]] bool print_message(const nlohmann::json& message, bool as_json, bool topic_prefix);
/// One request to the agent with these fields, one answer; prints what went wrong.
[[nodiscard]] ExitCode ask(const std::filesystem::path& socket, const char* op,
                           nlohmann::json& answer, const nlohmann::json& fields);

/// Prints "holdfast: WHAT".
ExitCode fail(ExitCode code, const std::string& what);
/// The exit code of a failed conversation with the agent.
[[nodiscard]] ExitCode exit_code_of(const Error& error);
/// A refusal's name with what to do about it: "too_large; send …".
[[nodiscard]] std::string advice(const std::string& refusal);

}  // namespace holdfast::cli
