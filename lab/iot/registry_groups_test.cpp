// Thing types and thing groups: their API and limits, the policies that things get by them, and who
// is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lab/iot/registry_fixture.h"

namespace holdfast::lab::iot {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class Told final : public RegistryPeers {
 public:
  void groups_changed(WallTime /*now*/, std::string_view thing, Answers& /*out*/) override {
    things.emplace_back(thing);
  }
  [[nodiscard]] bool has_template(std::string_view /*name*/) const override { return false; }
  std::vector<std::string> things;
};

class LabGroups : public RegistryFixture {
 protected:
  LabGroups() { registry_.set_peers(&told_); }

  void group(const std::string& name, const std::string& parent = "") {
    Json input = {{"thingGroupName", name}};
    if (!parent.empty()) input["parentGroupName"] = parent;
    must("CreateThingGroup", input);
  }
  std::string add(const std::string& thing, const std::string& name) {
    return call("AddThingToThingGroup", Json{{"thingName", thing}, {"thingGroupName", name}});
  }
  std::string take(const std::string& thing, const std::string& name) {
    return call("RemoveThingFromThingGroup", Json{{"thingName", thing}, {"thingGroupName", name}});
  }
  /// The members named `key` of the list that an operation answers.
  std::vector<std::string> list(const std::string& operation, const Json& input,
                                const std::string& in, const std::string& key = "") {
    std::vector<std::string> names;
    const Json output = parsed(call(operation, input));
    EXPECT_TRUE(output.contains(in)) << dump(output);
    for (const Json& one : output.value(in, Json::array())) {
      names.push_back(key.empty() ? one : one[key]);
    }
    return names;
  }
  std::vector<std::string> groups(const Json& input = Json::object()) {
    return list("ListThingGroups", input, "thingGroups", "groupName");
  }
  std::vector<std::string> groups_of(const std::string& thing) {
    return list("ListThingGroupsForThing", {{"thingName", thing}}, "thingGroups", "groupName");
  }
  std::vector<std::string> things(const std::string& group, bool recursive) {
    return list("ListThingsInThingGroup", {{"thingGroupName", group}, {"recursive", recursive}},
                "things");
  }
  /// plant, plant > hall, plant > hall > line; yard stands alone.
  void add_plant() {
    group("plant");
    group("hall", "plant");
    group("line", "hall");
    group("yard");
  }

