// Goal:   the real disk does what env::Disk says, and each failure has its code and names the path.
// Method: directories under a temporary one; a small tmpfs for the full disk (needs root).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "posix/system.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

class DiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "holdfast-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  std::unique_ptr<env::Disk> open() {
    auto disk = open_disk(root_ / "box");
    if (!disk) {
      ADD_FAILURE() << disk.error().message;
      return nullptr;
    }
    return std::move(disk).value();
  }

  fs::path root_;
};

mode_t mode_of(const fs::path& path) {
  struct stat about {};
  EXPECT_EQ(::stat(path.c_str(), &about), 0) << path;
  return about.st_mode & 07777U;
}

void expect_error(const Error& error, Errc code, const std::string& words) {
  EXPECT_EQ(to_string(error.code), to_string(code)) << error.message;
  EXPECT_NE(error.message.find(words), std::string::npos) << error.message;
}

TEST_F(DiskTest, RenamesOverAFileThatIsThere) {
  auto disk = open();
  ASSERT_TRUE(disk);
  for (const char* name : {"fresh", "old"}) {
    auto file = disk->open(name, env::OpenMode::create);
    ASSERT_TRUE(file);
    ASSERT_TRUE((*file)->write_at(0, bytes_of(name)));
  }
  ASSERT_TRUE(disk->rename("fresh", "old"));
  EXPECT_EQ(disk->list().value(), std::vector<std::string>{"old"});
  auto file = disk->open("old", env::OpenMode::read);
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->size().value(), 5U);
  expect_error(disk->rename("absent", "old").error(), Errc::not_found, "old");
  expect_error(disk->rename("old", "../old").error(), Errc::invalid_argument, "../old");
}

TEST_F(DiskTest, OpeningAFifoDoesNotWaitForItsWriter) {
  auto disk = open();
  ASSERT_TRUE(disk);
  ASSERT_EQ(::mkfifo((root_ / "box" / "pipe").c_str(), 0600), 0);
  auto file = disk->open("pipe", env::OpenMode::read);
  ASSERT_TRUE(file);
  std::array<std::byte, 1> one{};
  EXPECT_FALSE((*file)->read_at(0, one));
}

TEST_F(DiskTest, CreatesItsDirectoryWithParentsForTheOwnerOnly) {
  const fs::path deep = root_ / "a" / "b" / "c";
  ASSERT_TRUE(open_disk(deep).ok());
  EXPECT_EQ(mode_of(deep), 0700U);
  EXPECT_EQ(mode_of(root_ / "a"), 0700U);
  ASSERT_TRUE(open_disk(deep).ok()) << "an existing one is fine";
  ASSERT_TRUE(open_disk(deep.string() + "/").ok());
}

TEST_F(DiskTest, RefusesADirectoryThatOthersMayWriteTo) {
  const fs::path open = root_ / "open";
  for (const mode_t mode : {0770U, 0702U, 01777U}) {
    fs::create_directory(open);
    ASSERT_EQ(::chmod(open.c_str(), mode), 0);
    const auto disk = open_disk(open);
    ASSERT_FALSE(disk.ok());
    expect_error(disk.error(), Errc::permission, "run: chmod go-w " + open.string());
  }
  ASSERT_EQ(::chmod(open.c_str(), 0755), 0);
  EXPECT_TRUE(open_disk(open).ok());
}

TEST_F(DiskTest, RefusesWhatIsNoDirectory) {
  const fs::path file = root_ / "file";
  std::ofstream(file) << "x";
  const auto as_directory = open_disk(file);
  ASSERT_FALSE(as_directory.ok());
  expect_error(as_directory.error(), Errc::not_found, file.string());
  const auto below = open_disk(file / "box");
  ASSERT_FALSE(below.ok());
  expect_error(below.error(), Errc::not_found, (file / "box").string());
  for (const auto* refused : {&as_directory, &below}) {
    EXPECT_NE(refused->error().message.find("; give a directory"), std::string::npos);
  }
  EXPECT_EQ(open_disk("").error().code, Errc::invalid_argument);
}

