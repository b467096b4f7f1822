// Shadows: the answers that AWS documents, byte for byte where it documents them.
#include "lab/iot/shadow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "lab/iot/service_fixture.h"
#include "lab/iot/shadow_json.h"

namespace holdfast::lab::iot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr WallTime kNow{1'700'000'000'500};
constexpr std::string_view kClassic = "$aws/things/pump/shadow/";
constexpr std::string_view kNamed = "$aws/things/pump/shadow/name/setup/";

class OneThing final : public ThingBook {
 public:
  [[nodiscard]] bool has_thing(std::string_view name) const override { return name == "pump"; }
};

class LabShadow : public testing::Test {
 protected:
  explicit LabShadow(ShadowOptions options = {}) : shadows_(options, things_) {}

  /// What a request publishes: "TOPIC PAYLOAD" each, the prefix of the shadow left out.
  std::vector<std::string> ask(const std::string& verb, const std::string& payload,
                               std::string_view prefix = kClassic, WallTime now = kNow) {
    const mqtt::Publish message = message_to(std::string(prefix) + verb, payload);
    EXPECT_EQ(shadows_.claims(message.topic), Claim::also) << message.topic;
    Answers out;
    shadows_.on_request(now, {}, message, out);
    std::vector<std::string> all;
    for (const Answer& answer : out.all) {
      EXPECT_EQ(answer.to, Answer::To::broker);
      EXPECT_TRUE(answer.topic.starts_with(prefix)) << answer.topic;
      all.push_back(answer.topic.substr(prefix.size()) + ' ' + answer.payload);
    }
    return all;
  }
  /// The first of them.
  std::string first(const std::string& verb, const std::string& payload,
                    std::string_view prefix = kClassic, WallTime now = kNow) {
    const auto all = ask(verb, payload, prefix, now);
    return all.empty() ? "nothing" : all.front();
  }
  /// The code and words of a refusal, after the shadow was shown to have answered only with it.
  std::string refusal(const std::string& verb, const std::string& payload,
                      std::string_view prefix = kClassic, WallTime now = kNow) {
    const auto all = ask(verb, payload, prefix, now);
    if (all.size() != 1 || !all[0].starts_with(verb + "/rejected ")) return "no refusal";
    const auto body = parse_json(std::string_view(all[0]).substr(verb.size() + 10));
    return dump((*body)["code"]) + ' ' + *string_in(*body, "message");
  }
  Json state() {
    const auto body = parse_json(std::string_view(first("get", "")).substr(13));
    return body ? *body : Json();
  }

  OneThing things_;
  Shadows shadows_;
};

TEST_F(LabShadow, ClaimsItsRequestsOnly) {
  const std::string longest(64, 'n');
  EXPECT_EQ(shadows_.claims("$aws/things/pump/shadow/name/" + longest + "/get"), Claim::also);
  for (const std::string& topic :
       {std::string("$aws/things/pump/shadow/get/accepted"),
        std::string("$aws/things/pump/shadow/update/delta"), std::string("$aws/things/pump/shadow"),
        std::string("$aws/things//shadow/get"), std::string("$aws/things/pump/shadow/name/get"),
        std::string("$aws/things/pump/shadow/name//get"), std::string("$aws/things/pump"),
        std::string("$aws/things/pump/jobs/get"), std::string("a/b"),
        "$aws/things/pump/shadow/name/" + longest + "n/get",
        "$aws/things/" + std::string(129, 't') + "/shadow/get"}) {
    EXPECT_EQ(shadows_.claims(topic), Claim::none) << topic;
  }
}

TEST_F(LabShadow, TheFirstUpdateMakesVersionOne) {
  EXPECT_THAT(
      ask("update", R"({"state":{"reported":{"on":true}},"clientToken":"t"})"),
      ElementsAre(
          R"(update/accepted {"state":{"reported":{"on":true}},"metadata":{"reported":{"on":)"
          R"({"timestamp":1700000000}}},"version":1,"timestamp":1700000000,"clientToken":"t"})",
          R"(update/documents {"previous":{"state":{},"metadata":{},"version":0},"current":)"
          R"({"state":{"reported":{"on":true}},"metadata":{"reported":{"on":{"timestamp":)"
          R"(1700000000}}},"version":1},"timestamp":1700000000,"clientToken":"t"})"));
}

