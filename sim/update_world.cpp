#include "sim/update_world.h"

#include <utility>

#include "identity/whole_file.h"

namespace holdfast::sim {
namespace {

using namespace update;  // NOLINT: it is about nothing else
using Kind = StepOutcome::Kind;
using std::chrono::seconds;

constexpr std::string_view kJournal = "job";
constexpr std::string_view kOld = "old";
constexpr std::string_view kNew = "new";
constexpr unsigned kProcessesMost = 400;
constexpr unsigned kTurnsMost = 4000;
constexpr const char* kJob = "job";

Step step_of(StepKind kind, bool again = false) {
  constexpr std::array<const char*, kStepKinds> kNames{"command", "reboot",   "gate",  "download",
                                                       "install", "activate", "prove", "commit"};
  return {kind, kNames.at(static_cast<std::size_t>(kind)), again};
}

std::vector<Step> steps_of(std::initializer_list<StepKind> kinds) {
  std::vector<Step> steps;
  for (const StepKind kind : kinds) steps.push_back(step_of(kind));
  return steps;
}

/// What survives every cut.
struct World {
  World(const UpdateCase& the_case, const UpdateFaults& the_faults)
      : what(the_case), faults(the_faults), random(the_faults.seed), disk(random) {
    disk.before = [this](PowerCutDisk::Call call) -> std::optional<Error> {
      if (call > PowerCutDisk::Call::sync_directory || disk.is_down()) return std::nullopt;
      if (instant()) {
        disk.faults.cut_at = disk.operations();
        disk.faults.kill = !power;
      }
      return std::nullopt;
    };
    service.executions.push_back({kJob, 1});
  }

  /// One more; true: it is cut now.
  bool instant() {
    if (faults.give_up_at == instants) service.executions.front().status = "CANCELED";
    const bool hit = next_cut < faults.cuts.size() && faults.cuts[next_cut].instant == instants;
    ++instants;
    if (hit) power = faults.cuts[next_cut++].power;
    return hit;
  }
  void wrong(const std::string& words) {
    if (result.wrong.empty()) result.wrong = words;
  }
  [[nodiscard]] std::string boot_id() const {
    std::string digits = std::to_string(boot);
    return std::string(32 - digits.size(), '0') + digits;
  }

  const UpdateCase& what;
  const UpdateFaults& faults;
  SeededRandom random;
  PowerCutDisk disk;
  ModelJobs service;
  UpdateResult result;
  BootTime now{};
  std::uint64_t instants = 0;
  std::size_t next_cut = 0;
  bool power = false;  ///< The cut under way is one of the machine.
  // The device.
  std::uint64_t boot = 1;
  std::string slot;          ///< Where nothing runs from.
  std::string active{kOld};  ///< What is started at the next boot, or runs already.
  bool committed = false;
  std::map<std::size_t, unsigned> effects;  ///< Of each command: begun so often.
};

/// One life of the updater: from its start to a cut, or to the end of all that is to be done.
class Process {
 public:
  explicit Process(World& world)
      : w_(world), agent_(journal(), planner(), world.boot_id(), world.random) {}

  /// True: there is nothing left to do.
  bool run() {
    if (w_.disk.is_down()) return false;
    agent_.connected(w_.now);
    for (unsigned turn = 0; turn < kTurnsMost; ++turn) {
      talk();
      const Runner::Order order = agent_.order(w_.now);
      switch (order.what) {
        case JobOrder::nothing:
          if (agent_.runner().idle() && w_.service.head() == nullptr) return true;
          w_.now =
              std::max(w_.now + seconds(1), std::min(agent_.next_step(), w_.now + seconds(60)));
          break;
        case JobOrder::wait:
          if (order.until <= w_.now) w_.wrong("a wait for the past");
          w_.now = order.until;
          break;
        case JobOrder::write:
          agent_.written(
              w_.now,
              identity::replace_whole(w_.disk, kJournal, to_text(agent_.runner().journal())).ok());
          if (w_.disk.is_down()) return false;
          break;
        default: {
          auto outcome = carry_out(order);
          if (!outcome) return false;
          agent_.done(w_.now, std::move(*outcome));
        }
      }
    }
    w_.wrong("it does not come to an end: " + agent_.runner().words());
    return true;
  }

 private:
  JobJournal journal() {
    const auto text = identity::read_whole_durable(w_.disk, kJournal, limits::kJobJournalMax);
    if (!text) return {};  // the cut disk is noticed at once
    auto journal = parse_job_journal(text->text());
    if (!journal) w_.wrong("the journal cannot be read: " + journal.error().message);
    return journal ? std::move(journal).value() : JobJournal{};
  }
  Planner planner() {
    return [&what = w_.what](const std::string&) -> std::variant<Plan, std::string> {
      return Plan{what.steps, "app 2"};
    };
  }
  void talk() {
    while (const auto question = agent_.question(w_.now)) {
      if (w_.random.below(8) == 0) continue;  // lost
      const JobAnswer answer = w_.service.ask(*question);
      if (w_.random.below(8) != 0) agent_.answered(w_.now, answer);
    }
    if (w_.service.head() == nullptr) agent_.announced(std::nullopt);
  }

  /// None: it is cut.
  std::optional<StepOutcome> carry_out(const Runner::Order& order) {
    w_.now += seconds(1);
    if (w_.instant()) return std::nullopt;
    const bool in = w_.instant();
    const StepOutcome outcome =
        order.what == JobOrder::perform ? perform(order.step, in) : take_back(order.what, in);
    if (in || rebooted_) return std::nullopt;
    if (w_.instant()) return std::nullopt;
    return outcome;
  }