TEST_F(DiskTest, WritesReadsAndTellsTheSize) {
  const auto disk = open();
  auto file = disk->open("f", env::OpenMode::create);
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(mode_of(root_ / "box" / "f"), 0600U);
  ASSERT_TRUE((*file)->write_at(0, bytes_of("hello")).ok());
  ASSERT_TRUE((*file)->write_at(10, bytes_of("world")).ok());
  ASSERT_TRUE((*file)->sync().ok());
  ASSERT_TRUE(disk->sync_directory().ok());
  EXPECT_EQ((*file)->size().value(), 15U);

  auto again = disk->open("f", env::OpenMode::read);
  ASSERT_TRUE(again.ok());
  std::array<std::byte, 20> into{};
  EXPECT_EQ((*again)->read_at(0, into).value(), 15U) << "short only at the end of the file";
  EXPECT_EQ(std::memcmp(into.data(), "hello\0\0\0\0\0world", 15), 0);
  EXPECT_EQ((*again)->read_at(12, std::span(into).first(2)).value(), 2U);
  EXPECT_EQ((*again)->read_at(15, into).value(), 0U);
  EXPECT_EQ((*again)->read_at(1000, into).value(), 0U);
  EXPECT_EQ((*again)->write_at(0, bytes_of("x")).error().code, Errc::io) << "opened for reading";
}

TEST_F(DiskTest, OpensOnlyWhatTheModeAllows) {
  const auto disk = open();
  EXPECT_EQ(disk->open("f", env::OpenMode::read).error().code, Errc::not_found);
  EXPECT_EQ(disk->open("f", env::OpenMode::read_write).error().code, Errc::not_found);
  ASSERT_TRUE(disk->open("f", env::OpenMode::create).ok());
  const auto twice = disk->open("f", env::OpenMode::create);
  ASSERT_FALSE(twice.ok());
  EXPECT_EQ(twice.error().os_error, EEXIST);
  EXPECT_NE(twice.error().message.find((root_ / "box" / "f").string()), std::string::npos);
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("a/b"),
        std::string("a\0b", 3), std::string(300, 'x')}) {
    EXPECT_EQ(disk->open(name, env::OpenMode::create).error().code, Errc::invalid_argument);
    EXPECT_EQ(disk->remove(name).error().code, Errc::invalid_argument);
  }
}

TEST_F(DiskTest, DoesNotFollowSymbolicLinks) {
  const auto disk = open();
  const fs::path target = root_ / "target";
  std::ofstream(target) << "x";
  fs::create_symlink(target, root_ / "box" / "link");
  EXPECT_FALSE(disk->open("link", env::OpenMode::read_write).ok());
}

TEST_F(DiskTest, ListsFilesAndRemovesThem) {
  const auto disk = open();
  ASSERT_TRUE(disk->lock().ok());
  for (const char* name : {"b", "a", "c"}) {
    ASSERT_TRUE(disk->open(name, env::OpenMode::create).ok());
  }
  fs::create_directory(root_ / "box" / "lost+found");
  auto names = disk->list().value();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"})) << "files, without the lock";
  ASSERT_TRUE(disk->remove("b").ok());
  EXPECT_EQ(disk->remove("b").error().code, Errc::not_found);
  EXPECT_EQ(disk->list()->size(), 2U);
}

TEST_F(DiskTest, KeepsWorkingWhenItsDirectoryIsRenamed) {
  const auto disk = open();
  ASSERT_TRUE(disk->open("f", env::OpenMode::create).ok());
  fs::rename(root_ / "box", root_ / "moved");
  EXPECT_TRUE(disk->open("f", env::OpenMode::read_write).ok());
}

