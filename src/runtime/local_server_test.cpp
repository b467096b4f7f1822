// Goal: over a real Unix socket, programs publish, subscribe and look, and none of them can harm
//       the device or another program: malformed, oversize, slow, too many, gone.
// Method: a device made for the test answers as told; a loop runs on its own thread; clients are
//         LocalClient or a plain socket. The test's thread plays the device's other threads.
#include "runtime/local_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "health/heartbeats.h"
#include "outbox/outbox.h"
#include "posix/sanitized.h"
#include "posix/system.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"
#include "runtime/local_socket.h"

namespace holdfast::runtime {
namespace {

using nlohmann::json;
constexpr Milliseconds kPatience{20000};  // only ever waited out by a failing test

/// Records what it is asked and lets the test answer.
class FakeDevice final : public Device {
 public:
  PublishAnswer publish(Message message, ReceiptHandler on_receipt, ReceiptScope scope) override {
    const std::lock_guard lock(mutex_);
    if (reject_next_ != RejectReason::none) {
      return {std::exchange(reject_next_, RejectReason::none), Durability::durable};
    }
    published_.push_back({std::move(message), std::move(on_receipt), scope});
    changed_.notify_all();
    return {};
  }
  Result<SubscriptionId> subscribe(std::string filter, Qos qos, MessageHandler handler) override {
    return subscribe_held(std::move(filter), qos,
                          [handler = std::move(handler)](const InboundMessage& message,
                                                         const Hold&) { handler(message); });
  }
  Result<SubscriptionId> subscribe_held(std::string filter, Qos,
                                        HeldMessageHandler handler) override {
    const std::lock_guard lock(mutex_);
    if (filter == "bad") return Error{Errc::invalid_argument, "a filter that is bad"};
    handlers_[++last_subscription_] = std::move(handler);
    changed_.notify_all();
    return last_subscription_;
  }
  Result<SubscriptionId> subscribe_unmatched(MessageHandler handler) override {
    return subscribe("", Qos::at_most_once, std::move(handler));
  }
  Status unsubscribe(SubscriptionId id) override {
    const std::lock_guard lock(mutex_);
    handlers_.erase(id);
    changed_.notify_all();
    return {};
  }
  void fate(MessageId, FateHandler) override { ADD_FAILURE() << "asked of the outbox instead"; }
  void on_connection(ConnectionHandler) override { ADD_FAILURE() << "it is the application's"; }
  DeviceState state() const override {
    DeviceState state;
    state.connection.state = LinkState::connected;
    state.connection.verdict = Verdict::none;
    state.ledger.pending = state.ledger.accepted = 5;
    return state;
  }
  Status request(Message message, Milliseconds timeout, ResponseHandler handler) override {
    if (message.topic == "full") return Error{Errc::full, "too many"};
    EXPECT_EQ(timeout, Milliseconds(1500));
    Response response;
    response.message.topic = "answers";
    response.message.payload = std::move(message.payload);
    if (message.topic == "late") response.kind = ResponseKind::timed_out;
    handler(response);
    return {};
  }
  [[nodiscard]] LogState log_state() const override { return {}; }
  std::vector<FilterState> filters() const override {
    return {{"cmd/#", Qos::at_least_once, Qos::at_most_once, 0, Milliseconds{0}}};
  }
  IdentityState identity() const override { return device_identity; }
  Progress progress() override {
    return {.loop = 7, .engine = 6, .storage = 8, .callbacks = 9, .applications = 10};
  }
  Status heartbeat(std::string_view name, Milliseconds every) override {
    if (name == "bad") return Error{Errc::full, "a heartbeat that is one too many"};
    return beats.beat(name, every, BootTime()).ok() ? Status() : Error{Errc::internal, "?"};
  }
  Status end_heartbeat(std::string_view name) override { return beats.end(name, BootTime()); }
  [[nodiscard]] std::vector<HeartbeatState> heartbeats() const override {
    return beats.states(BootTime());
  }
  void power_fail(std::string_view why, SavedHandler saved) override {
    power_fails = why;
    saved(why == "slow" ? std::nullopt : std::optional(Milliseconds(12)));
  }
  void power_back() override { power_fails.clear(); }
  void reconnect_now() override { ++reconnects; }
  Status reload(Config) override { return {}; }
  void stop(Milliseconds) override {}

