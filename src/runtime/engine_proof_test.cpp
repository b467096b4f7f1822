// Goal:   an engine whose thread stands still is seen, and only that: not one that works within the
//         loop, not one that nobody has asked, not one whose hanging predecessor was left behind.
// Method: an engine that the test lets answer.
#include "runtime/engine_proof.h"

#include <gtest/gtest.h>

#include <utility>

namespace holdfast::runtime {
namespace {

/// Does nothing but prove: within the call, or when the test says so.
struct ProvingEngine : env::Engine {
  void connect(const env::ConnectRequest&) override {}
  Status publish(env::Token, const StoredMessage&) override { return {}; }
  Status subscribe(env::Token, std::span<const env::FilterRequest>) override { return {}; }
  Status unsubscribe(env::Token, std::span<const std::string>) override { return {}; }
  void taken(env::Token) override {}
  void disconnect() override {}
  void network_changed(bool) override {}
  void abort() override {}
};

struct OwnThreadEngine final : ProvingEngine {
  void prove(const env::Proofs& proofs) override {
    ++asked;
    owed = proofs;
  }
  void answer() { ++*std::exchange(owed, nullptr); }

  env::Proofs owed;
  int asked = 0;
};

TEST(EngineProof, OneThatWorksWithinTheLoopGrowsWithEachLook) {
  EngineProof proof;
  ProvingEngine engine;
  for (std::uint64_t i = 1; i < 4; ++i) {
    EXPECT_EQ(proof.look(), i);
    proof.ask(engine);
  }
}

TEST(EngineProof, OneThatOwesAProofStandsStillAndIsNotAskedAgainUntilItGivesIt) {
  EngineProof proof;
  OwnThreadEngine engine;
  EXPECT_EQ(proof.look(), 1U);
  EXPECT_EQ(proof.look(), 2U) << "nobody has asked it: the loop is stuck, not the engine";
  proof.ask(engine);
  proof.ask(engine);
  EXPECT_EQ(engine.asked, 1);
  EXPECT_EQ(proof.look(), 2U);
  EXPECT_EQ(proof.look(), 2U);
  engine.answer();
  EXPECT_EQ(proof.look(), 3U);
  proof.ask(engine);
  EXPECT_EQ(engine.asked, 2);
  EXPECT_EQ(proof.look(), 3U);
}

TEST(EngineProof, WhatAnEngineOwesGoesWithIt) {
  EngineProof proof;
  OwnThreadEngine hung;
  OwnThreadEngine fresh;
  proof.ask(hung);
  EXPECT_EQ(proof.look(), 0U);
  proof.renewed();
  EXPECT_EQ(proof.look(), 1U);
  proof.ask(fresh);
  hung.answer();  // at last, which proves nothing about the other
  EXPECT_EQ(proof.look(), 1U);
  fresh.answer();
  EXPECT_EQ(proof.look(), 2U);
}

}  // namespace
}  // namespace holdfast::runtime
