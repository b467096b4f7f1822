// See performer.h.
#include "performer.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "application.h"
#include "base/base64.h"
#include "fetch.h"
#include "identity/whole_file.h"
#include "posix/system.h"
#include "program.h"
#include "report.h"
#include "stream_task.h"
#include "transport/signature.h"
#include "update/version.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using update::JobOrder;
using update::Step;
using update::StepKind;
using update::StepOutcome;
using Kind = StepOutcome::Kind;

constexpr Duration kAskAgain = seconds(60);      // a gate's program
constexpr Duration kLookEvery = seconds(2);      // of a proof
constexpr Duration kServiceEvery = seconds(15);  // a proof's question
constexpr Duration kCheckTimeout = seconds(60);
constexpr std::size_t kKeyFileMax = 16 * std::size_t{1024};
constexpr std::size_t kKeysMax = 64;
constexpr const char* kArtifact = "artifact";
constexpr unsigned kUrlTries = 3;            // in a row, before a stream's turn
constexpr std::uint64_t kUnpackedTimes = 8;  // an archive may grow so much, or to update.max_size

StepOutcome no(Kind kind, std::string words) {
  StepOutcome outcome;
  outcome.kind = kind;
  outcome.words = std::move(words);
  return outcome;
}

StepOutcome outcome_of(const Status& status, Kind kind) {
  return status ? StepOutcome{} : no(kind, status.error().message);
}

/// What is known at once.
class Known final : public Task {
 public:
  explicit Known(StepOutcome outcome) : outcome_(std::move(outcome)) {}
  std::optional<StepOutcome> step(BootTime /*now*/) override { return outcome_; }
  void stop(BootTime /*now*/) override {}

 private:
  StepOutcome outcome_;
};

std::unique_ptr<Task> known(StepOutcome outcome) {
  return std::make_unique<Known>(std::move(outcome));
}

/// Programs, one after the other, as long as each ends well; `judge` has the last word.
class Programs final : public Task {
 public:
  using Judge = std::function<StepOutcome(const Program::End& end)>;

  Programs(std::vector<Program::Order> orders, Judge judge)
      : orders_(std::move(orders)), judge_(std::move(judge)) {}

  std::optional<StepOutcome> step(BootTime now) override {
    for (;;) {
      if (!running_) {
        if (stopped_) return no(Kind::failed, "was stopped");
        if (at_ == orders_.size()) return judge_(last_);
        auto started = Program::start(orders_[at_], now);
        if (!started) return no(Kind::failed, started.error().message);
        running_ = std::move(started).value();
      }
      auto end = running_->step(now);
      if (!end) return std::nullopt;
      running_.reset();
      last_ = std::move(*end);
      ++at_;
      if (!last_.good()) at_ = orders_.size();
    }
  }
  void stop(BootTime now) override {
    stopped_ = true;
    if (running_) running_->stop(now);
  }
  void fds(std::vector<int>& all) const override {
    if (!running_) return;
    all.push_back(running_->output_fd());
    all.push_back(running_->errors_fd());
  }

 private:
  std::vector<Program::Order> orders_;
  Judge judge_;
  std::unique_ptr<Program> running_;
  std::size_t at_ = 0;
  bool stopped_ = false;
  Program::End last_;
};

std::string last_words(const Program::End& end) {
  const std::string said = end.errors.empty() ? "" : ": " + update::clean_detail(end.errors);
  return end.words() + said;
}

StepOutcome plain(const Program::End& end) {
  return end.good() ? StepOutcome{} : no(Kind::failed, last_words(end));
}

/// Of an installer's program: 65 and 75 are those of <sysexits.h>.
StepOutcome installed(const Program::End& end) {
  StepOutcome outcome = plain(end);
  if (end.stopped || end.timed_out) return outcome;
  if (end.code == static_cast<int>(FetchEnd::wrong)) outcome.kind = Kind::rejected;
  if (end.code == static_cast<int>(FetchEnd::later)) outcome.kind = Kind::later;
  return outcome;
}