  StepOutcome perform(std::size_t number, bool cut) {
    const Step& step = w_.what.steps[number];
    const bool fails = static_cast<std::int64_t>(number) == w_.what.failing;
    switch (step.kind) {
      case StepKind::command:
        ++w_.effects[number];
        break;
      case StepKind::reboot:
        if (!fails) reboot();
        break;
      case StepKind::gate:
        return w_.random.below(3) == 0 ? StepOutcome{}
                                       : StepOutcome{Kind::later, "not now", {}, seconds(30)};
      case StepKind::download:
        if (w_.random.below(3) == 0) return {Kind::later, "no network"};
        break;
      case StepKind::install:
        w_.slot = cut ? "half" : kNew;
        break;
      case StepKind::activate:
        if (w_.slot != kNew) w_.wrong("it activates what is not whole");
        if (!cut || w_.random.below(2) == 0) w_.active = w_.slot;  // a rename
        break;
      case StepKind::prove:
        if (w_.active != kNew) w_.wrong("it proves what is not active");
        if (!w_.what.healthy) return {Kind::failed, "no cloud"};
        break;
      case StepKind::commit:
        if (!w_.what.healthy || w_.active != kNew)
          w_.wrong("it commits what has not proven itself");
        w_.committed = !cut || w_.committed || w_.random.below(2) == 0;
        break;
    }
    return fails ? StepOutcome{Kind::failed, "it fails"} : StepOutcome{};
  }

  StepOutcome take_back(JobOrder order, bool cut) {
    if (w_.committed) w_.wrong("it takes back what is committed");
    if (order == JobOrder::reboot_back) {
      reboot();
      return {};
    }
    if (w_.random.below(4) == 0) return {Kind::later, "the disk is busy"};
    if (!cut || w_.random.below(2) == 0) w_.active = kOld;
    StepOutcome outcome;
    outcome.reboot = w_.what.back_reboots;
    return outcome;
  }

  void reboot() {
    rebooted_ = true;
    w_.disk.faults.kill = false;
    ++w_.boot;
  }

  World& w_;
  bool rebooted_ = false;
  JobAgent agent_;
};

void judge(World& w) {
  const std::string& status = w.service.executions.front().status;
  const bool updates = w.slot == kNew && w.committed;
  w.result.end = status;
  const bool given_up = status == "CANCELED";
  bool plans_update = false;
  for (const Step& step : w.what.steps) plans_update |= step.kind == StepKind::activate;
  if (w.committed != (w.active == kNew)) w.wrong("what is active is not what is committed");
  if (status == "SUCCEEDED" && plans_update && !updates)
    w.wrong("SUCCEEDED, but it is the old one");
  if (status == "FAILED" && w.committed) {
    const Details& details = w.service.executions.front().details;
    if (details.empty() ||
        details.front().second.find("the new version stays") == std::string::npos) {
      w.wrong("FAILED, but it is the new one");
    }
  }
  if (!given_up && status != "SUCCEEDED" && status != "FAILED") w.wrong("it ends as " + status);
  for (const auto& [number, times] : w.effects) {
    if (!w.what.steps[number].again && times > 1) w.wrong("a command ran twice");
    if (status == "SUCCEEDED" && times == 0) w.wrong("SUCCEEDED, but a command did not run");
  }
  if (w.result.cuts == 0 && !given_up) {
    const bool good = w.what.healthy && w.what.failing < 0;
    if ((status == "SUCCEEDED") != good) w.wrong("without any cut it ends as " + status);
  }
}

}  // namespace

const std::vector<UpdateCase>& update_cases() {
  using K = StepKind;
  const std::vector<Step> app =
      steps_of({K::download, K::install, K::gate, K::activate, K::prove, K::commit});
  const std::vector<Step> system =
      steps_of({K::download, K::install, K::gate, K::activate, K::reboot, K::prove, K::commit});
  const std::vector<Step> commands = steps_of({K::command, K::command});
  static const std::vector<UpdateCase> cases{
      {"commands", "two programs", commands},
      {"commands-again",
       "two programs that may run once more",
       {step_of(K::command, true), step_of(K::command, true)}},
      {"command-fails", "the second program fails", commands, true, false, 1},
      {"reboot", "a reboot between two programs", steps_of({K::command, K::reboot, K::command})},
      {"no-reboot", "a reboot that does not come", steps_of({K::reboot, K::command}), true, false,
       0},
      {"app", "an application, and a program after it",
       [&] {
         auto steps = app;
         steps.push_back(step_of(K::command));
         return steps;
       }()},
      {"app-ill", "an application that does not prove itself", app, false},
      {"install-fails", "an application that cannot be installed", app, true, false, 1},
      {"activate-fails", "an application that cannot be activated", app, true, false, 3},
      {"system", "a system, with a reboot", system},
      {"system-ill", "a system that does not prove itself, and a reboot back", system, false, true},
  };
  return cases;
}

UpdateResult run_update(const UpdateCase& what, const UpdateFaults& faults) {
  World world(what, faults);
  for (unsigned processes = 0;; ++processes) {
    if (processes == kProcessesMost) {
      world.wrong("it is begun anew for ever");
      break;
    }
    const std::uint64_t boot = world.boot;
    if (Process(world).run()) break;
    const bool by_itself = world.boot != boot;
    if (!by_itself) {
      ++world.result.cuts;
      if (world.power) ++world.boot;
    }
    world.disk.faults.kill = !by_itself && !world.power;
    world.disk.restart();
    world.disk.faults = {};
    world.now += seconds(20);
  }
  judge(world);
  world.result.instants = world.instants;
  return world.result;
}

}  // namespace holdfast::sim
