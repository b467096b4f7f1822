// engine_script_client: what mosquitto's own client test scripts want a client to do, done through
// the engine port. Test code only; tools/mosquitto_scripts runs it.
//
//   …/ENGINE/SCENARIO.test PORT
//   engine_script_client --engines     the names of the engines
//
// The scripts take a program and a port and nothing else, so the engine and the scenario are the
// last two parts of the path that it is called by.
//
// Exit codes: 0 the connection ended as the scenario wants it; 1 something went otherwise; 2 there
// is no such scenario.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engines/engine_harness.h"
#include "posix/event_loop.h"
#include "posix/signals.h"
#include "posix/system.h"

namespace holdfast::engines::test {
namespace {

constexpr int kWrong = 1;
constexpr int kUnknown = 2;

class ScriptClient;

/// What one script expects. What is not named does nothing.
struct Scenario {
  std::string client_id;
  MqttVersion version = MqttVersion::v311;
  std::function<void(env::ConnectRequest&)> request{};
  std::function<void(ScriptClient&)> on_up{};
  std::function<void(ScriptClient&)> on_published{};
  std::function<void(ScriptClient&)> on_subscribed{};
  std::function<void(ScriptClient&, const InboundMessage&)> on_message{};
  bool connects = true;  ///< False: the attempt must fail.
};

class ScriptClient final : public env::EngineSink {
 public:
  ScriptClient(const EngineUnderTest& engine, Scenario scenario)
      : scenario_(std::move(scenario)), engine_(engine.make(loop_, *resolver_, *clock_, *this)) {}

  int run(std::uint16_t port) {
    env::ConnectRequest request;
    request.attempt = 1;
    request.host = "localhost";
    request.port = port;
    request.tls.enabled = false;
    request.client_id = scenario_.client_id;
    request.version = scenario_.version;
    request.clean_start = true;
    request.keep_alive = Seconds(60);
    request.receive_maximum = 20;  // what libmosquitto says unless it is told otherwise
    request.resolve_timeout = request.connect_timeout = request.connack_timeout =
        request.silent_after = std::chrono::seconds(60);
    if (scenario_.request) scenario_.request(request);
    engine_->connect(request);
    loop_.run();
    return result_;
  }

  // What scenarios say.
  Status publish(const std::string& topic, std::string_view payload, Qos qos,
                 const std::function<void(StoredMessage&)>& more = {}) {
    StoredMessage message = make_message(topic, payload, qos);
    if (more) more(message);
    ++sent;
    return engine_->publish(sent, message);
  }
  Status subscribe(const std::string& filter, Qos qos) {
    const env::FilterRequest filters[] = {{filter, qos}};
    return engine_->subscribe(1, filters);
  }
  Status unsubscribe(const std::string& filter) {
    const std::string filters[] = {filter};
    return engine_->unsubscribe(1, filters);
  }
  void disconnect() { engine_->disconnect(); }
  /// Ends the program with 1 unless this holds.
  void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "engine_script_client: %s\n", what);
    end(kWrong);
  }
  void require(const Status& status) {
    require(status.ok(), status.ok() ? "" : status.error().message.c_str());
  }

  std::size_t sent = 0;
  std::size_t answered = 0;
  env::UpInfo info;

 private:
  void end(int result) {
    if (result_ == 0) result_ = result;
    loop_.stop();
  }

  void engine_up(env::AttemptId /*attempt*/, const env::UpInfo& up) override {
    info = up;
    require(scenario_.connects, "this connection should have failed");
    if (scenario_.on_up) scenario_.on_up(*this);
  }
  void engine_failed(env::AttemptId /*attempt*/, const env::Failure& why) override {
    require(!scenario_.connects, why.detail.c_str());
    end(0);
  }
  void engine_down(env::AttemptId /*attempt*/, const env::Failure& why) override {
    // Most scripts end with closing the connection.
    const bool usual = why.verdict == Verdict::none || why.verdict == Verdict::server_gone;
    require(usual, why.detail.c_str());
    end(0);
  }
  void engine_published(env::AttemptId /*attempt*/, env::Token token, std::uint8_t code) override {
    ++answered;
    require(code == 0 && token <= sent, "a wrong answer to PUBLISH");
    if (scenario_.on_published) scenario_.on_published(*this);
  }
  void engine_subscribed(env::AttemptId /*attempt*/, env::Token /*token*/,
                         std::span<const std::uint8_t> codes) override {
    require(codes.size() == 1 && codes[0] < 0x80, "a wrong answer to a filter");
    if (scenario_.on_subscribed) scenario_.on_subscribed(*this);
  }
  void engine_message(env::AttemptId /*attempt*/, env::Arrival arrival) override {
    require(static_cast<bool>(scenario_.on_message), "a message that nobody asked for");
    if (arrival.ticket != 0) engine_->taken(arrival.ticket);
    if (scenario_.on_message) scenario_.on_message(*this, arrival.message);
  }

