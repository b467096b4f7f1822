#include "lab/net/fault_switch.h"

#include <algorithm>
#include <utility>

namespace holdfast::lab::net {

FaultSwitch::FaultSwitch(posix::EventLoop& loop, Trace& trace, const env::Clock& clock)
    : trace_(trace), clock_(clock), timer_(loop) {
  counters_.keep({});
}

std::shared_ptr<void> FaultSwitch::connect(std::string port, Handlers handlers) {
  std::erase_if(connected_, [](const auto& known) { return known.expired(); });
  auto key = std::make_shared<Connected>(Connected{std::move(port), std::move(handlers)});
  connected_.push_back(key);
  return key;
}

std::vector<std::shared_ptr<FaultSwitch::Connected>> FaultSwitch::connected() const {
  std::vector<std::shared_ptr<Connected>> alive;
  for (const auto& known : connected_) {
    if (auto key = known.lock()) alive.push_back(std::move(key));
  }
  return alive;
}

bool FaultSwitch::holds_at(const std::string& port) const noexcept {
  return ports_.empty() || std::find(ports_.begin(), ports_.end(), port) != ports_.end();
}

const fault::Faults& FaultSwitch::now(const std::string& port) const noexcept {
  static const fault::Faults kNone;
  return holds_at(port) ? faults_ : kNone;
}

Status FaultSwitch::set(fault::Faults faults, std::string_view by, std::vector<std::string> ports) {
  const auto relays = connected();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto named = [&](const auto& relay) { return relay->port == ports[i]; };
    if (std::none_of(relays.begin(), relays.end(), named)) {
      return Error{Errc::invalid_argument,
                   "ports[" + std::to_string(i) + "]: there is no port of this name"};
    }
  }
  // Of a refused order nothing may remain.
  const auto before = std::exchange(ports_, std::move(ports));
  for (const auto& relay : relays) {
    if (!holds_at(relay->port)) continue;
    if (Status possible = relay->handlers.check(faults); !possible) {
      ports_ = before;
      return possible;
    }
  }
  faults_ = std::move(faults);
  counters_.keep(faults_.rules);
  Json words{{"by", by}};
  words.update(describe());
  trace_.event("faults", 0, words);
  for (const auto& relay : relays) relay->handlers.changed(now(relay->port));
  return {};
}

Json FaultSwitch::describe() const {
  Json out{{"faults", fault::to_json(faults_)}};
  if (!ports_.empty()) out["ports"] = ports_;
  return out;
}

Result<Json> FaultSwitch::order(const Json& request, std::string_view by) {
  const auto wanted = request.find("faults");
  if (wanted == request.end()) return Error{Errc::invalid_argument, "faults is missing"};
  std::vector<std::string> ports;
  if (const auto named = request.find("ports"); named != request.end()) {
    const bool texts =
        named->is_array() &&
        std::all_of(named->begin(), named->end(), [](auto& each) { return each.is_string(); });
    if (!texts || named->empty()) {
      return Error{Errc::invalid_argument, "ports is no list of names"};
    }
    ports = named->template get<std::vector<std::string>>();
  }
  auto faults = fault::parse_faults(*wanted);
  if (!faults) return std::move(faults).error().with("faults");
  if (const Status done = set(std::move(faults).value(), by, std::move(ports)); !done) {
    return done.error();
  }
  return fault::to_json(faults_);
}

void FaultSwitch::follow(fault::ScenarioRun run) {
  run_ = std::move(run);
  obey();
}

void FaultSwitch::obey() {
  const BootTime now = clock_.now();
  while (auto order = run_->next(now)) {
    trace_.event("scenario", 0, {{"words", order->words}});
    if (order->faults) {
      if (const Status done = set(std::move(*order->faults), "scenario"); !done) {
        trace_.event("scenario", 0, {{"words", "cannot: " + done.error().message}});
      }
    }
    if (!order->kick) continue;
    for (const auto& relay : connected()) relay->handlers.kick(*order->kick);
  }
  if (run_->over()) {
    trace_.event("scenario", 0, {{"words", "over"}, {"over", true}});
    run_.reset();
    return;
  }
  timer_.arm_at(run_->wake(), [this] { obey(); });
}

Json FaultSwitch::counts() const {
  Json out = Json::object();
  for (const auto& [name, count] : counters_.all()) {
    out[name] = {{"matched", count.matched}, {"applied", count.applied}};
  }
  return out;
}

void FaultSwitch::add_operations(Control& control) {
  control.add("faults.set", [this](const Json& request, ControlSession&) -> Result<Json> {
    return order(request, "control");
  });
  control.add("faults.get", [this](const Json&, ControlSession&) -> Result<Json> {
    Json out = describe();
    out["rules"] = counts();
    return out;
  });
  control.add("faults.clear", [this](const Json&, ControlSession&) -> Result<Json> {
    if (const Status done = set({}, "control"); !done) return done.error();
    return Json::object();
  });
  control.add("faults.presets", [](const Json&, ControlSession&) -> Result<Json> {
    Json out = Json::array();
    for (const fault::Preset& preset : fault::presets()) {
      out.push_back({{"name", preset.name}, {"description", preset.description}});
    }
    return out;
  });
}

}  // namespace holdfast::lab::net