/// What brings an application to run from `current` anew.
std::vector<Program::Order> restarts(const ApplicationSettings& app, const char* verb,
                                     Duration timeout) {
  std::vector<Program::Order> orders;
  if (!app.units.empty()) {
    Program::Order order{{"systemctl", verb, "--"}, {}, "", timeout};
    order.argv.insert(order.argv.end(), app.units.begin(), app.units.end());
    orders.push_back(std::move(order));
  }
  if (!app.restart.empty()) orders.push_back({app.restart, {}, "", timeout});
  return orders;
}

/// A task, in whose place another may come.
class Wrapped : public Task {
 public:
  explicit Wrapped(std::unique_ptr<Task> task) : now_(std::move(task)) {}
  void stop(BootTime now) final {
    stopped_ = true;
    now_->stop(now);
  }
  void fds(std::vector<int>& all) const final { now_->fds(all); }

 protected:
  std::unique_ptr<Task> now_;
  bool stopped_ = false;
};

/// One task, and the one that follows from what it has found.
class Chain final : public Wrapped {
 public:
  using Next = std::function<std::unique_ptr<Task>()>;
  Chain(std::unique_ptr<Task> first, Next next)
      : Wrapped(std::move(first)), next_(std::move(next)) {}

  std::optional<StepOutcome> step(BootTime now) override {
    auto outcome = now_->step(now);
    if (!outcome || outcome->kind != Kind::done || !next_) return outcome;
    now_ = std::exchange(next_, nullptr)();
    if (stopped_) now_->stop(now);
    return now_->step(now);
  }

 private:
  Next next_;
};

/// A task that has to succeed in the end.
class Retried final : public Wrapped {
 public:
  using Wrapped::Wrapped;
  std::optional<StepOutcome> step(BootTime now) override {
    auto outcome = now_->step(now);
    if (outcome && outcome->kind != Kind::done) outcome->kind = Kind::later;
    return outcome;
  }
};

/// The version that runs now, and what follows from it.
std::unique_ptr<Task> with_current(const ApplicationSettings& app,
                                   std::function<std::unique_ptr<Task>(std::string)> next) {
  if (!app.by_programs()) return next(Application(app.directory).current());
  auto said = std::make_shared<std::string>();
  auto asks = std::make_unique<Programs>(
      std::vector<Program::Order>{{app.version, {}, "", kCheckTimeout}},
      [said](const Program::End& end) {
        *said = end.output.substr(0, end.output.find('\n'));
        return end.good() ? StepOutcome{}
                          : no(Kind::failed, "its version cannot be told: " + last_words(end));
      });
  return std::make_unique<Chain>(std::move(asks), [said, next] { return next(*said); });
}

/// Waits until the device may be disturbed.
class Gate final : public Task {
 public:
  Gate(const Settings& settings, Duration turn, BootTime now)
      : settings_(settings), turn_(now + turn), began_(now) {}

  std::optional<StepOutcome> step(BootTime now) override {
    if (stopped_) return no(Kind::failed, "was stopped");
    if (now < turn_) return std::nullopt;
    const Duration waited = now - began_;
    const auto window = parse_window(settings_.window);
    if (window && waited < settings_.window_limit && !window->has(minute_of_day())) {
      return std::nullopt;
    }
    if (settings_.ask.empty() || waited >= settings_.ask_limit) return StepOutcome{};
    if (!asks_ && now >= ask_at_) {
      asks_ = std::make_unique<Programs>(
          std::vector<Program::Order>{{settings_.ask, {}, "", kCheckTimeout}}, plain);
    }
    if (!asks_) return std::nullopt;
    const auto answer = asks_->step(now);
    if (!answer) return std::nullopt;
    asks_.reset();
    ask_at_ = now + kAskAgain;
    return answer->kind == Kind::done ? answer : std::nullopt;
  }
  void stop(BootTime now) override {
    stopped_ = true;
    if (asks_) asks_->stop(now);
  }

