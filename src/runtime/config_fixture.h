// What all tests of configurations say.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/config_file.h"

namespace holdfast::runtime {

inline const std::string basics =
    "[connection]\nhost = \"broker.example\"\nclient_id = \"pump-7\"\n"
    "[outbox]\ndirectory = \"/var/lib/x\"\n";

inline std::vector<std::string> problems_of(const std::string& text,
                                            const Environment& environment = {}) {
  std::vector<std::string> lines;
  for (const Error& error : parse_config(text, "/etc/h.toml", environment).problems) {
    lines.push_back(error.message);
  }
  return lines;
}

inline void expect_problem(const std::string& text, const std::string& line) {
  const std::vector<std::string> lines = problems_of(text);
  ASSERT_EQ(lines.size(), 1u) << text << (lines.size() > 1 ? lines[0] + "\n" + lines[1] : "");
  EXPECT_EQ(lines[0], line);
}

}  // namespace holdfast::runtime
