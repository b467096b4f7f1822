// Process signals as events of the loop.
#pragma once

#include <functional>
#include <memory>

#include "posix/event_loop.h"

namespace holdfast::posix {

/// Delivers SIGTERM, SIGINT and SIGHUP on the loop thread, one call per signal, until destroyed.
/// Two signals of one kind that arrive at once may come as one, as everywhere on Unix.
/// For programs (agent, CLI, demo), never for the library: an application's signals are its own.
class Signals {
 public:
  Signals(EventLoop& loop, std::function<void(int signal)> handler);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Makes a write to a closed pipe an EPIPE instead of the end of the process. For programs.
void ignore_sigpipe();

}  // namespace holdfast::posix
