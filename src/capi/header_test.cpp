// Goal: holdfast.h is C++ as well, with C linkage. Method: what is compiled and linked here is
// enough.
#include "holdfast.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

TEST(Header, IsCplusplusToo) {
  holdfast_config* config = nullptr;
  ASSERT_EQ(holdfast_config_from_file("", &config), HOLDFAST_INVALID_ARGUMENT);
  EXPECT_EQ(std::string(holdfast_error_message()), "path is empty");
}

TEST(Header, MessagesOfErrorsBelongToTheirThread) {
  EXPECT_NE(holdfast_close(reinterpret_cast<holdfast_device*>(1)), HOLDFAST_OK);
  const std::string before = holdfast_error_message();
  std::thread([] {
    EXPECT_EQ(std::string(holdfast_error_message()), "");
    EXPECT_NE(holdfast_acknowledge(nullptr), HOLDFAST_OK);
  }).join();
  EXPECT_EQ(holdfast_error_message(), before);
}
