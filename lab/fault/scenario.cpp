#include "lab/fault/scenario.h"

#include <array>
#include <utility>

#include "base/check.h"
#include "lab/fault/faults_json.h"
#include "lab/fault/object_reader.h"
#include "lab/fault/toml_json.h"
#include "lab/fault/values.h"

namespace holdfast::lab::fault {
namespace {

using mqtt::Ending;

constexpr std::size_t kChoiceMax = 100;

/// A duration, or a list of the least and the most.
bool read_span(ObjectReader& in, std::string_view key, Span& into) {
  const Json* const json = in.find(key);
  if (json == nullptr) return false;
  if (!json->is_array()) {
    in.read(key, into.least);
    into.most = into.least;
    return true;
  }
  std::array<Duration, 2> ends{};
  for (std::size_t i = 0; i < ends.size() && json->size() == 2; ++i) {
    const auto* text = (*json)[i].get_ptr<const std::string*>();
    const auto end = parse_duration(text == nullptr ? "" : *text);
    if (!end) in.wrong(key, end.error().message);
    if (end) ends.at(i) = *end;
  }
  if (json->size() != 2 || ends[0] > ends[1]) in.wrong(key, "must be the least and the most time");
  into = {ends[0], ends[1]};
  return true;
}

void read_choice(ObjectReader& in, Step& step) {
  std::size_t given = 0;
  if (const Json* faults = in.find("faults")) {
    step.choice.push_back(read_faults(*faults, in.path_of("faults"), in.problem()));
    ++given;
  }
  if (const Json* choose = in.find("choose")) {
    const std::string path = in.path_of("choose");
    if (!choose->is_array() || choose->empty() || choose->size() > kChoiceMax) {
      return in.wrong("choose", "must be a list of faults");
    }
    for (std::size_t i = 0; i < choose->size(); ++i) {
      step.choice.push_back(
          read_faults((*choose)[i], path + "[" + std::to_string(i) + "]", in.problem()));
    }
    ++given;
  }
  if (in.find("heal") != nullptr) {
    bool heal = true;
    in.read("heal", heal);
    if (!heal) in.wrong("heal", "must be true");
    step.choice.emplace_back();
    ++given;
  }
  if (given > 1) in.wrong("", "has more than one of faults, choose and heal");
  if (given == 0 && !step.kick) in.wrong("", "must have one of faults, choose, heal and kick");
  if (given == 0 && step.lasting) in.wrong("for", "is about faults, and there are none");
}

Step read_step(const Json& json, std::size_t index, Problem& problem) {
  Step step;
  step.name = "step " + std::to_string(index + 1);
  ObjectReader in(json, "steps[" + std::to_string(index) + "]", problem);
  in.read("name", step.name);
  in.read("at", step.at);
  const bool has_after = read_span(in, "after", step.after);
  Span lasting;
  if (read_span(in, "for", lasting)) step.lasting = lasting;
  if (in.find("kick") != nullptr) {
    Ending kick{};
    in.read_choice("kick", kEndings, kick);
    step.kick = kick;
  }
  in.read_number("repeat", 1, Scenario::kMaxRepeat, step.repeat);
  read_choice(in, step);
  if (step.at && has_after && step.repeat == 1) {
    in.wrong("after", "is given besides at; keep one of the two");
  }
  if (step.repeat > 1 && step.after.least + lasting.least < Scenario::kLeastRepeated) {
    in.wrong("repeat", "of a step that takes no time; give it for or after");
  }
  in.finish();
  return step;
}

/// When things happen at the latest and, summed up, how long a round takes at least.
class Schedule {
 public:
  void add(const Step& step, std::size_t index, Problem& problem) {
    const std::string path = "steps[" + std::to_string(index) + "]";
    if (step.at && *step.at < latest_) {
      problem.at(path + ".at", "comes before the step before it is over, which may be at " +
                                   duration_text(latest_));
    }
    const Span lasting = step.lasting.value_or(Span{});
    const std::uint64_t pauses = step.repeat - (step.at ? 1 : 0);
    latest_ = step.at.value_or(latest_);
    earliest_ = step.at.value_or(earliest_);
    for (const auto& [each, times] : {std::pair(step.after, pauses), {lasting, step.repeat}}) {
      if (each.most.count() > 0 &&
          static_cast<std::int64_t>(times) > (kDurationMax - latest_) / each.most) {
        return problem.at(path, "ends more than a year after the scenario began");
      }
      latest_ += each.most * static_cast<std::int64_t>(times);
      earliest_ += each.least * static_cast<std::int64_t>(times);
    }
  }
  [[nodiscard]] Duration least() const noexcept { return earliest_; }

