// Goal:   the picture of holdfast status --watch shows what changes, and fits.
// Method: made-up states at made-up times. A real terminal is in agent/view_test.py.
#include "status_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace holdfast::cli {
namespace {

using nlohmann::json;

json status_of(unsigned accepted, unsigned delivered) {
  return {{"state", "connected"},
          {"verdict", "none"},
          {"backlog", accepted - delivered},
          {"ledger", {{"accepted", accepted}, {"delivered", delivered}}}};
}

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST(StatusWatch, ACurveGoesFromNothingToTheMost) {
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 80, true), "▁▂▃▄▅▆▇█");
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7}, 80, false), "_.:-=+*#");
  EXPECT_EQ(sparkline({9, 0, 7}, 2, false), "_#") << "the newest that fit";
  EXPECT_EQ(sparkline({0, 0}, 80, false), "__");
  EXPECT_EQ(sparkline({-1, 1}, 80, false), "_#");
  EXPECT_EQ(sparkline({}, 80, false), "");
  EXPECT_EQ(sparkline({1}, 0, false), "");
}

TEST(StatusWatch, RatesAreByTheSecondAndNeverBelowNothing) {
  WatchedState state;
  state.add(status_of(10, 10), Milliseconds(1000));
  state.add(status_of(30, 20), Milliseconds(3000));
  std::string picture = state.picture({80, 40, false}, "");
  EXPECT_NE(picture.find("accepted/s          10  #\n"), std::string::npos) << picture;
  EXPECT_NE(picture.find("delivered/s          5  #\n"), std::string::npos) << picture;
  EXPECT_NE(picture.find("waiting             10  _#\n"), std::string::npos) << picture;
  EXPECT_EQ(picture.find("not current"), std::string::npos);
  state.add(status_of(1, 1), Milliseconds(4000));  // another agent, of an emptied outbox
  state.add(status_of(2, 1), Milliseconds(4000));  // and no time has passed
  picture = state.picture({80, 40, false}, "gone");
  EXPECT_NE(picture.find("accepted/s           0  #_\n"), std::string::npos) << picture;
  EXPECT_NE(picture.find("not current: gone; asking again\n"), std::string::npos) << picture;
}

TEST(StatusWatch, ThePictureFitsAndKeepsItsCurves) {
  WatchedState state;
  for (int i = 0; i < 1000; ++i) {
    state.add(status_of(static_cast<unsigned>(i), 0), Milliseconds(1000 * (i + 1)));
  }
  for (const std::size_t rows : {5U, 6U, 10U, 50U}) {
    const std::string picture = state.picture({40, rows, false}, "");
    EXPECT_LT(lines_of(picture), rows) << picture;
    EXPECT_NE(picture.find("waiting"), std::string::npos);
    EXPECT_EQ(picture.find(std::string(17, '#')), std::string::npos) << "the curve is cut";
  }
  EXPECT_NE(state.picture({10, 1, true}, "").find("waiting"), std::string::npos);
  EXPECT_NE(WatchedState().picture({80, 24, true}, "no agent").find("no agent"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::cli
