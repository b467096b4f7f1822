// The groups of programs that acknowledge (ack_groups.h), between the device and the local server's
// clients, and kept over the end of the agent.
//
// Purpose:  each group is one subscription of the device, which holds back the PUBACKs of what it
//           gets. The groups stand in the file `acknowledging` beside the outbox, so that what the
//           broker gives again after a restart waits for its program instead of belonging to no
//           subscription.
// Threads:  loop thread; the device's handlers come from another and leave messages in an inbox
//           that may outlive this.
// Ownership: what is not acknowledged when this ends is not acknowledged to the broker, as long as
//           the device is stopping.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "env/clock.h"
#include "holdfast/device.h"
#include "posix/event_loop.h"
#include "runtime/ack_groups.h"
#include "runtime/local_protocol.h"
#include "runtime/logger.h"

namespace holdfast::runtime {

class LocalGroups {
 public:
  static constexpr const char* kFile = "acknowledging";
  /// Has a small file written, by whoever may wait for the disk.
  using Write = std::function<void(std::function<Status()>)>;

  /// Towards the clients; by their numbers.
  struct Outlet {
    std::function<bool(std::uint64_t client)> room;
    std::function<void(std::uint64_t client, const std::string& line)> give;
  };
  struct Options {
    posix::EventLoop& loop;
    Device& device;
    const env::Clock& clock;
    std::shared_ptr<Logger> log;
    std::filesystem::path directory;
    Write write{};
    std::shared_ptr<AckTally> tally{};
    std::uint64_t first = 0;  ///< As AckGroups.
  };

  LocalGroups(Options options, Outlet outlet);
  ~LocalGroups();
  LocalGroups(const LocalGroups&) = delete;
  LocalGroups& operator=(const LocalGroups&) = delete;

  /// The groups of an earlier run, without members.
  void restore();
  /// Errors: as Device::subscribe(), AckGroups::join().
  [[nodiscard]] Status join(std::uint64_t client, std::uint64_t subscription,
                            const SubscribeRequest& request);
  void leave(std::uint64_t subscription, bool for_good);
  /// How many of these were the client's.
  [[nodiscard]] std::size_t acknowledge(std::uint64_t client,
                                        const std::vector<std::uint64_t>& deliveries);
  /// Gives what can be given: to be called when a client has come or has room again.
  void offer();

 private:
  class Inbox;

  void take(std::vector<std::pair<AckGroups::Group, std::pair<InboundMessage, Hold>>> arrivals);
  [[nodiscard]] Status subscribe(AckGroups::Group group, const AckGroups::Terms& terms);
  void ended(AckGroups::Group group);
  void look();
  void arm();
  void save();

  Options options_;
  Outlet outlet_;
  AckGroups groups_;
  std::map<AckGroups::Group, SubscriptionId> subscribed_;
  std::map<std::uint64_t, AckGroups::Group> members_;  ///< By subscription.
  std::shared_ptr<Inbox> inbox_;
  posix::Timer timer_;
  BootTime armed_ = kNever;
  std::string saved_;
};

}  // namespace holdfast::runtime
