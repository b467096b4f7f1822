// What can happen to a simulated device: every kind has a name, is counted, and is chosen per run.
//
// Purpose:  a fault that is never injected proves nothing, so each one counts itself.
// Method:   swarm: a run enables a random half of the kinds, so that a mistake which one kind hides
//           from another is found as well.
// Threads:  one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "env/random.h"

namespace holdfast::sim {

enum class Fault : std::uint8_t {
  // On the way to a connection; each ends the attempt with its own verdict.
  no_credentials,   ///< A file of the credentials cannot be read.
  link_down,        ///< No interface is up.
  dns_fails,        ///< The name does not resolve.
  dns_hangs,        ///< The name servers do not answer.
  dns_lies,         ///< The name resolves to an address of nobody.
  tcp_refused,      ///< Nobody listens.
  tls_fails,        ///< The handshake fails for one of its reasons.
  tls_hangs,        ///< The handshake never ends.
  connack_refused,  ///< CONNACK with one of the codes that refuse.
  connack_hangs,    ///< CONNECT is never answered.
  engine_hangs,     ///< The MQTT library reports nothing at all.
  // The network of a connection.
  black_hole,       ///< Nothing comes through any more, in either direction.
  black_hole_up,    ///< Nothing comes through to the broker.
  black_hole_down,  ///< Nothing comes through from the broker.
  half_open,        ///< The broker's end is gone, and nobody told ours.
  reset,            ///< RST.
  stall,            ///< Everything waits for some seconds, then comes at once.
  slow_link,        ///< Few bytes a second.
  jitter,           ///< Delays of up to seconds.
  // The broker.
  kick,              ///< Accepted, and dropped a moment later.
  server_leaves,     ///< DISCONNECT, for one of its reasons.
  take_over,         ///< Another client with our id: DISCONNECT 0x8E.
  session_lost,      ///< The broker has forgotten our session.
  puback_withheld,   ///< One PUBACK never comes.
  puback_late,       ///< One PUBACK comes after up to 25 s.
  puback_reordered,  ///< PUBACKs overtake each other.
  puback_quota,      ///< A PUBACK says later: quota exceeded.
  puback_denied,     ///< A PUBACK says not authorized; in MQTT 3.1.1 it hangs up. Only once.
  policy_hangs_up,   ///< The policy forbids one topic or filter: it hangs up on each, for a while.
  policy_answers,    ///< The same, said in MQTT 5 by each PUBACK or SUBACK.
  rate_drop,         ///< Over 100 messages a second, the rest is dropped without a word.
  suback_refused,    ///< A SUBACK refuses a filter.
  redelivered,       ///< A message to us comes again.
  // The engine.
  engine_refuses,  ///< The library does not take a message.
  late_answer,     ///< An answer of a connection that is over arrives.
  leave_unheard,   ///< The library never reports the end that it was asked for.
  // The process and its machine.
  kill,             ///< kill -9.
  power_cut,        ///< The power goes: sectors and names that were not synced may go with it.
  cut_in_turn,      ///< The same, or a kill, in the middle of a turn of the storage.
  clean_restart,    ///< stop(), and a new process.
  reload,           ///< Changed settings.
  network_changed,  ///< A carrier, an address or a default route has come.
  reconnect_now,    ///< The application asks for an attempt.
  suspend,          ///< The machine sleeps: boot time goes on, nothing runs.
  wall_step,        ///< The wall clock jumps, by up to ten years either way.
  // The disk.
  disk_full,        ///< ENOSPC for a while.
  disk_read_only,   ///< EROFS for a while.
  disk_error,       ///< EIO, once.
  disk_unwritable,  ///< EIO of all that writes, for a while.
  disk_slow,        ///< A turn of the storage takes up to 20 s.
  // Years, and regions.
  certificate_expired,  ///< TLS refuses the device until its certificate is renewed, weeks later.
  region_lost,          ///< The endpoint is gone for hours, in changing ways, with all sessions.
  quota_refused,        ///< Back again, it refuses most of its devices: there are too many.
};
inline constexpr std::size_t kDeviceFaults = static_cast<std::size_t>(Fault::quota_refused) + 1;
/// The first so many keep an attempt from becoming a connection.
inline constexpr std::size_t kAttemptFaults = static_cast<std::size_t>(Fault::engine_hangs) + 1;

[[nodiscard]] std::string_view to_string(Fault fault) noexcept;

class DeviceFaults {
 public:
  using Counts = std::array<std::uint64_t, kDeviceFaults>;

  /// A random half of all kinds.
  void draw(env::Random& random);
  void enable(Fault fault) { enabled_[index(fault)] = true; }
  /// From now on nothing goes wrong any more.
  void heal() { healed_ = true; }
  [[nodiscard]] bool healed() const { return healed_; }

  [[nodiscard]] bool enabled(Fault fault) const { return !healed_ && enabled_[index(fault)]; }
  /// Whether it happens now, once in so many times; counts it.
  [[nodiscard]] bool strikes(Fault fault, env::Random& random, std::uint64_t one_in);
  void count(Fault fault) { ++counts_[index(fault)]; }
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  static std::size_t index(Fault fault) { return static_cast<std::size_t>(fault); }

  std::array<bool, kDeviceFaults> enabled_{};
  Counts counts_{};
  bool healed_ = false;
};

}  // namespace holdfast::sim
