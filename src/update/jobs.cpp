#include "update/jobs.h"

#include <algorithm>
#include <utility>

#include "update/token.h"

namespace holdfast::update {
namespace {

using Kind = JobQuestion::Kind;

bool is_transient(const std::string& code) {
  return code == "InternalError" || code == "RequestThrottled";
}

bool is_pending(const std::string& status) {
  return status.empty() || status == "QUEUED" || status == "IN_PROGRESS";
}

}  // namespace

void Jobs::connected(BootTime now) {
  connected_ = true;
  next_ = true;
  look_ = want_document_;
  open_.reset();
  silence_ = kAnswerFirst;
  told_ = std::min(told_, now - kProgressEvery);
}

void Jobs::disconnected() {
  connected_ = false;
  open_.reset();
}

void Jobs::announced(const std::optional<JobExecution>& next) {
  if (job_.empty()) {
    next_ = next_ || next.has_value();
  } else {
    look_ = look_ || !next || next->job != job_ || next->number != execution_;
  }
}

void Jobs::take(std::string job, std::int64_t execution) {
  version_.reset();
  if (offer_ && offer_->job == job && offer_->number == execution) version_ = offer_->version;
  offer_.reset();
  job_ = std::move(job);
  execution_ = execution;
  telling_.reset();
  lost_ = plain_ = false;
}

void Jobs::drop() {
  job_.clear();
  telling_.reset();
  look_ = want_document_ = false;
  document_.reset();
  next_ = next_ || !offer_;
}

void Jobs::look(bool document) {
  look_ = !job_.empty() && !lost_;
  want_document_ = look_ && (want_document_ || document);
}

void Jobs::tell(JobStatus status, Details details, std::int64_t step_minutes) {
  if (job_.empty() || lost_ || (ends() && status == JobStatus::in_progress)) return;
  if (plain_) details.clear();
  Telling what{status, std::move(details), step_minutes};
  if (telling_ && telling_->status == what.status && telling_->details == what.details) return;
  telling_ = std::move(what);
  told_all_ = false;
}

std::optional<JobQuestion> Jobs::step(BootTime now) {
  if (!connected_) return std::nullopt;
  if (!open_ && !choose(now)) return std::nullopt;
  if (now < repeat_) return std::nullopt;
  repeat_ = now + silence_ +
            Duration(static_cast<std::int64_t>(
                random_.below(static_cast<std::uint64_t>(silence_.count() / 4))));
  silence_ = std::min(silence_ * 2, kAnswerCap);
  return open_;
}

/// Whether there is anything to ask.
bool Jobs::choose(BootTime now) {
  JobQuestion question;
  question.job = job_;
  question.execution = execution_;
  const bool update = telling_ && !told_all_ && (ends() || now >= told_ + kProgressEvery);
  if (!job_.empty() && !lost_ && (look_ || (update && !version_))) {
    question.kind = Kind::describe;
    question.document = want_document_;
    look_ = false;
  } else if (update && ends()) {
    question.kind = Kind::update;
  } else if (next_ || (job_.empty() && now >= ask_at_)) {
    question.kind = Kind::start_next;
  } else if (update) {
    question.kind = Kind::update;
  } else {
    return false;
  }
  if (question.kind == Kind::update) {
    question.version = *version_;
    question.status = telling_->status;
    question.details = telling_->details;
    question.step_minutes = telling_->step_minutes;
    told_ = now;
  }
  ask(now, std::move(question));
  return true;
}

void Jobs::ask(BootTime now, JobQuestion question) {
  question.token = make_token(random_);
  open_ = std::move(question);
  asked_ = repeat_ = now;
}

BootTime Jobs::next_step() const {
  if (!connected_) return kNever;
  if (open_) return repeat_;
  const bool update = telling_ && !told_all_;
  if (next_ || (look_ && !job_.empty() && !lost_) || (update && ends())) return BootTime::min();
  const BootTime progress = update ? told_ + kProgressEvery : kNever;
  return std::min(progress, job_.empty() ? ask_at_ : kNever);
}

void Jobs::answered(BootTime now, const JobAnswer& answer) {
  if (!open_ || answer.token != open_->token) return;  // to an earlier question
  heard_ = asked_;
  if (!answer.accepted && is_transient(answer.code)) return;  // repeated like one unanswered
  const JobQuestion question = *std::exchange(open_, std::nullopt);
  silence_ = kAnswerFirst;
  if (question.kind == Kind::start_next) {
    next_ = false;
    ask_at_ = now + kAskEvery / 2 +
              Duration(static_cast<std::int64_t>(
                  random_.below(static_cast<std::uint64_t>(kAskEvery.count() / 2))));
    if (answer.accepted) start_next_answered(answer);
    return;
  }
  if (job_.empty() || lost_ || question.job != job_ || question.execution != execution_) return;
  if (question.kind == Kind::describe && question.document) want_document_ = false;
  if (!answer.accepted) return refused(question, answer);
  if (question.kind == Kind::describe) return described(answer);
  version_ = answer.version.value_or(question.version + 1);
  const bool last_word =
      telling_ && telling_->status == question.status && telling_->details == question.details;
  if (!last_word) return;
  told_all_ = true;
  if (ends()) finish();
}

void Jobs::start_next_answered(const JobAnswer& answer) {
  const auto& next = answer.execution;
  const bool ours = next && next->job == job_ && next->number == execution_;
  if (ours) {
    version_ = next->version;
    return;
  }
  if (!job_.empty() && !lost_) gone("it is not among the pending jobs any more");
  offer_ = next;
}

void Jobs::described(const JobAnswer& answer) {
  if (!answer.execution || answer.execution->number != execution_) {
    return gone("the service does not have this execution any more");
  }
  if (!answer.execution->document.empty()) document_ = answer.execution->document;
  judge(answer.execution->status, answer.execution->version);
}

void Jobs::refused(const JobQuestion& question, const JobAnswer& answer) {
  if (answer.version || !answer.status.empty()) {
    judge(answer.status, answer.version);
    // The same once more would be refused once more.
    const bool moved = version_ != question.version;
    if (job_.empty() || lost_ || moved) return;
  }
  if (answer.code == "VersionMismatch") {
    version_.reset();
  } else if (answer.code == "InvalidRequest" && telling_ && !telling_->details.empty()) {
    plain_ = true;  // they may be what it does not like
    telling_->details.clear();
  } else {
    gone("the service refuses it: " + answer.code);
  }
}

/// The execution's status at the service.
void Jobs::judge(const std::string& status, std::optional<std::int64_t> version) {
  version_ = version;
  if (is_pending(status)) return;
  if (ends() && status == name_of(telling_->status)) return finish();
  gone("the service has it as " + status);
}

void Jobs::finish() {
  over_ = true;
  drop();
}

void Jobs::gone(const std::string& why) {
  if (ends()) return finish();
  given_up_ = why;
  lost_ = true;
  telling_.reset();
}

std::optional<JobExecution> Jobs::offered() const { return job_.empty() ? offer_ : std::nullopt; }

std::optional<std::string> Jobs::document() { return std::exchange(document_, std::nullopt); }

bool Jobs::over() { return std::exchange(over_, false); }

std::optional<std::string> Jobs::given_up() { return std::exchange(given_up_, std::nullopt); }

}  // namespace holdfast::update
