// One Region of the local IoT Core: its connections, sessions, services and switches.
//
// Purpose:  what the doors share. A door asks whether something is allowed, hands requests of
//           reserved topics to the services, and is told what concerns its device.
// Threads:  none. Sans-I/O: the program drives doors, carries `take_published()` to the broker,
//           calls operations for people, and keeps save() on disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "env/clock.h"
#include "env/random.h"
#include "lab/iot/access.h"
#include "lab/iot/leaving.h"
#include "lab/iot/lifecycle.h"
#include "lab/iot/rates.h"
#include "lab/iot/service.h"
#include "lab/iot/switches.h"

namespace holdfast::lab::iot {

class Door;

/// What the Region knows of a client id beyond its connection.
struct Session {
  mqtt::Version version = mqtt::Version::v5;
  std::vector<mqtt::Subscription> subscriptions;
  WallTime expires{INT64_MAX};  ///< While nobody is connected.
  std::string uuid;             ///< The "sessionIdentifier" of lifecycle events.
};

class Region {
 public:
  /// All outlive it.
  struct World {
    const env::Clock& clock;
    env::Random& random;
    Access& access;
    std::string broker_password;  ///< What the broker's plugin wants of the front door.
  };
  explicit Region(World world) : world_(std::move(world)) {}
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  /// Services are asked in the order in which they were added. They outlive the Region.
  void add(Service& service) { services_.push_back(&service); }
  /// Events of connections go through it. It outlives the Region, and is added as a service, too.
  void set_lifecycle(Lifecycle& lifecycle) { lifecycle_ = &lifecycle; }

  Switches switches;

  /// Where devices find the Region. The real service has the ports 8883, 443 and 8443.
  struct Endpoint {
    std::string host = "localhost";
    std::uint16_t mqtt = 8883;
    std::uint16_t mixed = 443;
    std::uint16_t https = 8443;
  } endpoint = {};

  // ---- the program
  /// Doors that have something to do now though nothing came for them; each named once.
  [[nodiscard]] std::set<std::uint64_t> take_woken() { return std::exchange(woken_, {}); }
  /// Messages of the services for the broker, in order.
  [[nodiscard]] std::vector<Answer> take_published() { return std::exchange(published_, {}); }
  /// Client ids whose sessions at the broker are to be removed.
  [[nodiscard]] std::vector<std::string> take_forgotten() { return std::exchange(forgotten_, {}); }
  /// An operation of the AWS API, or of the lab. InvalidRequestException for an unknown one.
  ApiResult call(std::string_view operation, const Json& input);
  /// Carries out what came of something outside of doors and operations.
  void accept(Answers answers) { carry(std::move(answers), nullptr); }
  /// When on_time() has something to do.
  [[nodiscard]] WallTime wake() const;
  void on_time();
  [[nodiscard]] Json save() const;
  /// What save() wrote; names the member that is wrong. REQUIRES: no door yet.
  Status load(const Json& state);
  [[nodiscard]] std::uint64_t revision() const;

  // ---- doors
  [[nodiscard]] std::uint64_t enter(Door& door);
  void leave(std::uint64_t connection);
  [[nodiscard]] bool knows(std::uint64_t connection) const { return doors_.contains(connection); }
  void wake_door(std::uint64_t connection) { woken_.insert(connection); }
  /// Whether a CONNECT of this client id is within the rates.
  [[nodiscard]] bool connect_allowed(BootTime now, const std::string& client_id);
  [[nodiscard]] bool retain_allowed(BootTime now, const std::string& topic);
  /// The door may connect: whoever has its client id is ended.
  void take_over(const Door& door);
  /// The door is connected under its client id.
  void opened(Door& door);
  /// `expiry`: how long the session is kept, in seconds.
  void closed(Door& door, DisconnectReason why, std::uint32_t expiry);
  void refused(const Door& door);
  void subscribed(const Door& door, const std::vector<std::string>& filters, bool on);
  [[nodiscard]] Session& session(const std::string& client_id) { return sessions_[client_id]; }
  void changed() { ++revision_; }
  /// Hands a request to its service. REQUIRES: claim(message.topic) != Claim::none.
  void request(const Requester& from, const mqtt::Publish& message);
  [[nodiscard]] Claim claim(std::string_view topic) const;
  [[nodiscard]] Access& access() noexcept { return world_.access; }
  [[nodiscard]] WallTime wall() const { return world_.clock.wall(); }
  [[nodiscard]] const std::string& broker_password() const noexcept {
    return world_.broker_password;
  }
  [[nodiscard]] env::Random& random() noexcept { return world_.random; }

 private:
  struct Operation;
  static const std::vector<Operation>& operations();

  void carry(Answers answers, const Requester* requester);
  void tell_switches();
  [[nodiscard]] LifecycleClient client_of(const Door& door) const;
  [[nodiscard]] Door* door_of(std::string_view client_id) const;
  ApiResult delete_connection(const Json& input);
  ApiResult get_connection(const Json& input);
  ApiResult list_connections(const Json& input);
  ApiResult publish(const Json& input);
  ApiResult send_direct(const Json& input);
  ApiResult describe_endpoint(const Json& input);
  ApiResult put_switches(const Json& input);
  ApiResult get_switches(const Json& input);

  World world_;
  std::vector<Service*> services_;
  Lifecycle* lifecycle_ = nullptr;
  std::uint64_t last_connection_ = 0;
  std::map<std::uint64_t, Door*> doors_;
  std::map<std::string, Door*, std::less<>> open_;  ///< By client id.
  std::map<std::string, Session, std::less<>> sessions_;
  std::map<std::string, Bucket> connects_of_;
  std::map<std::string, Bucket> retains_of_;
  Bucket connects_;
  std::set<std::uint64_t> woken_;
  std::vector<Answer> published_;
  std::vector<std::string> forgotten_;
  std::uint64_t revision_ = 0;
  std::optional<Switches> told_;  ///< What the services know of them.
};

}  // namespace holdfast::lab::iot
