// Temporary keys of AWS (IAM) for this device, from AWS IoT Core's credential provider: got with
// its certificate, kept in RAM, renewed ahead of their end (link/key_lease.h decides when).
//
// Threads: loop thread only.
// Errors:  each is a failure with a verdict: that of the way to the provider, not_authorized (it
//          says no, or there is no such alias), throttled, server_gone, or protocol_error (its
//          answer means nothing). Keys are in no line and no message.
// Source:  AWS IoT Core developer guide, "Authorizing direct calls to AWS services using AWS IoT
//          Core credential provider".
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "env/clock.h"
#include "env/engine.h"
#include "env/random.h"
#include "env/resolver.h"
#include "holdfast/log.h"
#include "link/key_lease.h"
#include "posix/event_loop.h"
#include "transport/https_get.h"
#include "transport/sigv4.h"

namespace holdfast::runtime {

/// Keys, and the provider's clock when it gave them. Counted from there, neither their end nor the
/// time of a signature depends on the clock of this device.
struct GrantedKeys {
  transport::AwsKeys keys;
  WallTime given;
  Duration lasts{};
};

/// What the provider's answer means. `wall`: this device's clock, used where the answer has no
/// Date.
[[nodiscard]] std::variant<GrantedKeys, env::Failure> judge_keys(
    const transport::HttpsAnswer& answer, WallTime wall);

class RoleKeys {
 public:
  struct Hooks {
    LogHandler log;
    /// New keys are there: the connection that was made with the old ones is to be made anew.
    std::function<void()> renew;
  };
  /// `failure` null: `request` is signed, and without the certificate, which is the provider's.
  using Ready = std::function<void(env::ConnectRequest& request, const env::Failure* failure)>;

  /// All must outlive it.
  RoleKeys(posix::EventLoop& loop, env::Clock& clock, env::Random& random, Hooks hooks);

  /// A changed configuration: without a role alias nobody is asked any more.
  void reconfigure(const Config& config);
  /// The same, where the endpoint in use needs none.
  void rest();
  /// Signs `request`, whose `sigv4` names a role alias; at once if there are keys that serve, else
  /// when the provider has answered. A request that still waits is forgotten.
  void sign(env::ConnectRequest request, Ready ready);
  /// What became of the attempt that was signed.
  void up(env::AttemptId attempt);
  void ended(env::AttemptId attempt, Verdict verdict);
  /// It was given up; also while it waits here.
  void aborted();
  /// Something has changed for the better: a network, a file, the clock.
  void mended();

  /// For people: until when the keys at hand are good.
  [[nodiscard]] std::string words() const;

 private:
  struct Waiting {
    env::ConnectRequest request;
    Ready ready;
  };

  void fetch(std::string asker);
  void answered(std::variant<transport::HttpsAnswer, env::Failure> outcome);
  void granted(GrantedKeys keys);
  void refused(const env::Failure& failure);
  void finish(env::ConnectRequest request, const Ready& ready);
  void rearm();

  posix::EventLoop& loop_;
  env::Clock& clock_;
  Hooks hooks_;
  link::KeyLease lease_;
  std::unique_ptr<env::Resolver> resolver_;
  env::ConnectRequest last_;  ///< The latest that was to be signed: renewals ask as it would.
  std::optional<Waiting> waiting_;
  std::unique_ptr<transport::HttpsGet> get_;
  std::string asker_;  ///< By whom and for what get_ asks.
  GrantedKeys keys_;
  BootTime given_at_{};
  env::AttemptId attempt_ = 0;  ///< That was signed last.
  bool fresh_ = false;          ///< Its keys were got for it.
  bool up_ = false;
  bool complained_ = false;  ///< Of renewals, since the last keys.
  posix::Timer timer_;
};

}  // namespace holdfast::runtime
