// The device of lab/last_gasp_test.py, in a virtual machine whose power goes.
//
// Use:      hf_last_gasp DIRECTORY MEMORY PAYLOAD, started as lab/guest_init.cpp starts its writer
// Says:     on standard output, one line each:
//           V ACCEPTED PENDING  what a run before has left, opened again; then it is thrown away
//           H COUNT             so many messages were accepted, with RAM at its limit when the word
//                               came that the power goes
//           S MS                all of them are on disk, so long after it
//           E TEXT              it cannot go on
// Ends:     not by itself.
// Threads:  the device's, and this one.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "lab/gasp.h"

namespace {

constexpr unsigned kFulls = 20;
constexpr std::size_t kMostBytes = std::size_t{8} << 20;  // of the disk of that machine
constexpr std::size_t kOverhead = 256;                    // of a message in it
constexpr holdfast::Milliseconds kStop{20'000};

[[noreturn]] void end(const std::string& why) {
  std::printf("E %s\n", why.c_str());
  std::fflush(stdout);
  for (;;) ::pause();
}

std::unique_ptr<holdfast::Device> open(const std::filesystem::path& directory, std::size_t memory) {
  auto device = holdfast::Device::open(gasp::config(directory, memory));
  if (!device) end(device.error().message);
  return std::move(device).value();
}

void say(char what, unsigned long long one) {
  std::printf("%c %llu\n", what, one);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  if (count < 4) end("usage: hf_last_gasp DIRECTORY MEMORY PAYLOAD");
  const std::filesystem::path directory = words[1];
  const std::size_t memory = std::strtoul(words[2], nullptr, 10);
  const std::size_t payload = std::strtoul(words[3], nullptr, 10);
  std::error_code failure;
  if (std::filesystem::exists(directory, failure)) {
    const auto device = open(directory, memory);
    const holdfast::Ledger ledger = device->state().ledger;
    std::printf("V %llu %llu\n", static_cast<unsigned long long>(ledger.accepted),
                static_cast<unsigned long long>(ledger.pending));
    std::fflush(stdout);
    device->stop(kStop);
  }
  std::filesystem::remove_all(directory, failure);
  const auto device = open(directory, memory);
  const auto tally = std::make_shared<gasp::Tally>();
  if (!gasp::fill(*device, payload, kFulls, kMostBytes / (payload + kOverhead), tally))
    end("a message is refused");
  const auto took = gasp::word(*device);
  if (!took) end("not saved in time");
  if (!tally->settled()) end("saved before it was accepted");
  say('H', tally->accepted);
  say('S', static_cast<unsigned long long>(took->count()));
  for (;;) ::pause();
}
