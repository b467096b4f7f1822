#include "lab/iot/service.h"

namespace holdfast::lab::iot {

void Answers::reply(std::string topic, const Json& payload) {
  all.push_back({Answer::To::requester, {}, std::move(topic), dump(payload), 1, false, {}});
}

void Answers::publish(std::string topic, const Json& payload) {
  all.push_back({Answer::To::broker, {}, std::move(topic), dump(payload), 1, false, {}});
}

void Service::on_time(WallTime /*now*/, Answers& /*out*/) {}

}  // namespace holdfast::lab::iot
