// Goal:   the look-up asks the name servers that are configured now, tells the ways apart in which
//         they fail, and is never waited for.
// Method: the real resolver and scripted name servers, in namespaces of the test's own.
#include <gtest/gtest.h>

#include <optional>

#include "base/limits.h"
#include "posix/event_loop.h"
#include "posix/system.h"
#include "posix/test_names.h"

namespace holdfast::posix {
namespace {

using Answer = Result<std::vector<env::Address>>;
using Says = TestNameServer::Says;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kServer = "127.0.0.53";

/// One look-up after the other, each in a turn of the loop of its own.
class Asker {
 public:
  Answer resolve(const std::string& host, Duration timeout = seconds(20)) {
    std::optional<Answer> answer;
    resolver->resolve(host, timeout, [&](Answer result) {
      answer = std::move(result);
      loop.stop();
    });
    loop.run();
    if (!answer) return Error{Errc::internal, "no answer", 0};
    return std::move(*answer);
  }
  std::string first(const std::string& host) {
    const Answer answer = resolve(host);
    return answer.ok() ? answer->front().numeric : answer.error().message;
  }
  Errc error(const std::string& host, Duration timeout = seconds(20)) {
    const Answer answer = resolve(host, timeout);
    return answer.ok() ? Errc::internal : answer.error().code;
  }

  EventLoop loop;
  std::unique_ptr<env::Resolver> resolver = make_resolver(loop);
};

#define HF_IN_OWN_NAMES(...) \
  if (!in_own_names(__VA_ARGS__)) GTEST_SKIP() << "no right to namespaces for network and mounts"

// Field lesson 7.
TEST(Names, AChangedResolvConfIsSeenByTheNextLookUp) {
  HF_IN_OWN_NAMES([] {
    TestNameServer home(kServer);
    TestNameServer away("127.0.0.54");
    home.say(Says::addresses, {"192.0.2.1"});
    away.say(Says::addresses, {"192.0.2.2"});
    Asker asker;
    use_name_server(kServer);
    EXPECT_EQ(asker.first("broker.test"), "192.0.2.1");
    use_name_server("127.0.0.54");  // the same length as before
    EXPECT_EQ(asker.first("broker.test"), "192.0.2.2");
    use_name_server(kServer, Rewrite::in_place);
    EXPECT_EQ(asker.first("broker.test"), "192.0.2.1");
    std::filesystem::remove("/etc/resolv.conf");
    EXPECT_FALSE(asker.resolve("broker.test").ok());
    use_name_server("127.0.0.54");
    EXPECT_EQ(asker.first("broker.test"), "192.0.2.2");
  });
}

TEST(Names, GivesEveryAddressOfTheAnswer) {
  HF_IN_OWN_NAMES([] {
    TestNameServer server(kServer);
    server.say(Says::addresses, {"192.0.2.1", "192.0.2.2", "192.0.2.3"});
    use_name_server(kServer);
    Asker asker;
    const Answer answer = asker.resolve("broker.test");
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->size(), 3U);
  });
}

TEST(Names, TellsApartHowTheServiceFails) {
  HF_IN_OWN_NAMES([] {
    TestNameServer server(kServer);
    use_name_server(kServer);
    Asker asker;
    server.say(Says::no_such_name);
    EXPECT_EQ(asker.error("broker.test"), Errc::not_found);
    server.say(Says::addresses, {});  // The name is there, but has no address.
    EXPECT_EQ(asker.error("broker.test"), Errc::not_found);
    server.say(Says::failure);
    EXPECT_EQ(asker.error("broker.test"), Errc::io);
    server.say(Says::nothing);
    EXPECT_EQ(asker.error("broker.test"), Errc::timeout) << "the system's own time is up";
    EXPECT_EQ(asker.error("broker.test", milliseconds(50)), Errc::timeout) << "ours is";
    use_name_server("127.0.0.99");  // Nobody listens there.
    EXPECT_EQ(asker.error("broker.test"), Errc::io);
  });
}

// Field lessons 13 and 14.
TEST(Names, LookUpsIntoABlackHoleAreBoundedAndNeverAwaited) {
  HF_IN_OWN_NAMES([] {
    TestNameServer server(kServer);
    use_name_server(kServer);
    const auto begin = std::chrono::steady_clock::now();
    Asker asker;
    std::size_t abandoned = 0;
    while (asker.error("broker.test", milliseconds(1)) == Errc::timeout) ++abandoned;
    EXPECT_EQ(asker.error("broker.test"), Errc::full) << "one more than are allowed";
    EXPECT_LE(abandoned, limits::kLookupsAtOnce);
    asker.resolver.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2)) << "as long as one takes";
    // When the abandoned ones have ended there is room again.
    server.say(Says::addresses, {"192.0.2.1"});
    asker.resolver = make_resolver(asker.loop);
    Answer answer = asker.resolve("broker.test");
    while (!answer.ok() && std::chrono::steady_clock::now() - begin < seconds(30)) {
      EXPECT_EQ(answer.error().code, Errc::full) << answer.error().message;
      std::this_thread::sleep_for(milliseconds(20));
      answer = asker.resolve("broker.test");
    }
    EXPECT_TRUE(answer.ok());
  });
}

}  // namespace
}  // namespace holdfast::posix
