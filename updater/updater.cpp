// See updater.h.
#include "updater.h"

#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "agent_link.h"
#include "base/hex.h"
#include "document.h"
#include "identity/whole_file.h"
#include "jobs_line.h"
#include "kept_file.h"
#include "messages.h"
#include "package.h"
#include "performer.h"
#include "posix/child.h"
#include "posix/poll_wait.h"
#include "posix/system.h"
#include "update/job_agent.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;
using namespace nlohmann::literals;
using std::chrono::milliseconds;
using std::chrono::seconds;
using update::JobOrder;
using update::Runner;

constexpr std::string_view kJournal = "job";
constexpr Duration kStopPatience = seconds(20);
constexpr Duration kFiltersEvery = seconds(1);     // until they are granted
constexpr Duration kTaskTurn = milliseconds(200);  // the end of a program wakes nobody for sure
constexpr Duration kTrialBesides = std::chrono::minutes(5);  // to take back, say
constexpr Duration kReportEvery = seconds(1);                // of a step that goes on
constexpr Duration kLongestTurn = seconds(10);               // signs of life for a service manager

Result<update::JobJournal> read_journal(env::Disk& disk) {
  const auto text = identity::read_whole_durable(disk, kJournal, limits::kJobJournalMax);
  if (!text && text.error().code == Errc::not_found) return update::JobJournal{};
  if (!text) return text.error();
  return update::parse_job_journal(text->text());
}

std::string boot_of(const env::Clock& clock) {
  const env::BootId id = clock.boot_id();
  return text_to_hex(std::string(id.begin(), id.end()));
}

}  // namespace

class Updater::Work {
 public:
  Work(Settings settings, fs::path own, Say say, std::unique_ptr<env::Disk> disk,
       update::JobJournal journal)
      : settings_(std::move(settings)),
        say_(std::move(say)),
        clock_(posix::make_clock()),
        random_(posix::make_random()),
        disk_(std::move(disk)),
        agent_(
            std::move(journal), [this](const std::string& document) { return plan_of(document); },
            boot_of(*clock_), *random_),
        link_(settings_.socket, {[this](bool connected) { connection(connected); },
                                 [this](const std::string& topic, const std::string& payload) {
                                   message(topic, payload);
                                 },
                                 say_}),
        performer_(settings_, *random_, surroundings(), std::move(own)) {
    if (agent_.runner().idle()) performer_.tidy();
  }

  std::optional<Successor> run(int stop_fd,
                               const std::function<void(const std::string& words)>& turn) {
    BootTime end = kNever;
    while (clock_->now() < end && (end == kNever || task_)) {
      const BootTime now = clock_->now();
      link_.step(now);
      look_at_filters(now);
      talk(now);
      work(now, end == kNever);
      tell();
      report(now);
      turn(said_);
      if (successor_ || (trial_ && decided())) break;
      if (wait(stop_fd, end == kNever) && end == kNever) end = clock_->now() + kStopPatience;
    }
    return std::move(successor_);
  }

 private:
  std::variant<update::Plan, std::string> plan_of(const std::string& document) {
    Result<Job> job = parse_document(document, settings_);
    if (!job) return job.error().message;
    return std::move(job)->plan;
  }

  Surroundings surroundings() {
    return {[this](std::function<void(bool)> answer) {
              const bool asked =
                  link_.ask(R"({"op":"ping"})", [this, answer](bool ok, const std::string& line) {
                    answer(ok && goes_on(line));
                  });
              if (!asked) answer(false);
            },
            [this] { agent_.look(); },
            [this] { return agent_.heard(); },
            say_,
            [this] { return thing_; },
            [this](Listener* listener) { listen(listener); },
            [this](const std::string& topic, const std::string& payload) {
              link_.publish(topic, payload, false);
            }};
  }

  void listen(Listener* listener) {
    listener_ = listener;
    subscribe();
    if (listener_ != nullptr && link_.connected()) listener_->connection(clock_->now(), true);
  }

  void subscribe() {
    std::vector<std::string> filters = topics_.filters();
    if (listener_ != nullptr) {
      for (std::string& filter : listener_->filters()) filters.push_back(std::move(filter));
    }
    link_.subscribe(std::move(filters));
  }

  /// Each count of a ping has grown since the last one; of the first one there is nothing to say.
  bool goes_on(const std::string& line) {
    const auto message = nlohmann::json::parse(line, nullptr, false);
    const auto progress = message.is_object() ? message.find("progress") : message.end();
    if (progress == message.end() || !progress->is_object()) return false;
    bool grows = true;
    for (const char* const part : {"loop", "storage", "callbacks"}) {
      const auto count = progress->find(part);
      if (count == progress->end() || !count->is_number_unsigned()) return false;
      auto& last = progress_[part];
      // A smaller one: the agent has begun anew.
      grows = grows && last != count->get<std::uint64_t>();
      last = count->get<std::uint64_t>();
    }
    return grows;
  }

