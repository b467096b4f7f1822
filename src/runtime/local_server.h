// The local API: a Unix socket on which any program of this machine publishes and subscribes.
//
// Purpose:  newline-delimited JSON (local_protocol.h, docs/local-api.md) in front of a Device.
// Threads:  opened before the loop runs or on its thread; destroyed on it or after it has ended.
//           connection_changed() on the loop thread. The device's handlers come from any thread
//           and reach the loop through a mailbox that may outlive the server.
// Ownership: owns the socket file and its clients; the device must outlive it. The destructor hands
//           out what has been answered so far, as far as the sockets take it at once.
// Access:   file mode 0660; besides, the peer must be root, our own user, or in the file's group;
//           what it may do then is in local_access.h.
// Bounds:   limits::kLocalClients clients; each: a line of limits::kLocalLine, unread answers of
//           limits::kLocalBacklog (at half of it no more requests are read; a client that is over
//           it because of events is cut), kLocalReceiptsOwed receipts, kLocalLooksOwed questions
//           to the outbox.
// Errors:   in_use when a living process listens on the path, else permission or io; each names the
//           path. A file left by a dead process is replaced. A shortage of descriptors pauses
//           accepting for a second; it never spins.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "holdfast/device.h"
#include "holdfast/result.h"
#include "posix/event_loop.h"
#include "posix/unique_fd.h"
#include "runtime/ack_groups.h"
#include "runtime/local_access.h"
#include "runtime/local_groups.h"
#include "runtime/logger.h"
#include "runtime/outbox_look.h"

namespace holdfast::runtime {

class LocalServer {
 public:
  /// Has a look done by the thread that owns the outbox.
  using Looks = std::function<void(Look)>;

  /// The last lines of the log as a message; without a topic on the configured one.
  using LogMessage = std::function<Result<Message>(std::string topic, std::size_t count)>;

  struct Options {
    std::filesystem::path socket;
    std::filesystem::path history;  ///< The directory with the history of outages.
    std::shared_ptr<Logger> log;
    Looks looks;
    LogMessage log_message = {};
    LocalAccess access{};  ///< Who may do what.
    std::string page{};    ///< The address of the page to look at; empty: there is none.
    /// Why programs are not served but for looking and control; empty: they are.
    std::string safe_mode{};
    std::function<void()> leave_safe_mode = {};
    /// Keeps why the machine is about to go down. On the outbox's thread.
    std::function<void(BootReason, const std::string&)> going_down = {};
    /// Of messages that programs acknowledge. Without a tally: one that nobody sees.
    std::shared_ptr<AckTally> acknowledgements{};
    LocalGroups::Write write{};
    /// Listens at `socket` already, as the service manager has passed it; empty: listen there.
    posix::UniqueFd passed{};
  };
  [[nodiscard]] static Result<std::unique_ptr<LocalServer>> open(posix::EventLoop& loop,
                                                                 Device& device, Options options);
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  /// Tells the clients that asked for events. Loop thread. Device::on_connection() stays the
  /// application's.
  void connection_changed(const ConnectionState& state);
  void identity_changed(const IdentityState& state);
  void heartbeat_changed(const HeartbeatState& state);

 private:
  class Hub;
  explicit LocalServer(std::unique_ptr<Hub> hub);

  std::unique_ptr<Hub> hub_;
};

}  // namespace holdfast::runtime
