#include "lab/net/entry.h"

#include <utility>

#include "base/check.h"

namespace holdfast::lab::net {

namespace {

// One handshake with a time limit. It ends once: `done_` is empty from then on.
class Handshake : public std::enable_shared_from_this<Handshake> {
 public:
  using Done = std::function<void(const ErrorCode& error)>;

  Handshake(posix::EventLoop& loop, std::shared_ptr<TlsStream> stream, Done done)
      : stream_(std::move(stream)), done_(std::move(done)), deadline_(loop) {}

  void start() {
    deadline_.arm_after(kHandshakeMost, [self = shared_from_this()] {
      self->stream_->reset();
      self->finish(boost::system::errc::make_error_code(boost::system::errc::timed_out));
    });
    stream_->handshake(
        [self = shared_from_this()](const ErrorCode& error) { self->finish(error); });
  }

 private:
  void finish(const ErrorCode& error) {
    const auto self = shared_from_this();  // The deadline may be the last to know us.
    deadline_.cancel();
    if (done_ != nullptr) std::exchange(done_, nullptr)(error);
  }

  std::shared_ptr<TlsStream> stream_;
  Done done_;
  posix::Timer deadline_;
};

Json describe(const std::vector<TlsAlert>& alerts) {
  Json out = Json::array();
  for (const TlsAlert& alert : alerts) {
    out.push_back({{"by", alert.from_peer ? "peer" : "lab"},
                   {"level", alert.fatal ? "fatal" : "warning"},
                   {"number", alert.number},
                   {"name", alert.name}});
  }
  return out;
}

}  // namespace

Json describe(const TlsFacts& facts) {
  Json out;
  out["established"] = facts.established;
  if (facts.established) {
    out["version"] = facts.version;
    out["suite"] = facts.suite;
    if (facts.resumed) out["resumed"] = true;
  }
  out["server_name"] = facts.server_name;
  if (!facts.alpn_offered.empty()) out["alpn_offered"] = facts.alpn_offered;
  if (!facts.alpn.empty()) out["alpn"] = facts.alpn;
  if (facts.peer) {
    out["certificate"] = facts.peer->fingerprint;
    out["subject"] = facts.peer->subject;
    out["chain_valid"] = facts.peer->chain_valid;
    if (!facts.peer->chain_valid) out["chain_problem"] = facts.peer->chain_problem;
  }
  if (!facts.alerts.empty()) out["alerts"] = describe(facts.alerts);
  if (!facts.problem.empty()) out["problem"] = facts.problem;
  if (facts.largest_record_sent != 0) out["largest_record"] = facts.largest_record_sent;
  return out;
}

void open_tls(posix::EventLoop& loop, Trace& trace, std::uint64_t conn, const TlsServer& server,
              std::shared_ptr<Stream> below, std::function<void(std::shared_ptr<TlsStream>)> done) {
  HF_CHECK(done != nullptr);
  auto stream = server.wrap(loop, std::move(below));
  auto finish = [&trace, conn, stream, done = std::move(done)](const ErrorCode& error) {
    Json line = describe(stream->facts());
    if (error) line["how"] = words_of(error);
    trace.event("tls", conn, line);
    if (error) stream->close([] {});
    done(error ? nullptr : stream);
  };
  std::make_shared<Handshake>(loop, stream, std::move(finish))->start();
}

void open_upstream(posix::EventLoop& loop, const Upstream& upstream, OnConnected done) {
  connect(loop, upstream.at, [&loop, tls = upstream.tls, done = std::move(done)](auto connected) {
    if (!connected || !tls) {
      done(std::move(connected));
      return;
    }
    auto stream = tls->wrap(loop, std::move(connected).value());
    auto finish = [stream, done](const ErrorCode& error) {
      if (!error) {
        done(std::shared_ptr<Stream>(stream));
        return;
      }
      const std::string& problem = stream->facts().problem;
      stream->reset();
      done(Error{Errc::protocol,
                 "TLS with the broker: " + (problem.empty() ? words_of(error) : problem)});
    };
    std::make_shared<Handshake>(loop, stream, std::move(finish))->start();
  });
}

}  // namespace holdfast::lab::net
