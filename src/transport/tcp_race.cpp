#include "transport/tcp_race.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/limits.h"
#include "posix/os_error.h"

namespace holdfast::transport {

namespace asio = boost::asio;
using asio::ip::tcp;

std::vector<env::Address> interleave(const std::vector<env::Address>& addresses) {
  std::vector<env::Address> first;
  std::vector<env::Address> second;
  for (const env::Address& address : addresses) {
    (address.v6 == addresses.front().v6 ? first : second).push_back(address);
  }
  std::vector<env::Address> order;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) order.push_back(first[i]);
    if (i < second.size()) order.push_back(second[i]);
  }
  return order;
}

std::string address_text(const std::string& numeric, std::uint16_t port) {
  const bool v6 = numeric.find(':') != std::string::npos;
  return (v6 ? "[" + numeric + "]" : numeric) + ":" + std::to_string(port);
}

Verdict connect_verdict(int os_error) {
  switch (os_error) {
    case ECONNREFUSED:
    case ECONNRESET:  // The three ways of a host, or a firewall in its name, to say no.
    case ECONNABORTED:
      return Verdict::tcp_refused;
    case ETIMEDOUT:
      return Verdict::tcp_timeout;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:  // No address of ours fits, such as IPv6 where there is none.
    case EAFNOSUPPORT:
    case EINVAL:  // A black-hole route.
    case EACCES:  // A prohibiting route, or a filter on this device.
    case EPERM:
      return Verdict::no_route;
    default:
      return Verdict::engine_failed;  // Ours: no descriptors, no memory.
  }
}

namespace {

// Of several failures the one that knows most is reported: a host that said no, then one that said
// nothing, then the lack of a way.
int rank(Verdict verdict) {
  switch (verdict) {
    case Verdict::tcp_refused:
      return 3;
    case Verdict::tcp_timeout:
      return 2;
    case Verdict::no_route:
      return 1;
    default:
      return 0;
  }
}

}  // namespace

// The race is running while done_ is set; it ends by a winner, by the failure of all, by the
// deadline, or by destruction. Handlers that come later see done_ empty and do nothing.
class TcpRace::State : public std::enable_shared_from_this<State> {
 public:
  State(posix::EventLoop& loop, const std::vector<env::Address>& addresses, std::uint16_t port,
        Done done)
      : loop_(loop),
        stagger_(loop),
        deadline_(loop),
        order_(addresses),
        port_(port),
        done_(std::move(done)) {
    HF_CHECK(!order_.empty() && done_ != nullptr);
  }

  void start(Duration timeout) {
    deadline_.arm_after(timeout, [this] { time_is_up(); });
    loop_.post([self = shared_from_this()] { self->try_next(); });
  }

  [[nodiscard]] const std::vector<env::Address>& failed_ones() const { return failed_; }

  void end() {
    stagger_.cancel();
    deadline_.cancel();
    done_ = nullptr;
    // Closed by hand: the handler of an attempt keeps it until the loop's next turn.
    boost::system::error_code ignored;
    for (const auto& attempt : attempts_) attempt->socket.close(ignored);
    attempts_.clear();
  }

 private:
  struct Attempt {
    explicit Attempt(asio::io_context& context) : socket(context) {}
    tcp::socket socket;
    env::Address address;
    bool running = false;
  };

  void try_next() {
    if (done_ == nullptr || next_ == order_.size()) return;
    const env::Address& next = order_[next_++];
    attempts_.push_back(std::make_shared<Attempt>(loop_.context()));
    const std::shared_ptr<Attempt> attempt = attempts_.back();
    attempt->address = next;
    stagger_.arm_after(kStagger, [this] {
      const auto self = shared_from_this();
      try_next();
    });
    boost::system::error_code error;
    const auto address = asio::ip::make_address(next.numeric, error);
    const tcp::endpoint endpoint(address, port_);
    if (!error) attempt->socket.open(endpoint.protocol(), error);
    if (!error) attempt->socket.non_blocking(true, error);
    if (error) {
      failed(*attempt, error.value());
      return;
    }
    attempt->running = true;
    attempt->socket.async_connect(
        endpoint, [self = shared_from_this(), attempt](const boost::system::error_code& result) {
          self->connected(*attempt, result);
        });
  }

  void connected(Attempt& attempt, const boost::system::error_code& error) {
    if (done_ == nullptr) return;
    if (error) {
      failed(attempt, error.value());
      return;
    }
    Outcome outcome(Winner{std::move(attempt.socket), attempt.address});
    finish(outcome);
  }

  void failed(Attempt& attempt, int os_error) {
    attempt.running = false;
    boost::system::error_code ignored;
    attempt.socket.close(ignored);
    note(connect_verdict(os_error), attempt, posix::os_words(os_error));
    const bool running = std::any_of(attempts_.begin(), attempts_.end(),
                                     [](const auto& each) { return each->running; });
    if (next_ < order_.size()) {
      // In a new turn: with many addresses that fail at once this would go deep.
      loop_.post([self = shared_from_this()] { self->try_next(); });
    } else if (!running) {
      give_up();
    }
  }

  void time_is_up() {
    const auto self = shared_from_this();
    for (const auto& attempt : attempts_) {
      if (attempt->running) note(Verdict::tcp_timeout, *attempt, "no answer in time");
    }
    if (attempts_.empty()) failure_ = {Verdict::tcp_timeout, 0, "no time to connect"};
    give_up();
  }

  void note(Verdict verdict, const Attempt& attempt, const std::string& words) {
    if (verdict == Verdict::tcp_refused || verdict == Verdict::tcp_timeout) {
      failed_.push_back(attempt.address);
    }
    if (failure_.detail.empty() || rank(verdict) > rank(failure_.verdict)) {
      failure_.verdict = verdict;
    }
    if (!failure_.detail.empty()) failure_.detail += "; ";
    failure_.detail += address_text(attempt.address.numeric, port_) + ": " + words;
  }

  void give_up() {
    if (failure_.detail.size() > limits::kErrorDetailMax) {
      failure_.detail.resize(limits::kErrorDetailMax);
    }
    Outcome outcome(std::move(failure_));
    finish(outcome);
  }

  void finish(Outcome& outcome) {
    const Done done = std::move(done_);
    end();
    done(outcome);
  }

  posix::EventLoop& loop_;
  posix::Timer stagger_;
  posix::Timer deadline_;
  std::vector<env::Address> order_;
  std::uint16_t port_;
  Done done_;
  std::size_t next_ = 0;
  std::vector<std::shared_ptr<Attempt>> attempts_;
  std::vector<env::Address> failed_;
  env::Failure failure_;
};

TcpRace::TcpRace(posix::EventLoop& loop, const std::vector<env::Address>& addresses,
                 std::uint16_t port, Duration timeout, Done done)
    : state_(std::make_shared<State>(loop, addresses, port, std::move(done))) {
  state_->start(timeout);
}

TcpRace::~TcpRace() { state_->end(); }

const std::vector<env::Address>& TcpRace::failed() const { return state_->failed_ones(); }

}  // namespace holdfast::transport
