// The machine's message bus (D-Bus), as a client of services that run there.
//
// Purpose:  the only place that names sd-bus. libsystemd is loaded when a bus is wanted and is
//           there, so that an agent without one does not carry it.
// Method:   up() is called with each connection: then calls are made and signals listened to. A bus
//           that is not there, or goes, is tried again by itself, ever more seldom.
// Threads:  loop thread only. Hooks and answers must not destroy the bus.
// Errors:   of a call: not_found when nobody has the name, timeout, permission, else io; with the
//           words of the bus. Calls and listeners of a connection that is lost end without a word.
// Source:   the D-Bus specification; sd-bus(3).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"
#include "posix/event_loop.h"

namespace holdfast::host {

/// A bus that is not there is looked for again after this, then after twice as long, …
inline constexpr Duration kBusAgain = std::chrono::seconds(1);
/// ... but never longer than this.
inline constexpr Duration kBusAgainMost = std::chrono::seconds(60);
/// A service that has not answered for so long does not.
inline constexpr Duration kBusAnswer = std::chrono::seconds(25);
/// One that runs and did not is asked again after this.
inline constexpr Duration kBusAskAgain = std::chrono::seconds(5);
/// What a service nests deeper is left out.
inline constexpr int kBusDepthMost = 8;

/// What came over the bus: a plain value, or a list (array, structure) or a dictionary whose keys
/// are texts.
struct BusValue {
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string> plain;
  std::vector<BusValue> list;
  std::map<std::string, BusValue, std::less<>> dict;

  /// An empty one where it has none of that name or place.
  [[nodiscard]] const BusValue& operator[](std::string_view name) const;
  [[nodiscard]] const BusValue& at(std::size_t place) const;
  [[nodiscard]] bool has(std::string_view name) const { return dict.contains(name); }
  /// Empty, 0 or false where it is something else.
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::uint64_t number() const;
  [[nodiscard]] std::int64_t whole() const;
  [[nodiscard]] bool truth() const;
};

struct BusPath {
  std::string path;
};
using BusArgument = std::variant<std::string, BusPath, bool>;

struct BusCall {
  std::string service;
  std::string path;
  std::string interface;
  std::string method;
  std::vector<BusArgument> arguments = {};
};

/// The service's objects' properties of one interface.
[[nodiscard]] BusCall get_all(std::string service, std::string path, std::string interface);

class SystemBus {
 public:
  struct Hooks {
    std::function<void()> up;
    /// Once for each loss, and once if it is not there at the beginning.
    std::function<void(const std::string& why)> down;
  };
  using Answer = std::function<void(const Result<BusValue>& arguments)>;
  /// Where the signal comes from and its arguments, a list.
  using Heard = std::function<void(const std::string& path, const BusValue& arguments)>;

  /// Whether this build knows sd-bus.
  [[nodiscard]] static bool built() noexcept;

  SystemBus(posix::EventLoop& loop, Hooks hooks);
  ~SystemBus();
  SystemBus(const SystemBus&) = delete;
  SystemBus& operator=(const SystemBus&) = delete;

  /// Connects, now and for ever. Once.
  void begin();
  [[nodiscard]] bool connected() const;

  /// Asks a service that runs; none is started by it. Without a connection nothing happens.
  void call(const BusCall& call, Answer answer);
  /// Signals that match ("type='signal',…"), as long as this connection lasts.
  void listen(const std::string& match, Heard heard);
  /// Whether anybody has this name: at once, and at each change, as long as this connection lasts.
  void follow(const std::string& name, std::function<void(bool there)> changed);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::host
