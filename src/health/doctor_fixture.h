// What all tests of the doctor's judges say of a finding.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "health/doctor.h"

namespace holdfast::health {

/// The result, words in what was found, and words in the advice; without trouble there is none.
inline void expect_finding(const Finding& finding, CheckResult result, const std::string& found,
                           const std::string& advice = "") {
  EXPECT_EQ(to_string(finding.result), to_string(result)) << finding.found;
  EXPECT_NE(finding.found.find(found), std::string::npos) << finding.found;
  const bool trouble = result == CheckResult::warning || result == CheckResult::failed;
  EXPECT_EQ(finding.advice.empty(), !trouble) << finding.advice;
  EXPECT_NE(finding.advice.find(advice), std::string::npos) << finding.advice;
}

}  // namespace holdfast::health
