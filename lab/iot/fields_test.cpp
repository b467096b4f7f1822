// Reading objects member by member: what is there, and how a complaint names what is not.
#include "lab/iot/fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lab/iot/service_fixture.h"

namespace holdfast::lab::iot {
namespace {

TEST(LabFields, ReadsMembersOfTheRightType) {
  const Json value = parsed(R"({"t":"x","n":7,"f":true,"o":{"i":["a","b"]},"l":[{"n":1}]})");
  std::string complaint;
  Fields in(value, complaint);
  EXPECT_EQ(in.text("t"), "x");
  EXPECT_EQ(in.text_or("none", "y"), "y");
  EXPECT_EQ(in.number("n"), 7);
  EXPECT_EQ(in.number_if("none"), std::nullopt);
  EXPECT_TRUE(in.flag("f"));
  EXPECT_TRUE(in.flag_or("none", true));
  EXPECT_THAT(in.object("o").texts("i"), testing::ElementsAre("a", "b"));
  in.each_item("l", [](Fields item) { EXPECT_EQ(item.number("n"), 1); });
  in.no_others();
  EXPECT_EQ(complaint, "");
  EXPECT_TRUE(state_status(complaint));
}

/// The complaint after `read` has read `text`.
template <class Read>
std::string complaint_of(const std::string& text, Read&& read) {
  const Json value = parsed(text);
  std::string complaint;
  Fields in(value, complaint);
  read(in);
  in.no_others();
  return complaint;
}

TEST(LabFields, ComplaintsNameTheMember) {
  EXPECT_EQ(complaint_of("[]", [](Fields&) {}), "input must be an object");
  EXPECT_EQ(complaint_of("{}", [](Fields& in) { in.text("t"); }), "t is missing");
  EXPECT_EQ(complaint_of(R"({"t":1})", [](Fields& in) { in.text("t"); }), "t must be a string");
  EXPECT_EQ(complaint_of("{}", [](Fields& in) { in.number("n"); }), "n is missing");
  EXPECT_EQ(complaint_of(R"({"n":1.5})", [](Fields& in) { in.number("n"); }),
            "n must be a whole number");
  EXPECT_EQ(complaint_of(R"({"f":0})", [](Fields& in) { in.flag("f"); }),
            "f must be true or false");
  EXPECT_EQ(complaint_of("{}", [](Fields& in) { in.object("o"); }), "o is missing");
  EXPECT_EQ(complaint_of(R"({"o":1})", [](Fields& in) { in.object("o"); }), "o must be an object");
  EXPECT_EQ(complaint_of(R"({"o":{"i":[1]}})", [](Fields& in) { in.object("o").texts("i"); }),
            "o.i must be a list of strings");
  EXPECT_EQ(
      complaint_of(R"({"l":[{}, 1]})", [](Fields& in) { in.each_item("l", [](const Fields&) {}); }),
      "l[1] must be an object");
  EXPECT_EQ(complaint_of(R"({"l":1})", [](Fields& in) { in.each_item("l", [](const Fields&) {}); }),
            "l must be a list");
  EXPECT_EQ(complaint_of(R"({"x":1})", [](Fields&) {}), "x is no member here");
}

TEST(LabFields, TheFirstComplaintStays) {
  EXPECT_EQ(complaint_of("{}",
                         [](Fields& in) {
                           in.text("a");
                           in.text("b");
                         }),
            "a is missing");
}

}  // namespace
}  // namespace holdfast::lab::iot