  posix::EventLoop loop_;
  std::unique_ptr<env::Resolver> resolver_ = posix::make_resolver(loop_);
  std::unique_ptr<env::Clock> clock_ = posix::make_clock();
  Scenario scenario_;
  int result_ = 0;
  std::unique_ptr<env::Engine> engine_;
};

using Scenarios = std::map<std::string, Scenario>;

void disconnect(ScriptClient& client) { client.disconnect(); }

void add_connecting(Scenarios& all) {
  all["01-con-discon-success"] = {.client_id = "01-con-discon-success", .on_up = disconnect};
  all["01-keepalive-pingreq"] = {.client_id = "01-keepalive-pingreq",
                                 .request = [](auto& it) { it.keep_alive = Seconds(5); }};
  all["01-server-keepalive-pingreq"] = {.client_id = "01-server-keepalive-pingreq",
                                        .version = MqttVersion::v5};
  all["01-no-clean-session"] = {.client_id = "01-no-clean-session",
                                .request = [](auto& it) { it.clean_start = false; }};
  all["01-unpwd-set"] = {.client_id = "01-unpwd-set", .request = [](auto& it) {
                           it.username = "uname";
                           it.password = ";'[08gn=#";
                         }};
  all["01-will-set"] = {.client_id = "01-will-set", .request = [](auto& it) {
                          it.will = StatusMessage{"topic/on/unexpected/disconnect", "will message",
                                                  Qos::at_least_once, true};
                        }};
  const auto tls = [](env::ConnectRequest& it) {
    it.tls.enabled = true;
    it.tls.ca_file = "../ssl/test-root-ca.crt";
  };
  all["08-ssl-connect-no-auth"] = {
      .client_id = "08-ssl-connect-no-auth", .request = tls, .on_up = disconnect};
  all["08-ssl-connect-cert-auth"] = {.client_id = "08-ssl-connect-crt-auth",
                                     .request =
                                         [tls](auto& it) {
                                           tls(it);
                                           it.tls.cert_file = "../ssl/client.crt";
                                           it.tls.key_file = "../ssl/client.key";
                                         },
                                     .on_up = disconnect};
  all["08-ssl-bad-cacert"] = {.client_id = "08-ssl-bad-cacert",
                              .request =
                                  [](auto& it) {
                                    it.tls.enabled = true;
                                    it.tls.ca_file = "this/file/doesnt/exist";
                                  },
                              .connects = false};
}

void add_subscribing(Scenarios& all) {
  const auto subscribe = [](const char* id, const char* filter, Qos qos) {
    return Scenario{
        .client_id = id,
        .on_up = [=](ScriptClient& client) { client.require(client.subscribe(filter, qos)); },
        .on_subscribed = disconnect};
  };
  all["02-subscribe-qos0"] = subscribe("subscribe-qos0-test", "qos0/test", Qos::at_most_once);
  all["02-subscribe-qos1"] = subscribe("subscribe-qos1-test", "qos1/test", Qos::at_least_once);
  Scenario unsubscribe{.client_id = "unsubscribe-test",
                       .on_up = [](auto& it) { it.require(it.unsubscribe("unsubscribe/test")); },
                       .on_subscribed = disconnect};
  all["02-unsubscribe"] = unsubscribe;
  unsubscribe.version = MqttVersion::v5;
  all["02-unsubscribe-v5"] = unsubscribe;

  all["03-publish-b2c-qos1"] = {
      .client_id = "publish-qos1-test", .on_message = [](auto& it, const InboundMessage& message) {
        it.require(message.topic == "pub/qos1/receive" && text(message.payload) == "message" &&
                       message.qos == Qos::at_least_once && !message.retain,
                   "another message than the script sent");
      }};
  all["03-publish-b2c-qos1-unexpected-puback"] = {
      .client_id = "publish-qos1-test", .request = [](auto& it) { it.keep_alive = Seconds(5); }};
  for (const Qos qos : {Qos::at_most_once, Qos::at_least_once}) {
    all[qos == Qos::at_most_once ? "11-prop-recv-qos0" : "11-prop-recv-qos1"] = {
        .client_id = "prop-test",
        .version = MqttVersion::v5,
        .on_message = [qos](auto& it, const InboundMessage& message) {
          it.require(message.content_type == "plain/text" && message.response_topic == "msg/123" &&
                         message.qos == qos,
                     "another message than the script sent");
          it.require(it.publish("ok", "ok", Qos::at_most_once));
        }};
  }
}

