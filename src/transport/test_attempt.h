// Runs connection attempts to their outcome, for tests.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "posix/event_loop.h"
#include "posix/system.h"
#include "transport/test_pki.h"
#include "transport/test_server.h"
#include "transport/transport.h"

namespace holdfast::transport {

/// Answers every look-up with what it was told, through the loop; or never.
class FakeResolver final : public env::Resolver {
 public:
  explicit FakeResolver(posix::EventLoop& loop) : loop_(loop) {}
  void resolve(const std::string&, Duration, Done done) override {
    ++asked;
    running_ = std::make_shared<bool>(true);
    if (!answer) {
      kept_ = std::move(done);
      return;
    }
    loop_.post([this, done = std::move(done), running = running_] {
      if (*running) done(*answer);
    });
  }
  void cancel() override {
    ++cancelled;
    kept_ = nullptr;
    if (running_) *running_ = false;
  }

  std::optional<Result<std::vector<env::Address>>> answer;
  int asked = 0;
  int cancelled = 0;

 private:
  posix::EventLoop& loop_;
  Done kept_;
  std::shared_ptr<bool> running_;
};

/// A clock whose wall time can be set.
class FakeClock final : public env::Clock {
 public:
  BootTime now() const override { return real_->now(); }
  WallTime wall() const override { return wall_ ? *wall_ : real_->wall(); }
  bool wall_synchronized() const override { return true; }
  env::BootId boot_id() const override { return real_->boot_id(); }
  void set_wall(WallTime wall) { wall_ = wall; }

 private:
  std::unique_ptr<env::Clock> real_ = posix::make_clock();
  std::optional<WallTime> wall_;
};

class AttemptTest : public ::testing::Test {
 protected:
  AttemptTest() { resolver_.answer = std::vector<env::Address>{{"127.0.0.1", false}}; }

  static Target target_of(std::uint16_t port) {
    Target target;
    target.host = "localhost";
    target.port = port;
    target.tls.enabled = false;
    target.resolve_timeout = target.connect_timeout = std::chrono::seconds(10);
    target.silent_after = std::chrono::seconds(30);
    return target;
  }

  /// Runs the loop until stop(); fails instead of hanging.
  void run() {
    posix::Timer guard(loop_);
    guard.arm_after(std::chrono::seconds(30), [this] {
      ADD_FAILURE() << "the event did not come";
      loop_.stop();
    });
    loop_.run();
  }

  /// Runs the loop for a few turns, so that a late callback would show itself.
  void turn(Duration time = std::chrono::milliseconds(5)) {
    posix::Timer end(loop_);
    end.arm_after(time, [this] { loop_.stop(); });
    loop_.run();
  }

  Connector::Outcome attempt(const Target& target) {
    std::optional<Connector::Outcome> outcome;
    const auto connector =
        connect(loop_, resolver_, clock_, target, [&](Connector::Outcome result) {
          EXPECT_FALSE(outcome.has_value()) << "called twice";
          outcome = std::move(result);
          loop_.stop();
        });
    EXPECT_FALSE(outcome.has_value()) << "called from inside connect()";
    run();
    if (!outcome) return env::Failure{Verdict::none, 0, "no outcome"};
    return std::move(*outcome);
  }

  std::unique_ptr<Stream> stream_to(const Target& target) {
    Connector::Outcome outcome = attempt(target);
    if (const auto* failure = std::get_if<env::Failure>(&outcome)) {
      ADD_FAILURE() << to_string(failure->verdict) << ": " << failure->detail;
      return nullptr;
    }
    return std::move(std::get<std::unique_ptr<Stream>>(outcome));
  }

  env::Failure failure_of(const Target& target) {
    Connector::Outcome outcome = attempt(target);
    if (auto* failure = std::get_if<env::Failure>(&outcome)) return std::move(*failure);
    ADD_FAILURE() << "connected, which was not expected";
    return {};
  }

  void expect_failure(const Target& target, Verdict verdict, const std::string& words) {
    const env::Failure failure = failure_of(target);
    EXPECT_EQ(to_string(failure.verdict), to_string(verdict)) << failure.detail;
    EXPECT_NE(failure.detail.find(words), std::string::npos) << failure.detail;
  }

  struct Transfer {
    std::size_t bytes = 0;
    std::optional<env::Failure> failure;
  };
  Transfer read(Stream& stream, std::span<std::byte> into) {
    Transfer transfer;
    stream.read_some(into, into_transfer(transfer));
    run();
    return transfer;
  }
  Transfer write(Stream& stream, std::span<const std::byte> bytes) {
    Transfer transfer;
    stream.write_all(bytes, into_transfer(transfer));
    run();
    return transfer;
  }
  void shutdown(Stream& stream) {
    stream.shutdown([this] { loop_.stop(); });
    run();
  }

  posix::EventLoop loop_;
  FakeResolver resolver_{loop_};
  FakeClock clock_;

 private:
  Stream::Done into_transfer(Transfer& transfer) {
    return [this, &transfer](std::size_t bytes, const env::Failure* failure) {
      transfer.bytes = bytes;
      if (failure != nullptr) transfer.failure = *failure;
      loop_.stop();
    };
  }
};

/// Attempts that meet a TLS server with a certificate of a CA of the test's own.
class SecureAttemptTest : public AttemptTest {
 protected:
  Target secure(std::uint16_t port) {
    Target target = target_of(port);
    target.tls.enabled = true;
    target.tls.ca_file = files_.write("ca.pem", ca_.certificate_pem());
    return target;
  }

  /// Whether a server that wants a certificate of `client_ca` lets us in, and hears us.
  void expect_let_in(Target target, const Identity& client_ca, int max_version = 0) {
    const TlsServerContext context({&server_, &client_ca, max_version, ""});
    const TestServer server([&](int fd) { context.serve(fd, echo); });
    target.port = server.port();
    const auto stream = stream_to(target);
    ASSERT_NE(stream, nullptr);
    const Bytes hello(100);
    EXPECT_FALSE(write(*stream, hello).failure);
    std::array<std::byte, 100> into{};
    const Transfer got = read(*stream, into);
    EXPECT_FALSE(got.failure) << got.failure->detail;
    EXPECT_GT(got.bytes, 0U);
  }

  TestDirectory files_;
  Identity ca_ = make_ca("test CA");
  Identity server_ = issue(ca_, {});
};

}  // namespace holdfast::transport
