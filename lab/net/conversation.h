// Drives one conversation: the device's stream, a list of stages, the broker's stream.
//
// Purpose:      carries out the wishes of sans-I/O stages with real sockets and timers.
// Threads:      the loop's thread only.
// Ownership:    shared; its owner keeps it until it calls `over`, once.
// Backpressure: while more than kPending bytes wait for one side, the other side is not read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lab/mqtt/packet.h"
#include "lab/mqtt/stage.h"
#include "lab/net/stream.h"
#include "lab/net/trace.h"
#include "posix/event_loop.h"

namespace holdfast::lab::net {

/// How a conversation is ended from outside.
struct Kick {
  /// silence: towards the device and the broker, as on a dead link.
  enum class How : std::uint8_t { fin, reset, disconnect, silence } how = How::fin;
  std::uint8_t reason = 0x8B;  ///< disconnect: of the DISCONNECT packet (MQTT 5 only).
};

class Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  struct Options {
    std::uint64_t id = 0;  ///< Its number in the trace.
    /// False: bytes pass as they are and no stage sees them, as when TLS passes through.
    bool packets = true;
    /// In the order from the device to the broker.
    std::vector<std::unique_ptr<mqtt::Stage>> stages;
    std::function<void()> over;  ///< The stages are gone then.
  };
  struct Facts {
    std::string client_id;      ///< Of the CONNECT; empty before it.
    std::uint64_t up = 0;       ///< Bytes read from the device.
    std::uint64_t down = 0;     ///< Bytes read from the broker.
    std::uint64_t packets = 0;  ///< Of both directions.
  };

  Conversation(posix::EventLoop& loop, Trace& trace, std::shared_ptr<Stream> device,
               std::shared_ptr<Stream> broker, Options options);
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void start();
  void kick(const Kick& kick);
  /// Ends it at once, and its stages with it, though handlers may keep the rest for a while.
  void abandon();
  /// Lets the stages do what they have to do now, though nothing came for them.
  void wake();
  /// A stage was changed from outside: asks it again when it wants to be called.
  void stages_changed() { set_timer(); }
  [[nodiscard]] const Facts& facts() const noexcept { return facts_; }

  static constexpr std::size_t kLargestPacket = std::size_t{16} * 1024 * 1024;
  static constexpr std::size_t kPending = std::size_t{256} * 1024;
  /// How long an orderly end waits for a peer that does not read; then it is a reset.
  static constexpr Duration kPatience = std::chrono::seconds(5);
  /// How often a silent side is asked whether its peer has gone.
  static constexpr Duration kLook = std::chrono::milliseconds(50);

 private:
  struct End;

  End& end_of(mqtt::Side side) { return *ends_[static_cast<std::size_t>(side)]; }
  void read(mqtt::Side side);
  void take(mqtt::Side side, std::string_view bytes);
  void take_packets(mqtt::Side side);
  void take_frame(mqtt::Side side, std::string_view frame);
  /// Runs stage `index` (counted from the device; past either end: the end itself).
  void to_stage(std::size_t index, mqtt::Side from, std::string_view frame);
  void carry_out(std::size_t index, mqtt::Wishes& wishes);
  void send(mqtt::Side to, std::string_view bytes);
  void write(mqtt::Side to);
  void broke(mqtt::Side side, const ErrorCode& error);
  void tell_closed(mqtt::Side side);
  void close_from(std::size_t index, mqtt::Side to);
  void close(mqtt::Side side, mqtt::Ending ending);
  /// Ends the stream with RST.
  void cut(mqtt::Side side);
  void set_timer();
  void look();
  void check_over();

  posix::EventLoop& loop_;
  Trace& trace_;
  Options options_;
  std::unique_ptr<End> ends_[2];
  mqtt::Version version_ = mqtt::Version::v5;
  Facts facts_;
  posix::Timer timer_;
  posix::Timer look_;
  /// What became of the frame that a side has just sent: for its line in the trace.
  struct Handling {
    mqtt::Side from{};
    std::string_view frame;
    bool passed = false;
    Json notes = Json::array();
  };
  Handling* handling_ = nullptr;
  bool over_ = false;
};

}  // namespace holdfast::lab::net
