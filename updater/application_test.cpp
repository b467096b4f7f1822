// Goal:   `current` always leads to a whole version; taking back and doing again do no harm.
#include "application.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;

struct ApplicationTest : testing::Test {
  fs::path directory =
      fs::temp_directory_path() / ("holdfast-application-" + std::to_string(::getpid()));
  Application app{directory};

  ApplicationTest() {
    fs::remove_all(directory);
    fs::create_directories(directory);
  }
  ~ApplicationTest() override { fs::remove_all(directory); }

  void install(const std::string& version) {
    const auto place = app.begin_install(version);
    ASSERT_TRUE(place) << place.error().message;
    std::ofstream(*place / "file") << version;
    ASSERT_TRUE(app.end_install(version));
  }
  void update(const std::string& version) {
    install(version);
    ASSERT_TRUE(app.activate(version));
  }
  std::string content() const {
    std::ifstream file(directory / "current" / "file");
    std::string text;
    file >> text;
    return text;
  }
};

TEST_F(ApplicationTest, OneVersionReplacesTheOther) {
  EXPECT_EQ(app.current(), "");
  update("1");
  EXPECT_EQ(content(), "1");
  EXPECT_EQ(app.previous(), "");
  update("2");
  EXPECT_EQ(content(), "2");
  EXPECT_EQ(app.previous(), "1");
  ASSERT_TRUE(app.activate("2")) << "once more";
  EXPECT_EQ(app.previous(), "1");
  update("3");
  ASSERT_TRUE(app.tidy());
  EXPECT_FALSE(fs::exists(app.place_of("1")));
  EXPECT_TRUE(fs::exists(app.place_of("2")));
}

TEST_F(ApplicationTest, TakingBackLeadsToWhatWasBefore) {
  update("1");
  update("2");
  ASSERT_TRUE(app.take_back("2"));
  EXPECT_EQ(content(), "1");
  ASSERT_TRUE(app.take_back("2")) << "once more";
  EXPECT_EQ(content(), "1");
  // One that was never activated is not taken back.
  install("3");
  ASSERT_TRUE(app.take_back("3"));
  EXPECT_EQ(content(), "1");
}

TEST_F(ApplicationTest, WithoutAVersionBeforeThereIsNoneAfterwards) {
  update("1");
  ASSERT_TRUE(app.take_back("1"));
  EXPECT_EQ(app.current(), "");
  EXPECT_FALSE(fs::exists(directory / "current"));
}

TEST_F(ApplicationTest, AFirstVersionAfterOneThatWasRemovedHasNothingBefore) {
  update("1");
  update("2");
  fs::remove(directory / "current");
  install("3");
  ASSERT_TRUE(app.activate("3"));
  EXPECT_EQ(app.previous(), "") << "else taking 3 back would lead to 1";
}

TEST_F(ApplicationTest, AnInterruptedInstallationIsBegunAnew) {
  update("1");
  const auto place = app.begin_install("2");
  ASSERT_TRUE(place);
  std::ofstream(*place / "half") << "x";
  install("2");
  EXPECT_FALSE(fs::exists(app.place_of("2") / "half"));
  // A version that is there, but runs nowhere, is replaced.
  install("2");
  EXPECT_EQ(app.current(), "1");
}

TEST_F(ApplicationTest, WhatIsNotThereIsNotActivated) {
  update("1");
  const Status done = app.activate("9");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::not_found);
  EXPECT_EQ(content(), "1");
}

TEST_F(ApplicationTest, ALinkThatSomebodyElseHasMadeIsNoVersion) {
  fs::create_symlink("/etc", directory / "current");
  EXPECT_EQ(app.current(), "");
}

}  // namespace
}  // namespace holdfast::updater
