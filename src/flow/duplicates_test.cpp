// Goal: a repeat is recognised by its sender's stamp, nothing else is, and memory is bounded.
// Method: messages with stamps of all kinds, one after the other.
#include "flow/duplicates.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "base/limits.h"

namespace holdfast::flow {
namespace {

InboundMessage stamped(const std::string& value, const std::string& name = "hf-id") {
  InboundMessage message;
  message.topic = "t";
  message.user_properties = {{"other", "x"}, {name, value}};
  return message;
}

std::string id(unsigned store, unsigned long long number) {
  char text[32];
  std::snprintf(text, sizeof text, "%08x-%016llx", store, number);
  return text;
}

bool repeats(Duplicates& duplicates, const InboundMessage& message, const char* property) {
  return duplicates.first_of(message, property, 1).has_value();
}

TEST(Duplicates, ARepeatIsTheSameStoreAndTheSameMessage) {
  Duplicates duplicates;
  EXPECT_FALSE(repeats(duplicates, stamped(id(1, 7)), "hf-id"));
  EXPECT_FALSE(repeats(duplicates, stamped(id(1, 8)), "hf-id"));
  EXPECT_FALSE(repeats(duplicates, stamped(id(2, 7)), "hf-id"));
  EXPECT_FALSE(repeats(duplicates, stamped(id(1, 0x8000000000000007)), "hf-id")) << "one from RAM";
  EXPECT_TRUE(repeats(duplicates, stamped(id(1, 7)), "hf-id"));
  EXPECT_TRUE(repeats(duplicates, stamped(id(1, 0x8000000000000007)), "hf-id"));
  InboundMessage copy = stamped(id(1, 7));
  copy.topic = "copies/t";
  EXPECT_FALSE(repeats(duplicates, copy, "hf-id"));
}

TEST(Duplicates, WhatBearsNoStampOfOursIsNeverARepeat) {
  Duplicates duplicates;
  for (const char* value : {"", "7", "00000001-000000000000007", "00000001-00000000000000077",
                            "0000000g-0000000000000007", "00000001_0000000000000007",
                            "00000001-000000000000000g", "-0000001-0000000000000007"}) {
    EXPECT_FALSE(repeats(duplicates, stamped(value), "hf-id")) << value;
    EXPECT_FALSE(repeats(duplicates, stamped(value), "hf-id")) << value;
  }
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(repeats(duplicates, stamped(id(1, 7), "their-id"), "hf-id"));
    EXPECT_FALSE(repeats(duplicates, stamped(id(1, 7)), "")) << "turned off";
    InboundMessage retained = stamped(id(1, 7));
    retained.retain = true;
    EXPECT_FALSE(repeats(duplicates, retained, "hf-id")) << "it comes with each subscription";
  }
}

TEST(Duplicates, ARepeatIsToldWithTheDeliveryOfTheFirst) {
  Duplicates duplicates;
  EXPECT_EQ(duplicates.first_of(stamped(id(1, 7)), "hf-id", 11), std::nullopt);
  EXPECT_EQ(duplicates.first_of(stamped(id(1, 8)), "hf-id", 12), std::nullopt);
  EXPECT_EQ(duplicates.first_of(stamped(id(1, 7)), "hf-id", 13), 11U);
  EXPECT_EQ(duplicates.first_of(stamped(id(1, 7)), "hf-id", 14), 11U);
}

TEST(Duplicates, TheWindowIsBounded) {
  Duplicates duplicates;
  for (std::size_t i = 0; i <= limits::kInboundIds; ++i) {
    ASSERT_FALSE(repeats(duplicates, stamped(id(1, i)), "hf-id"));
  }
  EXPECT_TRUE(repeats(duplicates, stamped(id(1, 1)), "hf-id"));
  EXPECT_FALSE(repeats(duplicates, stamped(id(1, 0)), "hf-id")) << "the oldest is forgotten";
}

}  // namespace
}  // namespace holdfast::flow