 private:
  static unsigned minute_of_day() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    return static_cast<unsigned>(local.tm_hour * 60 + local.tm_min);
  }

  const Settings& settings_;
  BootTime turn_;
  BootTime began_;
  BootTime ask_at_{};
  std::unique_ptr<Task> asks_;
  bool stopped_ = false;
};

/// A new version is well when, for so long as it is asked to be stable, its units are active and
/// were not started anew, its check ends with 0, the agent's parts go on; and when the service has
/// answered a question that was asked after the change, and one that was asked after all that.
class Proof final : public Task {
 public:
  Proof(const ApplicationSettings& app, Duration within, const Surroundings& around, BootTime now)
      : app_(app), around_(around), began_(now), deadline_(now + within) {}

  std::optional<StepOutcome> step(BootTime now) override {
    if (stopped_) return no(Kind::failed, "was stopped");
    look(now);
    // What has answered at the beginning may have been a connection that was about to end.
    const bool stable = well_since_ && now - *well_since_ >= app_.stable;
    const BootTime since = stable ? *well_since_ + app_.stable : began_;
    if (around_.service_heard() >= since) {
      service_ = true;
      if (stable) return StepOutcome{};
    } else {
      ask(now, since);
    }
    if (now < deadline_) return std::nullopt;
    return no(Kind::failed,
              "within " +
                  std::to_string(std::chrono::duration_cast<seconds>(deadline_ - began_).count()) +
                  " s " + why());
  }
  void stop(BootTime now) override {
    stopped_ = true;
    if (check_) check_->stop(now);
  }

 private:
  [[nodiscard]] std::string why() const {
    if (!ill_.empty()) return ill_;
    if (!service_) return "there was no answer from the cloud";
    return "it was not well for " + std::to_string(app_.stable.count()) + " s at a stretch";
  }

  void ask(BootTime now, BootTime since) {
    if (now < ask_at_ && asked_since_ == since) return;
    asked_since_ = since;
    ask_at_ = now + kServiceEvery;
    around_.ask_service();
  }

  /// One look after the other: units, check, agent.
  void look(BootTime now) {
    if (!check_) {
      if (now < look_at_) return;
      units_.clear();
      check_ = begin_look();
      agent_.reset();
      around_.ask_agent([this, alive = std::weak_ptr<bool>(alive_)](bool well) {
        if (!alive.expired()) agent_ = well;
      });
    }
    const auto seen = check_->step(now);
    if (!seen || !agent_) return;
    check_.reset();
    look_at_ = now + kLookEvery;
    ill_ = seen->kind != Kind::done ? seen->words : *agent_ ? "" : "the agent did not go on";
    // Active, but another run of it than before.
    const bool same = units_ == units_before_;
    units_before_ = units_;
    if (!ill_.empty()) {
      well_since_.reset();
    } else if (!well_since_ || !same) {
      well_since_ = now;
    }
  }

  std::unique_ptr<Task> begin_look() {
    std::vector<Program::Order> orders;
    if (!app_.check.empty()) orders.push_back({app_.check, {}, "", kCheckTimeout});
    if (!app_.units.empty()) {
      Program::Order order{{"systemctl", "show", "--property=ActiveState,InvocationID", "--"},
                           {},
                           "",
                           kCheckTimeout};
      order.argv.insert(order.argv.end(), app_.units.begin(), app_.units.end());
      orders.push_back(std::move(order));
    }
    const bool has_units = !app_.units.empty();
    return std::make_unique<Programs>(
        std::move(orders), [this, has_units](const Program::End& end) -> StepOutcome {
          if (!end.good()) return no(Kind::failed, "its check failed: " + last_words(end));
          if (!has_units) return {};
          units_ = end.output;
          std::size_t active = 0;
          for (std::size_t at = 0;
               (at = units_.find("ActiveState=active\n", at)) != std::string::npos; ++at) {
            ++active;
          }
          return active == app_.units.size() ? StepOutcome{}
                                             : no(Kind::failed, "not all of its units were active");
        });
  }

