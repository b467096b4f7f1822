// What the programs of simulated crashes, damages and faults have in common: their command line,
// their threads, and a last word when one of their tries aborts.
//
// Threads:  set_under_way() and under_way() are of the calling thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::sim {

struct CampaignOptions {
  std::uint64_t seed = 1;
  std::uint64_t seeds = 1;
  std::uint64_t jobs = 1;
  bool list = false;
};

/// --seed, --seeds, --jobs, --list, --help, and what a program adds. Options outlive it.
class CommandLine {
 public:
  CommandLine(std::string program, CampaignOptions& options);

  void add_number(const std::string& option, std::uint64_t& value, const std::string& help,
                  std::uint64_t least = 0, std::uint64_t most = kAny);
  /// True when it is given; it takes no value.
  void add_flag(const std::string& option, bool& value, const std::string& help);
  /// Any words.
  void add_text(const std::string& option, std::string& value, const std::string& help);
  /// One of `names`, or "all", which is the default.
  void add_choice(const std::string& option, std::string& value, std::vector<std::string> names);

  /// Empty: go on; else the exit code: 0 after --help, 2 for a wrong option, which was told.
  [[nodiscard]] std::optional<int> parse(int argc, char** argv) const;

 private:
  static constexpr std::uint64_t kAny = std::numeric_limits<std::uint64_t>::max();

  struct Option {
    std::string name;
    std::string help;
    std::uint64_t* number = nullptr;
    std::uint64_t least = 0;
    std::uint64_t most = kAny;
    std::string* choice = nullptr;
    std::vector<std::string> names;  ///< What `choice` may be; none: anything.
    bool* flag = nullptr;
  };

  void help() const;
  [[nodiscard]] int refuse(const std::string& what) const;
  /// Empty: `text` is a good value, and was taken.
  [[nodiscard]] static std::string take(const Option& option, const char* text);

  std::string program_;
  std::vector<Option> options_;
};

/// Hands out the pairs of `choices` and seeds, all choices of a seed first: as many seeds as the
/// options say, or as many as are begun within `minutes`, one at least. Any thread.
class Tasks {
 public:
  struct Task {
    std::size_t choice = 0;
    std::uint64_t seed = 0;
  };

  Tasks(const CampaignOptions& options, std::size_t choices, std::uint64_t minutes = 0);
  [[nodiscard]] std::optional<Task> next();

 private:
  const CampaignOptions& options_;
  std::size_t choices_;
  std::optional<std::chrono::steady_clock::time_point> end_;
  std::atomic<std::uint64_t> given_{0};
};

// What there is to choose from: anything with a `name`, and with a word on `what` it is.

template <typename Named>
[[nodiscard]] std::vector<std::string> names_of(const std::vector<Named>& all) {
  std::vector<std::string> names;
  for (const Named& one : all) names.emplace_back(one.name);
  return names;
}

/// The one of this name, or every one for "all".
template <typename Named>
[[nodiscard]] std::vector<const Named*> chosen_of(const std::vector<Named>& all,
                                                  std::string_view name) {
  std::vector<const Named*> chosen;
  for (const Named& one : all) {
    if (name == "all" || name == one.name) chosen.push_back(&one);
  }
  return chosen;
}

/// Prints them.
template <typename Named>
void list(const std::vector<Named>& all) {
  for (const Named& one : all) {
    std::printf("%-18s %s\n", std::string(one.name).c_str(), std::string(one.what).c_str());
  }
}

/// Calls `work` on so many threads at once, and waits for them. From then on an abort of any thread
/// tells what was under way in it.
void run_jobs(std::uint64_t jobs, const std::function<void()>& work);

/// A program's main(): its Options by command_line(), which lies beside them; `list` for --list;
/// else a Campaign of them, work() on each thread and report() for the exit code.
template <typename Campaign, typename Options>
int run_campaign(int argc, char** argv, const std::function<void()>& list) {
  Options options;
  if (const auto stop = command_line(options).parse(argc, argv)) return *stop;
  if (options.list) return list(), 0;
  Campaign campaign(options);
  run_jobs(options.jobs, [&campaign] { campaign.work(); });
  return campaign.report();
}

/// The command that repeats what this thread is about to try.
void set_under_way(const std::string& command);
[[nodiscard]] const char* under_way();

}  // namespace holdfast::sim
