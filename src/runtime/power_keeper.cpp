#include "runtime/power_keeper.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "posix/machine.h"

namespace holdfast::runtime {

namespace {

using health::PowerSource;

constexpr Duration kSupplyPoll = std::chrono::seconds(5);
constexpr Duration kCommandTime = std::chrono::minutes(1);

std::string words_of(const std::vector<std::string>& command) {
  std::string text;
  for (const std::string& word : command) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

PowerKeeper::PowerKeeper(posix::EventLoop& loop, std::shared_ptr<const env::Clock> clock,
                         const Config& config, Hooks hooks)
    : loop_(loop),
      clock_(std::move(clock)),
      rules_(config.power),
      lanes_(config.lanes),
      client_id_(config.client_id),
      hooks_(std::move(hooks)),
      machine_(config.power),
      timer_(loop) {}

PowerKeeper::~PowerKeeper() = default;

void PowerKeeper::begin() {
  if (!rules_.nut.empty()) {
    auto place = host::parse_nut_place(rules_.nut);  // checked with the configuration
    nut_.emplace(loop_, std::move(place).value(),
                 [this](const Result<host::NutAnswer>& answer) { ups_said(answer); });
  }
  if (rules_.supplies.empty()) return;
  try {
    supplies_.emplace(
        kSupplyPoll, [directory = rules_.supplies] { return posix::look_at_supplies(directory); },
        [this](const Result<posix::SupplyLook>& look) {
          post([look](PowerKeeper& keeper) { keeper.supply_said(look); });
        });
  } catch (const std::system_error& error) {
    trouble(PowerSource::supply, error.what());
  }
}

void PowerKeeper::end() {
  ended_ = true;
  nut_.reset();
  supplies_.reset();
  timer_.cancel();
}

void PowerKeeper::post(std::function<void(PowerKeeper&)> work) {
  loop_.post([weak = std::weak_ptr(self_), work = std::move(work)] {
    if (const auto self = weak.lock()) work(**self);
  });
}

// ---- sources ------------------------------------------------------------------------------------

void PowerKeeper::ups_said(const Result<host::NutAnswer>& answer) {
  if (!answer) return trouble(PowerSource::ups, answer.error().message);
  health::PowerReading reading;
  reading.mains = !answer->has("OB");
  reading.low = answer->has("LB");
  reading.forced = answer->has("FSD");
  reading.charge = answer->charge;
  reading.runtime = answer->runtime;
  reading.words = rules_.nut + ": " + answer->status;
  machine_.reading(clock_->now(), PowerSource::ups, std::move(reading));
  tick();
}

void PowerKeeper::supply_said(const Result<posix::SupplyLook>& look) {
  if (!look) return trouble(PowerSource::supply, look.error().message);
  if (!look->mains) return;  // nothing that could be said
  health::PowerReading reading;
  reading.mains = *look->mains;
  reading.low = look->critical;
  reading.charge = look->charge;
  reading.runtime = look->runtime;
  reading.words = look->words;
  machine_.reading(clock_->now(), PowerSource::supply, std::move(reading));
  tick();
}

void PowerKeeper::trouble(PowerSource source, const std::string& problem) {
  machine_.trouble(source, problem);
  tick();
}

void PowerKeeper::fail(std::string_view why, SavedHandler saved) {
  machine_.fail(clock_->now(), why);
  const std::uint64_t before = machine_.state().going_down;
  tick();
  const PowerState now = machine_.state();
  if (!saved) return;
  waiting_.push_back(std::move(saved));
  // It was down, or on its way there, before this word came.
  if (now.going_down == before && (now.safe || now.phase == PowerPhase::down)) answer_saved();
}

void PowerKeeper::back() {
  machine_.back(clock_->now());
  tick();
}

void PowerKeeper::saved() {
  machine_.saved(clock_->now());
  tick();
  if (machine_.state().safe) answer_saved();
}

void PowerKeeper::away() {
  machine_.away();
  tick();
}

void PowerKeeper::answer_saved() {
  for (SavedHandler& one : std::exchange(waiting_, {})) {
    hooks_.call([one = std::move(one), took = machine_.state().safe] { one(took); });
  }
}

// ---- orders -------------------------------------------------------------------------------------

void PowerKeeper::tick() {
  if (ended_) return;
  carry_out(machine_.tick(clock_->now()));
  const PowerState now = machine_.state();
  if (now.problem != troubled_) {
    const bool well = now.problem.empty();
    hooks_.log({well ? LogLevel::info : LogLevel::warning, LogArea::health,
                well ? "how the power is can be asked again"
                     : "how the power is cannot be asked: " + now.problem});
    troubled_ = now.problem;
  }
  if (now.phase != PowerPhase::going_down) answer_saved();
  {
    const std::lock_guard lock(mutex_);
    state_ = now;
  }
  timer_.arm_at(machine_.next_wake(), [this] { tick(); });
}

void PowerKeeper::carry_out(health::PowerOrders orders) {
  for (LogLine& line : orders.log) hooks_.log(std::move(line));
  if (orders.refuse) hooks_.refuse(*orders.refuse);
  // The last notice is accepted before all else is saved with it.
  if (orders.notice) publish(*orders.notice);
  if (orders.posture) hooks_.posture(posture_of(orders));
  if (orders.note && hooks_.going_down) {
    hooks_.write([note = hooks_.going_down, why = machine_.state().detail]() -> Status {
      note(BootReason::low_power, why);
      return {};
    });
  }
  if (orders.forget_note && hooks_.not_going_down) {
    hooks_.write([forget = hooks_.not_going_down]() -> Status {
      forget();
      return {};
    });
  }
  if (orders.command) run_command();
}

device::Posture PowerKeeper::posture_of(const health::PowerOrders& orders) const {
  device::Posture posture{orders.save, orders.away, 0};
  if (!orders.hold_lanes) return posture;
  const std::string& own = rules_.lane.empty() ? lanes_.front() : rules_.lane;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const auto& kept = rules_.battery_lanes;
    const bool goes = kept.empty() || std::find(kept.begin(), kept.end(), lanes_[i]) != kept.end();
    // At the end only the lane of the last notice: there is no time for the others.
    if (lanes_[i] != own && (orders.save || !goes)) posture.held_lanes |= 1U << i;
  }
  return posture;
}

std::string PowerKeeper::notice_text(health::PowerNotice notice) const {
  const PowerState now = machine_.state();
  nlohmann::ordered_json text{{"event", "power"},
                              {"notice", to_string(notice)},
                              {"client_id", client_id_},
                              {"at_ms", clock_->wall().ms},
                              {"detail", now.detail}};
  if (now.charge) text["charge"] = *now.charge;
  if (now.runtime) text["runtime_s"] = now.runtime->count();
  return text.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void PowerKeeper::publish(health::PowerNotice notice) {
  const bool last = notice == health::PowerNotice::going_down;
  const std::uint64_t number = ++notice_;
  if (rules_.topic.empty()) {
    if (last) machine_.farewell_settled();
    return;
  }
  Message message;
  message.topic = rules_.topic;
  message.lane = rules_.lane.empty() ? lanes_.front() : rules_.lane;
  message.content_type = "application/json";
  for (const char c : notice_text(notice)) message.payload.push_back(static_cast<std::byte>(c));
  ReceiptHandler settled;
  if (last) {
    settled = [weak = std::weak_ptr(self_), loop = &loop_, number](const Receipt& receipt) {
      // The loop outlives the executor's handlers.
      loop->post([weak, number, done = receipt.last] {
        const auto self = weak.lock();
        if (!self || (*self)->notice_ != number) return;
        if (!done && (*self)->hooks_.connected()) return;  // the broker may still get it
        (*self)->machine_.farewell_settled();
        (*self)->tick();
      });
    };
  }
  const PublishAnswer taken = hooks_.publish(std::move(message), std::move(settled));
  if (!taken && last) machine_.farewell_settled();
}

void PowerKeeper::run_command() const {
  hooks_.log(
      {LogLevel::warning, LogArea::health, "running power.command: " + words_of(rules_.command)});
  try {
    std::thread([command = rules_.command, log = hooks_.log] {
      const Result<std::string> done = posix::output_of(command, kCommandTime);
      if (done) return;
      log({LogLevel::error, LogArea::health,
           "power.command: " + done.error().message +
               "; the machine stays on; may this user run it?"});
    }).detach();
  } catch (const std::system_error& error) {
    hooks_.log({LogLevel::error, LogArea::health,
                std::string("power.command cannot be run: ") + error.what()});
  }
}

PowerState PowerKeeper::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

}  // namespace holdfast::runtime
