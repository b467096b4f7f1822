// One client of AWS's Common Runtime for one connection attempt: calls in, events out.
//
// Purpose:  the only file pair that calls aws-c-mqtt. The client's reconnecting, offline queue,
//           deadlines and AWS pacing are off or out of reach: it is dropped with its first loss.
// Threads:  loop thread; the runtime's callbacks put events into a mailbox. Destruction returns at
//           once, the client ends by itself afterwards.
// Traps handled here:
//   - stop() sends DISCONNECT before what is queued: it is called when everything has left.
//   - a failed operation would only be a token without a result: while the connection stands it
//     ends the attempt, so that it is seen.
//   - a PINGRESP that takes longer than half the keep-alive ends the connection, whatever is asked
//     for; that is `silent_peer`.
//   - a PUBLISH with QoS 1 and packet id 0 is taken and answered: it ends the attempt.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engines/aws_crt/crt_thread.h"
#include "engines/mailbox.h"
#include "engines/outgoing.h"
#include "engines/session.h"

struct aws_mqtt5_client;

namespace holdfast::engines {

class CrtSession final : public Session {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Session>> open(CrtThread& thread,
                                                             const SessionRequest& request);
  ~CrtSession() override;
  CrtSession(const CrtSession&) = delete;
  CrtSession& operator=(const CrtSession&) = delete;

  [[nodiscard]] Status publish(env::Token token, const StoredMessage& message,
                               BootTime now) override;
  [[nodiscard]] Status subscribe(env::Token token,
                                 std::span<const env::FilterRequest> filters) override;
  [[nodiscard]] Status unsubscribe(env::Token token, std::span<const std::string> filters) override;
  void disconnect() override;
  [[nodiscard]] std::vector<SessionEvent> take_events() override;
  [[nodiscard]] bool own_thread() const override { return true; }
  void packet_leaves(const Framing& packet) override;

 private:
  struct Callbacks;

  CrtSession(std::shared_ptr<Mailbox> mailbox, const env::ConnectRequest& request);
  void stop_when_all_has_left();

  std::shared_ptr<Mailbox> mailbox_;
  aws_mqtt5_client* client_ = nullptr;
  IdProperty id_property_;
  Aliases aliases_;
  bool will_on_stop_;
  env::UpInfo info_;
  std::uint64_t requested_ = 0;  ///< PUBLISH, SUBSCRIBE and UNSUBSCRIBE handed over…
  std::uint64_t left_ = 0;       ///< … and on their way to the broker.
  bool leaving_ = false;
};

}  // namespace holdfast::engines
