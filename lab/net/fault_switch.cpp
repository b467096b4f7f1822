#include "lab/net/fault_switch.h"

#include <utility>

namespace holdfast::lab::net {

FaultSwitch::FaultSwitch(posix::EventLoop& loop, Trace& trace, const env::Clock& clock)
    : trace_(trace), clock_(clock), timer_(loop) {
  counters_.keep({});
}

std::shared_ptr<void> FaultSwitch::connect(Handlers handlers) {
  std::erase_if(handlers_, [](const auto& known) { return known.expired(); });
  auto key = std::make_shared<Handlers>(std::move(handlers));
  handlers_.push_back(key);
  return key;
}

std::vector<std::shared_ptr<FaultSwitch::Handlers>> FaultSwitch::handlers() const {
  std::vector<std::shared_ptr<Handlers>> alive;
  for (const auto& known : handlers_) {
    if (auto key = known.lock()) alive.push_back(std::move(key));
  }
  return alive;
}

Status FaultSwitch::set(fault::Faults faults, std::string_view by) {
  for (const auto& relay : handlers()) {
    if (Status possible = relay->check(faults); !possible) return possible;
  }
  faults_ = std::move(faults);
  counters_.keep(faults_.rules);
  trace_.event("faults", 0, {{"by", by}, {"faults", fault::to_json(faults_)}});
  for (const auto& relay : handlers()) relay->changed(faults_);
  return {};
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
    for (const auto& relay : handlers()) relay->kick(*order->kick);
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
    const auto wanted = request.find("faults");
    if (wanted == request.end()) return Error{Errc::invalid_argument, "faults is missing"};
    auto faults = fault::parse_faults(*wanted);
    if (!faults) return std::move(faults).error().with("faults");
    if (const Status done = set(std::move(faults).value(), "control"); !done) return done.error();
    return fault::to_json(faults_);
  });
  control.add("faults.get", [this](const Json&, ControlSession&) -> Result<Json> {
    return Json{{"faults", fault::to_json(faults_)}, {"rules", counts()}};
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
