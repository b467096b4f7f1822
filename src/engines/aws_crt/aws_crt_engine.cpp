#include "engines/aws_crt/aws_crt_engine.h"

#include "engines/attempt_engine.h"
#include "engines/aws_crt/crt_session.h"
#include "engines/aws_crt/crt_thread.h"

namespace holdfast::engines {

std::unique_ptr<env::Engine> make_aws_crt_engine(posix::EventLoop& loop, env::Resolver& resolver,
                                                 env::Clock& clock, env::EngineSink& sink) {
  // The thread comes with the first attempt and goes with the engine: one that hangs is left
  // behind.
  auto thread = std::make_shared<CrtThread>();
  return make_attempt_engine(
      loop, resolver, clock, sink,
      [thread](const SessionRequest& request) { return CrtSession::open(*thread, request); },
      [thread](const env::Proofs& proofs) { thread->prove(proofs); });
}

}  // namespace holdfast::engines