TEST_F(LabShadow, ADifferenceIsPublishedAsDelta) {
  ask("update", R"({"state":{"reported":{"on":true,"rpm":1,"spare":0}}})");
  const auto all = ask("update", R"({"state":{"desired":{"on":true,"rpm":2,"mode":"eco"}}})",
                       kClassic, {1'700'000'009'000});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1],
            R"(update/delta {"version":2,"timestamp":1700000009,"state":{"rpm":2,"mode":"eco"},)"
            R"("metadata":{"rpm":{"timestamp":1700000009},"mode":{"timestamp":1700000009}}})");
  // Reporting a part leaves the rest; reporting all ends it.
  EXPECT_THAT(ask("update", R"({"state":{"reported":{"rpm":2}}})")[1],
              HasSubstr(R"("state":{"mode":"eco"})"));
  EXPECT_THAT(ask("update", R"({"state":{"reported":{"mode":"eco"}}})"), testing::SizeIs(2));
}

TEST_F(LabShadow, GetShowsAllOfIt) {
  EXPECT_EQ(refusal("get", ""), "404 No shadow exists with name: pump");
  ask("update", R"({"state":{"desired":{"a":{"b":1,"c":2}},"reported":{"a":{"b":1}}}})");
  EXPECT_EQ(first("get", R"({"clientToken":"g"})"),
            R"(get/accepted {"state":{"desired":{"a":{"b":1,"c":2}},"reported":{"a":{"b":1}},)"
            R"("delta":{"a":{"c":2}}},"metadata":{"desired":{"a":{"b":{"timestamp":1700000000},)"
            R"("c":{"timestamp":1700000000}}},"reported":{"a":{"b":{"timestamp":1700000000}}}},)"
            R"("version":1,"timestamp":1700000000,"clientToken":"g"})");
}

TEST_F(LabShadow, UpdatesMergeObjectsReplaceArraysAndRemoveNull) {
  ask("update", R"({"state":{"desired":{"o":{"a":1,"b":2},"l":[1,2],"x":1}}})");
  EXPECT_EQ(first("update", R"({"state":{"desired":{"o":{"b":null,"c":3},"l":[3],"x":null}}})"),
            R"(update/accepted {"state":{"desired":{"o":{"b":null,"c":3},"l":[3],"x":null}},)"
            R"("metadata":{"desired":{"o":{"c":{"timestamp":1700000000}},)"
            R"("l":[{"timestamp":1700000000}]}},"version":2,"timestamp":1700000000})");
  EXPECT_EQ(dump(state()["state"]["desired"]), R"({"o":{"a":1,"c":3},"l":[3]})");
  EXPECT_EQ(dump(state()["metadata"]["desired"]),
            R"({"o":{"a":{"timestamp":1700000000},"c":{"timestamp":1700000000}},)"
            R"("l":[{"timestamp":1700000000}]})");
  ask("update", R"({"state":{"desired":{"o":7,"l":{"k":[]}}}})");
  EXPECT_EQ(dump(state()["state"]["desired"]), R"({"o":7,"l":{"k":[]}})");
}

TEST_F(LabShadow, NullTakesAwayASectionOrAllOfTheState) {
  ask("update", R"({"state":{"desired":{"a":1},"reported":{"a":1}}})");
  ask("update", R"({"state":{"desired":null}})");
  EXPECT_EQ(dump(state()["state"]), R"({"reported":{"a":1}})");
  EXPECT_THAT(first("update", R"({"state":null})"), HasSubstr(R"({"state":null,"metadata":{})"));
  EXPECT_EQ(dump(state()["state"]), "{}");
  EXPECT_EQ(state()["version"], 3);
}

TEST_F(LabShadow, TheDeltaComparesArraysWholeAndIgnoresTheOrderOfMembers) {
  const auto delta = [](const char* desired, const char* reported) {
    const Json a = *parse_json(desired);
    return dump(delta_of(a, stamps(a, 1), *parse_json(reported)).state);
  };
  EXPECT_EQ(delta(R"({"l":[1,2]})", R"({"l":[2,1]})"), R"({"l":[1,2]})");
  EXPECT_EQ(delta(R"({"l":[{"a":1,"b":2}]})", R"({"l":[{"b":2,"a":1}]})"), "{}");
  EXPECT_EQ(delta(R"({"o":{"a":1}})", R"({"o":1})"), R"({"o":{"a":1}})");
  EXPECT_EQ(delta(R"({"o":1})", R"({"o":{"a":1}})"), R"({"o":1})");
  EXPECT_EQ(delta(R"({"n":1})", R"({"n":1.0,"only":2})"), "{}");
  EXPECT_EQ(delta(R"({"s":"1"})", R"({"s":1})"), R"({"s":"1"})");
}

