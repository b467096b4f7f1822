// Copies bytes between our end of the local socket and the stream to the broker, both ways.
//
// Purpose:  the library speaks to a Unix socket, the stream to the broker; this is what lies
//           between. If both ends of the local socket belong to this thread, nothing polls it:
//           what we put in is taken out at once by the owner, and vice versa. If the library has a
//           thread of its own, the local socket is watched.
// Bounds:   one buffer of kBufferSize each way. Outbound: while a write is under way nothing is
//           taken from the local socket, so the library's writes stop when the kernel's buffer is
//           full and its queue is bounded by the window; PUBACKs wait in the gate. Inbound: nothing
//           is read while the library has not taken what came, or kUnansweredMax messages have no
//           PUBACK on its way yet.
// Threads:  loop thread. Owner calls come through the loop or from inside flush(), never after
//           close(). The owner may close() from inside any of them.
// Errors:   bridge_ended() once; then nothing more comes in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engines/ack_gate.h"
#include "engines/framing.h"
#include "env/clock.h"
#include "posix/event_loop.h"
#include "posix/unique_fd.h"
#include "transport/transport.h"

namespace holdfast::engines {

class BridgeOwner {
 public:
  /// Bytes are in the library's end of the local socket: take them all in.
  virtual void bridge_input() = 0;
  /// There is room: let the library write what it has queued.
  virtual void bridge_room() = 0;
  /// A header has been read, checked before the library sees the body. Returns false after closing
  /// the bridge.
  [[nodiscard]] virtual bool bridge_header(const Framing& packet) = 0;
  /// A whole CONNACK, SUBACK or UNSUBACK is about to be given to the library.
  virtual void bridge_packet(const Framing& packet) = 0;
  /// A whole packet of the library is on its way; a PUBACK is about to wait in the gate, if its
  /// message came() and is not taken(). The owner must not close() now.
  virtual void bridge_leaving(const Framing& packet) = 0;
  /// A whole DISCONNECT has come; everything before it has been given to the library, which never
  /// sees it: libmosquitto 2.0.11 leaks the packet it was writing when it does.
  virtual void bridge_farewell(const Framing& packet) = 0;
  /// The peer's bytes cannot be MQTT at all.
  virtual void bridge_malformed() = 0;
  /// So many bytes of the library are written to the stream by now.
  virtual void bridge_written(std::uint64_t total) = 0;
  /// The library has closed its end and all it ever wrote is written to the stream.
  virtual void bridge_drained() = 0;
  /// The stream has ended: by the peer's orderly end (null) or a failure.
  virtual void bridge_ended(const env::Failure* failure) = 0;

 protected:
  ~BridgeOwner() = default;
};

class Bridge : public std::enable_shared_from_this<Bridge> {
 public:
  static constexpr std::size_t kBufferSize = 32 * 1024;
  /// After a failed write the peer's last words are waited for so long: they say why.
  static constexpr Duration kLastWords = Milliseconds(500);

  /// Messages with QoS 1 taken in without an answer; bounds the library's queue of answers.
  static constexpr std::size_t kUnansweredMax = 1024;

  enum class Library : std::uint8_t { on_this_thread, on_its_own };

  Bridge(posix::EventLoop& loop, env::Clock& clock, posix::UniqueFd local, Library library,
         std::unique_ptr<transport::Stream> stream, BridgeOwner& owner);
  ~Bridge();

  /// Begins to read.
  void start();
  /// Moves what the library has written towards the stream.
  void flush();
  /// Puts a PINGREQ between two packets as soon as possible.
  void ping();
  /// See AckGate. What is taken leaves with the next flush().
  [[nodiscard]] AckGate::Came came(std::uint16_t packet_id) { return gate_.came(packet_id); }
  void taken(std::uint16_t packet_id) { gate_.taken(packet_id); }
  /// Nothing more comes in: the library sees the end behind what has come.
  void end_input();
  /// Ends the stream in order; `done` comes when that is done, unless close() comes first.
  void shutdown(std::function<void()> done);
  /// Whether the stream's packets can leave.
  [[nodiscard]] posix::Way way() const { return stream_->way(); }
  /// Closes both ends at once. No owner call follows.
  void close();

  [[nodiscard]] BootTime last_inbound() const noexcept { return last_inbound_; }
  [[nodiscard]] BootTime last_outbound() const noexcept { return last_outbound_; }
  /// Position, in bridge_written()'s count, of what the library has put into the socket so far.
  [[nodiscard]] std::uint64_t position() const;

 private:
  void read();
  void on_read(std::size_t count, const env::Failure* failure);
  [[nodiscard]] std::size_t inspect(std::span<const std::byte> bytes);
  void deliver(std::span<const std::byte> bytes);
  void watch();
  void on_local(bool writable);
  void write(std::size_t count, std::size_t from_library);
  [[nodiscard]] std::size_t sift(std::size_t count);
  void hold_ack();
  [[nodiscard]] std::size_t insert(std::size_t count, std::size_t boundary);
  void enter_written(std::size_t from_library);
  void on_written(std::size_t from_library, const env::Failure* failure);
  void on_write_failure(const env::Failure& failure);
  void end(const env::Failure* failure);

  env::Clock& clock_;
  posix::UniqueFd local_;
  std::optional<posix::FdWatch> watch_;  ///< For a library on its own thread.
  std::unique_ptr<transport::Stream> stream_;
  BridgeOwner* owner_;  ///< Null after close().
  posix::Timer last_words_;
  Framing inbound_;
  Framing outbound_;
  AckGate gate_;
  std::vector<std::byte> ack_;  ///< The PUBACK of the library that is under way.
  std::vector<std::byte> in_;
  std::vector<std::byte> out_;
  BootTime last_inbound_;
  BootTime last_outbound_;
  std::span<const std::byte> undelivered_;  ///< Of in_; the library has not taken it yet.
  std::size_t unanswered_ = 0;              ///< Messages with QoS 1 without a PUBACK on its way.
  std::uint64_t taken_ = 0;                 ///< From the library.
  std::uint64_t written_ = 0;               ///< Of those, written to the stream.
  bool farewell_begun_ = false;             ///< A DISCONNECT is coming: the library gets no more.
  bool farewell_whole_ = false;
  bool input_ended_ = false;
  bool reading_ = false;
  bool writing_ = false;
  std::optional<env::Failure> write_failure_;
  bool drained_ = false;
  bool ended_ = false;
  bool ping_wanted_ = false;
};

}  // namespace holdfast::engines
