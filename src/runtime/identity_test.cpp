// Goal:   a running device takes another certificate by trying it, keeps it or comes back with the
//         old one, loses no message on the way, and says why; no file in its slots ends it; no key
//         shows.
// Method: the real library, a real mosquitto that demands certificates of one CA, and real files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <mutex>
#include <thread>

#include "engines/real_broker.h"
#include "holdfast/device.h"
#include "runtime/identity_install.h"
#include "runtime/identity_json.h"
#include "runtime/service_report.h"
#include "transport/test_pki.h"

#include <nlohmann/json.hpp>

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;
using engines::test::RealProcess;
using transport::CertificateWish;
using transport::make_ca;
using transport::TestDirectory;

constexpr std::chrono::seconds kPatience(30);  // an upper bound, never reached when all is well

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class IdentityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!engines::test::RealBroker::available()) GTEST_SKIP() << "mosquitto is not installed";
    const auto server = issue(ca_, {});
    files_.write("ca.pem", ca_.certificate_pem());
    files_.write("server.pem", server.certificate_pem());
    files_.write("server.key", server.key_pem());
    make("factory", ca_);
    const std::uint16_t port = engines::test::free_port();
    files_.write("mosquitto.conf",
                 std::string(::geteuid() == 0 ? "user root\n" : "") + "listener " +
                     std::to_string(port) + " 127.0.0.1\nallow_anonymous true\n" +
                     "persistence false\nlog_dest stderr\nrequire_certificate true\ncafile " +
                     at("ca.pem").string() + "\ncertfile " + at("server.pem").string() +
                     "\nkeyfile " + at("server.key").string() + "\n");
    broker_.start({engines::test::find_program("mosquitto"), "-c", at("mosquitto.conf").string()},
                  {}, at("output"));
    broker_.wait_for(" running", std::chrono::seconds(20));
    config_.host = "127.0.0.1";
    config_.port = port;
    config_.client_id = "identity-test";
    config_.tls.ca_file = at("ca.pem");
    config_.tls.cert_file = at("factory.pem");
    config_.tls.key_file = at("factory.key");
    config_.identity.directory = slots();
    config_.outbox.directory = at("outbox");
    config_.timing.stable_after = Milliseconds(300);
    config_.messages_per_second = config_.bytes_per_second = 0;
  }

  void TearDown() override {
    device_.reset();
    // Whatever happened: no line of any key was written to the log or shown.
    for (const auto& entry : fs::directory_iterator(files_.path())) {
      if (entry.path().extension() != ".key") continue;
      const std::string key = read(entry.path());
      const std::size_t line = key.find('\n') + 1;
      ASSERT_GT(key.size(), line + 40);
      EXPECT_EQ(seen_.find(key.substr(line, 40)), std::string::npos) << entry.path();
    }
    EXPECT_EQ(seen_.find("PRIVATE KEY"), std::string::npos);
  }

  [[nodiscard]] fs::path at(const std::string& name) const { return files_.path() / name; }
  [[nodiscard]] fs::path slots() const { return at("slots"); }

  void make(const std::string& name, const transport::Identity& ca, CertificateWish wish = {}) {
    wish.common_name = name;
    const transport::Identity made = issue(ca, wish);
    files_.write(name + ".pem", made.certificate_pem());
    files_.write(name + ".key", made.key_pem());
  }

  void open() {
    auto opened = Device::open(config_, [this](const LogLine& line) {
      const std::lock_guard lock(mutex_);
      seen_ += line.text + "\n";
    });
    ASSERT_TRUE(opened) << opened.error().message;
    device_ = std::move(opened).value();
    ASSERT_TRUE(until([&] { return connected(); })) << log();
  }

  void install(const std::string& name) {
    const auto done = install_identity(slots(), at(name + ".pem"), at(name + ".key"), wall_now());
    ASSERT_TRUE(done) << done.error().message;
  }

  static WallTime wall_now() {
    return WallTime{std::chrono::duration_cast<Milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count()};
  }

  [[nodiscard]] bool connected() const {
    return device_->state().connection.state == LinkState::connected;
  }
  [[nodiscard]] SlotState slot(IdentitySlot which) {
    const IdentityState state = device_->identity();
    const std::lock_guard lock(mutex_);
    std::string shown = identity_json(state).dump() + "\n";
    if (!seen_.ends_with(shown)) seen_ += std::move(shown);
    return state.slots[static_cast<std::size_t>(which)];
  }
  [[nodiscard]] std::string log() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

  /// A message each few milliseconds, until told to stop; each must be delivered.
  class Traffic {
   public:
    explicit Traffic(Device& device) : device_(device), thread_([this] { run(); }) {}
    void end_and_expect_all() {
      going_ = false;
      thread_.join();
      std::unique_lock lock(mutex_);
      EXPECT_TRUE(changed_.wait_for(lock, kPatience, [&] { return delivered_ == sent_; }))
          << delivered_ << " of " << sent_;
      EXPECT_GT(sent_, 0);
      EXPECT_EQ(device_.state().ledger.dropped_total(), 0U);
    }

   private:
    void run() {
      while (going_) {
        Message message;
        message.topic = "identity/traffic";
        const PublishAnswer answer = device_.publish(message, [this](const Receipt& receipt) {
          if (receipt.kind != ReceiptKind::delivered) return;
          const std::lock_guard lock(mutex_);
          ++delivered_;
          changed_.notify_all();
        });
        if (answer) {
          const std::lock_guard lock(mutex_);
          ++sent_;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the traffic's own pace
      }
    }

    Device& device_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int sent_ = 0;
    int delivered_ = 0;
    std::atomic<bool> going_{true};
    std::thread thread_;
  };

  static bool until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  TestDirectory files_;
  transport::Identity ca_ = make_ca("the broker's CA");
  RealProcess broker_;
  Config config_;
  std::mutex mutex_;
  std::string seen_;
  std::unique_ptr<Device> device_;
};

