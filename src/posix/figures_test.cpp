// Goal:   the figures of process and network are the kernel's, and none is taken from a wrong
// column. Method: each is made to change by what this test does itself.
#include "posix/figures.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <vector>

#include "posix/system.h"
#include "posix/tcp_listener.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {
namespace {

TEST(Figures, OpenFilesAreCountedAndTheirLimitIsKnown) {
  const ProcessFigures before = process_figures();
  std::vector<UniqueFd> files;
  for (int i = 0; i < 5; ++i) files.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(process_figures().open_files, before.open_files + 5);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(before.max_files, limit.rlim_cur);
}

TEST(Figures, MemoryIsWhatIsTouched) {
  const ProcessFigures before = process_figures();
  constexpr std::size_t kMore = std::size_t{64} * 1024 * 1024;
  const std::vector<char> block(kMore, 'x');
  const ProcessFigures after = process_figures();
  EXPECT_GE(after.resident_bytes, before.resident_bytes + kMore / 2) << block.size();
  EXPECT_GE(after.virtual_bytes, after.resident_bytes);
}

TEST(Figures, CpuTimeGrowsAsTheKernelCountsIt) {
  const Duration before = process_figures().cpu;
  rusage used{};
  const auto micros = [&] {
    ::getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1'000'000 + used.ru_utime.tv_usec +
           used.ru_stime.tv_usec;
  };
  const auto begin = micros();
  while (micros() < begin + 100'000) {
  }
  EXPECT_GE(process_figures().cpu - before, std::chrono::milliseconds(80));
}

TEST(Figures, TheProcessIsNoOlderThanTheMachine) {
  const BootTime now = make_clock()->now();
  EXPECT_LE(process_age(now), now.time_since_epoch());
  EXPECT_GE(process_age(now + std::chrono::seconds(3)) - process_age(now), std::chrono::seconds(3));
}

TEST(Figures, ConnectionsThatStandAreCounted) {
  const auto listening = listen_tcp({"127.0.0.1", 0, true});
  ASSERT_TRUE(listening.ok()) << listening.error().message;
  sockaddr_in place{};
  socklen_t size = sizeof place;
  ASSERT_EQ(::getsockname(listening->get(), reinterpret_cast<sockaddr*>(&place), &size), 0);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(clients.back().get(), reinterpret_cast<sockaddr*>(&place), size), 0);
  }
  const auto figures = network_figures();
  ASSERT_TRUE(figures);
  EXPECT_GE(figures->established, 40U) << "both ends of each";
}

}  // namespace
}  // namespace holdfast::posix
