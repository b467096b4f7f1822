// Goal:   orders are answered one line for one line, wrong ones with what is wrong.
// Method: a client over the real Unix socket.
#include "lab/net/control.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <boost/asio/local/stream_protocol.hpp>

#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

class ControlTest : public NetTest {
 protected:
  ControlTest() {
    path = file("control");
    control.add("double", [](const Json& request, ControlSession&) -> Result<Json> {
      const auto number = request.find("number");
      if (number == request.end() || !number->is_number_integer()) {
        return Error{Errc::invalid_argument, "number is no whole number"};
      }
      return Json(number->get<int>() * 2);
    });
    add_trace_operation(control, trace);
    EXPECT_TRUE(control.listen(path).ok());
    client = join();
    answers = read_all(client);
  }

  std::shared_ptr<Stream> join() {
    std::shared_ptr<Stream> out;
    Endpoint at;
    at.path = path;
    connect(loop, at, [&](auto connected) { out = *connected; });
    EXPECT_TRUE(until([&] { return out != nullptr; }));
    return out;
  }

  // The answer to one line.
  Json ask(const std::string& line) {
    answers->bytes.clear();
    write(client, line + "\n");
    EXPECT_TRUE(until([&] { return answers->bytes.find('\n') != std::string::npos; })) << line;
    return Json::parse(answers->bytes, nullptr, false);
  }

  std::string path;
  Control control{loop};
  std::shared_ptr<Stream> client;
  std::shared_ptr<Reader> answers;
};

TEST_F(ControlTest, AnswersWithTheRequestsId) {
  EXPECT_EQ(ask(R"({"id":7,"op":"double","number":21})").dump(), R"({"id":7,"ok":42})");
  EXPECT_EQ(ask(R"({"id":"a","op":"double","number":1})").dump(), R"({"id":"a","ok":2})");
  EXPECT_EQ(ask(R"({"op":"double","number":1})").dump(), R"({"ok":2})");
}

TEST_F(ControlTest, SaysWhatIsWrong) {
  EXPECT_EQ(ask(R"({"id":1,"op":"double","number":"x"})")["error"], "number is no whole number");
  EXPECT_EQ(ask(R"({"id":1,"op":"fly"})")["known"], Json::array({"double", "trace"}));
  EXPECT_EQ(ask(R"({"id":1})")["error"], "op is missing, or no string");
  for (const char* line : {"", "nonsense", "[1]", "{\"op\":", "\xff\xfe", "null"}) {
    EXPECT_EQ(ask(line)["error"], "a request is one JSON object on one line") << line;
  }
}

TEST_F(ControlTest, TakesSeveralRequestsAtOnceAndInPieces) {
  write(client, "{\"id\":1,\"op\":\"double\",\"number\":1}\n{\"id\":2,\"op\":\"double\",\"num");
  write(client, "ber\":2}\n");
  EXPECT_TRUE(
      until([&] { return answers->bytes == "{\"id\":1,\"ok\":2}\n{\"id\":2,\"ok\":4}\n"; }));
}

TEST_F(ControlTest, EndsASessionWhoseLineNeverEnds) {
  const std::string much(Control::kLongestLine + 1, ' ');
  client->write(much, [](const ErrorCode&) {});
  EXPECT_TRUE(until([&] { return answers->end.has_value(); }));
}

TEST_F(ControlTest, SubscribersGetTheTrace) {
  EXPECT_TRUE(ask(R"({"op":"trace"})").contains("ok"));
  answers->bytes.clear();
  trace.event("something", 3, {{"how", "well"}});
  ASSERT_TRUE(until([&] { return answers->bytes.find('\n') != std::string::npos; }));
  const Json line = Json::parse(answers->bytes);
  EXPECT_EQ(line["ev"], "something");
  EXPECT_EQ(line["conn"], 3);
  EXPECT_EQ(line["how"], "well");
}

TEST_F(ControlTest, ASubscriberThatDoesNotReadIsDropped) {
  const auto lazy = join();
  write(lazy, "{\"op\":\"trace\"}\n");
  turn_for(std::chrono::milliseconds(50));
  const Json much{{"words", std::string(100'000, 'm')}};
  for (int i = 0; i < 80; ++i) {
    trace.event("much", 0, much);
    turn_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(until([&] { return lazy->peer_is_gone(); }));
}

TEST_F(ControlTest, IsForTheOwnerOnlyAndNotTakenOver) {
  struct stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600U);
  Control second(loop);
  EXPECT_EQ(second.listen(path).error().code, Errc::in_use);
  EXPECT_EQ(second.listen(std::string(300, 'p')).error().code, Errc::invalid_argument);
  EXPECT_FALSE(second.listen("no/such/folder/socket").ok());
}

TEST_F(ControlTest, ASocketThatNobodyServesIsReplaced) {
  {
    boost::asio::local::stream_protocol::acceptor left(loop.context(),
                                                       {file("left")});  // Not removed at its end.
  }
  Control second(loop);
  EXPECT_TRUE(second.listen(file("left")).ok());
}

}  // namespace
}  // namespace holdfast::lab::net
