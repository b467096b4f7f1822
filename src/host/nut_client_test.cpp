// Goal:   what upsd says is understood, and whatever else may answer is named.
// Method: lines as upsd writes them. The real upsd is met in agent/power_test.py.
#include "host/nut_client.h"

#include <gtest/gtest.h>

namespace holdfast::host {
namespace {

TEST(NutPlace, ItIsAUpsAndAHost) {
  const auto plain = parse_nut_place("ups1@localhost");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->ups, "ups1");
  EXPECT_EQ(plain->host, "localhost");
  EXPECT_EQ(plain->port, 3493);
  const auto six = parse_nut_place("a@[::1]:1");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "::1");
  EXPECT_EQ(six->port, 1);
  for (const char* text : {"", "ups1", "@host", "a b@host", "a@", "a@host:", "a@host:0", "a@host:x",
                           "a@host:70000", "a@[::1", "a@[::1]x", "a@:1"}) {
    EXPECT_FALSE(parse_nut_place(text)) << text;
  }
}

TEST(NutLine, ValuesAreTakenOutOfTheirQuotes) {
  const auto value = parse_nut_line(R"(VAR u ups.status "OB DISCHRG \"x\\\"")", "u", "ups.status");
  ASSERT_TRUE(value);
  EXPECT_EQ(value->value_or(""), "OB DISCHRG \"x\\\"");
  const auto none = parse_nut_line("ERR VAR-NOT-SUPPORTED", "u", "battery.charge");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
}

TEST(NutLine, ErrorsSayWhatToDo) {
  const auto error = [](std::string_view line) {
    const auto value = parse_nut_line(line, "u", "ups.status");
    return value ? "taken" : value.error().message;
  };
  EXPECT_EQ(error("ERR UNKNOWN-UPS"), "upsd says UNKNOWN-UPS; is [u] in upsd's ups.conf?");
  EXPECT_EQ(error("ERR DATA-STALE"),
            "upsd says DATA-STALE; its driver gets nothing from the UPS: check the cable");
  EXPECT_EQ(error("SSH-2.0-OpenSSH_9.2"), "what answers is no NUT server; check host and port");
  EXPECT_EQ(error("VAR other ups.status \"OL\""),
            "what answers is no NUT server; check host and port");
  EXPECT_EQ(error(""), "what answers is no NUT server; check host and port");
}

TEST(NutAnswer, StatusIsALineOfWords) {
  const NutAnswer answer{"OB LB", {}, {}};
  EXPECT_TRUE(answer.has("OB"));
  EXPECT_TRUE(answer.has("LB"));
  EXPECT_FALSE(answer.has("B"));
  EXPECT_FALSE(answer.has("FSD"));
}

}  // namespace
}  // namespace holdfast::host
