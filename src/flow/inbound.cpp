// See inbound.h.
#include "flow/inbound.h"

namespace holdfast::flow {

Inbound::Came Inbound::came(const env::Arrival& arrival, env::AttemptId attempt,
                            const Config& config) {
  const Delivery delivery = ++last_;
  const Copy copy{attempt, arrival.ticket};
  std::optional<Delivery> first;
  if (config.filter_duplicates) {
    first = duplicates_.first_of(arrival.message, config.id_property, delivery);
  }
  if (arrival.again || first) {
    ++repeated_;
    const auto waits = first ? waiting_.find(*first) : waiting_.end();
    if (waits == waiting_.end()) return {.acknowledge = copy.ticket != 0};
    // Those of an earlier connection can be acknowledged no more.
    std::erase_if(waits->second, [&](const Copy& other) { return other.attempt != attempt; });
    if (copy.ticket != 0) waits->second.push_back(copy);
    return {};
  }
  if (copy.ticket != 0) waiting_[delivery].push_back(copy);
  return {.give = delivery};
}

std::vector<Inbound::Copy> Inbound::taken(Delivery delivery) {
  const auto node = waiting_.extract(delivery);
  return node.empty() ? std::vector<Copy>{} : std::move(node.mapped());
}

}  // namespace holdfast::flow
