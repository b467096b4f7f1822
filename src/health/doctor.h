// What `holdfast doctor` looks at, in order, and what one look may find.
//
// Purpose:  the frame of the pure half: facts go in; a result, one line of what was found and one
//           of advice come out. Who gathers the facts: runtime/doctor.h. The judges are in
//           doctor_identity.h, doctor_network.h, doctor_mqtt.h and doctor_machine.h.
// Threads:  plain values and pure functions.
// Secrets:  facts hold paths, names, dates and figures; never the content of a key or password.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace holdfast::health {

/// In the order in which they are made; later ones rest on earlier ones.
enum class Check : std::uint8_t {
  configuration,
  files,
  credentials,
  chain,
  dates,
  clock,
  time_sync,
  dns,
  route,
  tcp,
  keys,
  proxy,
  tls,
  alpn,
  websocket,
  agent,
  mqtt,
  subscribe,
  publish,
  retain,
  quotas,
  disk,
  sync,
  unit,
  watchdog,
  network_manager,
};
inline constexpr std::size_t kChecks = 26;

struct CheckInfo {
  std::string_view name;   ///< As in --only and --json.
  std::string_view about;  ///< What it asks, in a few words.
  /// Without these it cannot be made: it is skipped when one of them failed or was skipped itself.
  std::array<std::optional<Check>, 2> needs{};
};
[[nodiscard]] const CheckInfo& info_of(Check check) noexcept;
/// Empty: no check has this name.
[[nodiscard]] std::optional<Check> check_of(std::string_view name) noexcept;
/// These checks and, before each, all that it rests on, in order, none twice.
[[nodiscard]] std::vector<Check> with_needs(const std::vector<Check>& wanted);

enum class CheckResult : std::uint8_t {
  ok,
  warning,         ///< It works now; what is said may break it, or costs something.
  failed,          ///< This keeps the device from its broker, or its messages from the disk.
  skipped,         ///< What it rests on failed.
  not_applicable,  ///< The configuration or this machine has nothing of the kind.
};
[[nodiscard]] std::string_view to_string(CheckResult result) noexcept;

/// A fact for programs: its unit is in its name ("latency_ms").
struct Figure {
  std::string name;
  std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>> value;
};

/// What one check found.
struct Finding {
  CheckResult result = CheckResult::ok;
  std::string found;   ///< One line, with figures.
  std::string advice;  ///< What to do; empty only for ok, skipped and not_applicable.
  std::vector<Figure> figures = {};
};
[[nodiscard]] Finding fine(std::string found);
[[nodiscard]] Finding warn(std::string found, std::string advice);
[[nodiscard]] Finding fail(std::string found, std::string advice);
[[nodiscard]] Finding not_applicable(std::string found);
[[nodiscard]] Finding skipped(Check because);

/// "0.4 ms", "12 ms", "3.2 s".
[[nodiscard]] std::string in_ms(double ms);
/// "512 B", "3.4 MiB".
[[nodiscard]] std::string in_bytes(std::uint64_t bytes);
/// "a, b and c".
[[nodiscard]] std::string in_words(const std::vector<std::string>& list);
/// "3 addresses", "1 address": the plural has an s, or es.
[[nodiscard]] std::string counted(std::uint64_t number, const std::string& noun,
                                  const std::string& plural);

}  // namespace holdfast::health