TEST_F(LabShadow, AnOldVersionIsAConflict) {
  ask("update", R"({"state":{"reported":{"a":1}}})");
  EXPECT_EQ(first("update", R"({"state":{},"version":0,"clientToken":"c"})"),
            R"(update/rejected {"code":409,"message":"Version conflict","timestamp":1700000000,)"
            R"("clientToken":"c"})");
  EXPECT_THAT(first("update", R"({"state":{},"version":1})"), HasSubstr(R"("version":2)"));
}

TEST_F(LabShadow, ADeletedShadowGoesOnCounting) {
  ask("update", R"({"state":{"reported":{"a":1}}})");
  ask("update", R"({"state":{"reported":{"a":2}}})");
  EXPECT_THAT(ask("delete", R"({"clientToken":"d"})"),
              ElementsAre(R"(delete/accepted {"version":2,"timestamp":1700000000,)"
                          R"("clientToken":"d"})"));
  EXPECT_EQ(refusal("get", ""), "404 No shadow exists with name: pump");
  EXPECT_EQ(refusal("delete", "\xff junk"), "404 No shadow exists with name: pump");
  const auto all = ask("update", R"({"state":{"reported":{"b":1}}})");
  EXPECT_THAT(all[0], HasSubstr(R"("version":3)"));
  EXPECT_THAT(all[1], HasSubstr(R"("previous":{"state":{},"metadata":{},"version":2})"));
  EXPECT_EQ(dump(state()["state"]), R"({"reported":{"b":1}})");
}

TEST_F(LabShadow, AfterTheTombstoneTheCountBeginsAnew) {
  ask("update", R"({"state":{"reported":{"a":1}}})");
  ask("delete", "");
  constexpr std::int64_t kTwoDays = 48 * 3'600'000;
  EXPECT_THAT(first("update", R"({"state":{},"version":1})", kClassic, {kNow.ms + kTwoDays}),
              HasSubstr(R"("version":2)"));
  ask("delete", "", kClassic, {kNow.ms + kTwoDays});
  EXPECT_THAT(first("update", R"({"state":{}})", kClassic, {kNow.ms + 2 * kTwoDays + 1}),
              HasSubstr(R"("version":1)"));
}

TEST_F(LabShadow, NamedShadowsAreApart) {
  EXPECT_EQ(refusal("get", "", kNamed), "404 No shadow exists with name: setup");
  EXPECT_THAT(first("update", R"({"state":{"desired":{"a":1}}})", kNamed),
              HasSubstr(R"("version":1)"));
  EXPECT_EQ(refusal("get", ""), "404 No shadow exists with name: pump");
  EXPECT_THAT(first("get", "", kNamed), HasSubstr(R"("delta":{"a":1})"));
}

TEST_F(LabShadow, RefusalsHaveTheTextsOfAws) {
  EXPECT_EQ(refusal("get", "", "$aws/things/valve/shadow/"), "404 Thing not found");
  EXPECT_EQ(refusal("update", ""), "400 Invalid JSON");
  EXPECT_EQ(refusal("update", "[1]"), "400 Invalid JSON");
  EXPECT_EQ(refusal("get", "{"), "400 Invalid JSON");
  EXPECT_EQ(refusal("update", "\"\xff\""),
            "415 Unsupported documented encoding; supported encoding is UTF-8");
  EXPECT_EQ(refusal("update", "{}"), "400 Missing required node: state");
  EXPECT_EQ(refusal("update", R"({"state":1})"), "400 State node must be an object");
  EXPECT_EQ(refusal("update", R"({"state":{"desired":1}})"), "400 Desired node must be an object");
  EXPECT_EQ(refusal("update", R"({"state":{"reported":[]}})"),
            "400 Reported node must be an object");
  EXPECT_EQ(refusal("update", R"({"state":{"delta":{}}})"), "400 State contains an invalid node");
  EXPECT_EQ(refusal("update", R"({"state":{"desired":{"l":[1,null]}}})"),
            "400 State contains an invalid node");
  EXPECT_EQ(refusal("update", R"({"state":{"desired":{"l":[{"a":null}]}}})"),
            "400 State contains an invalid node");
  EXPECT_EQ(refusal("update", R"({"state":{},"version":"x"})"), "400 Invalid version");
  EXPECT_EQ(refusal("update", R"({"state":{},"version":-1})"), "400 Invalid version");
  EXPECT_EQ(refusal("update", R"({"state":{},"clientToken":7})"), "400 Invalid clientToken");
  EXPECT_EQ(refusal("get", R"({"clientToken":")" + std::string(65, 't') + "\"}"),
            "400 Invalid clientToken");
  EXPECT_EQ(refusal("update", std::string(std::size_t{129} * 1024, ' ')),
            "413 The payload exceeds the maximum size allowed");
}

