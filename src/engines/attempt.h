// One connection attempt, from resolving the name to the last byte, and what it reports.
//
// Purpose:  joins transport (the stream), bridge (the bytes) and session (the library) into one
//           life with one end. Keeps all time: CONNACK deadline, pings, silence.
// Threads:  loop thread. The sink is called from the loop only, never from inside a call, and may
//           abort() or start another attempt from inside its methods.
// Ownership: shared_ptr, since a callback under way keeps it alive while the sink drops it.
// Errors:   exactly one failed() or down(), unless abort() came first.
// Silence:  a PINGREQ goes out when nothing came for half of silent_after, or nothing went for nine
//           tenths of the keep-alive; after silent_after without a byte the attempt ends.
//           The library's own keep-alive decides nothing (libmosquitto: twice its period, and a
//           tick each second; AWS's CRT: one period and a half). A process that was stopped or
//           suspended asks first and judges after: it ends half of silent_after after the question
//           at the earliest.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engines/bridge.h"
#include "engines/rendezvous.h"
#include "engines/session.h"
#include "env/clock.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "posix/event_loop.h"
#include "transport/transport.h"

namespace holdfast::engines {

class Attempt final : public std::enable_shared_from_this<Attempt>, private BridgeOwner {
 public:
  Attempt(posix::EventLoop& loop, env::Clock& clock, env::EngineSink& sink,
          const env::ConnectRequest& request, OpenSession open);
  ~Attempt();

  void start(env::Resolver& resolver);
  [[nodiscard]] Status publish(env::Token token, const StoredMessage& message);
  [[nodiscard]] Status subscribe(env::Token token, std::span<const env::FilterRequest> filters);
  [[nodiscard]] Status unsubscribe(env::Token token, std::span<const std::string> filters);
  void taken(env::Token ticket);
  void disconnect();
  void network_changed(env::Resolver& resolver, bool gained);
  void abort();
  [[nodiscard]] bool ended() const noexcept { return state_ == State::ended; }

 private:
  // opening:  waits for the stream; its connector has all deadlines. Next: greeting, ended.
  // greeting: the library meets us, CONNECT is on its way; waits for CONNACK, at most
  //           connack_timeout. Next: up, ended.
  // up:       waits for anything; interrupted by silence, the peer's end, disconnect(). Next:
  //           leaving, ended.
  // leaving:  waits until DISCONNECT is written and the stream shut, or the peer ends; bounded by
  //           the caller's abort(). Next: ended.
  // ended:    reported or aborted; holds nothing.
  enum class State : std::uint8_t { opening, greeting, up, leaving, ended };

  void on_stream(transport::Connector::Outcome outcome);
  [[nodiscard]] Status open_session();
  void await_library();
  void meet();
  void schedule_flush();
  void dispatch();
  void collect();
  void enter(env::Arrival& arrival);
  void watch_peer();
  void probe_way();
  [[nodiscard]] std::string peer() const;
  void finish(env::Failure failure);
  void end(env::Failure failure);
  void release();

  void on(const Accepted& event);
  void on(const Refused& event);
  void on(const HandedOver&) {}  // collect() has taken it
  void on(const Acknowledged& event);
  void on(const Subscribed& event);
  void on(env::Arrival& event);
  void on(const Closed& event);

  void bridge_input() override;
  void bridge_room() override;
  bool bridge_header(const Framing& packet) override;
  void bridge_packet(const Framing& packet) override;
  void bridge_leaving(const Framing& packet) override;
  void bridge_farewell(const Framing& packet) override;
  void bridge_malformed() override;
  void bridge_written(std::uint64_t total) override;
  void bridge_drained() override;
  void bridge_ended(const env::Failure* failure) override;

  posix::EventLoop& loop_;
  env::Clock& clock_;
  env::EngineSink& sink_;
  env::ConnectRequest request_;
  OpenSession open_;
  State state_ = State::opening;
  std::unique_ptr<transport::Connector> connector_;
  std::unique_ptr<transport::Stream> stream_;  ///< Until there is a bridge.
  std::unique_ptr<Session> session_;
  std::optional<Rendezvous> meeting_;  ///< Until the library has come.
  std::optional<posix::FdWatch> knocks_;
  std::shared_ptr<Bridge> bridge_;
  posix::Timer connack_timer_;
  posix::Timer peer_timer_;
  posix::Timer way_timer_;
  posix::Timer settle_timer_;
  std::string description_;        ///< Of the stream, for words.
  Duration ping_every_{};          ///< Longest silence of ours; 0: no promise was made.
  std::optional<BootTime> asked_;  ///< When a sign of life was asked for, since the last one.
  std::vector<SessionEvent> events_;
  std::deque<std::pair<std::uint64_t, env::Token>> handed_over_;  ///< QoS 0, by stream position.
  std::optional<env::Failure> refusal_;  ///< A CONNACK that says no, in case the library
                                         ///< does not understand it.
  std::optional<env::Failure> ending_;   ///< The end, once the library is done with the rest.
  std::deque<bool> duplicates_;  ///< DUP of each QoS 1 message that the library has not given out.
  bool greeted_ = false;         ///< The first packet was a CONNACK or DISCONNECT.
  bool answered_ = false;        ///< A CONNACK has come.
  bool flush_posted_ = false;
};

}  // namespace holdfast::engines
