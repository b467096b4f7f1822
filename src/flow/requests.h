// Requests that wait for their answers, by correlation data.
//
// Purpose:  each request gets random correlation data; an answer that carries it ends the request,
//           once. What comes later, again, or with data that nobody gave out is told apart and
//           counted, never handed to the wrong one.
// Bounds:   limits::kRequests wait at once; the last limits::kRequestsRemembered that ended are
//           remembered, so that a late answer and a repeated one can be named.
// Threads:  one at a time; the owner's lock.
// Source:   MQTT 5.0 section 4.10 (request and response).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/time.h"
#include "env/random.h"
#include "holdfast/types.h"

namespace holdfast::flow {

class Requests {
 public:
  /// Names a request; chosen by the owner.
  using Number = std::uint64_t;
  static constexpr std::size_t kCorrelationSize = 16;

  /// `random` must outlive this; it must not be guessable, or others could forge answers.
  explicit Requests(env::Random& random) : random_(random) {}

  [[nodiscard]] bool full() const;
  /// Begins to wait; gives the correlation data. Not while full().
  [[nodiscard]] Bytes begin(Number number, BootTime deadline);
  /// Ends the request that this answer belongs to, if there is one.
  [[nodiscard]] std::optional<Number> answered(const Bytes& correlation_data);
  /// Ends those whose time is over, in the order of their deadlines.
  [[nodiscard]] std::vector<Number> expire(BootTime now);
  /// Ends one that will have no answer. False: it has ended already.
  [[nodiscard]] bool give_up(Number number);
  /// When expire() will have something; kNever while nothing waits.
  [[nodiscard]] BootTime next_deadline() const;
  [[nodiscard]] RequestCounts counts() const;

 private:
  using Key = std::array<std::byte, kCorrelationSize>;
  struct Waiting {
    Number number = 0;
    BootTime deadline{};
  };
  struct Ended {
    Key key{};
    bool answered = false;
  };
  using Table = std::map<Key, Waiting>;

  void end(Table::iterator which, bool answered);

  env::Random& random_;
  Table waiting_;
  std::deque<Ended> ended_;
  RequestCounts counts_;
};

}  // namespace holdfast::flow
