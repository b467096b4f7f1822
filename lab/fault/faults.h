// All that is switched on in the fault relay at one moment, and how people write it.
//
// Plain values. The JSON form is what scenario files (as TOML) and `holdfast lab fault` speak; it
// is read strictly: a key or value that is not understood is an error with the path of the key
// ("rules[2].match.topic"). docs/relay.md lists every key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"
#include "lab/fault/rule.h"

namespace holdfast::lab::fault {

using Json = nlohmann::ordered_json;

/// What becomes of a new connection of a device. refuse: RST. ignore: it is accepted by the kernel
/// and never looked at.
enum class Accept : std::uint8_t { normal, refuse, ignore };

/// What becomes of the relay's own connection to the broker. refuse: as if the broker were not
/// there, so that the device's connection is closed. ignore: it is never opened; the device waits.
enum class Upstream : std::uint8_t { normal, refuse, ignore };

/// What happens to the bytes of one direction.
struct ByteSettings {
  Duration latency{};
  Duration jitter{};                   ///< Up to so much more latency; the order stays.
  std::uint64_t bytes_per_second = 0;  ///< 0: no limit.
  std::size_t slice_bytes = 0;         ///< Written in pieces of at most so many; 0: not.
  Duration slice_pause{};              ///< Between two pieces.
  bool black_hole = false;    ///< Nothing arrives. Kept, as TCP keeps it, for when this is over.
  bool stop_reading = false;  ///< The sender's window fills up.
  std::uint64_t corrupt_one_in = 0;  ///< Each byte is wrong with this chance; 0: none.
  std::uint64_t corrupt_from = 0;    ///< Bytes [from, to) of the connection are wrong.
  std::uint64_t corrupt_to = 0;
  /// RST after so many more bytes were written; counted from when it was switched on.
  std::optional<std::uint64_t> reset_after_bytes;
  /// That the sender closed is never told. For the driver; ByteFaults does not look at it.
  bool half_open = false;
  friend bool operator==(const ByteSettings&, const ByteSettings&) = default;
};

/// Which handshake a device gets. no_handshake: its ClientHello is read and never answered.
/// old_suites_only: none that AWS IoT Core supports.
enum class TlsFault : std::uint8_t {
  none,
  no_handshake,
  expired,
  wrong_name,
  unknown_ca,
  oversized_chain,
  old_suites_only,
};

enum class TlsVersion : std::uint8_t { tls10, tls11, tls12, tls13 };

/// For new connections.
struct TlsSettings {
  TlsFault fault = TlsFault::none;
  std::size_t record_bytes = 0;  ///< Plain bytes of each record sent, 64 to 16,384; 0: as it comes.
  std::optional<TlsVersion> min_version;
  std::optional<TlsVersion> max_version;
  friend bool operator==(const TlsSettings&, const TlsSettings&) = default;
};

struct Faults {
  Accept accept = Accept::normal;
  Upstream upstream = Upstream::normal;
  ByteSettings up;    ///< From device to broker.
  ByteSettings down;  ///< From broker to device.
  TlsSettings tls;
  std::vector<Rule> rules;
  friend bool operator==(const Faults&, const Faults&) = default;

  static constexpr std::size_t kMaxRules = 64;
};

/// Errc::invalid_argument with the path of the key. A text is the name of a preset, a list several
/// of them; the key "preset" in an object is the same, and the object's other keys come on top.
[[nodiscard]] Result<Faults> parse_faults(const Json& json);
/// What parse_faults() reads as the same. What is as usual is left out.
[[nodiscard]] Json to_json(const Faults& faults);

struct Preset {
  std::string_view name;
  std::string_view description;  ///< One line.
  std::string_view json;
};
[[nodiscard]] std::span<const Preset> presets() noexcept;

[[nodiscard]] std::string_view to_string(Accept accept) noexcept;
[[nodiscard]] std::string_view to_string(Upstream upstream) noexcept;
[[nodiscard]] std::string_view to_string(TlsFault fault) noexcept;
/// "1.2".
[[nodiscard]] std::string_view to_string(TlsVersion version) noexcept;

}  // namespace holdfast::lab::fault
