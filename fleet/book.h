// What a fleet's devices have said of themselves, and the broker of them: who is there, and how it
// went.
//
// Purpose:  words in, metrics out. Whoever has heard nothing of a device says nothing of it.
// Inputs:   birth and will messages (presence), AWS IoT's lifecycle events, outages as `holdfast
// history`
//           has them, and reports of metrics as plain JSON (docs/metrics.md).
// Bounds:   Settings::devices_most devices, each with a name of kNameMost bytes and a fixed number
// of figures.
//           What is not taken is counted by its reason.
// Threads:  plain values; one at a time.
// Errors:   none: what others say cannot make this fail.
// Source:   docs/fleet-view.md; AWS IoT Core's lifecycle events.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/metric.h"
#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::fleet {

inline constexpr std::size_t kNameMost = 128;  ///< AWS IoT's longest client id.

enum class Word : std::uint8_t { presence, lifecycle, outage, report };
inline constexpr std::array<const char*, 4> kWords{"presence", "lifecycle", "outage", "report"};

enum class Ignored : std::uint8_t {
  malformed,  ///< Not what such a message has to be.
  name,       ///< The device's name is empty or too long.
  too_many,   ///< A device more than Settings::devices_most.
  stale,      ///< Of a connection before the one that is known, or told twice.
};
inline constexpr std::array<const char*, 4> kIgnored{"malformed", "name", "too_many", "stale"};

/// Why a connection ended, in AWS IoT's words; the last one stands for all that are not known here.
inline constexpr std::array<const char*, 14> kReasons{"AUTH_ERROR",
                                                      "CLIENT_INITIATED_DISCONNECT",
                                                      "CLIENT_ERROR",
                                                      "CONNECTION_LOST",
                                                      "DUPLICATE_CLIENTID",
                                                      "FORBIDDEN_ACCESS",
                                                      "SERVER_ERROR",
                                                      "MQTT_KEEP_ALIVE_TIMEOUT",
                                                      "SERVER_INITIATED_DISCONNECT",
                                                      "THROTTLED",
                                                      "API_INITIATED_DISCONNECT",
                                                      "WEBSOCKET_TTL_EXPIRATION",
                                                      "CUSTOMAUTH_TTL_EXPIRATION",
                                                      "other"};

class Book {
 public:
  struct Settings {
    std::size_t devices_most = 20000;
    /// A device that is not online and has not been heard for so long is forgotten.
    Seconds forget{30 * 24 * 3600};
    /// What a presence message says when the device is there. All else says that it is not.
    std::vector<std::string> online{"online", "on", "true", "1", "connected"};
  };
  explicit Book(Settings settings);

  /// A birth or a will: a word, or a JSON object with it as "state", "status", "online" or
  /// "connected". Empty: the device is forgotten. `retained`: it may have been said long ago.
  void presence(std::string_view device, std::string_view payload, bool retained, WallTime at);
  /// {"clientId":…,"eventType":"connected" or "disconnected",…}
  void lifecycle(std::string_view payload, WallTime at);
  /// {"event":"outage",…}, as [history] publishes it.
  void outage(std::string_view device, std::string_view payload, WallTime at);
  /// {"metrics":{…}}, as [metrics] publishes it with format = "json".
  void report(std::string_view device, std::string_view payload, WallTime at);

  void forget_old(WallTime now);
  [[nodiscard]] MetricFamilies families() const;
  [[nodiscard]] std::size_t size() const { return devices_.size(); }

 private:
  enum class Presence : std::uint8_t { unknown, offline, online };
  struct Figures {
    Presence presence = Presence::unknown;
    std::optional<WallTime> changed;  ///< Since when; none: it has not changed before our ears.
    WallTime heard;
    std::int64_t version = -1;  ///< Of the connection, as AWS counts.
    std::uint64_t outages = 0;
    double offline_seconds = 0;
    std::int64_t last_began = -1;        ///< Of the last outage, ms.
    std::optional<std::size_t> verdict;  ///< Why it began.
    std::optional<double> pending;
    std::optional<double> dropped;
  };

  [[nodiscard]] Figures* known(std::string_view device, WallTime at);
  void ignore(Ignored why) { ++ignored_[static_cast<std::size_t>(why)]; }
  void heard(Word word) { ++words_[static_cast<std::size_t>(word)]; }
  void settle(Figures& device, Presence presence, bool retained, WallTime at);
  void add_totals(MetricFamilies& all) const;
  void add_devices(MetricFamilies& all) const;

  Settings settings_;
  std::map<std::string, Figures, std::less<>> devices_;
  std::array<std::uint64_t, kWords.size()> words_{};
  std::array<std::uint64_t, kIgnored.size()> ignored_{};
  std::array<std::uint64_t, kReasons.size()> reasons_{};
  std::vector<std::uint64_t> verdicts_;  ///< Outages that began with each.
  std::uint64_t came_ = 0;
  std::uint64_t went_ = 0;
};

/// The level of `topic` that stands at the first '+' of `filter`; empty if there is none.
[[nodiscard]] std::string_view device_of(std::string_view filter, std::string_view topic);

}  // namespace holdfast::fleet
