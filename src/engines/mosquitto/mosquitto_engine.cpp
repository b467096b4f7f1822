#include "engines/mosquitto/mosquitto_engine.h"

#include "engines/attempt_engine.h"
#include "engines/mosquitto/mosquitto_session.h"

namespace holdfast::engines {

std::unique_ptr<env::Engine> make_mosquitto_engine(posix::EventLoop& loop, env::Resolver& resolver,
                                                   env::Clock& clock, env::EngineSink& sink) {
  return make_attempt_engine(loop, resolver, clock, sink, &MosquittoSession::open);
}

}  // namespace holdfast::engines