TEST_F(LabShadow, ADocumentHasAtMostEightKilobytes) {
  const auto reporting = [](const std::string& key, std::size_t bytes) {
    return R"({"state":{"reported":{")" + key + "\":\"" + std::string(bytes, 'x') + "\"}}}";
  };
  EXPECT_THAT(first("update", reporting("a", 8000)), HasSubstr("update/accepted"));
  EXPECT_EQ(refusal("update", reporting("b", 8000)),
            "413 The payload exceeds the maximum size allowed");
  EXPECT_EQ(state()["version"], 1);
}

std::string nested(int levels) {
  std::string text = "1";
  for (int i = 0; i < levels; ++i) text = R"({"k":)" + text + '}';
  return R"({"state":{"reported":)" + text + "}}";
}

TEST_F(LabShadow, IsSixLevelsDeep) {
  EXPECT_THAT(first("update", nested(6)), HasSubstr("update/accepted"));
  EXPECT_EQ(refusal("update", nested(7)),
            "400 JSON contains too many levels of nesting; maximum is 6");
  EXPECT_EQ(refusal("update", nested(1000)),
            "400 JSON contains too many levels of nesting; maximum is 6");
}

TEST(LabShadowOptions, CanBeEightLevelsDeepAndTakeAnyThing) {
  ShadowOptions options;
  options.depth = 8;
  options.only_known_things = false;
  const OneThing things;
  Shadows shadows(options, things);
  Answers out;
  for (const int levels : {8, 9}) {
    shadows.on_request(kNow, {}, message_to("$aws/things/valve/shadow/update", nested(levels)),
                       out);
  }
  ASSERT_EQ(out.all.size(), 3U);
  EXPECT_EQ(out.all[0].topic, "$aws/things/valve/shadow/update/accepted");
  EXPECT_THAT(out.all[2].payload, HasSubstr("nesting; maximum is 8"));
}

TEST(LabShadowOptions, CanLimitTheRateOfEachShadow) {
  ShadowOptions options;
  options.requests_per_second = 2;
  const OneThing things;
  Shadows shadows(options, things);
  const auto code = [&](const char* topic, std::int64_t ms) {
    Answers out;
    shadows.on_request({ms}, {}, message_to(topic, ""), out);
    return parse_json(out.all.at(0).payload)->at("code").get<int>();
  };
  EXPECT_EQ(code("$aws/things/pump/shadow/get", 5000), 404);
  EXPECT_EQ(code("$aws/things/pump/shadow/get", 5500), 404);
  EXPECT_EQ(code("$aws/things/pump/shadow/get", 5999), 429);
  EXPECT_EQ(code("$aws/things/pump/shadow/name/x/get", 5999), 404);
  EXPECT_EQ(code("$aws/things/pump/shadow/get", 6000), 404);
}

