// Carries out what health::Escalation decides: asks reference hosts, keeps what was taken in the
// file `escalation` in the outbox's directory, and has steps taken.
//
// Rule:     a step with a budget is on disk before it is taken; what cannot be kept is not taken.
// Threads:  loop thread (constructed before the loop runs). The file is written by the storage
//           thread.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "env/clock.h"
#include "health/escalation.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/types.h"
#include "posix/event_loop.h"
#include "runtime/endpoint_probe.h"
#include "runtime/storage.h"

namespace holdfast::runtime {

class Escalator {
 public:
  static constexpr const char* kName = "escalation";
  using Done = std::function<void(const Status&)>;
  struct Hooks {
    LogHandler log;
    /// Takes the step; `done` is called once, now or later.
    std::function<void(health::Rung rung, Done done)> take;
  };

  /// Reads the file; what is wrong with it is logged. All must outlive this.
  Escalator(posix::EventLoop& loop, env::Clock& clock, Storage& storage, const Config& config,
            Hooks hooks);
  ~Escalator();
  Escalator(const Escalator&) = delete;
  Escalator& operator=(const Escalator&) = delete;

  void reconfigure(const Config& config);
  /// The connection as it is now.
  void look(const ConnectionState& connection);
  [[nodiscard]] const EscalationCounts& counts() const { return counts_; }

 private:
  struct Answers;

  [[nodiscard]] std::vector<health::Taken> read() const;
  [[nodiscard]] health::Moment moment() const;
  void service();
  void ask(std::size_t host);
  void take(health::Rung rung);
  void act(health::Rung rung);
  void say(LogLevel level, std::string text) const;

  posix::EventLoop& loop_;
  env::Clock& clock_;
  Storage& storage_;
  Hooks hooks_;
  std::filesystem::path path_;
  Config config_;
  health::Escalation ladder_;
  EndpointProbe probe_;
  posix::Timer timer_;
  ConnectionState connection_;
  EscalationCounts counts_;
  std::shared_ptr<Answers> answers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< Nobody else holds it.
};

/// "HOST:PORT" in its two parts; "[::1]:443" with an IPv6 address. Nothing: it is no such text.
[[nodiscard]] std::optional<std::pair<std::string, std::uint16_t>> host_and_port(
    const std::string& text);

}  // namespace holdfast::runtime
