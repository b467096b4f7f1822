// The runtime's event-loop thread, and what a client needs besides.
//
// Threads:  loop thread. Destruction never waits: the runtime ends its thread by a cleaner thread
//           of its own, when the last client is gone.
#pragma once

#include <memory>

#include "env/engine.h"
#include "holdfast/result.h"

struct aws_client_bootstrap;
struct aws_event_loop_group;
struct aws_host_resolver;

namespace holdfast::engines {

class CrtThread {
 public:
  CrtThread();
  ~CrtThread();
  CrtThread(const CrtThread&) = delete;
  CrtThread& operator=(const CrtThread&) = delete;

  /// Starts the thread if it does not run yet. Errors: io.
  [[nodiscard]] Result<aws_client_bootstrap*> bootstrap();

  /// The thread counts one up when it comes to it; at once where none runs.
  void prove(const env::Proofs& proofs);

 private:
  aws_event_loop_group* group_ = nullptr;
  aws_host_resolver* resolver_ = nullptr;  ///< A client wants one; we never give it a name.
  aws_client_bootstrap* bootstrap_ = nullptr;
};

}  // namespace holdfast::engines
