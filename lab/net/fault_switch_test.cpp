// Goal:   faults hold at the ports that an order names, and a refused order changes nothing.
// Method: a switch with three ports that note what they are told.
#include "lab/net/fault_switch.h"

#include <gtest/gtest.h>

#include <map>

#include "lab/net/test_net.h"

namespace holdfast::lab::net {
namespace {

class FaultSwitchTest : public NetTest {
 protected:
  FaultSwitchTest() {
    for (const char* name : {"mqtt", "mixed", "https"}) {
      keys.push_back(
          faults.connect(name, {[this, name](const fault::Faults&) -> Status {
                                  if (refuses == name) return Error{Errc::unsupported, "not here"};
                                  return {};
                                },
                                [this, name](const fault::Faults& now) { told[name] = now.accept; },
                                [](mqtt::Ending) {}}));
    }
  }

  Result<Json> order(const char* text) { return faults.order(Json::parse(text), "test"); }

  FaultSwitch faults{loop, trace, *clock};
  std::vector<std::shared_ptr<void>> keys;
  std::map<std::string, fault::Accept> told;
  std::string refuses;
};

TEST_F(FaultSwitchTest, HoldsEverywhereWhenNoPortIsNamed) {
  ASSERT_TRUE(order(R"({"faults":"refuse"})").ok());
  EXPECT_EQ(faults.now("mqtt").accept, fault::Accept::refuse);
  EXPECT_EQ(faults.now("https").accept, fault::Accept::refuse);
  EXPECT_FALSE(events_named("faults").back().contains("ports"));
}

TEST_F(FaultSwitchTest, HoldsOnlyAtThePortsThatAreNamed) {
  ASSERT_TRUE(order(R"({"faults":"refuse"})").ok());
  ASSERT_TRUE(order(R"({"faults":"refuse","ports":["mqtt","https"]})").ok());
  EXPECT_EQ(faults.now("mqtt").accept, fault::Accept::refuse);
  EXPECT_EQ(faults.now("mixed").accept, fault::Accept::normal);
  EXPECT_EQ(told["mixed"], fault::Accept::normal);
  EXPECT_EQ(told["https"], fault::Accept::refuse);
  EXPECT_EQ(events_named("faults").back()["ports"].dump(), R"(["mqtt","https"])");
}

TEST_F(FaultSwitchTest, ARefusedOrderChangesNothing) {
  ASSERT_TRUE(order(R"({"faults":"refuse","ports":["mqtt"]})").ok());
  told.clear();
  const auto unknown = order(R"({"faults":{},"ports":["mqtt","smtp"]})");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().message, "ports[1]: there is no port of this name");
  for (const char* ports : {"[]", "[1]", "\"mqtt\"", "null"}) {
    EXPECT_FALSE(order((R"({"faults":{},"ports":)" + std::string(ports) + "}").c_str()).ok())
        << ports;
  }
  refuses = "https";
  EXPECT_FALSE(order(R"({"faults":"no-accept"})").ok());
  EXPECT_EQ(faults.now("mqtt").accept, fault::Accept::refuse);
  EXPECT_EQ(faults.now("mixed").accept, fault::Accept::normal);
  EXPECT_TRUE(told.empty());
}

TEST_F(FaultSwitchTest, APortThatIsNotAffectedIsNotAsked) {
  refuses = "https";
  EXPECT_TRUE(order(R"({"faults":"refuse","ports":["mqtt"]})").ok());
}

}  // namespace
}  // namespace holdfast::lab::net