  const ApplicationSettings& app_;
  const Surroundings& around_;
  BootTime began_;
  BootTime deadline_;
  BootTime ask_at_{};
  BootTime asked_since_ = kNever;
  BootTime look_at_{};
  std::unique_ptr<Task> check_;
  std::optional<bool> agent_;
  std::optional<BootTime> well_since_;
  std::string units_;
  std::string units_before_;
  std::string ill_ = "it was not looked at";
  bool service_ = false;
  bool stopped_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

StepOutcome fetched(const Program::End& end) {
  const std::string words = update::clean_detail(end.errors);
  if (end.good()) return {};
  if (end.stopped) return no(Kind::failed, end.words());
  if (end.timed_out) return no(Kind::later, end.words());
  StepOutcome outcome = no(Kind::later, words);
  switch (static_cast<FetchEnd>(end.code)) {
    case FetchEnd::wrong:
      outcome.kind = Kind::rejected;
      break;
    case FetchEnd::missing:
    case FetchEnd::no_space:
      outcome.kind = Kind::failed;
      break;
    case FetchEnd::stale:
      outcome.stale = true;
      break;
    default:
      break;
  }
  return outcome;
}

std::vector<Program::Order> fetches(const fs::path& own, const FetchOrder& fetch,
                                    Duration timeout) {
  return {{{own.string(), "--fetch"}, {{kFetchVariable, to_text(fetch)}}, "", timeout}};
}

/// One task, and another one if `next` does not like its outcome.
class Otherwise final : public Wrapped {
 public:
  using Next = std::function<std::unique_ptr<Task>(const StepOutcome& outcome)>;
  Otherwise(std::unique_ptr<Task> first, Next next)
      : Wrapped(std::move(first)), next_(std::move(next)) {}

  std::optional<StepOutcome> step(BootTime now) override {
    auto outcome = now_->step(now);
    if (!outcome || stopped_ || !next_) return outcome;
    auto other = std::exchange(next_, nullptr)(*outcome);
    if (!other) return outcome;
    now_ = std::move(other);
    return now_->step(now);
  }

 private:
  Next next_;
};

}  // namespace

Performer::Performer(const Settings& settings, env::Random& random, Surroundings around,
                     fs::path own)
    : settings_(settings), random_(random), around_(std::move(around)), own_(std::move(own)) {}

fs::path Performer::artifact() const { return settings_.directory / kArtifact; }

void Performer::tidy() const {
  std::error_code ignored;
  fs::remove(artifact(), ignored);
  fs::remove(artifact().string() + ".part", ignored);
}

std::unique_ptr<Task> Performer::begin(const update::Runner::Order& order, const Job& job,
                                       const std::string& document, BootTime now) {
  if (order.what == JobOrder::take_back) return take_back(document);
  if (order.what == JobOrder::reboot_back) return reboot();
  const Step& step = job.plan.steps[order.step];
  const Action& action = job.actions[order.step];
  if (const auto* const command_action = std::get_if<CommandAction>(&action)) {
    return command(*command_action, job, step);
  }
  if (const auto* const report_action = std::get_if<ReportAction>(&action)) {
    return report(*report_action, step);
  }
  if (step.kind == StepKind::download) return download(action, step, now);
  const auto& update = std::get<UpdateAction>(action);
  switch (step.kind) {
    case StepKind::install:
      return install(update, step);
    case StepKind::gate:
      return gate(order.step == 0, now);
    case StepKind::activate:
      return activate(update, step);
    case StepKind::reboot:
      return reboot();
    case StepKind::prove:
      return prove(update, now);
    default:
      return commit(update, step);
  }
}

std::unique_ptr<Task> Performer::reboot() const {
  return std::make_unique<Programs>(
      std::vector<Program::Order>{{settings_.reboot, {}, "", settings_.step_timeout}}, plain);
}