  Told told_;
};

TEST_F(LabGroups, AreCreatedDescribedUpdatedAndDeleted) {
  add_plant();
  const Json line = parsed(call("DescribeThingGroup", Json{{"thingGroupName", "line"}}));
  EXPECT_EQ(line["thingGroupArn"], "arn:aws:iot:eu-central-1:123456789012:thinggroup/line");
  EXPECT_EQ(line["thingGroupId"].get<std::string>().size(), 36U);
  EXPECT_EQ(line["version"], 1);
  EXPECT_EQ(line["thingGroupMetadata"]["creationDate"], 1.7e9);
  EXPECT_EQ(line["thingGroupMetadata"]["parentGroupName"], "hall");
  EXPECT_EQ(dump(line["thingGroupMetadata"]["rootToParentThingGroups"]),
            R"([{"groupName":"plant",)"
            R"("groupArn":"arn:aws:iot:eu-central-1:123456789012:thinggroup/plant"},)"
            R"({"groupName":"hall",)"
            R"("groupArn":"arn:aws:iot:eu-central-1:123456789012:thinggroup/hall"}])");
  const Json change = {{"thingGroupName", "line"},
                       {"expectedVersion", 1},
                       {"thingGroupProperties",
                        {{"thingGroupDescription", "bottles"},
                         {"attributePayload", {{"attributes", {{"floor", "2"}}}}}}}};
  EXPECT_EQ(call("UpdateThingGroup", change), R"({"version":2})");
  EXPECT_THAT(call("UpdateThingGroup", change), StartsWith("VersionConflictException 409"));
  const Json properties =
      parsed(call("DescribeThingGroup", Json{{"thingGroupName", "line"}}))["thingGroupProperties"];
  EXPECT_EQ(properties["thingGroupDescription"], "bottles");
  EXPECT_EQ(properties["attributePayload"]["attributes"]["floor"], "2");
  EXPECT_EQ(call("DeleteThingGroup", Json{{"thingGroupName", "hall"}}),
            "InvalidRequestException 400: Thing group hall still has child groups");
  must("DeleteThingGroup", {{"thingGroupName", "line"}});
  must("DeleteThingGroup", {{"thingGroupName", "line"}});
  EXPECT_EQ(call("DescribeThingGroup", Json{{"thingGroupName", "line"}}),
            "ResourceNotFoundException 404: Thing group line not found");
}

TEST_F(LabGroups, CreatingTheSameAgainIsFineAndAnotherOfItsNameIsNot) {
  add_plant();
  group("hall", "plant");
  EXPECT_EQ(call("CreateThingGroup", Json{{"thingGroupName", "hall"}}),
            "ResourceAlreadyExistsException 409: Thing group hall already exists with different "
            "properties");
  EXPECT_THAT(call("CreateThingGroup", Json{{"thingGroupName", "a b"}}),
              HasSubstr("thingGroupName must be"));
  EXPECT_EQ(call("CreateThingGroup", Json{{"thingGroupName", "x"}, {"parentGroupName", "none"}}),
            "InvalidRequestException 400: Parent group none not found");
}

TEST_F(LabGroups, AHierarchyHasSevenLevelsAndAGroupAHundredChildren) {
  group("g1");
  for (int i = 2; i <= 7; ++i) group("g" + std::to_string(i), "g" + std::to_string(i - 1));
  EXPECT_EQ(call("CreateThingGroup", Json{{"thingGroupName", "g8"}, {"parentGroupName", "g7"}}),
            "InvalidRequestException 400: A hierarchy of thing groups is at most 7 deep");
  for (int i = 1; i < 100; ++i) group("child" + std::to_string(i), "g1");
  EXPECT_EQ(call("CreateThingGroup", Json{{"thingGroupName", "more"}, {"parentGroupName", "g1"}}),
            "InvalidRequestException 400: A thing group has at most 100 child groups");
}

TEST_F(LabGroups, AreListedByParentAndPrefixAndPage) {
  add_plant();
  EXPECT_THAT(groups(), ElementsAre("hall", "line", "plant", "yard"));
  EXPECT_THAT(groups({{"recursive", false}}), ElementsAre("plant", "yard"));
  EXPECT_THAT(groups({{"parentGroup", "plant"}}), ElementsAre("hall"));
  EXPECT_THAT(groups({{"parentGroup", "plant"}, {"recursive", true}}), ElementsAre("hall", "line"));
  EXPECT_THAT(groups({{"namePrefixFilter", "l"}}), ElementsAre("line"));
  EXPECT_THAT(groups({{"maxResults", 1}, {"nextToken", "2"}}), ElementsAre("plant"));
  EXPECT_THAT(call("ListThingGroups", Json{{"parentGroup", "none"}}),
              StartsWith("ResourceNotFoundException 404"));
}

TEST_F(LabGroups, ThingsComeAndGoAndEachChangeIsTold) {
  add_pump();
  add_plant();
  EXPECT_EQ(add("pump-17", "line"), "{}");
  EXPECT_EQ(add("pump-17", "line"), "{}");
  EXPECT_THAT(told_.things, ElementsAre("pump-17"));
  EXPECT_THAT(things("plant", false), IsEmpty());
  EXPECT_THAT(things("plant", true), ElementsAre("pump-17"));
  EXPECT_THAT(groups_of("pump-17"), ElementsAre("hall", "line", "plant"));
  EXPECT_EQ(add("pump-17", "hall"),
            "InvalidRequestException 400: Thing pump-17 is in thing group line of the same "
            "hierarchy");
  EXPECT_EQ(call("AddThingToThingGroup", Json{{"thingArn", registry_.arn("thing/pump-17")},
                                              {"thingGroupArn", registry_.arn("thinggroup/yard")},
                                              {"overrideDynamicGroups", false}}),
            "{}");
  EXPECT_EQ(take("pump-17", "line"), "{}");
  EXPECT_EQ(take("pump-17", "line"), "{}");
  EXPECT_THAT(told_.things, ElementsAre("pump-17", "pump-17", "pump-17"));
  EXPECT_THAT(groups_of("pump-17"), ElementsAre("yard"));
  EXPECT_THAT(add("none", "line"), "ResourceNotFoundException 404: Thing none not found");
  EXPECT_THAT(add("pump-17", "none"), "ResourceNotFoundException 404: Thing group none not found");
  EXPECT_THAT(call("AddThingToThingGroup", Json{{"thingArn", "pump-17"}}),
              StartsWith("InvalidRequestException 400"));
}

TEST_F(LabGroups, ADeletedGroupOrThingIsInNone) {
  add_plant();
  must("CreateThing", {{"thingName", "valve"}});
  add("valve", "line");
  must("DeleteThingGroup", {{"thingGroupName", "line"}});
  EXPECT_THAT(groups_of("valve"), IsEmpty());
  add("valve", "yard");
  must("DeleteThing", {{"thingName", "valve"}});
  EXPECT_THAT(things("yard", true), IsEmpty());
  EXPECT_THAT(told_.things, ElementsAre("valve", "valve", "valve", "valve"));
}

TEST_F(LabGroups, AThingIsInAtMostTenGroups) {
  must("CreateThing", {{"thingName", "valve"}});
  for (int i = 0; i < 10; ++i) {
    group("root" + std::to_string(i));
    EXPECT_EQ(add("valve", "root" + std::to_string(i)), "{}");
  }
  group("more");
  EXPECT_EQ(add("valve", "more"),
            "InvalidRequestException 400: A thing is in at most 10 thing groups");
}

TEST_F(LabGroups, PoliciesOfAGroupCountForTheThingsInAndBelowIt) {
  add_pump();
  add_plant();
  must("CreatePolicy",
       {{"policyName", "writes"}, {"policyDocument", policy("Allow", "iot:Publish", "topic/a")}});
  const std::string plant = registry_.arn("thinggroup/plant");
  const Json attach = {{"policyName", "writes"}, {"target", plant}};
  must("AttachPolicy", attach);
  const auto may = [&](const std::string& client) {
    return registry_.allows({1, client, "c1"}, "iot:Publish", "topic/a", {}).allowed();
  };
  EXPECT_FALSE(may("pump-17"));
  add("pump-17", "line");
  EXPECT_TRUE(may("pump-17"));
  EXPECT_FALSE(may("other"));  // the certificate speaks for the thing of the client id
  EXPECT_EQ(
      call("DeletePolicy", Json{{"policyName", "writes"}}),
      "DeleteConflictException 409: The policy cannot be deleted as the policy is attached to "
      "one or more principals (name=writes)");
  must("DetachPolicy", attach);
  EXPECT_FALSE(may("pump-17"));
}

TEST_F(LabGroups, AGroupHasAtMostTwoPoliciesAndShowsThoseAbove) {
  add_plant();
  for (const char* name : {"p1", "p2", "p3"}) {
    must("CreatePolicy",
         {{"policyName", name}, {"policyDocument", policy("Allow", "iot:Publish", "topic/a")}});
  }
  const std::string plant = registry_.arn("thinggroup/plant");
  const std::string hall = registry_.arn("thinggroup/hall");
  must("AttachPolicy", {{"policyName", "p1"}, {"target", plant}});
  must("AttachPolicy", {{"policyName", "p1"}, {"target", hall}});
  must("AttachPolicy", {{"policyName", "p2"}, {"target", hall}});
  EXPECT_EQ(call("AttachPolicy", Json{{"policyName", "p3"}, {"target", hall}}),
            "LimitExceededException 410: The maximum number of policies attached to a thing group "
            "is 2");
  must("DetachPolicy", {{"policyName", "p1"}, {"target", hall}});
  const auto names = [&](bool recursive) {
    return list("ListAttachedPolicies", {{"target", hall}, {"recursive", recursive}}, "policies",
                "policyName");
  };
  EXPECT_THAT(names(false), ElementsAre("p2"));
  EXPECT_THAT(names(true), ElementsAre("p1", "p2"));
  EXPECT_EQ(call("AttachPolicy",
                 Json{{"policyName", "p1"}, {"target", registry_.arn("thinggroup/none")}}),
            "ResourceNotFoundException 404: Thing group none not found");
}

TEST_F(LabGroups, StateComesBackAsItWasAndAWrongOneIsRefused) {
  add_pump();
  add_plant();
  add("pump-17", "line");
  must("AttachPolicy", {{"policyName", "pumps"}, {"target", registry_.arn("thinggroup/hall")}});
  must("DeprecateThingType", {{"thingTypeName", "pump"}});
  const Json good = registry_.save();
  Registry again({}, reader_, issuer_, random_);
  const Status loaded = again.load(good);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(again.save(), good);
  EXPECT_THAT(*again.things_in("plant"), ElementsAre("pump-17"));
  const auto complaint = [&](const char* at, const Json& value) {
    Json broken = good;
    broken[Json::json_pointer(at)] = value;
    const Status status = again.load(broken);
    return status ? std::string("none") : status.error().message;
  };
  EXPECT_EQ(complaint("/groups/line/things/0", "x"), "groups.line.things has no thing x");
  EXPECT_EQ(complaint("/groups/hall/policies/0", "x"), "groups.hall.policies has no policy x");
  EXPECT_EQ(complaint("/groups/line/parent", "x"), "groups.line has no root within 7 groups");
  EXPECT_EQ(complaint("/groups/plant/parent", "line"), "groups.hall has no root within 7 groups");
  EXPECT_EQ(complaint("/things/pump-17/type", "x"), "things.pump-17.type is no thing type");
  EXPECT_EQ(complaint("/types/pump/searchable", 1), "types.pump.searchable must be a list");
}

// ---- thing types
// ---------------------------------------------------------------------------------

TEST_F(LabGroups, ThingTypesAreCreatedDescribedAndListed) {
  const Json input = {
      {"thingTypeName", "bulb"},
      {"thingTypeProperties",
       {{"thingTypeDescription", "light"}, {"searchableAttributes", Json::array({"wattage"})}}}};
  const Json made = parsed(call("CreateThingType", input));
  EXPECT_EQ(made["thingTypeArn"], "arn:aws:iot:eu-central-1:123456789012:thingtype/bulb");
  EXPECT_EQ(parsed(call("CreateThingType", input)), made);
  EXPECT_THAT(call("CreateThingType", Json{{"thingTypeName", "bulb"}}),
              StartsWith("ResourceAlreadyExistsException 409"));
  const Json shown = parsed(call("DescribeThingType", Json{{"thingTypeName", "bulb"}}));
  EXPECT_EQ(shown["thingTypeProperties"]["searchableAttributes"], Json::array({"wattage"}));
  EXPECT_EQ(shown["thingTypeMetadata"]["deprecated"], false);
  EXPECT_THAT(list("ListThingTypes", Json::object(), "thingTypes", "thingTypeName"),
              ElementsAre("bulb"));
  EXPECT_THAT(call("CreateThingType",
                   Json{{"thingTypeName", "x"},
                        {"thingTypeProperties",
                         {{"searchableAttributes", Json::array({"a", "b", "c", "d"})}}}}),
              HasSubstr("searchableAttributes are more than 3"));
}

TEST_F(LabGroups, AThingTypeMustExistAndADeprecatedOneTakesNoMoreThings) {
  add_pump();
  EXPECT_EQ(call("CreateThing", Json{{"thingName", "x"}, {"thingTypeName", "none"}}),
            "ResourceNotFoundException 404: Thing type none not found");
  must("DeprecateThingType", {{"thingTypeName", "pump"}});
  EXPECT_EQ(call("CreateThing", Json{{"thingName", "x"}, {"thingTypeName", "pump"}}),
            "InvalidRequestException 400: Thing type pump is deprecated");
  must("UpdateThing", {{"thingName", "pump-17"}, {"thingTypeName", "pump"}});
  must("DeprecateThingType", {{"thingTypeName", "pump"}, {"undoDeprecate", true}});
  must("CreateThing", {{"thingName", "x"}, {"thingTypeName", "pump"}});
}

TEST_F(LabGroups, AThingTypeIsDeletedFiveMinutesAfterItsDeprecationAndWithoutThings) {
  add_pump();
  const Json type = {{"thingTypeName", "pump"}};
  const std::string early =
      "InvalidRequestException 400: Thing type pump can be deleted five minutes after it was "
      "deprecated";
  EXPECT_EQ(call("DeleteThingType", type), early);
  must("DeprecateThingType", type);
  now_.ms += 299'999;
  EXPECT_EQ(call("DeleteThingType", type), early);
  now_.ms += 1;
  EXPECT_EQ(call("DeleteThingType", type),
            "InvalidRequestException 400: Thing type pump still has things");
  must("UpdateThing", {{"thingName", "pump-17"}, {"removeThingType", true}});
  must("DeleteThingType", type);
  EXPECT_EQ(call("DescribeThingType", type),
            "ResourceNotFoundException 404: Thing type pump not found");
}

TEST_F(LabGroups, AThingWithoutATypeHasAtMostThreeAttributes) {
  must("CreateThingType", {{"thingTypeName", "pump"}});
  Json input = {
      {"thingName", "x"},
      {"attributePayload", {{"attributes", {{"a", "1"}, {"b", "2"}, {"c", "3"}, {"d", "4"}}}}}};
  EXPECT_EQ(call("CreateThing", input),
            "InvalidRequestException 400: A thing without a thing type can have at most 3 "
            "attributes");
  input["thingTypeName"] = "pump";
  must("CreateThing", input);
}

}  // namespace
}  // namespace holdfast::lab::iot
