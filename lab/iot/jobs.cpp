#include "lab/iot/jobs.h"

#include <algorithm>

#include "lab/iot/uuid.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kThings = "$aws/things/";
constexpr std::int64_t kMsPerSecond = 1000;

std::string jobs_topic(std::string_view thing, std::string_view rest) {
  return std::string(kThings).append(thing).append("/jobs/").append(rest);
}

/// The name of the operation in the topic of an event about an execution.
std::string event_of(ExecutionStatus status) {
  std::string word(to_string(status));
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return word;
}

}  // namespace

Jobs::Jobs(JobsSettings settings, const JobsWorld& world, Presigner* presigner, env::Random& random)
    : settings_(std::move(settings)), world_(world), presigner_(presigner), random_(random) {}

void Jobs::on_switches(const Switches& switches) {
  settings_.strict_details = switches.jobs_strict_details;
  settings_.queued_may_finish = switches.jobs_queued_may_finish;
  settings_.times_in_ms = switches.jobs_times_in_ms;
  settings_.empty_next_is_object = switches.jobs_empty_next_is_object;
  settings_.omitted_parameter =
      switches.jobs_omitted_parameter == "removed"   ? OmittedParameter::removed
      : switches.jobs_omitted_parameter == "literal" ? OmittedParameter::literal
                                                     : OmittedParameter::empty;
  settings_.http_version_mismatch = switches.jobs_http_version_mismatch;
  settings_.reads_per_second = static_cast<std::uint32_t>(switches.jobs_reads_per_second);
  settings_.writes_per_second = static_cast<std::uint32_t>(switches.jobs_writes_per_second);
  settings_.internal_errors_per_mille =
      static_cast<std::uint32_t>(switches.jobs_internal_errors_per_mille);
}

Claim Jobs::claims(std::string_view topic) const {
  if (!topic.starts_with(kThings)) return Claim::none;
  const std::size_t end = topic.find('/', kThings.size());
  const bool ours = end != std::string_view::npos && topic.substr(end).starts_with("/jobs/");
  return ours ? Claim::only : Claim::none;
}

// ---- how things are written --------------------------------------------------------------------

std::string Jobs::thing_arn(std::string_view thing) const {
  return "arn:aws:iot:" + settings_.region + ':' + settings_.account + ":thing/" +
         std::string(thing);
}

std::string Jobs::job_arn(std::string_view id) const {
  return "arn:aws:iot:" + settings_.region + ':' + settings_.account + ":job/" + std::string(id);
}

Json Jobs::document_for(WallTime now, const Job& job) {
  auto document = parse_json(job.document);
  if (!document) return Json::object();  // never: create and load() let no other text in
  if (presigner_ == nullptr) return *std::move(document);
  return with_presigned_urls(*document, [&](std::string_view url) {
    return presigner_->presign(now, url, job.presigned_seconds());
  });
}

std::int64_t Jobs::stamp(WallTime time, bool http) const {
  return http || settings_.times_in_ms ? time.ms : time.ms / kMsPerSecond;
}

Json Jobs::summary(const JobBook::Entry& entry, bool http) const {
  const Execution& e = *entry.execution;
  Json j = {{"jobId", entry.id}, {"queuedAt", stamp(e.queued, http)}};
  if (e.started) j["startedAt"] = stamp(*e.started, http);
  j["lastUpdatedAt"] = stamp(e.updated, http);
  j["versionNumber"] = e.version;
  j["executionNumber"] = e.number;
  return j;
}

Json Jobs::execution_data(WallTime now, const JobBook::Entry& entry, std::string_view thing,
                          bool http, bool document) {
  const Execution& e = *entry.execution;
  Json j = {{"jobId", entry.id}};
  if (http) j["thingName"] = thing;
  if (document) {
    Json content = document_for(now, *entry.job);
    j["jobDocument"] = http ? Json(dump(content)) : std::move(content);
  }
  j["status"] = to_string(e.status);
  if (!e.details.empty()) j["statusDetails"] = e.details;
  j["queuedAt"] = stamp(e.queued, http);
  if (e.started) j["startedAt"] = stamp(*e.started, http);
  j["lastUpdatedAt"] = stamp(e.updated, http);
  j["versionNumber"] = e.version;
  j["executionNumber"] = e.number;
  if (const auto due = e.due()) {
    j["approximateSecondsBeforeTimedOut"] =
        std::max<std::int64_t>(0, (due->ms - now.ms) / kMsPerSecond);
  }
  return j;
}

Json Jobs::execution_state(const Execution& execution) {
  return {{"status", to_string(execution.status)},
          {"statusDetails", execution.details},
          {"versionNumber", execution.version}};
}

// ---- changes, and who is told ------------------------------------------------------------------

Jobs::Seen Jobs::look(std::string_view thing) {
  Seen seen;
  for (const JobBook::Entry& entry : book_.pending(thing)) {
    seen.members.emplace_back(entry.id, entry.execution->number);
  }
  if (!seen.members.empty()) seen.head = seen.members.front();
  std::sort(seen.members.begin(), seen.members.end());
  return seen;
}

void Jobs::tell(WallTime now, std::string_view thing, const Seen& before, Answers& out) {
  const Seen after = look(thing);
  const auto pending = book_.pending(thing);
  if (after.members != before.members) {
    Json lists = Json::object();
    for (std::size_t i = 0; i < std::min(pending.size(), kNotified); ++i) {
      lists[std::string(to_string(pending[i].execution->status))].push_back(
          summary(pending[i], false));
    }
    out.publish(jobs_topic(thing, "notify"),
                {{"timestamp", stamp(now, false)}, {"jobs", std::move(lists)}});
  }
  if (after.head == before.head) return;
  Json next = {{"timestamp", stamp(now, false)}};
  if (!pending.empty()) {
    next["execution"] = execution_data(now, pending.front(), thing, false, true);
  }
  out.publish(jobs_topic(thing, "notify-next"), next);
}