std::unique_ptr<Task> Performer::command(const CommandAction& action, const Job& job,
                                         const Step& step) const {
  Program::Order order{action.argv, action.variables, action.user, step.timeout};
  return std::make_unique<Programs>(
      std::vector<Program::Order>{std::move(order)},
      [output = job.output, most = action.errors_max](const Program::End& end) {
        StepOutcome outcome = plain(end);
        if (end.good() && most && end.error_lines > *most) {
          outcome = no(Kind::failed, "it wrote " + std::to_string(end.error_lines) +
                                         " lines to its standard error");
        }
        if (output && !end.output.empty()) outcome.details.emplace_back("stdout", end.output);
        if (!end.errors.empty()) outcome.details.emplace_back("stderr", end.errors);
        return outcome;
      });
}

std::unique_ptr<Task> Performer::report(const ReportAction& action, const Step& step) const {
  const std::string topic = settings_.report_topic.empty() ? around_.thing() + "/holdfast/report"
                                                           : settings_.report_topic;
  const ReportOrder order{action.parts,         action.lines, settings_.socket,
                          settings_.doctor,     action.url,   settings_.ca_file,
                          settings_.allow_http, topic,        settings_.report_lane};
  return std::make_unique<Programs>(
      std::vector<Program::Order>{
          {{own_.string(), "--report"}, {{kReportVariable, to_text(order)}}, "", step.timeout}},
      [](const Program::End& end) {
        StepOutcome outcome = fetched(end);
        if (end.good()) outcome.details.emplace_back("report", end.output);
        return outcome;
      });
}

std::string Performer::refusal(const UpdateAction& action, const std::string& current) const {
  if (current == action.version) return "version " + current + " is what runs here already";
  const ApplicationSettings& app = settings_.applications.at(action.application);
  const auto compare =
      app.package.empty() ? update::compare_versions : update::compare_debian_versions;
  if (!current.empty() && !app.allow_downgrade && compare(action.version, current) < 0) {
    return "version " + action.version + " is older than " + current + ", which runs here";
  }
  return "";
}

std::string Performer::signature_problem(const UpdateAction& action) const {
  if (action.signature.empty()) return settings_.allow_unsigned ? "" : "it has no signature";
  const auto signature = text_from_base64(action.signature);
  if (!signature) return "its signature is not base64";
  std::error_code failure;
  std::size_t keys = 0;
  for (const auto& entry : fs::directory_iterator(settings_.keys, failure)) {
    if (entry.path().extension() != ".pem" || ++keys > kKeysMax) continue;
    const auto pem = posix::read_file(entry.path(), kKeyFileMax);
    if (!pem) continue;
    const auto good = transport::verify_ed25519(*pem, signed_text(action), *signature);
    if (good && *good) return "";
  }
  return keys == 0 ? "there is no key in " + settings_.keys.string() + " to judge its signature by"
                   : "its signature is of none of the keys that this device trusts";
}

FetchOrder Performer::fetch_order(const UpdateAction& update) const {
  FetchOrder fetch;
  fetch.url = update.source.url;
  fetch.to = artifact();
  fetch.size = update.size;
  fetch.sha256 = update.sha256;
  fetch.bytes_per_second = settings_.bytes_per_second;
  fetch.ca_file = settings_.ca_file;
  fetch.allow_http = settings_.allow_http;
  return fetch;
}

std::unique_ptr<Task> Performer::download(const Action& action, const Step& step, BootTime now) {
  if (const auto* const one = std::get_if<DownloadAction>(&action)) {
    FetchOrder fetch = fetch_order({});
    fetch.url = one->source.url;
    fetch.to = one->to;
    fetch.most = settings_.max_size;
    return std::make_unique<Programs>(fetches(own_, fetch, step.timeout), fetched);
  }
  const auto& update = std::get<UpdateAction>(action);
  if (const std::string why = signature_problem(update); !why.empty()) {
    return known(no(Kind::rejected, why));
  }
  return with_current(settings_.applications.at(update.application),
                      [this, update, step, now](const std::string& current) {
                        const std::string why = refusal(update, current);
                        return why.empty() ? fetch_update(update, step, now)
                                           : known(no(Kind::rejected, why));
                      });
}

