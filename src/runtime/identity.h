// Who the device is, at run time: the slots' files, identity::Rotation and the connection, brought
// together.
//
// Purpose: each attempt uses the certificate that identity::Rotation chose; what becomes of it goes
//          back there; what it wants written is written; people are told in time.
// Threads: loop thread (constructed before the loop runs). Files are written by the storage thread,
//          since the loop waits for no disk; small files are read here, as for every attempt.
// Errors:  none ends anything; each is a line, and a reason in IdentityState.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/engine.h"
#include "holdfast/config.h"
#include "holdfast/device.h"
#include "identity/expiry.h"
#include "identity/rotation.h"
#include "posix/event_loop.h"
#include "runtime/identity_slots.h"
#include "runtime/storage.h"

namespace holdfast::runtime {

/// Days left of the certificate in use, by the clock or what is known better.
[[nodiscard]] std::optional<std::int32_t> certificate_days_left(const IdentityState& state,
                                                                WallTime clock);

class Identity {
 public:
  struct Hooks {
    LogHandler log;
    /// The connection is to be made anew.
    std::function<void()> renew;
    /// At each change; `warned`: of the certificate's end, since the last call.
    std::function<void(IdentityState state, bool warned)> changed;
    /// A time that is certainly over.
    std::function<WallTime()> floor;
  };

  /// Reads the slots. All arguments must outlive this; the hooks are called from the first
  /// service() on.
  Identity(posix::EventLoop& loop, const env::Clock& clock, Storage& storage, const Config& config,
           Hooks hooks);
  ~Identity();
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  /// A changed configuration.
  void reconfigure(const Config& config);
  /// A file may have changed.
  void look();
  /// Decides and tells; also when the clock was set.
  void service();

  /// Puts the certificate's files into `request`, whose attempt begins now.
  void fill_in(env::ConnectRequest& request);
  /// The same for a connection that proves nothing about a certificate.
  void lend(env::ConnectRequest& request) const;
  void up(env::AttemptId attempt);
  /// Verdict::none: as we wanted.
  void ended(env::AttemptId attempt, const env::Failure& failure);
  /// The attempt was given up without an answer.
  void aborted();

  /// The slots' files, for whoever watches files.
  [[nodiscard]] std::vector<std::filesystem::path> files() const;

 private:
  struct Answers;

  void open_directory();
  void remember();
  [[nodiscard]] identity::KnownTime time() const;
  void warn(std::string text);
  void carry_out(identity::Rotation::Orders orders, bool may_renew);
  void serve(bool may_renew);
  void post_writes(const identity::Rotation::Orders& orders);
  void written(bool kept, const Status& status);
  [[nodiscard]] IdentityState state() const;
  [[nodiscard]] const SlotState& slot_in_use() const;

  posix::EventLoop& loop_;
  const env::Clock& clock_;
  Storage& storage_;
  Hooks hooks_;
  std::filesystem::path directory_;
  SlotReader reader_;
  identity::Slots slots_;
  identity::Rotation rotation_;
  identity::ExpiryWatch expiry_;
  env::AttemptId attempt_ = 0;
  posix::Timer timer_;
  std::shared_ptr<Answers> answers_;
};

}  // namespace holdfast::runtime
