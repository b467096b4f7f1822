// Somebody outside who reads along at the broker: is the device there, and what is retained of it?
//
// Purpose:  birth and will tell whoever watches a device whether it is there. What the watcher sees
//           is held against what the device was told to say.
// Checks:   will-after-loss.
// Threads:  one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "env/engine.h"
#include "holdfast/config.h"
#include "sim/device_context.h"

namespace holdfast::sim {

class Observer {
 public:
  Observer(DeviceContext& context, const Config& config) : sim_(context), config_(config) {}

  // ---- the device ------------------------------------------------------------------------------

  /// CONNECT leaves: it carries the will of the settings in force.
  void asks(const env::ConnectRequest& request);
  /// The device knows that it is connected: the birth message is due, unless its topic is `aside`.
  void connected(bool aside);
  /// What it sends first is the birth message; it goes again only if it was put off.
  void sends(env::Token token);
  /// The birth message was not taken: by the library, or by the broker for now.
  void put_off();
  /// Whether the birth message of this connection is out, or waits for its next turn.
  [[nodiscard]] bool born() const;

  // ---- the broker hands out --------------------------------------------------------------------

  void sees_birth(const StoredMessage& message);
  /// The birth message was refused: nobody sees it, unless it is tried again.
  void birth_denied() { born_ = may_repeat_ = true; }
  /// A connection is over. `politely`: with a DISCONNECT, and so without its will.
  void sees_end(const std::optional<StatusMessage>& will, bool politely);

  /// What was heard last of the device.
  enum class Heard : std::uint8_t { nothing, birth, will };
  [[nodiscard]] Heard heard() const { return heard_; }
  void listen_anew() { heard_ = Heard::nothing; }

 private:
  DeviceContext& sim_;
  const Config& config_;
  std::optional<StatusMessage> birth_;  ///< Of this connection.
  bool sent_any_ = false;               ///< ... anything at all.
  bool sent_birth_ = false;
  bool may_repeat_ = false;
  SimTime put_off_at_{};
  bool born_ = false;
  Heard heard_ = Heard::nothing;
};

}  // namespace holdfast::sim
