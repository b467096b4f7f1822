// The device's side of AWS IoT Jobs: what to ask the service, and what its answers mean.
//
// Purpose:  one job after the other, each execution once; its end is told until the service has it,
//           across outages; what the service has given up meanwhile is noticed.
// Method:   one question at a time, known by its token and repeated until it is answered. Whatever
//           was announced while there was no connection may be stale: after each connect the next
//           job is asked for anew. A transient refusal and silence are tried again, later and
//           later; any other refusal means that the service does not want to hear of this
//           execution.
// Threads:  one.
// Source:   AWS IoT Jobs, "Jobs MQTT API operations", error codes and notifications.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "env/random.h"
#include "update/plan.h"

namespace holdfast::update {

/// An answer may take so long; then the question is repeated, each time after a longer silence.
inline constexpr Duration kAnswerFirst = std::chrono::seconds(10);
inline constexpr Duration kAnswerCap = std::chrono::seconds(640);
/// Progress is told so often at most: each time it costs a version and a message.
inline constexpr Duration kProgressEvery = std::chrono::seconds(10);
/// Whoever has nothing to do asks so often without being told: a notification may be lost.
inline constexpr Duration kAskEvery = std::chrono::hours(1);

/// What the service says of an execution.
struct JobExecution {
  std::string job;
  std::int64_t number = 0;   ///< Of the execution: another one is another attempt.
  std::int64_t version = 0;  ///< Grows with each update.
  std::string status;        ///< As the service says it: "QUEUED", "CANCELED"...
  std::string document;      ///< JSON.
};

struct JobQuestion {
  enum class Kind : std::uint8_t { start_next, describe, update };
  Kind kind = Kind::start_next;
  std::string token;
  std::string job;             ///< Of describe and update.
  std::int64_t execution = 0;  ///< ... likewise.
  bool document = false;       ///< Of describe: the document is wanted, too.
  std::int64_t version = 0;    ///< Of update: the one expected.
  JobStatus status = JobStatus::in_progress;
  Details details = {};
  std::int64_t step_minutes = 0;  ///< The service gives the job up after them; 0: does not say.
};

/// An answer, or what comes unasked.
struct JobAnswer {
  std::string token;
  bool accepted = false;
  std::string code;                         ///< Of a refusal.
  std::optional<JobExecution> execution{};  ///< Of start_next and describe.
  std::optional<std::int64_t> version{};    ///< Of an update, and of some refusals: as it is now,
  std::string status = {};                  ///< with its status.
};

class Jobs {
 public:
  /// `random` must outlive this; tokens are made of it.
  explicit Jobs(env::Random& random) : random_(random) {}

  /// The messages of this thing get through, both ways.
  void connected(BootTime now);
  void disconnected();

  void answered(BootTime now, const JobAnswer& answer);
  /// The service has announced what is next (notify-next); none: nothing is.
  void announced(const std::optional<JobExecution>& next);

  /// This one is under way, offered now or in an earlier run; no other is offered until it is over.
  void take(std::string job, std::int64_t execution);
  /// What the service should know of it: the last word counts. An end is told until it is known.
  void tell(JobStatus status, Details details, std::int64_t step_minutes);
  /// It is over here, and nothing more is to be told.
  void drop();
  /// Asks for the execution under way: whether it still is, and its document, where the URLs in the
  /// one that is here are over.
  void look(bool document);

  /// What to send now.
  [[nodiscard]] std::optional<JobQuestion> step(BootTime now);
  [[nodiscard]] BootTime next_step() const;

  /// An execution to work on, until one is taken. It may be one that has ended here: its end was
  /// not heard of.
  [[nodiscard]] std::optional<JobExecution> offered() const;
  /// The end that was told is known, or nobody wants to know it; once.
  [[nodiscard]] bool over();
  /// What look() has brought; once.
  [[nodiscard]] std::optional<std::string> document();
  /// When the last question was asked to which there was an answer, whatever it was.
  [[nodiscard]] BootTime heard() const { return heard_; }
  /// Why the job under way is not wanted any more; once. drop() it when it is over here.
  [[nodiscard]] std::optional<std::string> given_up();

 private:
  struct Telling {
    JobStatus status = JobStatus::in_progress;
    Details details;
    std::int64_t step_minutes = 0;
  };
  [[nodiscard]] bool choose(BootTime now);
  void ask(BootTime now, JobQuestion question);
  void refused(const JobQuestion& question, const JobAnswer& answer);
  void start_next_answered(const JobAnswer& answer);
  void described(const JobAnswer& answer);
  void judge(const std::string& status, std::optional<std::int64_t> version);
  void finish();
  void gone(const std::string& why);
  [[nodiscard]] bool ends() const { return telling_ && telling_->status != JobStatus::in_progress; }

  env::Random& random_;
  bool connected_ = false;
  std::optional<JobQuestion> open_;   ///< The question that waits for its answer,
  BootTime asked_ = BootTime::min();  ///< since then;
  BootTime heard_ = BootTime::min();
  BootTime repeat_ = kNever;         ///< sent, or sent again, then;
  Duration silence_ = kAnswerFirst;  ///< and once more after so long.
  std::string job_;                  ///< Under way; empty: none.
  std::int64_t execution_ = 0;
  std::optional<std::int64_t> version_;  ///< None: not known.
  bool lost_ = false;                    ///< The service has given it up.
  bool plain_ = false;                   ///< It has refused details of it.
  std::optional<Telling> telling_;
  bool told_all_ = true;  ///< ... and it is known.
  BootTime told_{};       ///< When something was told last.
  bool look_ = false;     ///< It may have been given up: ask.
  bool want_document_ = false;
  std::optional<std::string> document_;
  bool next_ = false;         ///< Ask for the next one,
  BootTime ask_at_ = kNever;  ///< and at the latest then.
  std::optional<JobExecution> offer_;
  bool over_ = false;
  std::optional<std::string> given_up_;
};

}  // namespace holdfast::update