  void connection(bool connected) {
    if (listener_ != nullptr) listener_->connection(clock_->now(), connected);
    if (!connected) return agent_.disconnected();
    const std::string& thing = settings_.thing.empty() ? link_.client_id() : settings_.thing;
    if (thing != thing_) {
      thing_ = thing;
      topics_ = JobTopics(thing);
      subscribe();
    }
    agent_.connected(clock_->now());
    filters_at_ = clock_->now();
  }

  /// A job that comes before the broker has granted the subscriptions is announced to nobody: once
  /// they are granted, the service is asked again.
  void look_at_filters(BootTime now) {
    if (now < filters_at_) return;
    filters_at_ = link_.connected() ? now + kFiltersEvery : kNever;
    if (!link_.connected()) return;
    link_.ask(R"({"op":"status"})", [this](bool ok, const std::string& line) {
      if (!ok || filters_at_ == kNever || !all_granted(line)) return;
      filters_at_ = kNever;
      agent_.connected(clock_->now());
    });
  }

  bool all_granted(const std::string& line) {
    const auto message = nlohmann::json::parse(line, nullptr, false);
    if (!message.is_object()) return false;
    std::set<std::string> missing;
    for (const std::string& filter : topics_.filters()) missing.insert(filter);
    for (const auto& one : message.value("/status/filters"_json_pointer, nlohmann::json::array())) {
      if (one.contains("granted")) missing.erase(one.value("filter", ""));
    }
    return missing.empty();
  }

  void message(const std::string& topic, const std::string& payload) {
    if (listener_ != nullptr) listener_->message(clock_->now(), topic, payload);
    const ServiceMessage what = topics_.read(topic, payload);
    if (const auto* const answer = std::get_if<update::JobAnswer>(&what)) {
      agent_.answered(clock_->now(), *answer);
    } else if (const auto* const news = std::get_if<Announcement>(&what)) {
      agent_.announced(news->next);
    } else if (std::get_if<Change>(&what) != nullptr) {
      agent_.look();
    }
  }

  void talk(BootTime now) {
    while (const auto question = agent_.question(now)) {
      const bool last_word = question->kind == update::JobQuestion::Kind::update &&
                             question->status != update::JobStatus::in_progress;
      if (!link_.publish(topics_.topic_of(*question), payload_of(*question), last_word)) return;
    }
  }

  /// The order under way. Nothing new is begun once we are to end.
  void work(BootTime now, bool begins) {
    for (;;) {
      const Runner::Order order = agent_.order(now);
      pause_ = order.what == JobOrder::wait ? order.until : kNever;
      if (order.what == JobOrder::nothing || order.what == JobOrder::wait) return;
      if (order.what == JobOrder::write) {
        const Status written =
            identity::replace_whole(*disk_, kJournal, update::to_text(agent_.runner().journal()));
        if (!written) say_("the journal cannot be written: " + written.error().message);
        agent_.written(now, written.ok());
        if (!written) return;
        continue;
      }
      if (!task_ && !begins) return;
      if (!task_) begin(order, now);
      if (!task_) return;  // a successor has its turn
      if (agent_.interrupted()) task_->stop(now);
      auto outcome = task_->step(now);
      if (!outcome) return;
      task_.reset();
      if (!outcome->words.empty()) say_(agent_.runner().words() + ": " + outcome->words);
      agent_.done(clock_->now(), std::move(*outcome));
    }
  }

  void begin(const Runner::Order& order, BootTime now) {
    const std::string& document = agent_.runner().journal().document;
    Result<Job> job = parse_document(document, settings_);
    const bool steps = order.what == JobOrder::perform && job;
    if (order.what == JobOrder::reboot_back ||
        (steps && job->plan.steps[order.step].kind == update::StepKind::reboot)) {
      // So that the next start knows why it was; without the agent it does not.
      const bool updates = what_is_updated(document).has_value();
      link_.ask(nlohmann::json{{"op", "going_down"},
                               {"reason", updates ? "update" : "command"},
                               {"detail", "job " + agent_.runner().journal().job}}
                    .dump(),
                {});
    }
    if (steps && !trial_ && job->plan.steps[order.step].kind == update::StepKind::prove) {
      const auto& action = std::get<UpdateAction>(job->actions[order.step]);
      const fs::path program = settings_.applications.at(action.application).updater_path();
      if (!program.empty() && is_another_program(program)) {
        say_("the new updater goes on, on trial");
        successor_ = Successor{program, Duration(action.prove_within) + kTrialBesides};
        return;
      }
    }
    task_ = performer_.begin(order, job ? std::move(job).value() : Job{}, document, now);
  }

