#include "lab/iot/lifecycle.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lab/iot/fields.h"

namespace holdfast::lab::iot {
namespace {

/// What every event begins with.
Json event_of(WallTime now, const LifecycleClient& client, std::string_view type) {
  Json event = {{"clientId", client.client_id}};
  if (!client.thing.empty()) event["thingName"] = client.thing;
  event["timestamp"] = now.ms;
  event["eventType"] = type;
  return event;
}

void add_identity(Json& event, const LifecycleClient& client) {
  event["sessionIdentifier"] = client.session;
  event["principalIdentifier"] = client.principal;
}

/// AWS sends no events of client ids that could not be part of a topic.
void publish(const LifecycleClient& client, std::string_view kind, const Json& event,
             Answers& out) {
  if (client.client_id.find_first_of("#+") != std::string::npos) return;
  out.publish("$aws/events/" + std::string(kind) + '/' + client.client_id, event);
}

void publish_subscriptions(WallTime now, const LifecycleClient& client, const std::string& type,
                           const std::vector<std::string>& filters, Answers& out) {
  Json event = event_of(now, client, type);
  add_identity(event, client);
  event["topics"] = filters;
  publish(client, "subscriptions/" + type, event, out);
}

}  // namespace

std::string_view to_string(DisconnectReason reason) noexcept {
  static constexpr std::array<std::string_view, 13> kNames = {
      "AUTH_ERROR",
      "CLIENT_INITIATED_DISCONNECT",
      "CLIENT_ERROR",
      "CONNECTION_LOST",
      "DUPLICATE_CLIENTID",
      "FORBIDDEN_ACCESS",
      "MQTT_KEEP_ALIVE_TIMEOUT",
      "SERVER_ERROR",
      "SERVER_INITIATED_DISCONNECT",
      "API_INITIATED_DISCONNECT",
      "THROTTLED",
      "WEBSOCKET_TTL_EXPIRATION",
      "CUSTOMAUTH_TTL_EXPIRATION",
  };
  return kNames[static_cast<std::size_t>(reason)];
}

void Lifecycle::connected(WallTime now, LifecycleClient& client, Answers& out) {
  forget(now);
  const auto known = clients_.find(client.client_id);
  const bool again = known != clients_.end() && now <= known->second.forgotten;
  client.version = again ? known->second.version + 1 : 0;
  clients_[client.client_id] = {client.version, {kNoTime}};
  ++revision_;
  Json event = event_of(now, client, "connected");
  add_identity(event, client);
  event["ipAddress"] = client.ip_address;
  event["versionNumber"] = client.version;
  publish(client, "presence/connected", event, out);
}

void Lifecycle::disconnected(WallTime now, const LifecycleClient& client, DisconnectReason reason,
                             std::chrono::seconds session_expiry, Answers& out) {
  // Of a client that was taken over, the newer connection goes on.
  const auto known = clients_.find(client.client_id);
  if (known != clients_.end() && known->second.version == client.version) {
    const std::chrono::milliseconds kept =
        session_expiry.count() > 0 ? std::chrono::milliseconds(session_expiry) : kForgotten;
    known->second.forgotten = {now.ms + kept.count()};
    ++revision_;
  }
  Json event = event_of(now, client, "disconnected");
  add_identity(event, client);
  event["clientInitiatedDisconnect"] = reason == DisconnectReason::client_initiated_disconnect;
  event["disconnectReason"] = to_string(reason);
  event["versionNumber"] = client.version;
  publish(client, "presence/disconnected", event, out);
}

void Lifecycle::connect_failed(WallTime now, const LifecycleClient& client, Answers& out) {
  Json event = event_of(now, client, "connect_failed");
  event["connectFailureReason"] = "AUTHORIZATION_FAILED";
  add_identity(event, client);
  event["ipAddress"] = client.ip_address;
  publish(client, "presence/connect_failed", event, out);
}

void Lifecycle::subscribed(WallTime now, const LifecycleClient& client,
                           const std::vector<std::string>& filters, Answers& out) {
  publish_subscriptions(now, client, "subscribed", filters, out);
}

void Lifecycle::unsubscribed(WallTime now, const LifecycleClient& client,
                             const std::vector<std::string>& filters, Answers& out) {
  publish_subscriptions(now, client, "unsubscribed", filters, out);
}

/// Now and then, so that ids that never come back do not add up.
void Lifecycle::forget(WallTime now) {
  if (now < next_forget_) return;
  next_forget_ = {now.ms + std::chrono::milliseconds(kForgotten).count()};
  std::erase_if(clients_, [now](const auto& entry) { return entry.second.forgotten < now; });
}

void Lifecycle::on_request(WallTime /*now*/, const Requester& /*from*/,
                           const mqtt::Publish& /*message*/, Answers& /*out*/) {}

ApiResult Lifecycle::call(WallTime /*now*/, std::string_view operation, const Json& /*input*/,
                          Answers& /*out*/) {
  return ApiError{"UnknownOperationException", 404, "no operation " + std::string(operation)};
}

Json Lifecycle::save() const {
  Json clients = Json::object();
  for (const auto& [id, known] : clients_) {
    Json& one = clients[id];
    one["version"] = known.version;
    if (known.forgotten.ms != kNoTime) one["forgotten"] = known.forgotten.ms;
  }
  Json state;
  state["clients"] = std::move(clients);
  return state;
}

Status Lifecycle::load(const Json& state) {
  std::string complaint;
  Fields all(state, complaint);
  std::map<std::string, Known, std::less<>> clients;
  all.object("clients").each([&](const std::string& id, Fields one) {
    Known& known = clients[id];
    known.version = one.number("version");
    if (known.version < 0) one.complain("version", "must not be negative");
    known.forgotten = {one.number_if("forgotten").value_or(kNoTime)};
    one.no_others();
  });
  all.no_others();
  if (Status status = state_status(complaint); !status) return status;
  clients_ = std::move(clients);
  next_forget_ = {0};
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
