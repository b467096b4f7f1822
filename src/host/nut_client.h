// What a UPS says, through the server of Network UPS Tools (upsd).
//
// Purpose:  asks for the status of one UPS every kNutPoll, for ever, over one connection.
// Method:   NUT's own protocol, lines over TCP, on the loop. Its library (libupsclient) blocks, and
//           brings NSS along, a second TLS library beside OpenSSL.
// Threads:  the loop's.
// Bounds:   a line of kNutLine, an answer within kNutTimeout; a server that fails is tried again
//           after kNutRetryFirst, doubling up to kNutRetryCap.
// Errors:   told in words that name the UPS and what to do; then it goes on.
// Limits:   no login (reading needs none) and no TLS: the server is on this machine, or in a
// network
//           that is trusted.
// Sources:  NUT's docs/net-protocol.txt (GET VAR, ERR) and docs/new-drivers.txt (status words).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "holdfast/result.h"
#include "holdfast/types.h"
#include "posix/event_loop.h"

namespace holdfast::host {

inline constexpr std::uint16_t kNutPort = 3493;
inline constexpr Duration kNutPoll = std::chrono::seconds(2);
inline constexpr Duration kNutTimeout = std::chrono::seconds(5);
inline constexpr Duration kNutRetryFirst = std::chrono::seconds(1);
inline constexpr Duration kNutRetryCap = std::chrono::seconds(30);
inline constexpr std::size_t kNutLine = 1024;

/// "ups1@localhost" or "ups1@[::1]:3493".
struct NutPlace {
  std::string ups;
  std::string host;
  std::uint16_t port = kNutPort;
};
/// Errors: invalid_argument, a sentence without the text.
[[nodiscard]] Result<NutPlace> parse_nut_place(std::string_view text);

struct NutAnswer {
  std::string status;  ///< "OB DISCHRG LB"
  std::optional<unsigned> charge;
  std::optional<Seconds> runtime;

  /// Whether it is one of the words of `status`.
  [[nodiscard]] bool has(std::string_view word) const;
};

/// The value in upsd's answer to a question for `variable`. Nothing: the UPS has no such one.
/// Errors: protocol for what is no answer to it, io for upsd's own errors.
[[nodiscard]] Result<std::optional<std::string>> parse_nut_line(std::string_view line,
                                                                const std::string& ups,
                                                                std::string_view variable);

class NutClient {
 public:
  /// Called after each round of questions, or when one has failed.
  using Told = std::function<void(const Result<NutAnswer>& answer)>;
  NutClient(posix::EventLoop& loop, NutPlace place, Told told);
  ~NutClient();
  NutClient(const NutClient&) = delete;
  NutClient& operator=(const NutClient&) = delete;

 private:
  class Session;
  std::shared_ptr<Session> session_;
};

}  // namespace holdfast::host