  struct Published {
    Message message;
    ReceiptHandler on_receipt;
    ReceiptScope scope = ReceiptScope::settled;
  };
  void reject_next(RejectReason reason) {
    const std::lock_guard lock(mutex_);
    reject_next_ = reason;
  }
  /// The published messages once there are `count` of them.
  std::vector<Published> wait_published(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return published_.size() >= count; }));
    return published_;
  }
  bool wait_handlers(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return handlers_.size() == count; });
  }
  void deliver(const InboundMessage& message, const Hold& hold = {}) {
    std::vector<HeldMessageHandler> handlers;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [id, handler] : handlers_) handlers.push_back(handler);
    }
    for (const auto& handler : handlers) handler(message, hold);
  }

  std::atomic<int> reconnects{0};
  std::string power_fails;
  health::Heartbeats beats{{}, BootTime()};
  IdentityState device_identity;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  RejectReason reject_next_ = RejectReason::none;
  std::vector<Published> published_;
  std::map<SubscriptionId, HeldMessageHandler> handlers_;
  SubscriptionId last_subscription_ = 100;
};

class LocalServerTest : public testing::Test {
 protected:
  LocalServerTest() {
    std::string name = (std::filesystem::temp_directory_path() / "hf-local-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    path_ = folder_ / "run" / "h.sock";
    auto server = LocalServer::open(loop_, device_,
                                    {path_, folder_,
                                     Logger::handing(posix::make_clock(),
                                                     [this](const LogLine& line) {
                                                       const std::lock_guard lock(log_mutex_);
                                                       log_ += line.text + "\n";
                                                     }),
                                     [this](Look look) {
                                       const std::lock_guard lock(log_mutex_);
                                       looks_.push_back(std::move(look));
                                     },
                                     [](std::string topic, std::size_t count) -> Result<Message> {
                                       if (topic.empty()) {
                                         return Error{Errc::invalid_argument, "no topic"};
                                       }
                                       Message message;
                                       message.topic = std::move(topic);
                                       message.key = std::to_string(count);
                                       return message;
                                     }});
    EXPECT_TRUE(server) << server.error().message;
    if (server) server_ = std::move(server).value();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~LocalServerTest() override {
    on_loop([this] { server_.reset(); });
    loop_.stop();
    thread_.join();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  void on_loop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  LocalClient client() {
    Result<LocalClient> client = LocalClient::connect(path_);
    if (!client) throw std::runtime_error(client.error().message);
    return std::move(client).value();
  }
  static json ask(LocalClient& client, const std::string& line) {
    client.send(line + "\n");
    return answer(client);
  }
  static json answer(LocalClient& client) {
    Result<std::string> line = client.receive(kPatience);
    return line ? json::parse(*line) : json{{"failed", line.error().message}};
  }
  static bool closed(LocalClient& client) {
    const Result<std::string> line = client.receive(kPatience);
    return !line && line.error().code == Errc::closed;
  }
  std::string log() {
    const std::lock_guard lock(log_mutex_);
    return log_;
  }

  FakeDevice device_;
  std::filesystem::path folder_;
  std::filesystem::path path_;
  posix::EventLoop loop_;
  std::mutex log_mutex_;
  std::string log_;
  std::vector<Look> looks_;  // under log_mutex_
  std::unique_ptr<LocalServer> server_;
  std::thread thread_;
};

TEST_F(LocalServerTest, TheSocketIsForOwnerAndGroup) {
  struct stat about {};
  ASSERT_EQ(::stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777U, 0660U);
}

TEST_F(LocalServerTest, PublishIsAnsweredByTheReceiptThatWasWanted) {
  LocalClient client = this->client();
  client.send(R"({"op":"publish","id":1,"topic":"t","payload":"a"})"
              "\n"
              R"({"op":"publish","id":2,"topic":"t","payload":"b","receipt":"delivered"})"
              "\n"
              R"({"op":"publish","id":3,"topic":"t","payload":"c","receipt":"none"})"
              "\n");
  ASSERT_TRUE(client.pump(kPatience));
  const auto published = device_.wait_published(3);
  EXPECT_EQ(published[1].message.topic, "t");
  EXPECT_FALSE(published[2].on_receipt);
  EXPECT_EQ(published[0].scope, ReceiptScope::accepted) << "nothing is kept while it is pending";
  EXPECT_EQ(published[1].scope, ReceiptScope::settled);
  published[0].on_receipt({.kind = ReceiptKind::accepted, .id = 11});
  published[1].on_receipt({.kind = ReceiptKind::accepted, .id = 12, .last = false});
  published[1].on_receipt({.kind = ReceiptKind::delivered, .id = 12});
  json line = answer(client);
  EXPECT_EQ(line["id"], 1);
  EXPECT_EQ(line["receipt"], "accepted");
  EXPECT_EQ(line["message_id"], 11);
  line = answer(client);
  EXPECT_EQ(line["id"], 2);
  EXPECT_EQ(line["receipt"], "delivered");
  EXPECT_EQ(ask(client, R"({"op":"ping","id":4})")["id"], 4);  // and nothing in between
}

TEST_F(LocalServerTest, AnEndThatCannotBeFollowedIsAnsweredByAcceptance) {
  LocalClient client = this->client();
  client.send("{\"op\":\"publish\",\"id\":1,\"topic\":\"t\",\"receipt\":\"delivered\"}\n");
  ASSERT_TRUE(client.pump(kPatience));
  device_.wait_published(1)[0].on_receipt({.kind = ReceiptKind::accepted, .id = 7, .last = true});
  const json line = answer(client);
  EXPECT_EQ(line["receipt"], "accepted");
  EXPECT_EQ(line["message_id"], 7);
}

TEST_F(LocalServerTest, RejectionsAreAnsweredAndAFullQueueMayBeTriedAgain) {
  LocalClient client = this->client();
  device_.reject_next(RejectReason::queue_full);
  json line = ask(client, R"({"op":"publish","id":1,"topic":"t"})");
  EXPECT_EQ(line, json::parse(R"({"id":1,"ok":false,"error":"queue_full","retry":true})"));
  device_.reject_next(RejectReason::invalid_topic);
  line = ask(client, R"({"op":"publish","id":2,"topic":"#","receipt":"none"})");
  EXPECT_EQ(line, json::parse(R"({"id":2,"ok":false,"error":"invalid_topic"})"));
}

TEST_F(LocalServerTest, TooManyReceiptsOwedAreAFullQueue) {
  LocalClient client = this->client();
  std::string lines;
  for (std::size_t i = 0; i <= kLocalReceiptsOwed; ++i) {
    lines += R"({"op":"publish","id":)" + std::to_string(i) + R"(,"topic":"t"})" + "\n";
  }
  client.send(lines);
  const json line = answer(client);
  EXPECT_EQ(line["id"], kLocalReceiptsOwed);
  EXPECT_EQ(line["error"], "queue_full");
  device_.wait_published(kLocalReceiptsOwed)[0].on_receipt({ReceiptKind::accepted, 1});
  EXPECT_EQ(answer(client)["id"], 0);
  client.send(R"({"op":"publish","id":9999,"topic":"t"})"
              "\n");
  ASSERT_TRUE(client.pump(kPatience));
  EXPECT_EQ(device_.wait_published(kLocalReceiptsOwed + 1).size(), kLocalReceiptsOwed + 1);
}

TEST_F(LocalServerTest, ManyPipelinedPublishesAreAllAnsweredInOrder) {
  constexpr std::size_t kCount = 3000;
  LocalClient client = this->client();
  Message message;
  message.topic = "t";
  for (std::size_t i = 0; i < kCount; ++i) {
    client.send(publish_line(i, message, WantedReceipt::accepted));
  }
  std::thread device([&] {
    std::size_t done = 0;
    while (done < kCount) {
      const auto published = device_.wait_published(done + 1);
      for (; done < published.size(); ++done) {
        published[done].on_receipt({ReceiptKind::accepted, done + 1});
      }
    }
  });
  for (std::size_t i = 0; i < kCount; ++i) {
    const json line = answer(client);
    ASSERT_EQ(line["id"], i) << line;
    ASSERT_EQ(line["message_id"], i + 1);
  }
  device.join();
}

TEST_F(LocalServerTest, SubscriptionsBringMessagesUntilTheyEnd) {
  LocalClient client = this->client();
  json line = ask(client, R"({"op":"subscribe","id":1,"filter":"a/+","qos":1})");
  ASSERT_EQ(line["ok"], true) << line;
  const std::uint64_t number = line["subscription"];
  InboundMessage message;
  message.topic = "a/b";
  message.payload = {std::byte{'x'}};
  device_.deliver(message);
  line = answer(client);
  EXPECT_EQ(line["event"], "message");
  EXPECT_EQ(line["subscription"], number);
  EXPECT_EQ(line["payload"], "x");
  const std::string end = R"({"op":"unsubscribe","id":2,"subscription":)" + std::to_string(number);
  EXPECT_EQ(ask(client, end + "}")["ok"], true);
  EXPECT_TRUE(device_.wait_handlers(0));
  EXPECT_EQ(ask(client, end + "}")["error"],
            "field \"subscription\": this connection has none of that number");
  EXPECT_EQ(ask(client, R"({"op":"subscribe","id":3,"filter":"bad"})")["error"],
            "a filter that is bad");
}

TEST_F(LocalServerTest, AMessageIsTakenWhenItsProgramHasAcknowledgedIt) {
  LocalClient first = client();
  const std::string wish = R"({"op":"subscribe","id":1,"filter":"a/+","acknowledge":true})";
  ASSERT_EQ(ask(first, wish)["ok"], true);
  std::atomic<int> taken{0};
  InboundMessage message;
  message.topic = "a/b";
  message.qos = Qos::at_least_once;
  const auto deliver = [&](const std::string& text) {
    message.payload = {std::byte(text[0])};
    device_.deliver(message, Hold(&taken, [&](const void*) { ++taken; }));
  };
  deliver("x");
  deliver("y");
  json line = answer(first);
  EXPECT_EQ(line["payload"], "x");
  EXPECT_FALSE(line.contains("duplicate"));
  EXPECT_EQ(answer(first)["payload"], "y");
  EXPECT_EQ(taken, 0);
  line =
      ask(first, R"({"op":"acknowledge","id":2,"deliveries":[)" + line["delivery"].dump() + "]}");
  EXPECT_EQ(line["acknowledged"], 1);
  EXPECT_EQ(taken, 1);
  { const LocalClient gone = std::move(first); }
  LocalClient second = client();
  ASSERT_EQ(ask(second, wish)["ok"], true);
  line = answer(second);
  EXPECT_EQ(line["payload"], "y");
  EXPECT_EQ(line["duplicate"], true);
  EXPECT_TRUE(device_.wait_handlers(1)) << "the group was kept";
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(ask(second, R"({"op":"unsubscribe","id":3,"subscription":2})")["ok"], true);
  EXPECT_TRUE(device_.wait_handlers(0));
  EXPECT_EQ(taken, 2) << "given up";
  EXPECT_NE(log().find("given up, since nobody is there"), std::string::npos);
  EXPECT_EQ(ask(second, R"({"op":"subscribe","filter":"bad","acknowledge":true})")["error"],
            "a filter that is bad");
}

TEST_F(LocalServerTest, ARequestIsAnsweredByItsResponse) {
  LocalClient client = this->client();
  json line = ask(client, R"({"op":"request","id":1,"topic":"t","payload":"x","timeout_ms":1500})");
  EXPECT_EQ(line["id"], 1);
  EXPECT_EQ(line["response"]["topic"], "answers");
  EXPECT_EQ(line["response"]["payload"], "x");
  line = ask(client, R"({"op":"request","id":2,"topic":"late","timeout_ms":1500})");
  EXPECT_EQ(line["ok"], false);
  EXPECT_EQ(line["error"], "timed_out");
  line = ask(client, R"({"op":"request","id":3,"topic":"full","timeout_ms":1500})");
  EXPECT_EQ(line["error"], "too many");
  EXPECT_EQ(line["retry"], true);
  line = ask(client, R"({"op":"request","topic":"t","durability":"durable"})");
  EXPECT_EQ(line["error"], "field \"durability\": is not a field of this op");
}

TEST_F(LocalServerTest, WhatBelongsToNoSubscriptionCanBeWanted) {
  LocalClient client = this->client();
  const json line = ask(client, R"({"op":"subscribe_unmatched","id":1})");
  ASSERT_EQ(line["ok"], true);
  ASSERT_TRUE(device_.wait_handlers(1));
  InboundMessage message;
  message.topic = "stray";
  device_.deliver(message);
  const json event = answer(client);
  EXPECT_EQ(event["subscription"], line["subscription"]);
  EXPECT_EQ(event["topic"], "stray");
}

TEST_F(LocalServerTest, SubscriptionsEndWithTheirClient) {
  {
    LocalClient client = this->client();
    ASSERT_EQ(ask(client, R"({"op":"subscribe","filter":"a"})")["ok"], true);
    ASSERT_TRUE(device_.wait_handlers(1));
  }
  EXPECT_TRUE(device_.wait_handlers(0));
}

TEST_F(LocalServerTest, APingIsAnsweredWithTheWorkOfEachPart) {
  LocalClient client = this->client();
  const json line = ask(client, R"({"op":"ping","id":1})");
  EXPECT_EQ(line["ok"], true);
  EXPECT_EQ(line["progress"],
            json::parse(R"({"loop":7,"engine":6,"storage":8,"callbacks":9,"applications":10})"));
}

TEST_F(LocalServerTest, AHeartbeatBeginsIsSeenAndEnds) {
  LocalClient client = this->client();
  EXPECT_EQ(ask(client, R"({"op":"heartbeat","id":1,"name":"pump","every_ms":500})"),
            json::parse(R"({"id":1,"ok":true})"));
  const json status = ask(client, R"({"op":"status","id":2})")["status"];
  EXPECT_EQ(status["heartbeats"], json::parse(R"([{"name":"pump","phase":"beating","every_ms":500,
    "silent_ms":0,"misses":0,"watchdog":false}])"));
  EXPECT_EQ(ask(client, R"({"op":"heartbeat","id":3,"name":"bad"})")["error"],
            "a heartbeat that is one too many");
  EXPECT_EQ(ask(client, R"({"op":"heartbeat_end","id":4,"name":"pump"})")["ok"], true);
  EXPECT_EQ(ask(client, R"({"op":"heartbeat_end","id":5,"name":"pump"})")["ok"], false);
}

TEST_F(LocalServerTest, WhatTheUpdaterTellsIsShownAndThatItHasGone) {
  LocalClient viewer = this->client();
  const auto shown = [&] {
    return ask(viewer, R"({"op":"status"})")["status"].value("jobs", json());
  };
  EXPECT_TRUE(shown().is_null());
  {
    LocalClient updater = this->client();
    EXPECT_EQ(ask(updater, R"({"op":"jobs","job":"u-7","words":"2 of 6, download","step":2,)"
                           R"("steps":6,"percent":40,"last_job":"u-6","last_status":"FAILED",)"
                           R"("last_words":"ill","versions":{"pump":"1.1"}})")["ok"],
              true);
    EXPECT_EQ(shown(), json::parse(R"({"job":"u-7","words":"2 of 6, download","step":2,"steps":6,
      "percent":40,"last":{"job":"u-6","status":"FAILED","words":"ill"},
      "versions":{"pump":"1.1"}})"));
    EXPECT_EQ(ask(updater, R"({"op":"jobs"})")["ok"], true);
    EXPECT_EQ(shown(), json::parse(R"({"job":"","words":"","versions":{}})"));
  }
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!shown().contains("gone_ms")) ASSERT_LT(std::chrono::steady_clock::now(), end);
}

TEST_F(LocalServerTest, ThePowersEndIsAnsweredOnceAllIsSafe) {
  LocalClient client = this->client();
  EXPECT_EQ(ask(client, R"({"op":"power_fail","id":1,"detail":"gpio"})").dump(),
            R"({"id":1,"ok":true,"saved_ms":12})");
  EXPECT_EQ(device_.power_fails, "gpio");
  EXPECT_EQ(ask(client, R"({"op":"power_back","id":2})")["ok"], true);
  EXPECT_EQ(device_.power_fails, "");
  EXPECT_EQ(ask(client, R"({"op":"power_fail","id":3,"detail":"slow"})")["error"],
            "not everything that was accepted could be saved in time");
  EXPECT_EQ(ask(client, R"({"op":"going_down","id":4,"reason":"update"})")["error"],
            "this program keeps no record of boots; holdfastd does");
}

TEST_F(LocalServerTest, StatusReconnectAndEvents) {
  LocalClient client = this->client();
  EXPECT_EQ(ask(client, R"({"op":"status","id":1})")["status"]["backlog"], 5);
  EXPECT_EQ(ask(client, R"({"op":"reconnect","id":2})")["ok"], true);
  EXPECT_EQ(device_.reconnects, 1);
  EXPECT_EQ(ask(client, R"({"op":"events","id":3})")["ok"], true);
  EXPECT_EQ(answer(client)["state"], "connected");
  ConnectionState state;
  state.state = LinkState::waiting;
  state.verdict = Verdict::server_gone;
  on_loop([&] { server_->connection_changed(state); });
  const json line = answer(client);
  EXPECT_EQ(line["event"], "connection");
  EXPECT_EQ(line["verdict"], "server_gone");
  IdentityState identity;
  identity.phase = RotationPhase::trying;
  on_loop([&] { server_->identity_changed(identity); });
  const json told = answer(client);
  EXPECT_EQ(told["event"], "identity");
  EXPECT_EQ(told["phase"], "trying");
}

TEST_F(LocalServerTest, MalformedLinesAreAnsweredAndTheConnectionStays) {
  LocalClient client = this->client();
  EXPECT_EQ(ask(client, "{\"op\"")["error"], "not JSON at offset 6; send one object a line");
  EXPECT_EQ(ask(client, R"({"op":"fly","id":9})")["id"], 9);
  client.send("\n\r\n");  // empty lines are nothing
  EXPECT_EQ(ask(client, "{\"op\":\"ping\",\"id\":1}\r")["ok"], true);
}

TEST_F(LocalServerTest, AnOversizeLineIsAnsweredAndEndsTheConnection) {
  LocalClient client = this->client();
  client.send(std::string(limits::kLocalLine + 2, 'x'));
  const json line = answer(client);
  EXPECT_EQ(line["ok"], false);
  EXPECT_EQ(line["error"], "a line has more than 524288 bytes; send smaller messages");
  EXPECT_TRUE(closed(client));
  LocalClient other = this->client();
  EXPECT_EQ(ask(other, R"({"op":"ping"})")["ok"], true);
}

TEST_F(LocalServerTest, TheLargestLineIsTaken) {
  LocalClient client = this->client();
  std::string line = R"({"op":"ping","id":1})";
  line.append(limits::kLocalLine - line.size(), ' ');
  EXPECT_EQ(ask(client, line)["ok"], true);
}

TEST_F(LocalServerTest, AReaderThatDoesNotReadIsCutAndLogged) {
  LocalClient client = this->client();
  ASSERT_EQ(ask(client, R"({"op":"subscribe","filter":"#"})")["ok"], true);
  InboundMessage message;
  message.topic = "t";
  message.payload = Bytes(64 * limits::kKiB, std::byte{'x'});
  for (int i = 0; i < 64; ++i) {
    device_.deliver(message);
    on_loop([] {});
  }
  EXPECT_TRUE(device_.wait_handlers(0));
  EXPECT_NE(log().find("does not read what it subscribed to fast enough"), std::string::npos);
  LocalClient other = this->client();
  EXPECT_EQ(ask(other, R"({"op":"ping"})")["ok"], true);
}

TEST_F(LocalServerTest, APipelinerThatReadsLateLosesNoAnswer) {
  constexpr std::size_t kCount = 3000;  // far more than half of the backlog, in status lines
  LocalClient client = this->client();
  for (std::size_t i = 0; i < kCount; ++i) client.send(op_line(i, "status"));
  while (client.unsent() > 0) {
    const Result<bool> pumped = client.pump(kPatience);
    ASSERT_TRUE(pumped);
  }
  for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(answer(client)["id"], i);
}

TEST_F(LocalServerTest, TheClientOverTheLimitIsToldAndRoomIsMadeByLeaving) {
  std::vector<LocalClient> clients;
  for (std::size_t i = 0; i < limits::kLocalClients; ++i) {
    clients.push_back(client());
    ASSERT_EQ(ask(clients.back(), R"({"op":"ping"})")["ok"], true);
  }
  {
    LocalClient one_more = client();
    EXPECT_EQ(answer(one_more)["error"], "too many clients; at most 32 connect at once");
    EXPECT_TRUE(closed(one_more));
  }
  ASSERT_EQ(ask(clients.front(), R"({"op":"subscribe","filter":"a"})")["ok"], true);
  clients.erase(clients.begin());
  ASSERT_TRUE(device_.wait_handlers(0));  // the server has noticed
  LocalClient next = client();
  EXPECT_EQ(ask(next, R"({"op":"ping"})")["ok"], true);
}

TEST_F(LocalServerTest, AHalfClosedClientStillGetsItsReceipts) {
  Result<posix::UniqueFd> fd = connect_to(path_);
  ASSERT_TRUE(fd) << fd.error().message;
  const std::string line = R"({"op":"publish","id":1,"topic":"t"})"
                           "\n";
  ASSERT_EQ(::send(fd->get(), line.data(), line.size(), 0), static_cast<ssize_t>(line.size()));
  ASSERT_EQ(::shutdown(fd->get(), SHUT_WR), 0);
  const auto published = device_.wait_published(1);
  on_loop([] {});
  published[0].on_receipt({ReceiptKind::accepted, 8});
  std::string all;
  char block[256];
  ASSERT_EQ(::fcntl(fd->get(), F_SETFL, 0), 0);
  for (ssize_t got = 1; got > 0;) {
    got = ::recv(fd->get(), block, sizeof(block), 0);
    if (got > 0) all.append(block, static_cast<std::size_t>(got));
  }
  EXPECT_EQ(all, "{\"id\":1,\"ok\":true,\"receipt\":\"accepted\",\"message_id\":8}\n");
}

TEST_F(LocalServerTest, ALivingServersSocketIsInUse) {
  const auto second = LocalServer::open(loop_, device_, {path_, {}, {}, {}});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::in_use);
  EXPECT_EQ(second.error().message, "local.socket: " + path_.string() + " is in use by process " +
                                        std::to_string(::getpid()) +
                                        "; stop it or give another path");
}

TEST_F(LocalServerTest, ADeadServersSocketIsReplacedAndAnotherFileIsNot) {
  const auto stale = folder_ / "stale.sock";
  {
    Result<ListeningSocket> dead = listen_at(stale);
    ASSERT_TRUE(dead) << dead.error().message;
  }  // closed, but the file stays: as after kill -9
  ASSERT_TRUE(std::filesystem::exists(stale));
  {
    const auto server = LocalServer::open(loop_, device_, {stale, {}, {}, {}});
    ASSERT_TRUE(server) << server.error().message;
  }
  EXPECT_FALSE(std::filesystem::exists(stale));  // removed in order
  std::ofstream(stale) << "precious";
  const auto refused = LocalServer::open(loop_, device_, {stale, {}, {}, {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "local.socket: " + stale.string() +
                " exists and is not a socket; remove it or give another path");
}

TEST_F(LocalServerTest, OnlyOurUserRootAndTheGroupAreAllowed) {
  Result<posix::UniqueFd> fd = connect_to(path_);
  ASSERT_TRUE(fd);
  const Peer peer = peer_of(fd->get(), ::getegid() + 4711);
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_TRUE(peer.allowed) << "the same user";
}

// Field lesson 56.
TEST_F(LocalServerTest, WithoutDescriptorsItPausesInsteadOfSpinning) {
  if (posix::kAddressSanitizer) GTEST_SKIP() << "the sanitizer's own checks need descriptors";
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  Result<posix::UniqueFd> fd = connect_to(path_);  // in the accept queue or accepted
  ASSERT_TRUE(fd);
  on_loop([] {});
  // Only the next descriptor for the connecting side is left.
  const int next = ::dup(fd->get());
  ::close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  LocalClient waiting = client();
  waiting.send("{\"op\":\"ping\",\"id\":1}\n");
  ASSERT_TRUE(waiting.pump(kPatience));
  while (log().empty()) on_loop([] {});
  const std::clock_t used = std::clock();                        // by all threads of this process
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // two more tries
  EXPECT_LT(std::clock() - used, CLOCKS_PER_SEC / 5) << "it spins";
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(answer(waiting)["id"], 1);  // served as soon as there are descriptors again
  EXPECT_EQ(log(),
            "cannot accept clients: Too many open files; trying again each "
            "second\n");
}

TEST_F(LocalServerTest, QuestionsToTheOutboxAreBoundedAndAnsweredByItsThread) {
  auto client = this->client();
  EXPECT_EQ(ask(client, R"({"op":"outbox_list","limit":0})")["error"],
            "field \"limit\": is not a whole number, 1 to 1000");
  EXPECT_EQ(ask(client, R"({"op":"outbox_message"})")["error"], "field \"message_id\": is missing");
  for (std::size_t i = 0; i < kLocalLooksOwed; ++i) {
    client.send(R"({"op":"outbox_list","id":1})"
                "\n");
  }
  const json refused = ask(client, R"({"op":"outbox_stat","id":2})");
  EXPECT_EQ(refused["error"], "queue_full");
  EXPECT_TRUE(refused["retry"].get<bool>());
  auto disk = posix::open_disk(folder_ / "outbox").value();
  auto clock = posix::make_clock();
  auto random = posix::make_random();
  outbox::RecoveryReport report;
  auto store = outbox::Outbox::open(*disk, *clock, *random, {}, report).value();
  std::vector<Look> looks;
  {
    const std::lock_guard lock(log_mutex_);
    looks.swap(looks_);
  }
  ASSERT_EQ(looks.size(), kLocalLooksOwed);
  for (Look& look : looks) EXPECT_TRUE(look(*store));
  for (std::size_t i = 0; i < kLocalLooksOwed; ++i) {
    const json listed = answer(client);
    EXPECT_TRUE(listed["ok"].get<bool>());
    EXPECT_TRUE(listed["messages"].empty());
  }
  client.send(R"({"op":"outbox_stat","id":3})"
              "\n");
  EXPECT_TRUE(ask(client, R"({"op":"ping"})")["ok"].get<bool>()) << "others do not wait for it";
}

TEST_F(LocalServerTest, LogLevelsAreSetAndTheLastLinesGivenAndSent) {
  LocalClient client = this->client();
  const json set = ask(client, R"({"op":"log_level","id":1,"area":"outbox","level":"debug"})");
  EXPECT_EQ(set["levels"]["outbox"], "debug");
  EXPECT_EQ(set["levels"]["flow"], "info");
  EXPECT_NE(log().find("log level of outbox: debug (asked by process "), std::string::npos);
  const json last = ask(client, R"({"op":"logs","id":2,"limit":1})");
  ASSERT_EQ(last["lines"].size(), 1U);
  EXPECT_EQ(last["lines"][0]["area"], "agent");
  EXPECT_EQ(ask(client, R"({"op":"send_logs","id":3})")["error"], "no topic");
  client.send(R"({"op":"send_logs","id":4,"topic":"logs/here","limit":9})"
              "\n");
  ASSERT_TRUE(client.pump(kPatience));
  const auto published = device_.wait_published(1);
  EXPECT_EQ(published[0].message.topic, "logs/here");
  EXPECT_EQ(published[0].message.key, "9");
  published[0].on_receipt({.kind = ReceiptKind::accepted, .id = 11});
  const json accepted = answer(client);
  EXPECT_EQ(accepted["id"], 4);
  EXPECT_EQ(accepted["message_id"], 11);
}

TEST_F(LocalServerTest, HandlersThatOutliveTheServerDoNothing) {
  LocalClient client = this->client();
  client.send(R"({"op":"publish","id":1,"topic":"t"})"
              "\n");
  ASSERT_TRUE(client.pump(kPatience));
  const auto published = device_.wait_published(1);
  on_loop([this] { server_.reset(); });
  published[0].on_receipt({ReceiptKind::accepted, 1});
  EXPECT_TRUE(closed(client));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST(LocalClient, SaysHowToReachAnAgentThatIsNotThere) {
  const auto client = LocalClient::connect("/nonexistent/h.sock");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Errc::not_found);
  EXPECT_EQ(client.error().message,
            "cannot reach the agent at /nonexistent/h.sock: No such file or directory; start "
            "holdfastd or give its --socket");
}

}  // namespace
}  // namespace holdfast::runtime