TEST_F(IdentityTest, AGoodCertificateIsTriedAndKeptWithOneReconnectAndNoLoss) {
  open();
  Traffic traffic(*device_);
  std::vector<std::string> prints;
  for (const std::string name : {"second", "third"}) {
    make(name, ca_);
    const std::uint64_t connects = device_->state().connects;
    install(name);
    ASSERT_TRUE(until([&] { return slot(IdentitySlot::active).subject == "CN=" + name; })) << log();
    ASSERT_TRUE(until([&] { return device_->identity().phase == RotationPhase::none; })) << log();
    EXPECT_EQ(device_->state().connects, connects + 1);
    prints.push_back(slot(IdentitySlot::active).fingerprint);
  }
  traffic.end_and_expect_all();
  const IdentityState state = device_->identity();
  EXPECT_EQ(state.last, RotationResult::kept);
  EXPECT_EQ(state.kept, 2U);
  EXPECT_EQ(state.last_fingerprint, prints.back());
  EXPECT_EQ(slot(IdentitySlot::next).condition, SlotCondition::missing);
  EXPECT_EQ(slot(IdentitySlot::previous).subject, "CN=second");
  struct stat about {};
  for (const char* name : {"active.pem", "previous.pem", "last-rotation"}) {
    ASSERT_EQ(::stat((slots() / name).c_str(), &about), 0) << name;
    EXPECT_EQ(about.st_mode & 0777U, 0600U) << name;
  }
  // The way back is a trial like any.
  const auto ordered = roll_back_identity(slots(), wall_now());
  ASSERT_TRUE(ordered) << ordered.error().message;
  EXPECT_EQ(*ordered, Rollback::ordered);
  ASSERT_TRUE(until([&] { return slot(IdentitySlot::active).subject == "CN=second"; })) << log();
  EXPECT_EQ(slot(IdentitySlot::previous).subject, "CN=third");
}

TEST_F(IdentityTest, TheFirstChangeKeepsTheFactoryCertificateAsTheWayBackAndASecondRunUsesIt) {
  open();
  make("second", ca_);
  install("second");
  ASSERT_TRUE(until([&] { return slot(IdentitySlot::previous).subject == "CN=factory"; })) << log();
  ASSERT_TRUE(until([&] { return slot(IdentitySlot::active).subject == "CN=second"; })) << log();
  device_->stop(Milliseconds(2000));
  open();
  EXPECT_EQ(slot(IdentitySlot::active).subject, "CN=second");
  EXPECT_EQ(device_->identity().last, RotationResult::kept) << "remembered from the run before";
  EXPECT_EQ(device_->state().connects, 1U);
}

TEST_F(IdentityTest, ACertificateOfAnUnknownCaIsRolledBackWithItsReasonAndNoLoss) {
  open();
  Traffic traffic(*device_);
  const transport::Identity stranger = make_ca("another CA");
  make("foreign", stranger);
  const std::uint64_t connects = device_->state().connects;
  install("foreign");
  ASSERT_TRUE(until([&] { return device_->identity().last == RotationResult::rolled_back; }))
      << log();
  ASSERT_TRUE(until([&] { return connected(); })) << log();
  traffic.end_and_expect_all();
  const IdentityState state = device_->identity();
  EXPECT_EQ(state.in_use, IdentitySlot::active);
  EXPECT_EQ(state.phase, RotationPhase::refused);
  EXPECT_NE(state.last_reason.find("tls_client_refused"), std::string::npos) << state.last_reason;
  EXPECT_EQ(slot(IdentitySlot::active).subject, "CN=factory");
  EXPECT_LE(device_->state().connects, connects + 2);
  // Remembered: a restart does not try it again.
  device_->stop(Milliseconds(2000));
  open();
  EXPECT_EQ(device_->identity().phase, RotationPhase::refused);
  EXPECT_EQ(device_->state().attempts_total, 1U) << log();
  // Taken away, it is forgotten.
  const auto gone = roll_back_identity(slots(), wall_now());
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_EQ(*gone, Rollback::withdrawn);
  EXPECT_TRUE(until([&] { return device_->identity().phase == RotationPhase::none; })) << log();
}

