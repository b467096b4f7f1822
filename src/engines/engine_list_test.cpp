// Goal:   the engines that this build has are found by name, and the one it has not is told.
// Method: the list itself; which engines there are is known from the build.
#include "engines/engine_list.h"

#include <gtest/gtest.h>

#include "engines/engine_harness.h"

namespace holdfast::engines::test {
namespace {

TEST(EngineList, TheDefaultIsAlwaysThereAndCanEverything) {
  const EngineKind& first = known_engines().front();
  EXPECT_EQ(first.name, "mosquitto");
  EXPECT_NE(first.make, nullptr);
  EXPECT_TRUE(first.can.mqtt311);
}

TEST(EngineList, EachIsFoundByItsId) {
  for (const EngineKind& kind : known_engines()) EXPECT_EQ(&kind_of(kind.id), &kind);
}

TEST(EngineList, EveryEngineOfThisBuildIsHeldToTheConformanceSuite) {
  std::size_t compiled_in = 0;
  for (const EngineKind& kind : known_engines()) compiled_in += kind.make != nullptr ? 1 : 0;
  EXPECT_EQ(engines_under_test().size(), compiled_in);
}

TEST(EngineList, AwsCrtIsCompiledIn) {
  const EngineKind& kind = kind_of(MqttEngine::aws_crt);
  EXPECT_EQ(kind.name, "aws_crt");
  EXPECT_FALSE(kind.can.mqtt311);
  if (kind.make == nullptr) {
    GTEST_SKIP() << "engine aws_crt is not compiled in and not tested: aws-c-mqtt was not found";
  }
}

}  // namespace
}  // namespace holdfast::engines::test
