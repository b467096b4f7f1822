// What the services of the local IoT Core have in common: shadows, jobs, provisioning and so on.
//
// A service answers devices, which publish to its reserved topics, and people, who call operations
// by the names of the AWS API ("CreateJob"). Sans-I/O: time comes in, answers go out, state is one
// JSON value that the Region keeps on disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"
#include "lab/iot/json.h"
#include "lab/iot/switches.h"
#include "lab/mqtt/packet.h"

namespace holdfast::lab::iot {

/// The device at the other end of a connection.
struct Requester {
  std::uint64_t connection = 0;  ///< Of the Region, never used twice in a run.
  std::string client_id;
  std::string principal;  ///< Certificate id, what an authorizer gave, or IAM's id of who signed.
  std::string access_key = {};  ///< The id of the one that signed; empty: none did.
};

/// A message that a service sends.
struct Answer {
  /// requester: to that connection only, subscribed or not; no other client sees it (Jobs, fleet
  /// provisioning). client: to the connection of `client_id`, in the same way. broker: published,
  /// to whoever subscribed.
  enum class To : std::uint8_t { requester, client, broker } to = To::broker;
  std::string client_id;  ///< To::client only.
  std::string topic;
  std::string payload;
  std::uint8_t qos = 1;
  bool retain = false;
  mqtt::Properties properties;
};

/// What comes of a request or of time: messages in order, and connections to end.
class Answers {
 public:
  void reply(std::string topic, const Json& payload);
  void publish(std::string topic, const Json& payload);
  /// Ends the connections of a principal, as the service does when its certificate is deactivated.
  void disconnect_principal(std::string principal) { disconnected.push_back(std::move(principal)); }

  std::vector<Answer> all;
  std::vector<std::string> disconnected;
};

/// An error of the AWS API: "ResourceNotFoundException", 404, and a sentence.
struct ApiError {
  std::string type;
  int status = 400;
  std::string message;
};

/// What an operation of the AWS API returns: its output, or an error.
using ApiResult = std::variant<Json, ApiError>;

/// What a published message is to a service.
enum class Claim : std::uint8_t {
  none,  ///< Not its topic.
  also,  ///< A request of its own that subscribers see, too (shadows).
  only,  ///< A request that goes no further (jobs, provisioning).
};

class Service {
 public:
  Service() = default;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  virtual ~Service() = default;

  /// The key of its state: "jobs".
  [[nodiscard]] virtual std::string_view name() const = 0;

  [[nodiscard]] virtual Claim claims(std::string_view topic) const = 0;
  /// REQUIRES: claims(message.topic) != Claim::none. The policy already allowed the publish. A
  /// message that makes no sense is answered as the AWS service answers it; nothing is thrown.
  virtual void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                          Answers& out) = 0;

  /// Whether `operation` ("CreateJob") is one of its own.
  [[nodiscard]] virtual bool has_operation(std::string_view operation) const = 0;
  /// Calls it with the input of the AWS API, as an object with the API's own member names.
  virtual ApiResult call(WallTime now, std::string_view operation, const Json& input,
                         Answers& out) = 0;

  /// The Region's switches, before the first call and whenever they have changed.
  virtual void on_switches(const Switches& /*switches*/) {}

  /// When on_time() wants to be called next; WallTime::ms of kNoTime: never.
  [[nodiscard]] virtual WallTime wake() const { return {kNoTime}; }
  virtual void on_time(WallTime now, Answers& out);

  /// The whole state, and back. load() refuses, with the name of the member, what save() never
  /// wrote; after an error the service is as it was.
  [[nodiscard]] virtual Json save() const = 0;
  virtual Status load(const Json& state) = 0;
  /// Counts changes of the state since the start; the Region saves when it has changed.
  [[nodiscard]] virtual std::uint64_t revision() const = 0;

  static constexpr std::int64_t kNoTime = INT64_MAX;
};

}  // namespace holdfast::lab::iot
