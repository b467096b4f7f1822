// One libmosquitto client for one connection attempt: calls in, events out.
//
// Purpose:  the only file pair that calls libmosquitto. It never uses the library's threads,
//           timers, network, reconnecting or keep-alive: the bridge moves bytes, the attempt keeps
//           time.
// Threads:  loop thread. The library's callbacks only append to a list of events.
// Ownership: owns the library's client and, through it, the library's end of the local socket.
// Traps of 2.0.11 handled here:
//   - v5 CONNECT properties: over a Unix path the "blocking" connect cannot block, so
//     mosquitto_connect_bind_v5() is used directly (conformance_test checks the bytes sent).
//   - on_publish of a QoS 0 message may come before mosquitto_publish_v5() has told its id.
//   - packet ids are handed out without looking which ones are still in use.
//   - a retained publish to a broker without retain silently loses its flag; too large a message is
//     kept for ever: both are refused here, before the library sees them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engines/outgoing.h"
#include "engines/session.h"

struct mosquitto;
struct mosquitto_message;

namespace holdfast::engines {

class MosquittoSession final : public Session {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(const SessionRequest& request);
  ~MosquittoSession() override;
  MosquittoSession(const MosquittoSession&) = delete;
  MosquittoSession& operator=(const MosquittoSession&) = delete;

  [[nodiscard]] Status publish(env::Token token, const StoredMessage& message,
                               BootTime now) override;
  [[nodiscard]] Status subscribe(env::Token token,
                                 std::span<const env::FilterRequest> filters) override;
  [[nodiscard]] Status unsubscribe(env::Token token, std::span<const std::string> filters) override;
  void disconnect() override;
  [[nodiscard]] std::vector<SessionEvent> take_events() override;
  [[nodiscard]] bool own_thread() const override { return false; }
  void read_all() override;
  void write_all() override;
  void packet_comes(const Framing& packet) override;

 private:
  struct Callbacks;
  struct Pending {
    env::Token token = 0;
    Qos qos = Qos::at_least_once;
  };
  /// One SUBSCRIBE under way; filters of different QoS go in packets of their own.
  struct Group {
    env::Token token = 0;
    std::vector<std::uint8_t> codes;
    std::size_t packets = 0;
  };
  struct Part {
    std::shared_ptr<Group> group;
    std::vector<std::size_t> positions;  ///< Where this packet's codes belong in the group's.
  };
  struct Unsubscribe {
    env::Token token = 0;
    std::size_t filters = 0;
  };

  MosquittoSession() = default;
  [[nodiscard]] Status configure(const env::ConnectRequest& request);
  [[nodiscard]] Status set_will(const StatusMessage& will);
  [[nodiscard]] Status dial(const env::ConnectRequest& request, const std::string& path);
  [[nodiscard]] Status check_filter(const std::string& filter) const;
  [[nodiscard]] Status send_part(const std::shared_ptr<Group>& group, Qos qos,
                                 std::span<const env::FilterRequest> filters);
  [[nodiscard]] bool next_id_in_use() const;
  void unsubscribed(int id);
  void close(bool own, Verdict verdict, std::string words);
  void library_failed(int code);

  mosquitto* client_ = nullptr;
  MqttVersion version_ = MqttVersion::v5;
  IdProperty id_property_;
  Aliases aliases_;
  bool will_on_stop_ = false;
  env::UpInfo info_;
  std::vector<SessionEvent> events_;
  std::unordered_map<int, Pending> publishes_;
  std::unordered_map<int, Part> subscribes_;
  std::unordered_map<int, Unsubscribe> unsubscribes_;
  std::deque<UnsubackCodes> unsubacks_;  ///< Seen on the wire, not yet told by the library.
  int last_id_ = 0;
  bool publishing_ = false;         ///< mosquitto_publish_v5() is on the stack.
  bool written_meanwhile_ = false;  ///< Its QoS 0 message has already been written.
  bool leaving_ = false;
  bool closed_ = false;
};

}  // namespace holdfast::engines
