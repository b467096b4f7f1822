// What the parts of one simulated device share: virtual time, chance, faults, checkers, the trace.
//
// Purpose:  one seed, one run: everything that happens is an entry of one agenda and a word in one
//           trace, in one order.
// Threads:  one.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/device_checks.h"
#include "sim/device_faults.h"
#include "sim/seeded_random.h"

namespace holdfast::sim {

/// Since the beginning of the run; goes on over reboots.
using SimTime = std::chrono::nanoseconds;
inline constexpr SimTime kSimNever = SimTime::max();

/// Everything that happened, as a hash and, if wanted, as lines to read.
class DeviceTrace {
 public:
  explicit DeviceTrace(bool print) : print_(print) {}

  /// `words`: the event, and a name for each number. Never addresses, never unordered iteration.
  void note(SimTime at, std::string_view words, std::initializer_list<std::uint64_t> numbers = {});
  /// A line of the device's own log.
  void line(SimTime at, std::string_view text);
  void fault(SimTime at, std::string_view name);
  [[nodiscard]] std::uint64_t hash() const { return hash_; }

 private:
  void mix(std::uint64_t word) {
    constexpr std::uint64_t kPrime = 0x9FB21C651E98DF25U;
    hash_ = (hash_ ^ word) * kPrime;
    hash_ ^= hash_ >> 29;
  }
  void mix_text(std::string_view text);

  bool print_;
  std::uint64_t hash_ = 0xCBF29CE484222325U;
};

/// Whom an entry of the agenda happens to: the device sees nothing while it is suspended.
enum class Side : std::uint8_t { world, device };

/// What will happen, in the order of time, then of planning.
class Agenda {
 public:
  struct Entry {
    SimTime at{};
    std::uint64_t number = 0;
    Side side = Side::world;
    std::function<void()> what;
  };

  void add(SimTime at, Side side, std::function<void()> what) {
    entries_.push_back({at, next_++, side, std::move(what)});
    std::push_heap(entries_.begin(), entries_.end(), later);
  }
  [[nodiscard]] SimTime next() const { return entries_.empty() ? kSimNever : entries_.front().at; }
  [[nodiscard]] Entry take() {
    std::pop_heap(entries_.begin(), entries_.end(), later);
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    return entry;
  }

 private:
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.number > b.number;
  }

  std::vector<Entry> entries_;  ///< A heap.
  std::uint64_t next_ = 0;
};

struct DeviceContext {
  DeviceContext(std::uint64_t seed, bool print) : random(seed), trace(print) {}

  SimTime now{};
  SeededRandom random;
  DeviceFaults faults;
  DeviceChecks checks;
  DeviceTrace trace;
  Agenda agenda;

  void after(std::chrono::nanoseconds delay, Side side, std::function<void()> what) {
    agenda.add(now + delay, side, std::move(what));
  }
  void note(std::string_view words, std::initializer_list<std::uint64_t> numbers = {}) {
    trace.note(now, words, numbers);
  }
  [[nodiscard]] bool strikes(Fault fault, std::uint64_t one_in) {
    if (!faults.strikes(fault, random, one_in)) return false;
    trace.fault(now, to_string(fault));
    return true;
  }
  /// Uniform in [least, most].
  [[nodiscard]] std::chrono::nanoseconds between(std::chrono::nanoseconds least,
                                                 std::chrono::nanoseconds most) {
    const auto span = static_cast<std::uint64_t>((most - least).count()) + 1;
    return least + std::chrono::nanoseconds(static_cast<std::int64_t>(random.below(span)));
  }
  /// Every size of it is as likely: each doubling, and evenly within one.
  [[nodiscard]] std::chrono::nanoseconds scattered(std::chrono::nanoseconds least,
                                                   std::chrono::nanoseconds most) {
    std::uint64_t doublings = 0;
    while (least * (std::int64_t{1} << (doublings + 1)) <= most) ++doublings;
    const auto low = least * (std::int64_t{1} << random.below(doublings + 1));
    return between(low, std::min(low * 2, most));
  }
};

}  // namespace holdfast::sim
