// CONNECT and CONNACK at the front door; see door.h.
#include <algorithm>
#include <chrono>
#include <utility>

#include "flow/topic.h"
#include "lab/iot/broker_login.h"
#include "lab/iot/door.h"
#include "lab/iot/quotas.h"
#include "lab/iot/region.h"
#include "lab/iot/topics.h"
#include "lab/iot/uuid.h"

namespace holdfast::lab::iot {
namespace {

using Id = mqtt::PropertyId;

std::uint16_t clamped_keep_alive(std::uint16_t asked) {
  if (asked == 0) return quotas::kKeepAliveMost;
  return std::clamp(asked, quotas::kKeepAliveLeast, quotas::kKeepAliveMost);
}

/// The first name of a service's own ids: they cannot be connected with again.
constexpr std::string_view kGenerated = "$GEN/";

}  // namespace

void Door::on_connect(BootTime now, const mqtt::Connect& connect, mqtt::Wishes& out) {
  version_ = connect.version;
  who_.client_id = connect.client_id;
  facts_.last_will = connect.will.has_value();
  const auto expiry = connect.properties.number(Id::session_expiry_interval);
  asked_expiry_ = five() ? expiry.value_or(0) : connect.clean_start ? 0 : UINT32_MAX;
  facts_.persistent_connect = *asked_expiry_ > 0;
  std::string words;
  if (const auto refusal = judge_connect(now, connect, words)) {
    return refuse(*refusal, std::move(words), out);
  }
  asked_keep_alive_ = connect.keep_alive;
  keep_alive_ = std::chrono::seconds(clamped_keep_alive(connect.keep_alive));
  const auto most = static_cast<std::uint32_t>(
      std::min<std::int64_t>(region_.switches.session_expiry_most, UINT32_MAX));
  expiry_ = std::min(*asked_expiry_, most);
  largest_ = connect.properties.number(Id::maximum_packet_size).value_or(0);
  const auto window = connect.properties.number(Id::receive_maximum);
  delivery_.emplace(region_.switches, version_,
                    static_cast<std::uint16_t>(std::min<std::uint32_t>(
                        window.value_or(quotas::kInFlight), quotas::kInFlight)));
  region_.take_over(*this);
  to_broker(upstream_connect(connect), out);
  state_ = State::awaiting_connack;
  patience_ = now + std::chrono::seconds(30);
}

std::optional<Refusal> Door::judge_connect(BootTime now, const mqtt::Connect& connect,
                                           std::string& words) {
  if (connect.properties.has(Id::authentication_method)) {
    words = "enhanced authentication is not supported";
    return Refusal::auth_method;
  }
  if (who_.client_id.empty()) {
    if (!five() && !connect.clean_start) {
      words = "a session without a client id";
      return Refusal::client_id;
    }
    who_.client_id = std::string(kGenerated) + make_uuid(region_.random());
  } else if (who_.client_id.size() > quotas::kClientId || who_.client_id.starts_with('$')) {
    words = "a client id of more than 128 bytes, or with $";
    return Refusal::client_id;
  }
  if (!region_.connect_allowed(now, who_.client_id)) {
    words = "too many CONNECTs a second";
    return Refusal::throttled;
  }
  if (connect.will && connect.will->qos > 1) {
    words = "a will of QoS 2";
    return Refusal::will_qos;
  }
  if (connect.will && judge_topic(connect.will->topic) != TopicVerdict::good) {
    words = "a will topic that is not allowed";
    return Refusal::will_topic;
  }
  return judge_identity(now, connect, words);
}

std::optional<Refusal> Door::judge_identity(BootTime now, const mqtt::Connect& connect,
                                            std::string& words) {
  if (arrival_.by == Arrival::By::custom) {
    std::string username = connect.username.value_or("");
    // Parameters of the HTTP upgrade count where the user name has none of that name: SDKs always
    // have some there.
    std::string more = arrival_.authorizer_parameters;
    if (!more.empty() && username.find('?') != std::string::npos) more[0] = '&';
    username += more;
    auto granted = region_.access().authorize(region_.wall(), who_.connection, username,
                                              connect.password.value_or(""));
    if (const auto* error = std::get_if<std::string>(&granted)) {
      words = *error;
      return Refusal::not_authorized;
    }
    const Grant& grant = std::get<Grant>(granted);
    who_.principal = grant.principal;
    if (grant.lasts) {
      lifetime_ = now + *grant.lasts;
      lifetime_reason_ = DisconnectReason::customauth_ttl_expiration;
    }
  }
  const auto allowed = [&](std::string_view action, const std::string& resource) {
    if (region_.access().allows(who_, action, resource, facts_)) return true;
    words = std::string(action) + " on " + resource + " is not allowed";
    return false;
  };
  if (!allowed("iot:Connect", "client/" + who_.client_id)) return Refusal::not_authorized;
  if (!connect.will) return std::nullopt;
  const std::string resource = "topic/" + connect.will->topic;
  if (!allowed("iot:Publish", resource)) return Refusal::not_authorized;
  if (connect.will->retain && !allowed("iot:RetainPublish", resource)) {
    return Refusal::not_authorized;
  }
  return std::nullopt;
}

void Door::refuse(Refusal refusal, std::string words, mqtt::Wishes& out) {
  out.note("CONNECT refused: " + words);
  const auto denied = static_cast<std::uint8_t>(
      std::min<std::int64_t>(region_.switches.connect_denied_code_311, 255));
  mqtt::Connack connack{false, five() ? connack_code(refusal) : return_code(refusal, denied), {}};
  if (connack.code != 0) {
    if (five()) connack.properties.set(Id::reason_string, words);
    to_device(connack, out);
  }
  if (refusal == Refusal::not_authorized || refusal == Refusal::not_authenticated) {
    region_.refused(*this);
  }
  end(DisconnectReason::auth_error, 0, std::move(words), out);
}

mqtt::Connect Door::upstream_connect(const mqtt::Connect& connect) {
  mqtt::Connect up;
  up.client_id = who_.client_id;
  up.username = kBrokerUser;
  up.password = region_.broker_password();
  up.clean_start = connect.clean_start;
  // A session of the other protocol version cannot be resumed. Elsewhere not asked for: mosquitto
  // 2.0.11 keeps no session on disk that began with a clean start.
  Session& session = region_.session(who_.client_id);
  if (!session.uuid.empty() && session.version != version_) up.clean_start = true;
  session.version = version_;
  if (connect.will) {
    up.will = connect.will;
    if (!region_.switches.will_delay) up.will->properties.erase(Id::will_delay_interval);
  }
  if (expiry_ > 0) up.properties.set(Id::session_expiry_interval, expiry_);
  // What the device may have at once is minded here.
  up.properties.set(Id::receive_maximum, 65535);
  return up;
}

void Door::on_connack(BootTime now, const mqtt::Connack& connack, mqtt::Wishes& out) {
  if (connack.code != 0) {
    mqtt::Connack refused{false, five() ? connack.code : std::uint8_t{3}, {}};
    to_device(refused, out);
    return end(DisconnectReason::server_error, 0, "the broker refused", out);
  }
  Session& session = region_.session(who_.client_id);
  if (!connack.session_present) session.subscriptions.clear();
  state_ = State::open;
  last_heard_ = now;
  opened_ = region_.wall();
  limit_lifetime(now);
  to_device(device_connack(connack), out);
  region_.opened(*this);
}

void Door::limit_lifetime(BootTime now) {
  const Switches& switches = region_.switches;
  const bool is_signed = arrival_.by == Arrival::By::sigv4;
  const std::int64_t seconds = is_signed ? switches.websocket_seconds : switches.connection_seconds;
  if (seconds > 0 && lifetime_ == kNever) {
    lifetime_ = now + std::chrono::seconds(seconds);
    lifetime_reason_ = DisconnectReason::server_initiated_disconnect;
  }
  if (!is_signed) return;
  lifetime_reason_ = DisconnectReason::websocket_ttl_expiration;
  if (arrival_.expires.ms == INT64_MAX) return;
  const std::chrono::milliseconds left(arrival_.expires.ms - opened_.ms);
  lifetime_ = std::min(lifetime_, now + std::max(left, std::chrono::milliseconds(0)));
}

mqtt::Connack Door::device_connack(const mqtt::Connack& connack) const {
  mqtt::Connack answer{connack.session_present, 0, {}};
  if (!five()) return answer;
  mqtt::Properties& p = answer.properties;
  if (asked_expiry_ && *asked_expiry_ != expiry_) p.set(Id::session_expiry_interval, expiry_);
  p.set(Id::receive_maximum, quotas::kInFlight);
  p.set(Id::maximum_qos, 1);
  p.set(Id::retain_available, 1);
  p.set(Id::maximum_packet_size, static_cast<std::uint32_t>(region_.switches.maximum_packet_size));
  if (who_.client_id.starts_with(kGenerated)) {
    p.set(Id::assigned_client_identifier, who_.client_id);
  }
  p.set(Id::topic_alias_maximum, quotas::kTopicAliases);
  p.set(Id::wildcard_subscription_available, 1);
  p.set(Id::subscription_identifier_available, 0);
  const auto seconds = static_cast<std::uint32_t>(keep_alive_ / std::chrono::seconds(1));
  if (seconds != asked_keep_alive_) p.set(Id::server_keep_alive, seconds);
  return answer;
}

}  // namespace holdfast::lab::iot