std::unique_ptr<Task> Performer::fetch_update(const UpdateAction& update, const Step& step,
                                              BootTime now) {
  if (!update.source.text.empty()) return known(keep_text(update.source.text));
  if (update.source.url.empty()) return fetch_by_stream(update, step, now);
  auto by_url =
      std::make_unique<Programs>(fetches(own_, fetch_order(update), step.timeout), fetched);
  if (update.source.stream.empty()) return by_url;
  return std::make_unique<Otherwise>(
      std::move(by_url), [this, update, step, now](const StepOutcome& outcome) {
        const bool good = outcome.kind == Kind::done;
        const bool passes = outcome.kind == Kind::later;
        url_failures_ = good ? 0 : url_failures_ + 1;
        const bool tried = !good && (!passes || url_failures_ >= kUrlTries);
        if (!tried) return std::unique_ptr<Task>();
        url_failures_ = 0;
        around_.say("its URL: " + outcome.words + "; its stream, then");
        return fetch_by_stream(update, step, now);
      });
}

StepOutcome Performer::keep_text(const std::string& text) const {
  auto disk = posix::open_disk(settings_.directory);
  if (!disk) return no(Kind::later, disk.error().message);
  return outcome_of(identity::replace_whole(**disk, kArtifact, text), Kind::later);
}

std::unique_ptr<Task> Performer::fetch_by_stream(const UpdateAction& update, const Step& step,
                                                 BootTime now) {
  FetchOrder judged = fetch_order(update);
  judged.url.clear();
  auto whole = std::make_shared<bool>(false);
  const StreamOrder order{update.source, judged.to, update.size, settings_.bytes_per_second,
                          step.timeout};
  return std::make_unique<Chain>(
      make_stream_task(order, around_, random_, now, whole),
      [own = own_, judged, whole, timeout = step.timeout]() mutable -> std::unique_ptr<Task> {
        judged.in_one_piece = *whole;
        return std::make_unique<Programs>(fetches(own, judged, timeout), fetched);
      });
}

std::unique_ptr<Task> Performer::run(const std::vector<std::string>& argv,
                                     const UpdateAction& action, Duration timeout) const {
  if (argv.empty()) return known({});
  Program::Order order{argv,
                       {{"HOLDFAST_APPLICATION", action.application},
                        {"HOLDFAST_VERSION", action.version},
                        {"HOLDFAST_ARTIFACT", artifact().string()}},
                       "",
                       timeout};
  return std::make_unique<Programs>(std::vector<Program::Order>{std::move(order)}, installed);
}

std::unique_ptr<Task> Performer::install(const UpdateAction& action, const Step& step) const {
  const ApplicationSettings& settings = settings_.applications.at(action.application);
  if (settings.by_programs()) {
    return std::make_unique<Chain>(run(settings.install, action, step.timeout), [this] {
      tidy();
      return known({});
    });
  }
  Application app(settings.directory);
  if (const std::string why = refusal(action, app.current()); !why.empty()) {
    return known(no(Kind::rejected, why));
  }
  const auto place = app.begin_install(action.version);
  if (!place) return known(no(Kind::failed, place.error().message));
  const std::uint64_t most = std::max(settings_.max_size, action.size * kUnpackedTimes);
  Program::Order order{
      {own_.string(), "--unpack", artifact().string(), place->string(), std::to_string(most)},
      {},
      "",
      step.timeout};
  std::vector<Program::Order> orders{std::move(order)};
  if (!settings.updater.empty()) {
    // One that cannot run here at all is never started for good.
    orders.push_back(
        {{(*place / settings.updater).string(), "--config", settings_.file.string(), "--check"},
         {},
         "",
         kCheckTimeout});
  }
  return std::make_unique<Programs>(
      std::move(orders), [app, version = action.version, this](const Program::End& end) mutable {
        if (!end.good()) {
          const bool bad = end.code == static_cast<int>(FetchEnd::wrong);
          return no(bad ? Kind::rejected : Kind::failed, update::clean_detail(end.errors));
        }
        tidy();
        return outcome_of(app.end_install(version), Kind::failed);
      });
}

