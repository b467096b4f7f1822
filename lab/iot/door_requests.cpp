// PUBLISH, SUBSCRIBE and UNSUBSCRIBE of a device; see door.h.
#include <algorithm>
#include <utility>

#include "lab/iot/door.h"
#include "lab/iot/quotas.h"
#include "lab/iot/region.h"
#include "lab/iot/stamp.h"
#include "lab/iot/topics.h"

namespace holdfast::lab::iot {
namespace {

using Id = mqtt::PropertyId;

std::size_t size_of_users(const mqtt::Properties& properties) {
  std::size_t bytes = 0;
  for (const mqtt::Property& p : properties.all) {
    if (p.id == Id::user_property) bytes += p.text.size() + p.value.size();
  }
  return bytes;
}

std::size_t size_of(const mqtt::Properties& properties, Id id) {
  const std::string* text = properties.text(id);
  return text != nullptr ? text->size() : 0;
}

/// The subscription whose filter this is, if there is one.
auto find(std::vector<mqtt::Subscription>& all, std::string_view filter) {
  return std::find_if(all.begin(), all.end(),
                      [&](const mqtt::Subscription& one) { return one.filter == filter; });
}

}  // namespace

void Door::on_publish(BootTime now, mqtt::Publish publish, mqtt::Wishes& out) {
  if (publish.qos == 2) {
    if (!five()) return out.note("a PUBLISH of QoS 2 is not answered");
    return end(DisconnectReason::client_error, reason::kQos, "QoS 2 is not supported", out);
  }
  if (!resolve_alias(publish, out) || !within_limits(publish, out)) return;
  if (!publishes_.take(now, region_.switches.publishes_per_second)) {
    return out.note("discarded, over the rate of publishes: " + publish.topic);
  }
  const std::string resource = "topic/" + publish.topic;
  if (!region_.access().allows(who_, "iot:Publish", resource, facts_) ||
      (publish.retain && !region_.access().allows(who_, "iot:RetainPublish", resource, facts_))) {
    return refuse_publish(publish, out);
  }
  if (publish.retain && publish.topic.starts_with('$')) {
    return end(DisconnectReason::client_error, reason::kTopicInvalid, "a reserved topic, retained",
               out);
  }
  if (publish.retain && !publish.payload.empty() && !region_.retain_allowed(now, publish.topic)) {
    out.note("throttled, over the rate of retained messages: " + publish.topic);
    if (five()) acknowledge(publish, reason::kQuota, out);
    return;
  }
  if (!basic_ingest_rule(publish.topic).empty()) {
    return acknowledge(publish, reason::kSuccess, out);  // to a rule, not to subscribers
  }
  switch (region_.claim(publish.topic)) {
    case Claim::only:
      acknowledge(publish, reason::kSuccess, out);
      region_.request(who_, publish);
      return;
    case Claim::also:
      forward(publish, out);
      region_.request(who_, publish);
      return;
    case Claim::none:
      break;
  }
  if (publish.topic.starts_with('$')) {
    return end(DisconnectReason::forbidden_access, reason::kTopicInvalid,
               "a reserved topic that is no request: " + publish.topic, out);
  }
  forward(std::move(publish), out);
}

bool Door::resolve_alias(mqtt::Publish& publish, mqtt::Wishes& out) {
  const auto alias = publish.properties.number(Id::topic_alias);
  if (!alias) return true;
  const auto number = static_cast<std::uint16_t>(*alias);
  const bool known = aliases_.contains(number);
  if (number > quotas::kTopicAliases || (publish.topic.empty() && !known)) {
    end(DisconnectReason::client_error, reason::kTopicAlias, "a topic alias that is not valid",
        out);
    return false;
  }
  if (publish.topic.empty()) {
    publish.topic = aliases_[number];
  } else {
    aliases_[number] = publish.topic;
  }
  publish.properties.erase(Id::topic_alias);
  return true;
}

bool Door::within_limits(const mqtt::Publish& publish, mqtt::Wishes& out) {
  const auto broken = [&](std::uint8_t code, std::string words) {
    end(DisconnectReason::client_error, code, std::move(words), out);
    return false;
  };
  if (publish.payload.size() > quotas::kPayload) {
    return broken(reason::kTooLarge, "a payload of more than 128 KiB");
  }
  if (judge_topic(publish.topic) != TopicVerdict::good) {
    return broken(reason::kTopicInvalid, "a topic that is too long, too deep or reserved");
  }
  const mqtt::Properties& p = publish.properties;
  if (p.has(Id::subscription_identifier)) {
    return broken(reason::kProtocolError, "a PUBLISH with a subscription identifier");
  }
  if (size_of_users(p) > quotas::kUserProperties ||
      size_of(p, Id::correlation_data) > quotas::kCorrelation ||
      size_of(p, Id::content_type) > quotas::kContentType) {
    return broken(reason::kQuota, "properties over their quota");
  }
  const std::string* response = p.text(Id::response_topic);
  if (response != nullptr && response->find_first_of("+#") != std::string::npos) {
    return broken(reason::kProtocolError, "a response topic with a wildcard");
  }
  if (publish.qos > 0 && unacknowledged_.size() >= quotas::kInFlight &&
      !unacknowledged_.contains(publish.packet_id)) {
    return broken(reason::kReceiveMaximum, "more than 100 messages without PUBACK");
  }
  return true;
}

void Door::refuse_publish(const mqtt::Publish& publish, mqtt::Wishes& out) {
  const std::string words = "iot:Publish on topic/" + publish.topic + " is not allowed";
  if (five() && publish.qos > 0 && region_.switches.publish_denied_puback) {
    out.note(words);
    return acknowledge(publish, reason::kNotAuthorized, out);
  }
  end(DisconnectReason::forbidden_access, reason::kNotAuthorized, words, out);
}

void Door::acknowledge(const mqtt::Publish& publish, std::uint8_t reason, mqtt::Wishes& out) {
  if (publish.qos == 0) return;
  to_device(mqtt::Ack{mqtt::Type::puback, publish.packet_id, reason, {}}, out);
}

void Door::forward(mqtt::Publish publish, mqtt::Wishes& out) {
  if (publish.qos > 0) unacknowledged_.insert(publish.packet_id);
  publish.dup = false;
  if (const auto expiry = publish.properties.number(Id::message_expiry_interval)) {
    publish.properties.set(Id::message_expiry_interval,
                           std::clamp(*expiry, std::uint32_t{1}, quotas::kMessageExpiryMost));
  }
  stamp(publish, region_.wall());
  to_broker(publish, out);
}

void Door::on_subscribe(const mqtt::Subscribe& subscribe, mqtt::Wishes& out) {
  const auto broken = [&](std::uint8_t code, std::string words) {
    end(DisconnectReason::client_error, code, std::move(words), out);
  };
  if (subscribe.subscriptions.size() > quotas::kFiltersAtOnce) {
    return broken(reason::kQuota, "more than 8 filters in a SUBSCRIBE");
  }
  if (subscribe.properties.has(Id::subscription_identifier)) {
    return broken(reason::kNoSubscriptionIds, "subscription identifiers are not supported");
  }
  for (const mqtt::Subscription& one : subscribe.subscriptions) {
    if ((one.options & 3U) == 2) {
      if (!five()) return out.note("a SUBSCRIBE of QoS 2 is not answered");
      return broken(reason::kQos, "QoS 2 is not supported");
    }
    if (judge_filter(one.filter) == TopicVerdict::too_long) {
      return broken(reason::kFilterInvalid, "a filter that is too long or too deep");
    }
  }
  Asked asked;
  mqtt::Subscribe up{subscribe.packet_id, {}, {}};
  std::size_t subscribed = region_.session(who_.client_id).subscriptions.size();
  for (const mqtt::Subscription& one : subscribe.subscriptions) {
    const auto code = judge_subscription(one, subscribed);
    if (code == reason::kNotAuthorized && !region_.switches.subscribe_denied_suback) {
      return end(DisconnectReason::forbidden_access, reason::kNotAuthorized,
                 "iot:Subscribe on topicfilter/" + one.filter + " is not allowed", out);
    }
    asked.wanted.push_back(one);
    asked.codes.push_back(code);
    if (code) continue;
    ++subscribed;
    mqtt::Subscription& passed = up.subscriptions.emplace_back(one);
    // Retained messages come for exact filters only, and RETAIN is set only then (2 = never send).
    passed.options &= region_.switches.subscription_options ? 0x3FU : 0x07U;
    if (!is_exact(one.filter)) {
      passed.options = static_cast<std::uint8_t>((passed.options & 0x0FU) | 0x20U);
    }
  }
  const std::uint16_t id = subscribe.packet_id;
  if (up.subscriptions.empty()) return answer_asked(id, std::move(asked), out);
  asked_[id] = std::move(asked);
  to_broker(up, out);
}

std::optional<std::uint8_t> Door::judge_subscription(const mqtt::Subscription& wanted,
                                                     std::size_t subscribed) {
  if (judge_filter(wanted.filter) != TopicVerdict::good) return reason::kFilterInvalid;
  if (!region_.access().allows(who_, "iot:Subscribe", "topicfilter/" + wanted.filter, facts_)) {
    return reason::kNotAuthorized;
  }
  auto& have = region_.session(who_.client_id).subscriptions;
  if (subscribed >= quotas::kSubscriptions && find(have, wanted.filter) == have.end()) {
    return reason::kQuota;
  }
  return std::nullopt;
}

void Door::on_unsubscribe(const mqtt::Unsubscribe& unsubscribe, mqtt::Wishes& out) {
  Asked asked;
  asked.subscribe = false;
  for (const std::string& filter : unsubscribe.filters) asked.wanted.push_back({filter, 0});
  asked.codes.resize(unsubscribe.filters.size());
  asked_[unsubscribe.packet_id] = std::move(asked);
  to_broker(mqtt::Unsubscribe{unsubscribe.packet_id, unsubscribe.filters, {}}, out);
}

void Door::on_suback(const mqtt::Suback& suback, mqtt::Wishes& out) {
  auto node = asked_.extract(suback.packet_id);
  if (node.empty()) return;
  auto next = suback.codes.begin();
  for (auto& code : node.mapped().codes) {
    if (!code && next != suback.codes.end()) code = *next++;
  }
  answer_asked(suback.packet_id, std::move(node.mapped()), out);
}

void Door::answer_asked(std::uint16_t packet_id, Asked asked, mqtt::Wishes& out) {
  mqtt::Suback answer;
  answer.type = asked.subscribe ? mqtt::Type::suback : mqtt::Type::unsuback;
  answer.packet_id = packet_id;
  auto& have = region_.session(who_.client_id).subscriptions;
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < asked.wanted.size(); ++i) {
    const std::uint8_t code = asked.codes[i].value_or(reason::kUnspecified);
    const bool good = code < 0x80;
    answer.codes.push_back(good || five() ? code : reason::kUnspecified);
    if (!good) {
      out.note(asked.wanted[i].filter + " was refused");
      continue;
    }
    const auto known = find(have, asked.wanted[i].filter);
    if (known != have.end()) have.erase(known);
    if (asked.subscribe) have.push_back(asked.wanted[i]);
    changed.push_back(asked.wanted[i].filter);
  }
  to_device(answer, out);
  if (changed.empty()) return;
  region_.changed();
  region_.subscribed(*this, changed, asked.subscribe);
}

}  // namespace holdfast::lab::iot
