// Goal: the endpoint of the last run is read back as it was written, and nothing else is believed.
#include "runtime/endpoint_file.h"

#include <gtest/gtest.h>

namespace holdfast::runtime {
namespace {

TEST(EndpointFileTest, is_read_as_it_was_written) {
  for (const char* name : {"primary", "eu-west-1", "a"}) {
    const Result<std::string> read = parse_endpoint_file(endpoint_file_text(name));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(*read, name);
  }
}

TEST(EndpointFileTest, damage_is_named) {
  const auto wrong = [](std::string_view text) {
    const Result<std::string> read = parse_endpoint_file(text);
    EXPECT_FALSE(read.ok()) << text;
    return read.ok() ? std::string() : read.error().message;
  };
  EXPECT_EQ(wrong(""), "it has another first line");
  EXPECT_EQ(wrong("holdfast-endpoint 2\nprimary\n"), "it has another first line");
  EXPECT_EQ(wrong("holdfast-endpoint 1\n"), "it was cut");
  EXPECT_EQ(wrong("holdfast-endpoint 1\nprim"), "it was cut");
  EXPECT_EQ(wrong("holdfast-endpoint 1\nprimary\nmore\n"), "it was cut");
  EXPECT_EQ(wrong("holdfast-endpoint 1\n../x\n"), "its name is no name of an endpoint");
  EXPECT_EQ(wrong("holdfast-endpoint 1\n\n"), "its name is no name of an endpoint");
}

}  // namespace
}  // namespace holdfast::runtime