 private:
  Duration latest_{};
  Duration earliest_{};
};

}  // namespace

Result<Scenario> Scenario::parse(std::string_view toml) {
  if (toml.size() > kFileMax) {
    return Error{Errc::too_large, "a scenario of more than " + size_text(kFileMax)};
  }
  auto text = parse_toml(toml);
  if (!text) return std::move(text).error();
  Scenario scenario;
  Problem problem;
  ObjectReader in(text->json, "", problem);
  in.read("name", scenario.name);
  if (scenario.name.empty()) in.wrong("name", "must be there");
  in.read("description", scenario.description);
  in.read_number("seed", 0, INT64_MAX, scenario.seed);
  in.read_number("rounds", 0, kMaxRepeat, scenario.rounds);
  const Json* const steps = in.find("steps");
  if (steps == nullptr || !steps->is_array() || steps->empty() || steps->size() > kMaxSteps) {
    in.wrong("steps", "must be 1 to " + std::to_string(kMaxSteps) + " [[steps]]");
  }
  Schedule schedule;
  for (std::size_t i = 0; !problem && i < steps->size(); ++i) {
    scenario.steps.push_back(read_step((*steps)[i], i, problem));
    schedule.add(scenario.steps.back(), i, problem);
  }
  if (scenario.rounds != 1 && schedule.least() < kLeastRepeated) {
    in.wrong("rounds", "of steps that take no time");
  }
  in.finish();
  if (problem) {
    return Error{Errc::invalid_config, "line " + std::to_string(text->line_of(problem.path())) +
                                           ": " + problem.error().message};
  }
  return scenario;
}

std::uint64_t ScenarioRun::Sequence::next() {
  std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

ScenarioRun::ScenarioRun(Scenario scenario, BootTime start, double speed,
                         std::optional<std::uint64_t> seed)
    : scenario_(std::move(scenario)),
      speed_(speed),
      random_(seed.value_or(scenario_.seed)),
      round_began_(start),
      ended_(start) {
  HF_CHECK(speed_ >= kSlowest && speed_ <= kFastest);
  if (!scenario_.steps.empty()) plan();
}

Duration ScenarioRun::drawn(const Span& span) {
  const auto width = static_cast<std::uint64_t>((span.most - span.least).count());
  const Duration time = span.least + Duration(static_cast<std::int64_t>(random_.below(width + 1)));
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::nano>(time) /
                                              speed_);
}

void ScenarioRun::plan() {
  const Step& step = scenario_.steps[step_];
  if (step.at && repeated_ == 0) {
    at_ = std::max(ended_, round_began_ + drawn({*step.at, *step.at}));
  } else {
    at_ = ended_ + drawn(step.after);
  }
}

void ScenarioRun::advance() {
  ended_ = at_;
  if (++repeated_ == scenario_.steps[step_].repeat) {
    repeated_ = 0;
    if (++step_ == scenario_.steps.size()) {
      step_ = 0;
      round_began_ = ended_;
      if (++rounds_ == scenario_.rounds) {
        at_ = kNever;
        return;
      }
    }
  }
  plan();
}

std::optional<Order> ScenarioRun::next(BootTime now) {
  if (at_ == kNever || at_ > now) return std::nullopt;
  const Step& step = scenario_.steps[step_];
  Order order;
  order.words = scenario_.name + ": " + step.name;
  if (lasting_) {
    lasting_ = false;
    order.faults.emplace();
    order.words += " ends";
    advance();
    return order;
  }
  if (!step.choice.empty()) order.faults = step.choice[random_.below(step.choice.size())];
  order.kick = step.kick;
  if (step.choice.size() > 1) order.words += " " + to_json(*order.faults).dump();
  if (step.lasting) {
    lasting_ = true;
    at_ += drawn(*step.lasting);
  } else {
    advance();
  }
  return order;
}

}  // namespace holdfast::lab::fault