TEST_F(DiskTest, TheLockIsExclusiveAndNamesItsHolder) {
  auto first = open();
  const auto second = open();
  ASSERT_TRUE(first->lock().ok());
  EXPECT_TRUE(first->lock().ok()) << "taking it again does nothing";
  const Status taken = second->lock();
  ASSERT_FALSE(taken.ok());
  expect_error(taken.error(), Errc::in_use, "in use by process " + std::to_string(::getpid()));
  first.reset();
  EXPECT_TRUE(second->lock().ok()) << "free again once the holder is gone";
}

TEST_F(DiskTest, TheLockEndsWithItsProcessHoweverThatEnds) {
  int ready[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto disk = open_disk(root_ / "box");
    const char fine = disk.ok() && disk.value()->lock().ok() ? '1' : '0';
    static_cast<void>(::write(ready[1], &fine, 1) == 1);
    ::pause();
    ::_exit(1);
  }
  char fine = 0;
  ASSERT_EQ(::read(ready[0], &fine, 1), 1);
  EXPECT_EQ(fine, '1');
  const auto disk = open();
  const Status taken = disk->lock();
  ASSERT_FALSE(taken.ok());
  expect_error(taken.error(), Errc::in_use, "process " + std::to_string(child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(disk->lock().ok());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(DiskTest, TellsFreeSpace) { EXPECT_GT(open()->free_bytes().value(), 0U); }

class FullDiskTest : public DiskTest {
 protected:
  void SetUp() override {
    DiskTest::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to mount a small tmpfs";
    mounted_ = root_ / "small";
    fs::create_directory(mounted_);
    if (::mount("tmpfs", mounted_.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) {
      const std::string why = std::strerror(errno);
      mounted_.clear();
      GTEST_SKIP() << "a small tmpfs cannot be mounted here: " << why;
    }
  }
  void TearDown() override {
    if (!mounted_.empty()) ::umount2(mounted_.c_str(), MNT_DETACH);
    DiskTest::TearDown();
  }
  fs::path mounted_;
};

TEST_F(FullDiskTest, AFullDiskIsNoSpaceAndStillLocksAndReads) {
  auto disk = open_disk(mounted_);
  ASSERT_TRUE(disk.ok()) << disk.error().message;
  ASSERT_TRUE((*disk)->lock().ok());
  auto file = (*disk)->open("f", env::OpenMode::create);
  ASSERT_TRUE(file.ok());
  const std::string block(128 * 1024, 'x');
  const Status full = (*file)->write_at(0, bytes_of(block));
  ASSERT_FALSE(full.ok());
  expect_error(full.error(), Errc::no_space, (mounted_ / "f").string());
  EXPECT_EQ((*disk)->free_bytes().value(), 0U);
  disk = open_disk(mounted_ / "absent");
  disk = open_disk(mounted_);
  ASSERT_TRUE(disk.ok());
  EXPECT_TRUE((*disk)->lock().ok());
  std::array<std::byte, 10> into{};
  EXPECT_EQ((*file)->read_at(0, into).value(), 10U);
}

TEST_F(FullDiskTest, AReadOnlyDiskIsReadOnlyAndCanBeLocked) {
  {
    auto disk = open_disk(mounted_);
    ASSERT_TRUE(disk.ok());
    ASSERT_TRUE((*disk)->open("f", env::OpenMode::create).ok());
  }
  ASSERT_EQ(::mount(nullptr, mounted_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  auto disk = open_disk(mounted_);
  ASSERT_TRUE(disk.ok()) << disk.error().message;
  EXPECT_TRUE((*disk)->lock().ok());
  auto second = open_disk(mounted_);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->lock().error().code, Errc::in_use);
  EXPECT_EQ((*disk)->open("g", env::OpenMode::create).error().code, Errc::read_only);
  EXPECT_EQ((*disk)->open("f", env::OpenMode::read_write).error().code, Errc::read_only);
  EXPECT_TRUE((*disk)->open("f", env::OpenMode::read).ok());
  EXPECT_EQ((*disk)->remove("f").error().code, Errc::read_only);
}

}  // namespace
}  // namespace holdfast::posix
