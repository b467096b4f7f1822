#include "runtime/safe_mode.h"

#include <type_traits>

namespace holdfast::runtime {

void leave_out_extras(Config& config) {
  if (config.safe_mode_reason.empty()) return;
  config.engine = MqttEngine::mosquitto;
  config.topic_aliases = 0;
  config.timing.verify_subscriptions = Milliseconds(0);
  config.provisioning.renew_every = Seconds(0);
  config.outbox.preallocate = false;
  config.heartbeats.clear();
  config.metrics.listen.clear();
  config.page.listen.clear();
  config.log.file.clear();
}

bool is_of_application(const LocalRequest& request) {
  return std::visit(
      [](const auto& what) {
        using Request = std::decay_t<decltype(what)>;
        return std::is_same_v<Request, PublishRequest> || std::is_same_v<Request, AskRequest> ||
               std::is_same_v<Request, SubscribeRequest> ||
               std::is_same_v<Request, SubscribeUnmatchedRequest> ||
               std::is_same_v<Request, HeartbeatRequest> ||
               std::is_same_v<Request, HeartbeatEndRequest>;
      },
      request.what);
}

}  // namespace holdfast::runtime