  /// The job under way has come to an end, and that is on disk; or there is none.
  [[nodiscard]] bool decided() const {
    return agent_.runner().to_be_told() || agent_.runner().ready();
  }

  /// What is going on, once each.
  void tell() {
    const auto& journal = agent_.runner().journal();
    std::string words = journal.job.empty() ? "waiting for jobs"
                                            : "job " + journal.job + ": " + agent_.runner().words();
    if (!link_.there()) words += "; the agent is not there";
    if (words == said_) return;
    said_ = words;
    say_(words);
  }

  /// The same to the agent, which shows it, and forgets it when we are gone.
  void report(BootTime now) {
    if (agent_.runner().journal().phase == update::JobPhase::ended) {
      last_words_ = reason_of(agent_.runner().journal());
    }
    if (!link_.there()) {
      reported_.clear();
      report_at_ = now;
    }
    if (now < report_at_ || !link_.there()) return;
    report_at_ = task_ ? now + kReportEvery : now;
    std::string report = jobs_line(agent_.runner(), settings_, last_words_);
    if (report == reported_) return;
    link_.ask(report, {});
    reported_ = std::move(report);
  }

  /// True: we are to end.
  bool wait(int stop_fd, bool listens) {
    std::vector<int> wakers;
    if (task_) task_->fds(wakers);
    std::vector<pollfd> all{
        {listens ? stop_fd : -1, POLLIN, 0},
        {link_.fd(), static_cast<short>(link_.writes() ? POLLIN | POLLOUT : POLLIN), 0}};
    for (const int fd : wakers) all.push_back({fd, POLLIN, 0});
    const BootTime now = clock_->now();
    BootTime until = now + (task_ ? kTaskTurn : kLongestTurn);
    until = std::min({until, pause_, filters_at_, link_.next_step(), agent_.next_step()});
    if (::poll(all.data(), all.size(), posix::poll_wait(until, now)) <= 0) return false;
    return (all.front().revents & POLLIN) != 0;
  }

  Settings settings_;
  Say say_;
  std::unique_ptr<env::Clock> clock_;
  std::unique_ptr<env::Random> random_;
  std::unique_ptr<env::Disk> disk_;
  std::string thing_;
  JobTopics topics_{""};
  update::JobAgent agent_;
  AgentLink link_;
  Performer performer_;
  Listener* listener_ = nullptr;  ///< A part of task_.
  std::unique_ptr<Task> task_;
  BootTime pause_ = kNever;
  BootTime filters_at_ = kNever;
  std::map<std::string, std::uint64_t> progress_;
  std::string said_;
  const bool trial_ = std::getenv(kTrialVariable) != nullptr;
  std::optional<Successor> successor_;
  std::string reported_;  ///< What the agent knows; empty: nothing.
  BootTime report_at_{};
  std::string last_words_;
};

Updater::Updater(std::unique_ptr<Work> work) : work_(std::move(work)) {}
Updater::~Updater() = default;

Result<std::unique_ptr<Updater>> Updater::create(Settings settings, fs::path own, Say say) {
  posix::adopt_orphans();
  auto disk = posix::open_disk(settings.directory);
  if (!disk) return std::move(disk).error();
  if (Status locked = (*disk)->lock(); !locked) return std::move(locked).error();
  auto journal = read_journal(**disk);
  if (!journal && journal.error().code == Errc::corrupt) {
    const auto aside = posix::move_aside(settings.directory, std::string(kJournal), "damaged");
    if (!aside) return aside.error();
    say("the journal cannot be read (" + journal.error().message + "); it is kept as " + *aside);
    journal = update::JobJournal{};
  }
  if (!journal) return std::move(journal).error();
  add_package_programs(settings, own);
  add_file_programs(settings, own);
  auto work = std::make_unique<Work>(std::move(settings), std::move(own), std::move(say),
                                     std::move(disk).value(), std::move(journal).value());
  return std::unique_ptr<Updater>(new Updater(std::move(work)));
}

std::optional<Successor> Updater::run(int stop_fd,
                                      const std::function<void(const std::string& words)>& turn) {
  return work_->run(stop_fd, turn);
}

}  // namespace holdfast::updater