TEST_F(IdentityTest, NothingInTheNextSlotDisturbsTheActiveOne) {
  open();
  make("other", ca_);
  const std::string whole = read(at("other.pem")) + read(at("other.key"));
  const std::string mixed = read(at("other.pem")) + read(at("factory.key"));
  const fs::path next = slots() / "next.pem";
  const auto put = [&](const std::string& content) {
    std::ofstream(at("fresh")) << content;
    fs::rename(at("fresh"), next);
  };
  const std::vector<std::pair<std::string, std::function<void()>>> bad{
      {"the file is empty", [&] { put(""); }},
      {"no PEM certificate in it", [&] { put("garbage\n" + std::string(3000, '\x01')); }},
      {"is larger than", [&] { put(std::string(100'000, 'x')); }},
      {"damaged", [&] { put(read(at("other.pem")).substr(0, 300)); }},
      {"no PEM private key in it", [&] { put(read(at("other.pem"))); }},
      {"the private key in it is damaged", [&] { put(whole.substr(0, whole.size() - 100)); }},
      {"does not fit the certificate", [&] { put(mixed); }},
      {"cannot read", [&] { fs::remove(next), fs::create_directory(next); }},
      {"cannot", [&] { fs::remove(next), ::mkfifo(next.c_str(), 0600); }},
      {"cannot open", [&] { fs::remove(next), fs::create_symlink(at("other.pem"), next); }},
  };
  for (const auto& each : bad) {
    each.second();
    ASSERT_TRUE(until([&] {
      const SlotState state = slot(IdentitySlot::next);
      return state.condition == SlotCondition::refused &&
             state.reason.find(each.first) != std::string::npos;
    })) << each.first
        << "; it says: " << slot(IdentitySlot::next).reason << "\n"
        << log();
    EXPECT_EQ(device_->identity().phase, RotationPhase::refused);
    EXPECT_TRUE(connected());
  }
  EXPECT_EQ(device_->state().connects, 1U) << "the active one was disturbed\n" << log();
  fs::remove(next);
  put(whole);  // by whoever: no installer of ours
  ASSERT_TRUE(until([&] { return slot(IdentitySlot::active).subject == "CN=other"; })) << log();
}

TEST_F(IdentityTest, ATornActiveSlotIsNamedAndThePreviousOneServes) {
  fs::create_directory(slots());
  fs::permissions(slots(), fs::perms::owner_all);
  std::ofstream(slots() / "active.pem") << read(at("factory.pem")).substr(0, 200);
  std::ofstream(slots() / "previous.pem") << read(at("factory.pem")) << read(at("factory.key"));
  config_.tls.cert_file.clear();
  config_.tls.key_file.clear();
  open();
  EXPECT_EQ(device_->identity().in_use, IdentitySlot::previous);
  EXPECT_NE(slot(IdentitySlot::active).reason.find("damaged"), std::string::npos);
  EXPECT_NE(log().find("the active slot is refused"), std::string::npos);
}

TEST_F(IdentityTest, AnEndThatIsNearIsSaidOnceAndShownInStatusAndToTheServiceManager) {
  make("short", ca_, {.valid_for_s = 3600 + 5 * 24 * 3600});
  config_.tls.cert_file = at("short.pem");
  config_.tls.key_file = at("short.key");
  config_.identity.directory.clear();  // known without slots, too
  open();
  const DeviceState state = device_->state();
  ASSERT_TRUE(state.certificate_days_left);
  EXPECT_EQ(*state.certificate_days_left, 4);
  EXPECT_EQ(device_->identity().days_left, 4);
  EXPECT_NE(status_words(state, {}).find("Our certificate expires in 4 days."), std::string::npos);
  const std::string said = log();
  const std::size_t first = said.find("our certificate expires in 4 days");
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("our certificate expires", first + 1), std::string::npos) << said;
}

TEST_F(IdentityTest, WhatCannotWorkIsRefusedWhenItIsInstalled) {
  open();
  make("expired", ca_, {.valid_from_s = -7200, .valid_for_s = 3600});
  make("other", ca_);
  const auto refusal = [&](const std::string& certificate, const std::string& key) {
    const auto done = install_identity(slots(), at(certificate), at(key), wall_now());
    return done ? std::string("installed") : done.error().message;
  };
  EXPECT_NE(refusal("expired.pem", "expired.key").find("it expired at"), std::string::npos);
  EXPECT_NE(refusal("other.pem", "factory.key").find("does not fit"), std::string::npos);
  EXPECT_NE(refusal("absent.pem", "other.key").find("absent.pem"), std::string::npos);
  EXPECT_NE(refusal("other.key", "other.key").find("no PEM certificate"), std::string::npos);
  const auto nowhere =
      install_identity(at("nowhere"), at("other.pem"), at("other.key"), wall_now());
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find("identity.directory"), std::string::npos);
  EXPECT_FALSE(fs::exists(slots() / "next.pem"));
  EXPECT_FALSE(roll_back_identity(slots(), wall_now())) << "there is nothing to go back to";
}

}  // namespace
}  // namespace holdfast::runtime