void Jobs::queue(WallTime now, Job& job, std::string_view thing) {
  auto& attempts = job.executions[std::string(thing)];
  Execution execution;
  execution.number = attempts.empty() ? 1 : attempts.back().number + 1;
  execution.order = ++book_.last_order;
  execution.queued = execution.updated = now;
  attempts.push_back(std::move(execution));
}

void Jobs::finish(WallTime now, std::string_view id, Job& job, std::string_view thing,
                  Execution& execution, ExecutionStatus status, Answers& out) {
  execution.status = status;
  execution.updated = now;
  execution.job_due.reset();
  execution.step_due.reset();
  execution_event(now, id, thing, execution, event_of(status), out);
  if (job.retries(job.executions.find(thing)->second)) queue(now, job, thing);
  settle(now, id, job, out);
}

void Jobs::settle(WallTime now, std::string_view id, Job& job, Answers& out) {
  if (job.continuous || job.status != JobStatus::in_progress) return;
  if (job.busy()) return;
  job.status = JobStatus::completed;
  job.completed = job.updated = now;
  job_event(now, id, job, "completed", out);
}

void Jobs::job_event(WallTime now, std::string_view id, const Job& job, std::string_view operation,
                     Answers& out) {
  if (events_ == nullptr || !events_->enabled(EventConfigurations::kJob)) return;
  Json event = {{"eventType", "JOB"},
                {"eventId", make_uuid(random_)},
                {"timestamp", stamp(now, false)},
                {"operation", operation},
                {"jobId", id},
                {"status", to_string(job.status)},
                {"targetSelection", job.continuous ? "CONTINUOUS" : "SNAPSHOT"},
                {"targets", job.targets},
                {"createdAt", stamp(job.created, false)},
                {"lastUpdatedAt", stamp(job.updated, false)}};
  if (job.completed) event["completedAt"] = stamp(*job.completed, false);
  event["jobProcessDetails"] = job.process_details();
  out.publish("$aws/events/job/" + std::string(id) + '/' + std::string(operation), event);
}

void Jobs::execution_event(WallTime now, std::string_view id, std::string_view thing,
                           const Execution& execution, std::string_view operation, Answers& out) {
  if (events_ == nullptr || !events_->enabled(EventConfigurations::kJobExecution)) return;
  out.publish("$aws/events/jobExecution/" + std::string(id) + '/' + std::string(operation),
              {{"eventType", "JOB_EXECUTION"},
               {"eventId", make_uuid(random_)},
               {"timestamp", stamp(now, false)},
               {"operation", operation},
               {"jobId", id},
               {"thingArn", thing_arn(thing)},
               {"status", to_string(execution.status)},
               {"statusDetails", execution.details}});
}

std::optional<std::vector<std::string>> Jobs::things_of(std::string_view target) const {
  const std::string thing = thing_arn("");
  const std::string group = thing.substr(0, thing.size() - 1) + "group/";
  if (target.starts_with(group)) return world_.things_in(target.substr(group.size()));
  if (!target.starts_with(thing) || !world_.has_thing(target.substr(thing.size()))) {
    return std::nullopt;
  }
  return std::vector{std::string(target.substr(thing.size()))};
}

void Jobs::on_groups_changed(WallTime now, std::string_view thing, Answers& out) {
  const Seen before = look(thing);
  for (auto& [id, job] : book_.jobs) {
    if (!job.continuous || job.status != JobStatus::in_progress) continue;
    const bool target = std::any_of(job.targets.begin(), job.targets.end(), [&](const auto& arn) {
      const auto things = things_of(arn);
      return things && std::find(things->begin(), things->end(), thing) != things->end();
    });
    Execution* last = JobBook::find(job, thing);
    if (target && (last == nullptr || last->status == ExecutionStatus::removed)) {
      queue(now, job, thing);
    } else if (!target && last != nullptr && !is_terminal(last->status)) {
      finish(now, id, job, thing, *last, ExecutionStatus::removed, out);
    } else {
      continue;
    }
    ++revision_;
  }
  tell(now, thing, before, out);
}

// ---- time --------------------------------------------------------------------------------------

WallTime Jobs::wake() const {
  WallTime next{kNoTime};
  for (const auto& [id, job] : book_.jobs) {
    if (job.completed && !job.busy()) {
      next = std::min(next, WallTime{job.completed->ms + kRetentionMs});
    }
    for (const auto& [thing, attempts] : job.executions) {
      if (const auto due = attempts.back().due()) next = std::min(next, *due);
    }
  }
  return next;
}

void Jobs::on_time(WallTime now, Answers& out) {
  for (auto& [id, job] : book_.jobs) {
    for (auto& [thing, attempts] : job.executions) {
      const auto due = attempts.back().due();
      if (!due || *due > now) continue;
      const Seen before = look(thing);
      finish(now, id, job, thing, attempts.back(), ExecutionStatus::timed_out, out);
      tell(now, thing, before, out);
      ++revision_;
    }
  }
  const std::size_t gone = std::erase_if(book_.jobs, [now](const auto& one) {
    const Job& job = one.second;
    return job.completed && job.completed->ms + kRetentionMs <= now.ms && !job.busy();
  });
  if (gone > 0) ++revision_;
}

// ---- state -------------------------------------------------------------------------------------

Json Jobs::save() const { return save_jobs(book_); }

Status Jobs::load(const Json& state) {
  auto book = load_jobs(state);
  if (!book) return std::move(book).error();
  book_ = *std::move(book);
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
