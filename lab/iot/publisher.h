// The Region's own client of the broker: carries what services publish, and nothing else.
//
// Purpose:  every message at QoS 1, so that persistent sessions keep it, in order, over a restart
//           of the broker. Sans-I/O: frames come in, frames go out; whoever drives it connects
//           again when the connection is lost.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/time.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

class Publisher {
 public:
  /// `password`: what the broker's plugin wants of us.
  explicit Publisher(std::string password) : password_(std::move(password)) {}

  /// Takes a message for subscribers. What is over kWaitingMost is refused: false.
  bool add(Answer message, WallTime now);
  /// Removes the broker's session of a client id that is not connected.
  void forget(std::string client_id) { forgotten_.push_back(std::move(client_id)); }

  /// A connection to the broker is there: the frame to send first.
  [[nodiscard]] std::string opened();
  /// The connection is gone; what was not acknowledged is sent again after opened().
  void closed();
  /// A frame of the broker's. An error: the connection must be closed.
  Status on_frame(std::string_view frame);
  /// What can be sent now.
  [[nodiscard]] std::string take();
  /// Whether the present connection has done what it was for, and must be closed: it was one to
  /// forget a session with.
  [[nodiscard]] bool done() const noexcept { return done_; }
  /// Whether the present connection stands in the way of one to forget a session with. It is closed
  /// when nothing is under way on it.
  [[nodiscard]] bool must_reopen() const noexcept {
    return open_ && !forgotten_.empty() && waiting_.empty();
  }
  /// Whether there is anything to connect for.
  [[nodiscard]] bool wants_connection() const noexcept {
    return !waiting_.empty() || !forgotten_.empty();
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

  static constexpr std::size_t kWaitingMost = 100'000;
  static constexpr std::size_t kInFlight = 200;

 private:
  std::string password_;
  std::deque<mqtt::Publish> waiting_;  ///< The first `sent_` are in flight.
  std::deque<std::string> forgotten_;
  std::size_t sent_ = 0;
  std::uint16_t next_id_ = 1;
  bool open_ = false;
  bool forgetting_ = false;
  bool done_ = false;
};

}  // namespace holdfast::lab::iot
