// How long does it take from the word that the power goes until everything accepted is on disk?
//
// Method: a device without a connection is handed durable and spill messages by turns, as fast as
// it takes them, until RAM is at its limit; then the word comes. Each round begins an empty outbox
// in the directory, which decides what is measured: its disk. The time runs from power_fail() to
// its answer, as a program would see it.
//
//   last_gasp DIRECTORY [--rounds N] [--memory KIB] [--payload BYTES]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "lab/gasp.h"

namespace {

constexpr unsigned kFulls = 200;
constexpr std::uint64_t kMost = 100'000;
constexpr holdfast::Milliseconds kStop{20'000};

struct Options {
  std::filesystem::path directory;
  std::size_t rounds = 30;
  std::size_t memory_kib = 1024;
  std::size_t payload = 256;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "last_gasp: %s\n", why.c_str());
  std::exit(2);
}

Options parse(int count, char** words) {
  Options options;
  if (count < 2) fail("usage: last_gasp DIRECTORY [--rounds N] [--memory KIB] [--payload BYTES]");
  options.directory = words[1];
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string word = words[i];
    const std::size_t value = std::strtoul(words[i + 1], nullptr, 10);
    if (value == 0) fail(word + " needs a number");
    if (word == "--rounds") options.rounds = value;
    if (word == "--memory") options.memory_kib = value;
    if (word == "--payload") options.payload = value;
  }
  return options;
}

struct Round {
  double ms = 0;
  std::uint64_t handed = 0;
  std::uint64_t unsaved = 0;  ///< Messages without an answer yet when the word came.
};

Round run(const Options& options) {
  const std::filesystem::path directory = options.directory / "last-gasp-outbox";
  std::filesystem::remove_all(directory);
  auto device = holdfast::Device::open(gasp::config(directory, options.memory_kib * 1024));
  if (!device) fail(device.error().message);
  Round round;
  const auto tally = std::make_shared<gasp::Tally>();
  if (!gasp::fill(**device, options.payload, kFulls, kMost, tally)) fail("a message is refused");
  round.unsaved = tally->taken - tally->accepted - tally->memory - tally->rejected;
  const auto begun = std::chrono::steady_clock::now();
  if (!gasp::word(**device)) fail("not saved");
  const auto took = std::chrono::steady_clock::now() - begun;
  round.ms = std::chrono::duration<double, std::milli>(took).count();
  if (!tally->settled()) fail("saved before it was accepted");
  round.handed = tally->accepted;
  if ((*device)->state().ledger.accepted != round.handed + tally->memory)
    fail("the ledger is another one");
  (*device)->stop(kStop);
  std::filesystem::remove_all(directory);
  return round;
}

}  // namespace

int main(int count, char** words) {
  const Options options = parse(count, words);
  std::vector<Round> rounds;
  for (std::size_t i = 0; i < options.rounds; ++i) rounds.push_back(run(options));
  std::sort(rounds.begin(), rounds.end(),
            [](const Round& a, const Round& b) { return a.ms < b.ms; });
  std::uint64_t handed = 0;
  std::uint64_t unsaved = 0;
  for (const Round& one : rounds) {
    handed += one.handed;
    unsaved += one.unsaved;
  }
  const auto at = [&](double part) {
    const auto last = static_cast<double>(rounds.size() - 1);
    return rounds[static_cast<std::size_t>(last * part)].ms;
  };
  std::printf(
      "limits.memory %zu KiB, payload %zu B, %zu rounds: saved in %.1f ms (median), %.1f ms "
      "(9 of 10), %.1f ms (most); a round had accepted %llu messages in the end, the answer "
      "to %llu of them was still out when the word came\n",
      options.memory_kib, options.payload, rounds.size(), at(0.5), at(0.9), at(1),
      static_cast<unsigned long long>(handed / rounds.size()),
      static_cast<unsigned long long>(unsaved / rounds.size()));
  return 0;
}
