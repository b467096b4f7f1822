// Goal: Result and Status carry exactly one of value and error, and errors gain context on the way.
// Method: both sides, by value, by reference and moved out; reading the wrong side must assert.
#include "holdfast/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace holdfast {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Error{Errc::invalid_argument, "odd"};
  return number / 2;
}

TEST(ResultOfValue, HoldsTheValue) {
  const Result<int> result = half(8);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(static_cast<bool>(result));
  EXPECT_EQ(*result, 4);
  EXPECT_EQ(result.value(), 4);
}

TEST(ResultOfValue, HoldsTheError) {
  const Result<int> result = half(7);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::invalid_argument);
  EXPECT_EQ(result.error().message, "odd");
  EXPECT_EQ(result.error().os_error, 0);
}

TEST(ResultOfValue, MovesOutWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(3));
  ASSERT_TRUE(result);
  const std::unique_ptr<int> taken = std::move(result).value();
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(*taken, 3);
}

TEST(ResultOfValue, IsWritableThroughReferenceAndArrow) {
  Result<std::string> result(std::string("a"));
  result->push_back('b');
  *result += "c";
  EXPECT_EQ(result.value(), "abc");
}

TEST(StatusWithoutValue, IsSuccessByDefaultAndCarriesAnError) {
  EXPECT_TRUE(Status().ok());
  const Status failed = Error{Errc::io, "write failed", 5};
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::io);
  EXPECT_EQ(failed.error().os_error, 5);
}

TEST(ErrorContext, IsPutBeforeTheMessageOnceForEachLevel) {
  Error error = Error{Errc::no_space, "disk full", 28}.with("segment 7").with("outbox");
  EXPECT_EQ(error.message, "outbox: segment 7: disk full");
  EXPECT_EQ(error.code, Errc::no_space);
  EXPECT_EQ(error.os_error, 28);
}

TEST(ErrorContext, SurvivesTheWayThroughAnotherResult) {
  Result<int> inner = half(1);
  const Status outer = std::move(inner).error().with("half");
  EXPECT_EQ(outer.error().message, "half: odd");
}

#ifndef NDEBUG
TEST(ResultDeathTest, ReadingTheWrongSideAsserts) {
  EXPECT_DEATH(static_cast<void>(half(7).value()), "ok");
  EXPECT_DEATH(static_cast<void>(half(8).error()), "ok");
}
#endif

}  // namespace
}  // namespace holdfast
