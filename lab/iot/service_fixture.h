// What the tests of services share: people who call operations, devices that publish requests, time
// that the test turns, and state that somebody broke.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "lab/iot/service.h"
#include "sim/seeded_random.h"

namespace holdfast::lab::iot {

/// REQUIRES: JSON; anything else fails the test.
inline Json parsed(const std::string& text) {
  const auto value = parse_json(text);
  EXPECT_TRUE(value) << text;
  return value ? *value : Json();
}

inline mqtt::Publish message_to(std::string topic, std::string payload) {
  mqtt::Publish message;
  message.topic = std::move(topic);
  message.payload = std::move(payload);
  return message;
}

/// What load() says of `good` with `value` at `pointer`; empty: nothing. The state must stay.
inline std::string complaint_about(Service& service, const Json& good, const std::string& pointer,
                                   const Json& value) {
  Json broken = good;
  broken[Json::json_pointer(pointer)] = value;
  const Status loaded = service.load(broken);
  EXPECT_EQ(dump(service.save()), dump(good)) << pointer;
  return loaded ? "" : loaded.error().message;
}

/// The output, or "TYPE: message".
inline std::string text_of(const ApiResult& result) {
  const auto* error = std::get_if<ApiError>(&result);
  return error != nullptr ? error->type + ": " + error->message : dump(std::get<Json>(result));
}

class ServiceFixture : public ::testing::Test {
 protected:
  [[nodiscard]] virtual Service& service() = 0;

  /// What the service sends by what follows is in out_, and nothing else.
  ApiResult call(const std::string& operation, const Json& input) {
    out_ = {};
    EXPECT_TRUE(service().has_operation(operation));
    return service().call(now_, operation, input, out_);
  }
  /// The output; an error fails the test.
  Json done(const std::string& operation, const Json& input) {
    const ApiResult result = call(operation, input);
    if (const auto* error = std::get_if<ApiError>(&result)) {
      ADD_FAILURE() << operation << ": " << error->type << ": " << error->message;
      return {};
    }
    return std::get<Json>(result);
  }
  /// "TYPE: message"; empty: it was done.
  std::string refused(const std::string& operation, const Json& input) {
    const ApiResult result = call(operation, input);
    const auto* error = std::get_if<ApiError>(&result);
    return error == nullptr ? "" : error->type + ": " + error->message;
  }
  /// A request that goes no further than the service.
  void publish(const Requester& from, const mqtt::Publish& message) {
    out_ = {};
    EXPECT_EQ(service().claims(message.topic), Claim::only) << message.topic;
    service().on_request(now_, from, message, out_);
  }
  /// Time goes on, and the service is woken if it wanted to be.
  void wait_seconds(std::int64_t seconds) {
    now_.ms += seconds * 1000;
    out_ = {};
    if (service().wake() <= now_) service().on_time(now_, out_);
  }

  WallTime now_{1'700'000'000'000};
  sim::SeededRandom random_{1};
  Answers out_;
};

}  // namespace holdfast::lab::iot
