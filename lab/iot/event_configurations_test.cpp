// Goal:   events are published only of the kinds that an account has switched on.
// Method: the operations of the API, and the registry that asks for them.
#include "lab/iot/event_configurations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lab/iot/registry_fixture.h"

namespace holdfast::lab::iot {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class LabEvents : public RegistryFixture {
 protected:
  LabEvents() { registry_.set_events(&events_); }
  ApiResult operate(const std::string& operation, const Json& input) {
    Answers none;
    return events_.call(now_, operation, input, none);
  }
  void set(const std::string& key, bool on) {
    const ApiResult result =
        operate("UpdateEventConfigurations", {{"eventConfigurations", {{key, {{"Enabled", on}}}}}});
    EXPECT_TRUE(std::holds_alternative<Json>(result));
  }
  EventConfigurations events_;
};

TEST_F(LabEvents, OfThingsAreOffUntilSwitchedOn) {
  must("CreateThing", {{"thingName", "quiet"}});
  EXPECT_THAT(answers_.all, IsEmpty());
  set("THING", true);
  must("CreateThing", {{"thingName", "pump"}});
  must("CreateThing", {{"thingName", "pump"}});  // It is there already: no event.
  must("UpdateThing",
       {{"thingName", "pump"}, {"attributePayload", {{"attributes", {{"site", "north"}}}}}});
  must("DeleteThing", {{"thingName", "pump"}});
  ASSERT_EQ(answers_.all.size(), 3U);
  EXPECT_EQ(answers_.all[0].topic, "$aws/events/thing/pump/created");
  EXPECT_EQ(answers_.all[2].topic, "$aws/events/thing/pump/deleted");
  EXPECT_EQ(answers_.all[1].topic, "$aws/events/thing/pump/updated");
  const Json event = parsed(answers_.all[1].payload);
  EXPECT_EQ(event["eventType"], "THING_EVENT");
  EXPECT_EQ(event["operation"], "UPDATED");
  EXPECT_EQ(event["versionNumber"], 2);
  EXPECT_EQ(event["thingTypeName"], nullptr);
  EXPECT_EQ(event["attributes"], Json({{"site", "north"}}));
  set("THING", false);
  must("CreateThing", {{"thingName", "silent"}});
  EXPECT_EQ(answers_.all.size(), 3U);
}

TEST_F(LabEvents, AreDescribedAndKept) {
  set("JOB", true);
  set("POLICY", true);
  EventConfigurations other;
  ASSERT_TRUE(other.load(events_.save()));
  EXPECT_TRUE(other.enabled("JOB"));
  EXPECT_FALSE(other.enabled("JOB_EXECUTION"));
  Answers none;
  const ApiResult said = other.call(now_, "DescribeEventConfigurations", Json::object(), none);
  const Json& described = std::get<Json>(said);
  EXPECT_EQ(described["eventConfigurations"].size(), 11U);
  EXPECT_EQ(described["eventConfigurations"]["POLICY"], Json({{"Enabled", true}}));
  EXPECT_EQ(described["eventConfigurations"]["THING"], Json({{"Enabled", false}}));
  EXPECT_EQ(described["creationDate"], static_cast<double>(kNow.ms) / 1000);
  EXPECT_FALSE(other.load({{"enabled", {"DEVICE"}}}));
  EXPECT_TRUE(other.enabled("JOB"));
}

TEST_F(LabEvents, OfAnotherKindAreRefusedWhole) {
  const ApiResult said = operate(
      "UpdateEventConfigurations",
      {{"eventConfigurations", {{"THING", {{"Enabled", true}}}, {"DEVICE", {{"Enabled", true}}}}}});
  ASSERT_TRUE(std::holds_alternative<ApiError>(said));
  EXPECT_THAT(std::get<ApiError>(said).message, HasSubstr("eventConfigurations.DEVICE is no kind"));
  EXPECT_FALSE(events_.enabled("THING"));
  for (const Json& wrong : {Json{{"eventConfigurations", {{"THING", true}}}},
                            Json{{"eventConfigurations", {{"THING", {{"Enabled", 1}}}}}},
                            Json{{"events", Json::object()}}}) {
    EXPECT_TRUE(std::holds_alternative<ApiError>(operate("UpdateEventConfigurations", wrong)));
  }
}

}  // namespace
}  // namespace holdfast::lab::iot
