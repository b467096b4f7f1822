// Goal:   questions to MQTT-based file delivery are written, and its answers read, as the service
//         has them.
// Source: AWS IoT Core, "MQTT-based file delivery": the bitmap of blocks 20, 21, 24 and 43 is its
// example.
#include "messages.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace holdfast::updater {
namespace {

using nlohmann::json;
using update::StreamQuestion;

const StreamTopics kTopics("pump", "s-1");

TEST(StreamMessagesTest, QuestionsNameTheBlocksThatAreMissing) {
  StreamQuestion question{StreamQuestion::Kind::get,      "t", 4, 7, 20,
                          0b1000'0000'0000'0000'0001'0011};
  EXPECT_EQ(kTopics.topic_of(question), "$aws/things/pump/streams/s-1/get/json");
  EXPECT_EQ(json::parse(payload_of(question)),
            (json{{"c", "t"}, {"s", 4}, {"f", 7}, {"l", 16384}, {"o", 20}, {"b", "130080"}}));
  question.kind = StreamQuestion::Kind::describe;
  EXPECT_EQ(kTopics.topic_of(question), "$aws/things/pump/streams/s-1/describe/json");
  EXPECT_EQ(payload_of(question), R"({"c":"t"})");
}

TEST(StreamMessagesTest, AnswersAreRead) {
  const std::string prefix = "$aws/things/pump/streams/s-1/";
  const auto description =
      kTopics.read(prefix + "description/json",
                   R"({"c":"t","s":3,"d":"x","r":[{"f":0,"z":9},{"f":1,"z":256}]})");
  EXPECT_EQ(description.token, "t");
  const auto& what = std::get<update::StreamDescription>(description.what);
  EXPECT_EQ(what.version, 3);
  EXPECT_EQ(what.files, (std::vector<std::pair<std::uint32_t, std::uint64_t>>{{0, 9}, {1, 256}}));

  const auto data = kTopics.read(prefix + "data/json", R"({"c":"t","f":7,"l":3,"i":5,"p":"YWJj"})");
  const auto& block = std::get<StreamBlock>(data.what);
  EXPECT_EQ(block.file, 7U);
  EXPECT_EQ(block.index, 5U);
  EXPECT_EQ(block.bytes, "abc");

  for (const char* const refusal : {R"({"o":"ETagMismatch","m":"x","c":"t"})",
                                    R"({"code":"ETagMismatch","message":"x","clientToken":"t"})"}) {
    const auto rejected = kTopics.read(prefix + "rejected/json", refusal);
    EXPECT_EQ(rejected.token, "t");
    EXPECT_EQ(std::get<StreamRefusal>(rejected.what).code, "ETagMismatch");
  }
}

TEST(StreamMessagesTest, WhatIsNoneIsNothing) {
  const std::string data = "$aws/things/pump/streams/s-1/data/json";
  for (const char* const wrong :
       {"", "[]", R"({"f":7,"l":3,"i":5})", R"({"f":7,"l":4,"i":5,"p":"YWJj"})",
        R"({"f":256,"l":3,"i":5,"p":"YWJj"})", R"({"f":7,"l":3,"i":-1,"p":"YWJj"})",
        R"({"f":7,"l":3,"i":5,"p":"YW*j"})", R"({"f":"7","l":3,"i":5,"p":"YWJj"})"}) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(kTopics.read(data, wrong).what)) << wrong;
  }
  const auto other = kTopics.read("$aws/things/pump/streams/s-2/data/json",
                                  R"({"c":"t","f":7,"l":3,"i":5,"p":"YWJj"})");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(other.what));
}

}  // namespace
}  // namespace holdfast::updater
