// The faults that are switched on now: set by orders and scenarios, looked at by every connection.
//
// Threads: the loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "env/clock.h"
#include "holdfast/result.h"
#include "lab/fault/faults.h"
#include "lab/fault/mqtt_faults.h"
#include "lab/fault/scenario.h"
#include "lab/net/control.h"
#include "lab/net/trace.h"
#include "posix/event_loop.h"

namespace holdfast::lab::net {

class FaultSwitch {
 public:
  struct Handlers {
    /// Whether these faults can be had here; a TLS fault may lack its certificate.
    std::function<Status(const fault::Faults&)> check;
    /// They are in force from now on.
    std::function<void(const fault::Faults&)> changed;
    /// A scenario ends all connections.
    std::function<void(mqtt::Ending)> kick;
  };

  /// `trace` and `clock` outlive it.
  FaultSwitch(posix::EventLoop& loop, Trace& trace, const env::Clock& clock);
  /// One more relay whose connections are under these faults, until the key is dropped. `port`:
  /// the name by which orders may choose it; several may share one.
  [[nodiscard]] std::shared_ptr<void> connect(std::string port, Handlers handlers);

  /// Those that hold at `port`.
  [[nodiscard]] const fault::Faults& now(const std::string& port) const noexcept;
  [[nodiscard]] fault::FaultCounters& counters() noexcept { return counters_; }
  /// `by`: for the trace. `ports`: where they hold; empty: everywhere. Errors: a port of a name
  /// that nobody has, and those of Handlers::check; nothing has changed then.
  Status set(fault::Faults faults, std::string_view by, std::vector<std::string> ports = {});
  /// What "faults.set" does with `request`.
  Result<Json> order(const Json& request, std::string_view by);
  /// Follows a scenario from now on, instead of one under way.
  void follow(fault::ScenarioRun run);

  /// Adds "faults.set", "faults.get", "faults.clear" and "faults.presets".
  void add_operations(Control& control);

 private:
  struct Connected {
    std::string port;
    Handlers handlers;
  };

  void obey();
  [[nodiscard]] Json counts() const;
  [[nodiscard]] bool holds_at(const std::string& port) const noexcept;
  /// The faults and, when they do not hold everywhere, the ports.
  [[nodiscard]] Json describe() const;

  Trace& trace_;
  const env::Clock& clock_;
  [[nodiscard]] std::vector<std::shared_ptr<Connected>> connected() const;

  // The key of a relay owns its handlers; the switch only knows them.
  std::vector<std::weak_ptr<Connected>> connected_;
  fault::Faults faults_;
  std::vector<std::string> ports_;  // empty: everywhere
  fault::FaultCounters counters_;
  std::optional<fault::ScenarioRun> run_;
  posix::Timer timer_;
};

}  // namespace holdfast::lab::net