std::unique_ptr<Task> Performer::gate(bool first, BootTime now) const {
  if (!first) return std::make_unique<Gate>(settings_, Duration(0), now);
  static const Settings kNothing;  // only its turn counts
  const Duration turn(static_cast<std::int64_t>(
      random_.below(static_cast<std::uint64_t>(Duration(settings_.jitter).count()) + 1)));
  return std::make_unique<Gate>(kNothing, turn, now);
}

std::unique_ptr<Task> Performer::activate(const UpdateAction& action, const Step& step) const {
  const ApplicationSettings& app = settings_.applications.at(action.application);
  // Where it takes a reboot, that starts it.
  const auto restart = [&app, timeout = step.timeout]() -> std::unique_ptr<Task> {
    if (app.reboots) return known({});
    return std::make_unique<Programs>(restarts(app, "restart", timeout), plain);
  };
  if (app.by_programs()) {
    return std::make_unique<Chain>(run(app.activate, action, step.timeout), restart);
  }
  if (Status done = Application(app.directory).activate(action.version); !done) {
    return known(no(Kind::failed, done.error().message));
  }
  return restart();
}

std::unique_ptr<Task> Performer::prove(const UpdateAction& action, BootTime now) const {
  const ApplicationSettings& app = settings_.applications.at(action.application);
  return with_current(
      app, [this, &app, action, now](const std::string& current) -> std::unique_ptr<Task> {
        if (current == action.version) {
          return std::make_unique<Proof>(app, action.prove_within, around_, now);
        }
        return known(no(Kind::failed, "it is not what runs: " +
                                          (current.empty() ? "nothing does" : current + " does")));
      });
}

std::unique_ptr<Task> Performer::commit(const UpdateAction& action, const Step& step) const {
  const ApplicationSettings& app = settings_.applications.at(action.application);
  if (app.by_programs()) {
    // It has been decided: what fails is tried again.
    return std::make_unique<Retried>(run(app.commit, action, step.timeout));
  }
  // That the link points to it is the commit; what is left over may go at any time.
  static_cast<void>(Application(app.directory).tidy());
  return known({});
}

std::unique_ptr<Task> Performer::take_back(const std::string& document) const {
  const auto what = what_is_updated(document);
  const auto found = what ? settings_.applications.find(what->first) : settings_.applications.end();
  if (found == settings_.applications.end()) {
    return known(no(Kind::later, "the application is not configured any more; add its section"));
  }
  UpdateAction action;
  action.application = what->first;
  action.version = what->second;
  return take_back(found->second, action);
}

std::unique_ptr<Task> Performer::take_back(const ApplicationSettings& app,
                                           const UpdateAction& action) const {
  // The old version is in its place; that it does not start, say, is not cured by taking it back
  // again.
  const auto restart = [this, &app](const char* verb) {
    return std::make_unique<Programs>(restarts(app, verb, settings_.step_timeout),
                                      [](const Program::End&) { return StepOutcome{}; });
  };
  if (!app.by_programs()) {
    Application place(app.directory);
    if (Status back = place.take_back(action.version); !back) {
      return known(no(Kind::later, back.error().message));
    }
    return restart(place.current().empty() ? "stop" : "restart");
  }
  auto back = std::make_unique<Retried>(run(app.take_back, action, settings_.step_timeout));
  if (!app.reboots) {
    return std::make_unique<Chain>(std::move(back), [restart] { return restart("restart"); });
  }
  // A boot loader may have gone back by itself: then what runs is the old one already.
  return std::make_unique<Chain>(std::move(back), [&app, version = action.version] {
    return with_current(app, [version](const std::string& current) {
      StepOutcome outcome;
      outcome.reboot = current == version;
      return known(std::move(outcome));
    });
  });
}

}  // namespace holdfast::updater
