#include "sim/campaign.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

namespace holdfast::sim {
namespace {

constexpr std::uint64_t kJobsMax = 64;

thread_local std::array<char, 160> command_under_way{};

void on_abort(int) {
  std::fprintf(stderr, "aborted; to repeat: %s\n", under_way());
  std::fflush(stdout);
}

}  // namespace

CommandLine::CommandLine(std::string program, CampaignOptions& options)
    : program_(std::move(program)) {
  add_flag("--list", options.list, "name what there is to choose from");
  add_number("--seed", options.seed, "the first seed (default 1); the same seed does the same");
  add_number("--seeds", options.seeds, "how many seeds, one after the other (default 1)");
  add_number("--jobs", options.jobs, "how many at once (default 1)", 1, kJobsMax);
}

void CommandLine::add_number(const std::string& option, std::uint64_t& value,
                             const std::string& help, std::uint64_t least, std::uint64_t most) {
  options_.push_back({option, help, &value, least, most, nullptr, {}, nullptr});
}

void CommandLine::add_flag(const std::string& option, bool& value, const std::string& help) {
  options_.push_back({option, help, nullptr, 0, kAny, nullptr, {}, &value});
}

void CommandLine::add_text(const std::string& option, std::string& value, const std::string& help) {
  options_.push_back({option, help, nullptr, 0, kAny, &value, {}, nullptr});
}

void CommandLine::add_choice(const std::string& option, std::string& value,
                             std::vector<std::string> names) {
  names.emplace_back("all");
  options_.push_back({option, "which; --list names them (default: all)", nullptr, 0, kAny, &value,
                      std::move(names), nullptr});
}

void CommandLine::help() const {
  std::printf("usage: %s [options]\n", program_.c_str());
  for (const Option& option : options_) {
    std::printf("  %-14s %s\n", option.name.c_str(), option.help.c_str());
  }
}

int CommandLine::refuse(const std::string& what) const {
  std::fprintf(stderr, "%s: %s: see %s --help\n", program_.c_str(), what.c_str(), program_.c_str());
  return 2;
}

std::string CommandLine::take(const Option& option, const char* text) {
  if (option.choice != nullptr) {
    *option.choice = text;
    const bool known = option.names.empty() || std::find(option.names.begin(), option.names.end(),
                                                         text) != option.names.end();
    return known ? "" : option.name + " does not know " + text;
  }
  char* end = nullptr;
  *option.number = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0') return option.name + " needs a number";
  if (*option.number >= option.least && *option.number <= option.most) return "";
  return option.name + " is at least " + std::to_string(option.least) +
         (option.most == kAny ? "" : ", at most " + std::to_string(option.most));
}

std::optional<int> CommandLine::parse(int argc, char** argv) const {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") return help(), 0;
    const auto option = std::find_if(options_.begin(), options_.end(),
                                     [&](const Option& o) { return o.name == name; });
    if (option == options_.end()) return refuse(name);
    if (option->flag != nullptr) {
      *option->flag = true;
      continue;
    }
    if (i + 1 == argc) return refuse(name + " needs a value");
    const std::string wrong = take(*option, argv[++i]);
    if (!wrong.empty()) return refuse(wrong);
  }
  return std::nullopt;
}

Tasks::Tasks(const CampaignOptions& options, std::size_t choices, std::uint64_t minutes)
    : options_(options), choices_(choices) {
  if (minutes > 0) end_ = std::chrono::steady_clock::now() + std::chrono::minutes(minutes);
}

std::optional<Tasks::Task> Tasks::next() {
  const std::uint64_t number = given_++;
  const std::uint64_t round = number / choices_;
  const bool over =
      end_ ? round > 0 && std::chrono::steady_clock::now() >= *end_ : round >= options_.seeds;
  if (over) return std::nullopt;
  return Task{number % choices_, options_.seed + round};
}

void run_jobs(std::uint64_t jobs, const std::function<void()>& work) {
  static_cast<void>(std::signal(SIGABRT, on_abort));
  std::vector<std::thread> others;
  for (std::uint64_t i = 1; i < jobs; ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
}

void set_under_way(const std::string& command) {
  static_cast<void>(
      std::snprintf(command_under_way.data(), command_under_way.size(), "%s", command.c_str()));
}

const char* under_way() { return command_under_way.data(); }

}  // namespace holdfast::sim
