// What the updater does, as it has told last: for those who look at the state.
//
// Purpose:  the agent does not know jobs; the program that carries them out tells it. What it has
// told is
//           shown as long as its connection stands and for kJobsLinger after: an updater that
//           updates itself is soon back.
// Threads:  none; the loop's of the local API. Sans-I/O: time comes in.
// Bounds:   one JobsState, whose texts local_protocol.h bounds.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "holdfast/types.h"

namespace holdfast::runtime {

inline constexpr Duration kJobsLinger = std::chrono::minutes(2);

struct JobsState {
  std::string job;    ///< Its id; empty: none is under way.
  std::string words;  ///< What is being done, for people.
  std::uint64_t step = 0;
  std::uint64_t steps = 0;                 ///< 0: not known.
  std::optional<std::uint64_t> percent{};  ///< Of this step.
  // The job that ended last; an empty id: none is remembered.
  std::string last_job;
  std::string last_status;  ///< "SUCCEEDED", as the service names it.
  std::string last_words;
  std::vector<std::pair<std::string, std::string>> versions;  ///< Application, its version.
};

class JobBoard {
 public:
  /// The state, and how long ago its teller has gone; none: it is there.
  struct View {
    JobsState jobs;
    std::optional<Milliseconds> gone{};
  };

  /// `client` is the connection that tells; it is the only one from now on.
  void tell(std::uint64_t client, JobsState jobs) {
    teller_ = client;
    jobs_ = std::move(jobs);
    left_.reset();
  }
  /// A connection has ended.
  void leave(std::uint64_t client, BootTime now) {
    if (jobs_ && client == teller_) left_ = now;
  }
  /// Nothing: nobody has told anything, or it is over.
  [[nodiscard]] std::optional<View> view(BootTime now) {
    if (left_ && now - *left_ >= kJobsLinger) jobs_.reset();
    if (!jobs_) return std::nullopt;
    View view{*jobs_, {}};
    if (left_) view.gone = std::chrono::duration_cast<Milliseconds>(now - *left_);
    return view;
  }

 private:
  std::optional<JobsState> jobs_;
  std::uint64_t teller_ = 0;
  std::optional<BootTime> left_;
};

}  // namespace holdfast::runtime
