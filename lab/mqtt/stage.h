// One MQTT conversation as it passes through the lab: device, stages, broker.
//
//     device <-> stage <-> stage <-> broker
//
// A stage sees every frame that comes to it from either side and says what goes on: faults are one
// stage, the rules of AWS IoT Core another. Sans-I/O: time comes in, wishes go out; whoever drives
// the conversation owns sockets and timers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace holdfast::lab::mqtt {

/// The two ends, as seen from any stage: `device` is the client that connected to us.
enum class Side : std::uint8_t { device, broker };
[[nodiscard]] constexpr Side other(Side side) noexcept {
  return side == Side::device ? Side::broker : Side::device;
}

/// How a connection is ended. `after_sending`: what was sent goes out first, then FIN. `reset`: RST
/// at once. `silence`: never; nothing more is read or written, as on a dead link.
enum class Ending : std::uint8_t { after_sending, reset, silence };

/// One thing that a stage wants done.
struct Wish {
  enum class Kind : std::uint8_t { send, close, note } kind = Kind::send;
  Side to = Side::device;  ///< send, close: towards which end.
  std::string bytes;       ///< send: a frame, or any bytes at all. note: what to say.
  Ending ending = Ending::after_sending;  ///< close.
};

/// Wishes in the order in which they were made; the driver carries them out in this order.
class Wishes {
 public:
  void send(Side to, std::string frame) {
    all.push_back({Wish::Kind::send, to, std::move(frame), {}});
  }
  void close(Side to, Ending ending) { all.push_back({Wish::Kind::close, to, {}, ending}); }
  /// A line for the trace, in words; never a secret.
  void note(std::string words) {
    all.push_back({Wish::Kind::note, Side::device, std::move(words), {}});
  }

  std::vector<Wish> all;
};

/// The two directions of one connection. Owned by the conversation; called by one thread.
class Stage {
 public:
  Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual ~Stage() = default;

  /// A whole frame came from `from`. Not sending it on drops it.
  virtual void on_frame(BootTime now, Side from, std::string_view frame, Wishes& out) = 0;
  /// Bytes came from `from` that can never be a frame; nothing more will come from there. By
  /// default both ends are closed.
  virtual void on_garbage(BootTime now, Side from, std::string_view bytes, Wishes& out);
  /// The connection of that end is over. By default the other end is closed, too.
  virtual void on_closed(BootTime now, Side side, Wishes& out);
  /// When on_wake() wants to be called; kNever: not at all. Asked after every call.
  [[nodiscard]] virtual BootTime wake() const { return kNever; }
  virtual void on_wake(BootTime now, Wishes& out);
};

}  // namespace holdfast::lab::mqtt