TEST_F(LabShadow, OperationsWorkOnTheSameShadows) {
  Answers out;
  const auto call = [&](const std::string& operation, const Json& input) {
    return text_of(shadows_.call(kNow, operation, input, out));
  };
  EXPECT_EQ(call("GetThingShadow", {{"thingName", "pump"}}),
            "ResourceNotFoundException: No shadow exists with name: pump");
  EXPECT_EQ(out.all.size(), 0U);
  const Json desired = {{"state", {{"desired", {{"on", true}}}}}};
  EXPECT_THAT(call("UpdateThingShadow",
                   {{"thingName", "pump"}, {"shadowName", "setup"}, {"payload", desired}}),
              HasSubstr(R"({"payload":{"state":{"desired":{"on":true}})"));
  EXPECT_EQ(out.all.size(), 3U);
  EXPECT_EQ(out.all[1].topic, "$aws/things/pump/shadow/name/setup/update/delta");
  EXPECT_THAT(first("get", "", kNamed), HasSubstr(R"("delta":{"on":true})"));
  EXPECT_THAT(call("UpdateThingShadow", {{"thingName", "pump"}, {"payload", dump(desired)}}),
              HasSubstr(R"("version":1)"));
  EXPECT_EQ(call("ListNamedShadowsForThing", {{"thingName", "pump"}}),
            R"({"results":["setup"],"timestamp":1700000000})");
  EXPECT_THAT(call("DeleteThingShadow", {{"thingName", "pump"}, {"shadowName", "setup"}}),
              HasSubstr(R"("version":1)"));
  EXPECT_EQ(out.all.back().topic, "$aws/things/pump/shadow/name/setup/delete/accepted");
  EXPECT_EQ(call("ListNamedShadowsForThing", {{"thingName", "pump"}}),
            R"({"results":[],"timestamp":1700000000})");
  EXPECT_EQ(call("UpdateThingShadow", {{"thingName", "pump"}, {"payload", {{"state", 1}}}}),
            "InvalidRequestException: State node must be an object");
  EXPECT_EQ(call("UpdateThingShadow",
                 {{"thingName", "pump"}, {"payload", R"({"state":{},"version":9})"}}),
            "ConflictException: Version conflict");
  EXPECT_EQ(call("GetThingShadow", {{"thingName", "a/b"}}),
            "InvalidRequestException: thingName or shadowName has wrong characters or is too long");
  EXPECT_EQ(call("GetThingShadow", {{"thing", "a"}}),
            "InvalidRequestException: thingName is missing");
  EXPECT_FALSE(shadows_.has_operation("CreateThing"));
}

TEST_F(LabShadow, StateComesBackAsItWas) {
  ask("update", R"({"state":{"desired":{"a":{"l":[1,{"b":2}]}},"reported":{"z":1.5}}})");
  ask("update", R"({"state":{"reported":{"a":1}}})", kNamed);
  ask("delete", "", kNamed);
  const Json saved = shadows_.save();
  Shadows again({}, things_);
  const Status loaded = again.load(saved);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(dump(again.save()), dump(saved));
  Answers out;
  again.on_request(kNow, {}, message_to(std::string(kNamed) + "update", R"({"state":{}})"), out);
  EXPECT_THAT(out.all.at(0).payload, HasSubstr(R"("version":2)"));
}

TEST_F(LabShadow, BrokenStateIsRefusedByNameAndChangesNothing) {
  ask("update", R"({"state":{"desired":{"a":{"b":[1]}}}})");
  const Json good = shadows_.save();
  const auto complaint = [&](const char* at, const Json& value) {
    return complaint_about(shadows_, good, at, value);
  };
  EXPECT_EQ(complaint("/shadows", 1), "shadows must be a list");
  EXPECT_EQ(complaint("/shadows/0", 1), "shadows[0] must be an object");
  EXPECT_EQ(complaint("/shadows/0/thing", "a/b"), "shadows[0].name is no name of a shadow");
  EXPECT_EQ(complaint("/shadows/0/version", 0), "shadows[0].version must be at least 1");
  EXPECT_EQ(complaint("/shadows/0/deleted", "x"), "shadows[0].deleted must be a whole number");
  EXPECT_EQ(complaint("/shadows/0/desired/state", 1), "shadows[0].desired.state must be an object");
  EXPECT_EQ(complaint("/shadows/0/desired/metadata/a/b/0/timestamp", "x"),
            "shadows[0].desired.metadata has another shape than the state");
  EXPECT_EQ(complaint("/shadows/0/desired/metadata/a/b", Json::array()),
            "shadows[0].desired.metadata has another shape than the state");
  EXPECT_EQ(complaint("/shadows/0/reported/more", 1), "shadows[0].reported.more is no member here");
  EXPECT_EQ(complaint("/shadows/1", good["shadows"][0]), "shadows[1].name comes twice");
  EXPECT_EQ(complaint("/more", 1), "more is no member here");
}

}  // namespace
}  // namespace holdfast::lab::iot
