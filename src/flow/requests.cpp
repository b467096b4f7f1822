// See requests.h.
#include "flow/requests.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/limits.h"

namespace holdfast::flow {

bool Requests::full() const { return waiting_.size() >= limits::kRequests; }

Bytes Requests::begin(Number number, BootTime deadline) {
  HF_CHECK(!full());
  Key key{};
  for (std::size_t at = 0; at < key.size(); at += sizeof(std::uint64_t)) {
    const std::uint64_t bits = random_.next();
    std::memcpy(key.data() + at, &bits, sizeof bits);
  }
  const bool added = waiting_.emplace(key, Waiting{number, deadline}).second;
  HF_CHECK(added);  // 128 random bits
  return {key.begin(), key.end()};
}

std::optional<Requests::Number> Requests::answered(const Bytes& correlation_data) {
  Key key{};
  if (correlation_data.size() != key.size()) {
    ++counts_.unknown;
    return std::nullopt;
  }
  std::copy(correlation_data.begin(), correlation_data.end(), key.begin());
  if (const auto found = waiting_.find(key); found != waiting_.end()) {
    const Number number = found->second.number;
    ++counts_.answered;
    end(found, true);
    return number;
  }
  const auto past = std::find_if(ended_.begin(), ended_.end(),
                                 [&](const Ended& ended) { return ended.key == key; });
  ++(past == ended_.end() ? counts_.unknown : past->answered ? counts_.duplicate : counts_.late);
  return std::nullopt;
}

std::vector<Requests::Number> Requests::expire(BootTime now) {
  std::vector<Waiting> over;
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    const auto next = std::next(it);
    if (it->second.deadline <= now) {
      over.push_back(it->second);
      ++counts_.timed_out;
      end(it, false);
    }
    it = next;
  }
  std::stable_sort(over.begin(), over.end(),
                   [](const Waiting& a, const Waiting& b) { return a.deadline < b.deadline; });
  std::vector<Number> numbers;
  for (const Waiting& one : over) numbers.push_back(one.number);
  return numbers;
}

bool Requests::give_up(Number number) {
  const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const auto& entry) { return entry.second.number == number; });
  if (found == waiting_.end()) return false;
  ++counts_.given_up;
  end(found, false);
  return true;
}

BootTime Requests::next_deadline() const {
  BootTime next = kNever;
  for (const auto& [key, waiting] : waiting_) next = std::min(next, waiting.deadline);
  return next;
}

RequestCounts Requests::counts() const {
  RequestCounts counts = counts_;
  counts.waiting = waiting_.size();
  return counts;
}

void Requests::end(Table::iterator which, bool answered) {
  if (ended_.size() == limits::kRequestsRemembered) ended_.pop_front();
  ended_.push_back({which->first, answered});
  waiting_.erase(which);
}

}  // namespace holdfast::flow