void add_requesting(Scenarios& all) {
  const auto request = [](std::string_view correlation) {
    return Scenario{
        .client_id = "request-test",
        .version = MqttVersion::v5,
        .on_up = [](auto& it) { it.require(it.subscribe("response/topic", Qos::at_most_once)); },
        .on_subscribed =
            [=](auto& it) {
              it.require(it.publish("request/topic", "action", Qos::at_most_once, [=](auto& more) {
                more.response_topic = "response/topic";
                more.correlation_data = bytes(correlation);
              }));
            },
        .on_message =
            [](auto& it, const InboundMessage& message) {
              it.require(text(message.payload) == "a response", "another response");
            }};
  };
  all["03-request-response-1"] = request("");
  all["03-request-response-correlation-1"] = request("corridor");
  all["03-request-response-2"] = {
      .client_id = "response-test",
      .version = MqttVersion::v5,
      .on_up = [](auto& it) { it.require(it.subscribe("request/topic", Qos::at_most_once)); },
      .on_message =
          [](auto& it, const InboundMessage& message) {
            const auto correlation = message.correlation_data;
            it.require(it.publish(message.response_topic, "a response", Qos::at_most_once,
                                  [=](auto& more) { more.correlation_data = correlation; }));
          }};
}

/// One message, and DISCONNECT when it is answered.
Scenario publish_one(const char* id, MqttVersion version, const char* topic, const char* payload,
                     Qos qos, const std::function<void(StoredMessage&)>& more = {}) {
  return {.client_id = id,
          .version = version,
          .on_up = [=](auto& it) { it.require(it.publish(topic, payload, qos, more)); },
          .on_published = disconnect};
}

void refill(ScriptClient& client) {
  // Six in all, in the window that the server grants: the core's part in a device.
  while (client.sent < 6 && client.sent < client.answered + client.info.receive_maximum) {
    client.require(client.publish("topic", "12345", Qos::at_least_once));
  }
}

void add_publishing(Scenarios& all) {
  constexpr auto k0 = Qos::at_most_once;
  constexpr auto k1 = Qos::at_least_once;
  constexpr auto kOld = MqttVersion::v311;
  constexpr auto kNew = MqttVersion::v5;
  all["03-publish-qos0"] = publish_one("publish-qos0-test", kOld, "pub/qos0/test", "message", k0);
  all["03-publish-qos0-no-payload"] =
      publish_one("publish-qos0-test-np", kOld, "pub/qos0/no-payload/test", "", k0);
  all["03-publish-c2b-qos1-len"] =
      publish_one("publish-qos1-test", kNew, "pub/qos1/test", "message", k1);
  all["04-retain-qos0"] = publish_one("retain-qos0-test", kOld, "retain/qos0/test",
                                      "retained message", k0, [](auto& it) { it.retain = true; });
  all["11-prop-send-content-type"] =
      publish_one("prop-test", kNew, "prop/qos0", "message", k0,
                  [](auto& it) { it.content_type = "application/json"; });
  all["03-publish-c2b-qos1-receive-maximum"] = {
      .client_id = "publish-qos1-test", .version = kNew, .on_up = refill, .on_published = refill};
  all["03-publish-c2b-qos2-maximum-qos-0"] = {
      .client_id = "publish-qos2-test",
      .version = kNew,
      .on_up =
          [](auto& it) {
            const Status refused = it.publish("maximum/qos/qos1", "message", k1);
            it.require(!refused.ok() && refused.error().code == Errc::unsupported,
                       "QoS 1 where the server has none");
            it.require(it.publish("maximum/qos/qos0", "message", k0));
          },
      .on_published = disconnect};
  all["03-publish-c2b-qos2-maximum-qos-1"] = {
      .client_id = "publish-qos2-test",
      .version = kNew,
      .on_up = [](auto& it) { it.require(it.publish("maximum/qos/qos1", "message", k1)); },
      .on_published =
          [](auto& it) {
            if (it.sent == 2) return it.disconnect();
            it.require(it.publish("maximum/qos/qos0", "message", k0));
          }};
}

int run(const std::filesystem::path& called, const char* port) {
  Scenarios scenarios;
  add_connecting(scenarios);
  add_subscribing(scenarios);
  add_requesting(scenarios);
  add_publishing(scenarios);
  const auto scenario = scenarios.find(called.stem().string());
  if (scenario == scenarios.end()) return kUnknown;
  for (const EngineUnderTest& engine : engines_under_test()) {
    if (engine.name != called.parent_path().filename().string()) continue;
    ScriptClient client(engine, scenario->second);
    return client.run(static_cast<std::uint16_t>(std::strtoul(port, nullptr, 10)));
  }
  return kUnknown;
}

}  // namespace
}  // namespace holdfast::engines::test

int main(int argc, char** argv) {
  holdfast::posix::ignore_sigpipe();
  if (argc == 2 && std::string_view(argv[1]) == "--engines") {
    for (const auto& engine : holdfast::engines::test::engines_under_test()) {
      // The scripts take both versions in turn.
      if (engine.can.mqtt311) std::puts(engine.name.c_str());
    }
    return 0;
  }
  // 08-ssl-bad-cacert.py gives no port: the client does not come so far.
  return argc < 1 ? 2 : holdfast::engines::test::run(argv[0], argc > 1 ? argv[1] : "1888");
}
