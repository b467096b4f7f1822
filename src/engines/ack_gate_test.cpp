// Goal:   no PUBACK leaves before its message is taken, all do afterwards, in the order of arrival.
// Method: messages, PUBACKs and their ends in several orders; what leaves is read as text.
#include "engines/ack_gate.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace holdfast::engines {
namespace {

using Came = AckGate::Came;

/// The library's PUBACK, as it were.
void acknowledge(AckGate& gate, std::uint16_t id) {
  const std::string packet = "<" + std::to_string(id) + ">";
  gate.hold(std::as_bytes(std::span(packet)), id);
}
std::string released(AckGate& gate, std::size_t room = 100) {
  std::string text(room, '\0');
  text.resize(gate.release(std::as_writable_bytes(std::span(text))));
  return text;
}

TEST(AckGate, APubackWaitsUntilItsMessageIsTaken) {
  AckGate gate;
  EXPECT_EQ(gate.came(5), Came::held);
  acknowledge(gate, 5);
  EXPECT_EQ(released(gate), "");
  gate.taken(5);
  EXPECT_EQ(released(gate), "<5>");
  EXPECT_EQ(released(gate), "");
  EXPECT_EQ(gate.came(5), Came::held) << "the id is free now, and comes with a new message";
}

TEST(AckGate, AMessageMayBeTakenBeforeTheLibraryHasAcknowledgedIt) {
  AckGate gate;
  EXPECT_EQ(gate.came(5), Came::held);
  gate.taken(5);
  EXPECT_EQ(released(gate), "");
  acknowledge(gate, 5);
  EXPECT_EQ(released(gate), "<5>");
}

TEST(AckGate, PubacksLeaveInTheOrderOfTheirMessages) {
  AckGate gate;
  for (const std::uint16_t id : std::initializer_list<std::uint16_t>{7, 3, 9}) {
    EXPECT_EQ(gate.came(id), Came::held);
    acknowledge(gate, id);
  }
  gate.taken(9);
  gate.taken(3);
  EXPECT_EQ(released(gate), "") << "[MQTT-4.6.0-2]";
  gate.taken(7);
  EXPECT_EQ(released(gate), "<7><3><9>");
}

TEST(AckGate, ACopyIsToldAndAcknowledgedToo) {
  AckGate gate;
  EXPECT_EQ(gate.came(7), Came::held);
  acknowledge(gate, 7);
  EXPECT_EQ(gate.came(7), Came::again);
  gate.taken(7);
  EXPECT_EQ(released(gate), "") << "the library has not answered the copy yet";
  acknowledge(gate, 7);
  EXPECT_EQ(released(gate), "<7><7>");
}

TEST(AckGate, WhatIsNotHeldLeavesAtOnce) {
  AckGate gate;
  for (std::size_t id = 1; id <= AckGate::kHeldMax; ++id) {
    ASSERT_EQ(gate.came(static_cast<std::uint16_t>(id)), Came::held);
  }
  EXPECT_EQ(gate.came(60000), Came::unheld) << "above the bound";
  acknowledge(gate, 60000);
  EXPECT_EQ(released(gate), "<60000>");
  gate.taken(60000);
  EXPECT_EQ(released(gate), "");
}

TEST(AckGate, OnlyWholePubacksGoIntoTheRoomThereIs) {
  AckGate gate;
  for (const std::uint16_t id : std::initializer_list<std::uint16_t>{1, 2, 3}) {
    EXPECT_EQ(gate.came(id), Came::held);
    acknowledge(gate, id);
    gate.taken(id);
  }
  EXPECT_EQ(released(gate, 2), "");
  EXPECT_EQ(released(gate, 7), "<1><2>");
  EXPECT_EQ(released(gate, 7), "<3>");
}

}  // namespace
}  // namespace holdfast::engines
