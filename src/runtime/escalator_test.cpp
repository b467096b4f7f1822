// Goal: what is wrong with [escalation] is said before it is needed.
// Method: configurations as text. The steps themselves: health/escalation_test.cpp, and with a real
//         ModemManager lab/modem_test.py.
#include "runtime/escalator.h"

#include <gtest/gtest.h>

#include "runtime/config_fixture.h"

namespace holdfast::runtime {
namespace {

TEST(Escalator, AHostAndItsPortAreToldApart) {
  using Place = std::pair<std::string, std::uint16_t>;
  EXPECT_EQ(host_and_port("example.org:443"), Place("example.org", 443));
  EXPECT_EQ(host_and_port("192.0.2.7:1"), Place("192.0.2.7", 1));
  EXPECT_EQ(host_and_port("[2001:db8::1]:65535"), Place("2001:db8::1", 65535));
  for (const char* text : {"", "example.org", ":443", "example.org:", "example.org:0",
                           "example.org:65536", "example.org:https", "[]:443"}) {
    EXPECT_FALSE(host_and_port(text)) << text;
  }
}

TEST(Escalator, ItsSectionIsChecked) {
  const std::string section = basics + "[escalation]\n";
  const std::string hosts = "reference_hosts = [\"a.example:443\"]\n";
  EXPECT_TRUE(problems_of(section + hosts + "steps = [\"modem\", \"reboot\"]\n").empty());
  expect_problem(section + hosts + "steps = [\"fly\"]\n",
                 "/etc/h.toml:8: escalation.steps: has \"fly\"; give some of \"reconnect\", "
                 "\"bearer\", \"modem\" and \"reboot\"");
  expect_problem(section + "reference_hosts = [\"a.example\"]\n",
                 "/etc/h.toml:7: escalation.reference_hosts: has \"a.example\"; give HOST:PORT, "
                 "such as \"example.org:443\"");
  const auto alone = problems_of(section + "steps = [\"modem\"]\n");
  ASSERT_EQ(alone.size(), 1U);
  EXPECT_NE(alone[0].find("escalation.reference_hosts: is empty"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::runtime
