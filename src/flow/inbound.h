// What has come from the broker: given to the application once, acknowledged when it is done with
// it.
//
// Purpose:  a message that the application has not dealt with stays with the broker, so an end of
//           the process in between loses nothing. The broker may send it again meanwhile, on the
//           next connection or on the same one: such a copy is not given again if it is recognised
//           (duplicates.h), and is acknowledged together with the first.
// Bounds:   one entry for each message that is given and not taken; the runtime bounds those. Of
//           each the copies of one connection, at most the broker's window.
// Threads:  one thread, the core's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "env/engine.h"
#include "flow/duplicates.h"
#include "holdfast/config.h"

namespace holdfast::flow {

class Inbound {
 public:
  /// What the broker waits to have acknowledged.
  struct Copy {
    env::AttemptId attempt = 0;
    env::Token ticket = 0;  ///< 0: it does not wait.
  };

  /// The number under which the message is to be given; nothing if it has been given before: then
  /// `acknowledge` says whether the copy may be acknowledged at once.
  struct Came {
    std::optional<Delivery> give{};
    bool acknowledge = false;
  };
  [[nodiscard]] Came came(const env::Arrival& arrival, env::AttemptId attempt,
                          const Config& config);
  /// The application is done with it: these may be acknowledged, if their connection stands.
  [[nodiscard]] std::vector<Copy> taken(Delivery delivery);

  [[nodiscard]] std::uint64_t total() const noexcept { return last_; }
  [[nodiscard]] std::uint64_t repeated() const noexcept { return repeated_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  Duplicates duplicates_;
  std::map<Delivery, std::vector<Copy>> waiting_;
  Delivery last_ = 0;  ///< Each message has a number, repeats too.
  std::uint64_t repeated_ = 0;
};

}  // namespace holdfast::flow
