// Goal: a prefix stands before every topic at the broker, and nowhere else.
#include "flow/prefix.h"

#include <gtest/gtest.h>

namespace holdfast::flow {
namespace {

TEST(PrefixTest, stands_before_topics_and_filters) {
  EXPECT_EQ(with_prefix("eu/", std::string_view("pump/7")), "eu/pump/7");
  EXPECT_EQ(with_prefix("eu/", std::string_view("#")), "eu/#");
  EXPECT_EQ(with_prefix("", std::string_view("pump/7")), "pump/7");
  EXPECT_EQ(with_prefix("eu/", std::string_view("")), "") << "no response topic stays none";
}

TEST(PrefixTest, leaves_alone_what_belongs_to_the_broker) {
  EXPECT_EQ(with_prefix("eu/", std::string_view("$aws/things/x/jobs/get")),
            "$aws/things/x/jobs/get");
  EXPECT_EQ(with_prefix("eu/", std::string_view("$share/group/pump/+")), "$share/group/eu/pump/+");
  EXPECT_EQ(with_prefix("eu/", std::string_view("$share/group/$aws/x")), "$share/group/$aws/x");
  EXPECT_EQ(with_prefix("eu/", std::string_view("$share/broken")), "$share/broken");
}

TEST(PrefixTest, is_taken_from_what_comes) {
  InboundMessage message;
  message.topic = "eu/pump/7";
  message.response_topic = "eu/pump/answers";
  take_prefix("eu/", message);
  EXPECT_EQ(message.topic, "pump/7");
  EXPECT_EQ(message.response_topic, "pump/answers");
  take_prefix("eu/", message);
  EXPECT_EQ(message.topic, "pump/7") << "what has none is left";
}

TEST(PrefixTest, a_message_is_copied_only_where_there_is_one) {
  auto message = std::make_shared<StoredMessage>();
  message->topic = "pump/7";
  message->response_topic = "pump/answers";
  EXPECT_EQ(with_prefix("", MessagePtr(message)), message);
  const MessagePtr sent = with_prefix("eu/", MessagePtr(message));
  EXPECT_EQ(sent->topic, "eu/pump/7");
  EXPECT_EQ(sent->response_topic, "eu/pump/answers");
  EXPECT_EQ(message->topic, "pump/7") << "the outbox's own stays as it was";
}

}  // namespace
}  // namespace holdfast::flow
