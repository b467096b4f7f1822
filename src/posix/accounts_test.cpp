// Goal:   names and numbers of users and groups are found; others are not.
// Method: the accounts that every Linux has.
#include "posix/accounts.h"

#include <gtest/gtest.h>

namespace holdfast::posix {
namespace {

TEST(Accounts, AreFoundByNameAndByNumber) {
  EXPECT_EQ(user_id("root"), 0U);
  EXPECT_EQ(group_id("root"), 0U);
  EXPECT_NE(user_id("nobody").value_or(0), 0U);
  EXPECT_EQ(user_id("4711"), 4711U) << "need not have a name";
  EXPECT_EQ(group_id("4711"), 4711U);
}

TEST(Accounts, WhatIsNoAccountIsNone) {
  for (const char* name : {"", "no-such-account-here", "-1", "47x", "99999999999999"}) {
    EXPECT_FALSE(user_id(name)) << name;
    EXPECT_FALSE(group_id(name)) << name;
  }
}

}  // namespace
}  // namespace holdfast::posix
