// TCP to the first of several addresses that answers (RFC 8305, section 5).
//
// Each next address is tried when the one before failed, or kStagger after it began. The first to
// connect wins and the others are closed. One deadline bounds the whole.
#pragma once

#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "base/time.h"
#include "env/engine.h"
#include "env/resolver.h"
#include "posix/event_loop.h"

namespace holdfast::transport {

inline constexpr Duration kStagger = std::chrono::milliseconds(250);  // RFC 8305's own default
inline constexpr std::size_t kAddressesMax = 16;  // with the stagger, all begin within 4 s

/// Families alternate, beginning with that of the first address; within a family the order stays.
[[nodiscard]] std::vector<env::Address> interleave(const std::vector<env::Address>& addresses);

/// "203.0.113.7:8883" or "[2001:db8::7]:8883".
[[nodiscard]] std::string address_text(const std::string& numeric, std::uint16_t port);

/// What a failed connect() means.
[[nodiscard]] Verdict connect_verdict(int os_error);

class TcpRace {
 public:
  struct Winner {
    boost::asio::ip::tcp::socket socket;
    env::Address address;
  };
  using Outcome = std::variant<Winner, env::Failure>;
  using Done = std::function<void(Outcome&)>;

  /// Tries the addresses in their order. `done` comes from the loop, once, unless the race is
  /// destroyed before.
  TcpRace(posix::EventLoop& loop, const std::vector<env::Address>& addresses, std::uint16_t port,
          Duration timeout, Done done);
  ~TcpRace();
  TcpRace(const TcpRace&) = delete;
  TcpRace& operator=(const TcpRace&) = delete;

  /// Those that said no or nothing, as far as it was up to them.
  [[nodiscard]] const std::vector<env::Address>& failed() const;

 private:
  class State;
  std::shared_ptr<State> state_;
};

}  // namespace holdfast::transport
