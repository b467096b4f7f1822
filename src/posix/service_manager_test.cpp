// Goal:   the service manager hears what sd_notify(3) says it would, at both kinds of address, and
//         the teller neither waits nor lets a peer's words speak for it.
// Method: a real datagram socket listens; the environment is set for this process.
#include "posix/service_manager.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "posix/notify_listener_fixture.h"

namespace holdfast::posix {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

Notice ready(const char* words) {
  Notice notice;
  notice.ready = true;
  notice.status = words;
  return notice;
}

TEST(NoticeFormat, HasALinePerField) {
  Notice notice;
  EXPECT_TRUE(notice.empty());
  EXPECT_EQ(format_notice(notice, seconds(1)), "");
  notice.stopping = true;
  notice.alive = true;
  notice.extend = milliseconds(5200);
  notice.watchdog = seconds(7);
  EXPECT_FALSE(notice.empty());
  EXPECT_EQ(format_notice(notice, seconds(1)),
            "STOPPING=1\nWATCHDOG_USEC=7000000\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=5200000\n");
  Notice reload;
  reload.reloading = true;
  EXPECT_EQ(format_notice(reload, milliseconds(1500)), "RELOADING=1\nMONOTONIC_USEC=1500000\n");
}

TEST(NoticeFormat, WordsOfAPeerStayOneLineOfPlainText) {
  EXPECT_EQ(format_notice(ready("broken\nSTOPPING=1\r\x7f\xff"), {}),
            "READY=1\nSTATUS=broken?STOPPING=1???\n");
  const std::string text = format_notice(ready(std::string(5000, 'x').c_str()), {});
  EXPECT_EQ(text.size(), std::string("READY=1\nSTATUS=\n").size() + kStatusMax);
}

TEST(ServiceManagerTest, APathAndAnAbstractNameAreHeard) {
  for (const std::string& name : {socket_path("notify"), "@" + unique_name("notify")}) {
    const NotifyListener listener(name);
    const ServiceManager manager(name, seconds(30));
    EXPECT_TRUE(manager.listens());
    EXPECT_EQ(manager.watchdog(), seconds(30));
    EXPECT_TRUE(manager.tell(ready("here")));
    EXPECT_EQ(listener.next(), "READY=1\nSTATUS=here\n") << name;
    EXPECT_TRUE(manager.tell(Notice{}));
    EXPECT_EQ(listener.next(), std::nullopt) << "nothing to tell is not told";
  }
}

TEST(ServiceManagerTest, WithoutAListenerNothingIsOwedAndNothingFails) {
  for (const std::string& name :
       {std::string(), std::string("relative"), std::string("/"), std::string("@"),
        std::string("vsock:2:1"), "/" + std::string(108, 'x'), "@" + std::string(108, 'x')}) {
    const ServiceManager manager(name);
    EXPECT_FALSE(manager.listens()) << name;
    EXPECT_TRUE(manager.tell(ready("here"))) << name;
  }
  const ServiceManager gone(socket_path("gone"));
  EXPECT_TRUE(gone.listens());
  EXPECT_TRUE(gone.tell(ready("here")));
}

TEST(ServiceManagerTest, AFullQueueIsToldAtOnceAndAListenerMadeAnewIsFound) {
  const std::string name = socket_path("full");
  std::optional<NotifyListener> listener(std::in_place, name);
  const ServiceManager manager(name);
  constexpr int kMoreThanFits = 100'000;
  int told = 0;
  while (told < kMoreThanFits && manager.tell(ready("again"))) ++told;
  EXPECT_LT(told, kMoreThanFits);
  EXPECT_GT(told, 0);
  EXPECT_NE(listener->next(), std::nullopt);
  EXPECT_TRUE(manager.tell(ready("again")));
  listener.reset();
  listener.emplace(name);
  EXPECT_TRUE(manager.tell(ready("anew")));
  EXPECT_EQ(listener->next(), "READY=1\nSTATUS=anew\n");
}

TEST(ServiceManagerTest, TheWatchdogIsReadFromItsTwoValues) {
  EXPECT_EQ(parse_watchdog("30000000", "17", 17), seconds(30));
  EXPECT_EQ(parse_watchdog("30000000", "", 17), seconds(30));
  EXPECT_EQ(parse_watchdog("30000000", "18", 17), Duration::zero()) << "for another process";
  for (const char* wrong : {"", "0", "-5", "x", "5s", "99999999999999999999"}) {
    EXPECT_EQ(parse_watchdog(wrong, "17", 17), Duration::zero()) << wrong;
  }
  EXPECT_EQ(parse_watchdog("30000000", "x", 17), Duration::zero());
  EXPECT_GT(parse_watchdog("9223372036854775807", "", 17), seconds(1)) << "does not overflow";
}

TEST(ServiceManagerTest, TheEnvironmentSaysWhereAndHowOften) {
  const std::string name = "@" + unique_name("environment");
  const NotifyListener listener(name);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  ::setenv("WATCHDOG_USEC", "2500000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const ServiceManager manager = ServiceManager::from_environment();
  for (const char* variable : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
    ::unsetenv(variable);
  }
  EXPECT_EQ(manager.watchdog(), microseconds(2'500'000));
  Notice notice;
  notice.alive = true;
  EXPECT_TRUE(manager.tell(notice));
  EXPECT_EQ(listener.next(), "WATCHDOG=1\n");
  const ServiceManager none = ServiceManager::from_environment();
  EXPECT_FALSE(none.listens());
  EXPECT_EQ(none.watchdog(), Duration::zero());
}

}  // namespace
}  // namespace holdfast::posix
