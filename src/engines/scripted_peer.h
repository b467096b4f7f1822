// A broker that does exactly what a test says, on 127.0.0.1. Test code only.
//
// Purpose:  the faults that no real broker shows on demand: silence, garbage, odd reason codes,
//           resets, a reader that stops.
// Threads:  a script runs on the peer's thread, one connection after the other; the destructor cuts
//           the connection under way and joins.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "posix/unique_fd.h"

namespace holdfast::engines::test {

using Octets = std::vector<std::uint8_t>;

/// One MQTT packet as it came.
struct Packet {
  std::uint8_t first = 0;
  Octets body;
  [[nodiscard]] unsigned type() const { return first >> 4U; }
  /// Of a PUBLISH with QoS 1, or of SUBSCRIBE and UNSUBSCRIBE.
  [[nodiscard]] std::uint16_t packet_id() const;
};

/// The fields of a CONNECT; properties are kept as their bytes.
struct ConnectPacket {
  std::string protocol;
  unsigned level = 0;
  unsigned flags = 0;
  unsigned keep_alive = 0;
  Octets properties;
  std::string client_id;
  std::string will_topic;
  std::string will_payload;
  std::string username;
  std::string password;
};
[[nodiscard]] ConnectPacket parse_connect(const Packet& packet);

// Packets to answer with.
[[nodiscard]] Octets packet(std::uint8_t first, const Octets& body);
[[nodiscard]] Octets connack_v5(std::uint8_t code, const Octets& properties = {},
                                bool session_present = false);
[[nodiscard]] Octets connack_v311(std::uint8_t code);
/// A code of -1 leaves it out, which means success.
[[nodiscard]] Octets puback(std::uint16_t id, int code);
[[nodiscard]] Octets publish_v5(const std::string& topic, const std::string& payload,
                                std::uint16_t id_or_0);

class PeerConnection {
 public:
  explicit PeerConnection(posix::UniqueFd fd) : fd_(std::move(fd)) {}
  /// The next packet; nothing when the client is gone.
  [[nodiscard]] std::optional<Packet> read();
  /// The next packet of this type; others are skipped.
  [[nodiscard]] std::optional<Packet> read(unsigned type);
  void send(const Octets& bytes);
  void send_text(const std::string& text) { send({text.begin(), text.end()}); }
  /// Reads until the client has closed.
  void drain();
  /// Waits without reading until the client has closed or the peer is destroyed.
  void ignore();
  /// Closes with a reset instead of an orderly end.
  void reset();
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  bool read_exactly(std::uint8_t* into, std::size_t count);
  posix::UniqueFd fd_;
};

class ScriptedPeer {
 public:
  using Script = std::function<void(PeerConnection&)>;
  /// `on_closed` is called on the peer's thread after each connection is closed; may be empty.
  explicit ScriptedPeer(Script script, std::function<void()> on_closed = {});
  ~ScriptedPeer();
  ScriptedPeer(const ScriptedPeer&) = delete;
  ScriptedPeer& operator=(const ScriptedPeer&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void serve();
  Script script_;
  std::function<void()> on_closed_;
  posix::UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  int current_ = -1;  ///< The connection under way, for the destructor.
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace holdfast::engines::test
