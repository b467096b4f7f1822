// AWS IoT Jobs for one thing, as its documentation has it: executions, their versions and statuses,
// and what it says to whoever asks for something else.
#pragma once

#include <deque>
#include <string>

#include "update/jobs.h"

namespace holdfast::sim {

struct ModelJobs {
  struct Execution {
    std::string job;
    std::int64_t number = 1;
    std::string document = "{}";
    std::int64_t version = 1;
    std::string status = "QUEUED";
    update::Details details = {};
    [[nodiscard]] bool pending() const { return status == "QUEUED" || status == "IN_PROGRESS"; }
  };
  std::deque<Execution> executions;
  std::deque<std::string> say;  ///< Codes with which the next questions are refused.

  Execution* find(const std::string& job, std::int64_t number) {
    for (Execution& one : executions) {
      if (one.job == job && one.number == number) return &one;
    }
    return nullptr;
  }
  /// What start-next gives: those in progress first, in the order in which they were queued.
  Execution* head() {
    for (const char* status : {"IN_PROGRESS", "QUEUED"}) {
      for (Execution& one : executions) {
        if (one.status == status) return &one;
      }
    }
    return nullptr;
  }
  static update::JobExecution shown(const Execution& one) {
    return {one.job, one.number, one.version, one.status, one.document};
  }

  update::JobAnswer ask(const update::JobQuestion& question) {
    using Kind = update::JobQuestion::Kind;
    if (!say.empty()) {
      update::JobAnswer refusal = refused(question, say.front());
      say.pop_front();
      return refusal;
    }
    if (question.kind == Kind::start_next) return start_next(question);
    Execution* const one = find(question.job, question.execution);
    if (one == nullptr) return refused(question, "ResourceNotFound");
    update::JobAnswer answer{question.token, true, "", {}, {}, ""};
    if (question.kind == Kind::describe) {
      if (!one->pending()) return refused(question, "TerminalStateReached");
      answer.execution = shown(*one);
      if (!question.document) answer.execution->document.clear();
      return answer;
    }
    if (!one->pending() || question.version != one->version) {
      answer = refused(question, one->pending() ? "VersionMismatch" : "InvalidStateTransition");
      answer.version = one->version;
      answer.status = one->status;
      return answer;
    }
    one->status = update::name_of(question.status);
    one->details = question.details;
    answer.version = ++one->version;
    answer.status = one->status;
    return answer;
  }

 private:
  static update::JobAnswer refused(const update::JobQuestion& question, const std::string& code) {
    return {question.token, false, code, {}, {}, ""};
  }
  update::JobAnswer start_next(const update::JobQuestion& question) {
    update::JobAnswer answer{question.token, true, "", {}, {}, ""};
    if (Execution* const next = head()) {
      if (next->status == "QUEUED") {
        next->status = "IN_PROGRESS";
        ++next->version;
      }
      answer.execution = shown(*next);
    }
    return answer;
  }
};

}  // namespace holdfast::sim
