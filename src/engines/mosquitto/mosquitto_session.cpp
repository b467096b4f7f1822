#include "engines/mosquitto/mosquitto_session.h"

#include <fcntl.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "engines/mosquitto/properties.h"
#include "engines/verdicts.h"

namespace holdfast::engines {
namespace {

constexpr int kPacketIdMax = 65535;
constexpr std::size_t kUnsubacksKept = 64;

void init_library() {
  // Once per process and never undone: the library's clean-up is not safe beside other users.
  static const int result = mosquitto_lib_init();
  HF_CHECK(result == MOSQ_ERR_SUCCESS);
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

Error library_error(int code) {
  const Errc kind =
      code == MOSQ_ERR_OVERSIZE_PACKET || code == MOSQ_ERR_PAYLOAD_SIZE      ? Errc::too_large
      : code == MOSQ_ERR_QOS_NOT_SUPPORTED || code == MOSQ_ERR_NOT_SUPPORTED ? Errc::unsupported
                                                                             : Errc::protocol;
  return Error{kind, std::string("libmosquitto: ") + mosquitto_strerror(code), 0};
}

/// True for errors that concern the message and not the connection.
bool concerns_message(int code) {
  return code == MOSQ_ERR_INVAL || code == MOSQ_ERR_MALFORMED_UTF8 ||
         code == MOSQ_ERR_PAYLOAD_SIZE || code == MOSQ_ERR_OVERSIZE_PACKET ||
         code == MOSQ_ERR_QOS_NOT_SUPPORTED || code == MOSQ_ERR_NOT_SUPPORTED ||
         code == MOSQ_ERR_DUPLICATE_PROPERTY;
}

env::UpInfo up_info(int flags, const mosquitto_property* properties) {
  env::UpInfo info;
  info.session_present = (flags & 1) != 0;
  info.receive_maximum = read_u16(properties, MQTT_PROP_RECEIVE_MAXIMUM).value_or(65535);
  info.maximum_packet_size = read_u32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE).value_or(0);
  info.server_keep_alive = Seconds(read_u16(properties, MQTT_PROP_SERVER_KEEP_ALIVE).value_or(0));
  info.assigned_client_id = read_string(properties, MQTT_PROP_ASSIGNED_CLIENT_IDENTIFIER);
  info.topic_alias_maximum = read_u16(properties, MQTT_PROP_TOPIC_ALIAS_MAXIMUM).value_or(0);
  info.retain_available = read_u8(properties, MQTT_PROP_RETAIN_AVAILABLE).value_or(1) != 0;
  if (read_u8(properties, MQTT_PROP_MAXIMUM_QOS).value_or(2) == 0) {
    info.maximum_qos = Qos::at_most_once;
  }
  return info;
}

InboundMessage inbound(const mosquitto_message& message, const mosquitto_property* properties) {
  InboundMessage result;
  result.topic = message.topic;
  const auto* bytes = static_cast<const std::byte*>(message.payload);
  if (bytes != nullptr) result.payload.assign(bytes, bytes + message.payloadlen);
  result.qos = message.qos == 0 ? Qos::at_most_once : Qos::at_least_once;
  result.retain = message.retain;
  result.content_type = read_string(properties, MQTT_PROP_CONTENT_TYPE);
  result.response_topic = read_string(properties, MQTT_PROP_RESPONSE_TOPIC);
  result.correlation_data = read_binary(properties, MQTT_PROP_CORRELATION_DATA);
  result.user_properties = read_pairs(properties, MQTT_PROP_USER_PROPERTY);
  return result;
}

}  // namespace

// The library calls these with its locks held: they note what happened and return.
struct MosquittoSession::Callbacks {
  static MosquittoSession& of(void* self) { return *static_cast<MosquittoSession*>(self); }

  static void connected(mosquitto*, void* self, int code, int flags,
                        const mosquitto_property* properties) {
    MosquittoSession& session = of(self);
    if (code != 0) {
      session.events_.emplace_back(Refused{static_cast<std::uint8_t>(code),
                                           read_string(properties, MQTT_PROP_REASON_STRING)});
      return;
    }
    session.info_ = up_info(flags, properties);
    session.aliases_.limit(session.info_.topic_alias_maximum);
    session.events_.emplace_back(Accepted{session.info_});
  }

  static void disconnected(mosquitto*, void* self, int code, const mosquitto_property*) {
    MosquittoSession& session = of(self);
    // Protocol and malformed packet are the peer's; the rest cannot happen over a local socket.
    const bool peers_fault = code == MOSQ_ERR_PROTOCOL || code == MOSQ_ERR_MALFORMED_PACKET ||
                             code == MOSQ_ERR_MALFORMED_UTF8 ||
                             code == MOSQ_ERR_DUPLICATE_PROPERTY || code == MOSQ_ERR_CONN_REFUSED;
    session.close(session.leaving_, peers_fault ? Verdict::protocol_error : Verdict::engine_failed,
                  std::string("libmosquitto: ") + mosquitto_strerror(code));
  }

  static void published(mosquitto*, void* self, int id, int code, const mosquitto_property*) {
    MosquittoSession& session = of(self);
    const auto found = session.publishes_.find(id);
    if (found == session.publishes_.end()) {
      // Written before its id is known to us; the ids of others are known.
      session.written_meanwhile_ = session.written_meanwhile_ || session.publishing_;
      return;
    }
    const Pending pending = found->second;
    session.publishes_.erase(found);
    if (pending.qos == Qos::at_most_once) {
      session.events_.emplace_back(HandedOver{pending.token});
    } else {
      session.events_.emplace_back(Acknowledged{pending.token, static_cast<std::uint8_t>(code)});
    }
  }

  static void subscribed(mosquitto*, void* self, int id, int count, const int* codes,
                         const mosquitto_property*) {
    MosquittoSession& session = of(self);
    const auto found = session.subscribes_.find(id);
    if (found == session.subscribes_.end()) return;
    const Part part = std::move(found->second);
    session.subscribes_.erase(found);
    if (static_cast<std::size_t>(count) != part.positions.size()) {
      session.close(false, Verdict::protocol_error, "SUBACK with a wrong number of reason codes");
      return;
    }
    for (std::size_t i = 0; i < part.positions.size(); ++i) {
      part.group->codes[part.positions[i]] = static_cast<std::uint8_t>(codes[i]);
    }
    if (--part.group->packets == 0) {
      session.events_.emplace_back(Subscribed{part.group->token, part.group->codes});
    }
  }

  static void unsubscribed(mosquitto*, void* self, int id, const mosquitto_property*) {
    of(self).unsubscribed(id);
  }

  static void message(mosquitto*, void* self, const mosquitto_message* message,
                      const mosquitto_property* properties) {
    const env::Token ticket = message->qos == 0 ? 0 : static_cast<std::uint16_t>(message->mid);
    of(self).events_.emplace_back(env::Arrival{inbound(*message, properties), ticket});
  }
};

Result<std::unique_ptr<Session>> MosquittoSession::open(const SessionRequest& request) {
  init_library();
  std::unique_ptr<MosquittoSession> session(new MosquittoSession);  // private constructor
  session->version_ = request.connect.version;
  const bool v5 = session->version_ == MqttVersion::v5;
  session->id_property_ = {request.connect.id_property, request.connect.id_prefix};
  session->will_on_stop_ = v5 && request.connect.will && request.connect.will->on_stop;
  session->aliases_ = Aliases(v5 ? request.connect.topic_aliases : 0);
  if (Status status = session->configure(request.connect); !status.ok()) return status.error();
  if (Status status = session->dial(request.connect, request.path); !status.ok()) {
    return status.error();
  }
  return std::unique_ptr<Session>(std::move(session));
}

MosquittoSession::~MosquittoSession() {
  if (client_ != nullptr) mosquitto_destroy(client_);
}

Status MosquittoSession::configure(const env::ConnectRequest& request) {
  if (Status status = check_connect(request); !status.ok()) return status;
  const bool assigned = request.client_id.empty();
  client_ = mosquitto_new(assigned ? nullptr : request.client_id.c_str(),
                          request.clean_start || assigned, this);
  if (client_ == nullptr) return Error{Errc::invalid_argument, "client id is unfit for MQTT", 0};
  const bool v5 = request.version == MqttVersion::v5;
  int rc = mosquitto_int_option(client_, MOSQ_OPT_PROTOCOL_VERSION,
                                v5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311);
  // The window is the core's; the library's own (20) would queue behind our back.
  if (rc == 0) rc = mosquitto_int_option(client_, MOSQ_OPT_SEND_MAXIMUM, 65535);
  if (rc == 0) {
    rc = mosquitto_int_option(client_, MOSQ_OPT_RECEIVE_MAXIMUM,
                              std::max<int>(request.receive_maximum, 1));
  }
  if (rc == 0 && (!request.username.empty() || !request.password.empty())) {
    rc = mosquitto_username_pw_set(client_,
                                   request.username.empty() ? nullptr : request.username.c_str(),
                                   request.password.empty() ? nullptr : request.password.c_str());
  }
  if (rc != 0) return library_error(rc);
  if (request.will) {
    if (Status status = set_will(*request.will); !status.ok()) return status;
  }
  mosquitto_connect_v5_callback_set(client_, &Callbacks::connected);
  mosquitto_disconnect_v5_callback_set(client_, &Callbacks::disconnected);
  mosquitto_publish_v5_callback_set(client_, &Callbacks::published);
  mosquitto_subscribe_v5_callback_set(client_, &Callbacks::subscribed);
  mosquitto_unsubscribe_v5_callback_set(client_, &Callbacks::unsubscribed);
  mosquitto_message_v5_callback_set(client_, &Callbacks::message);
  return {};
}

Status MosquittoSession::set_will(const StatusMessage& will) {
  Properties properties;
  if (version_ == MqttVersion::v5) properties.add_will(will);
  if (properties.result() != 0) return library_error(properties.result());
  mosquitto_property* list = properties.release();
  const int rc =
      mosquitto_will_set_v5(client_, will.topic.c_str(), static_cast<int>(will.payload.size()),
                            will.payload.data(), static_cast<int>(will.qos), will.retain, list);
  if (rc == 0) return {};
  mosquitto_property_free_all(&list);  // the library takes it over only when it says yes
  return library_error(rc);
}

Status MosquittoSession::dial(const env::ConnectRequest& request, const std::string& path) {
  Properties properties;
  if (version_ == MqttVersion::v5) {
    const auto expiry = std::clamp<std::int64_t>(request.session_expiry.count(), 0,
                                                 std::numeric_limits<std::uint32_t>::max());
    if (expiry > 0) {
      properties.add_u32(MQTT_PROP_SESSION_EXPIRY_INTERVAL, static_cast<std::uint32_t>(expiry));
    }
    properties.add_u32(MQTT_PROP_MAXIMUM_PACKET_SIZE, kInboundPacketMax);
    if (properties.result() != 0) return library_error(properties.result());
  }
  const int rc = mosquitto_connect_bind_v5(client_, path.c_str(), 0, keep_alive_seconds(request),
                                           nullptr, properties.get());
  if (rc != 0) return library_error(rc);
  // The library's descriptor would outlive an exec(); ours have the flag from birth.
  fcntl(mosquitto_socket(client_), F_SETFD, FD_CLOEXEC);
  return {};
}

bool MosquittoSession::next_id_in_use() const {
  const int next = last_id_ == kPacketIdMax ? 1 : last_id_ + 1;
  return publishes_.contains(next) || subscribes_.contains(next) || unsubscribes_.contains(next);
}

Status MosquittoSession::publish(env::Token token, const StoredMessage& message, BootTime now) {
  if (closed_ || leaving_) return {};  // The outcome is unknown, like that of all open tokens.
  const Result<Alias> fit = check_message(message, version_, info_, id_property_, aliases_);
  if (!fit) return fit.error();
  const Alias alias = *fit;
  if (next_id_in_use()) {
    close(false, Verdict::protocol_error,
          "a request has had no answer while 65,535 later ones had");
    return {};
  }
  Properties properties;
  if (version_ == MqttVersion::v5) {
    if (message.expiry_seconds) {
      properties.add_u32(MQTT_PROP_MESSAGE_EXPIRY_INTERVAL, expiry_left(message, now));
    }
    if (alias.number != 0) properties.add_u16(MQTT_PROP_TOPIC_ALIAS, alias.number);
    properties.add_message(message);
    if (const std::string id = id_text(id_property_, message); !id.empty()) {
      properties.add_pair(MQTT_PROP_USER_PROPERTY, id_property_.name, id);
    }
    if (properties.result() != 0) return library_error(properties.result());
  }
  int id = 0;
  publishing_ = true;
  written_meanwhile_ = false;
  const int rc =
      mosquitto_publish_v5(client_, &id, alias.known ? nullptr : message.topic.c_str(),
                           static_cast<int>(message.payload.size()), message.payload.data(),
                           static_cast<int>(message.qos), message.retain, properties.get());
  publishing_ = false;
  if (concerns_message(rc)) return library_error(rc);
  if (rc != 0) {
    library_failed(rc);
    return {};
  }
  aliases_.sent(message.topic, alias);
  last_id_ = id;
  if (written_meanwhile_) {
    events_.emplace_back(HandedOver{token});
  } else {
    publishes_.emplace(id, Pending{token, message.qos});
  }
  return {};
}

Status MosquittoSession::check_filter(const std::string& filter) const {
  if (has_nul(filter) || filter.size() > limits::kMqttString ||
      mosquitto_sub_topic_check(filter.c_str()) != 0 ||
      mosquitto_validate_utf8(filter.c_str(), static_cast<int>(filter.size())) != 0) {
    return Error{Errc::protocol, "topic filter \"" + tidy(filter) + "\" is unfit for MQTT", 0};
  }
  return {};
}

Status MosquittoSession::subscribe(env::Token token, std::span<const env::FilterRequest> filters) {
  if (closed_ || leaving_) return {};
  if (filters.empty()) return Error{Errc::protocol, "no filter", 0};
  for (const env::FilterRequest& filter : filters) {
    if (Status status = check_filter(filter.filter); !status.ok()) return status;
  }
  auto group = std::make_shared<Group>();
  group->token = token;
  group->codes.resize(filters.size());
  for (const Qos qos : {Qos::at_most_once, Qos::at_least_once}) {
    if (Status status = send_part(group, qos, filters); !status.ok()) return status;
  }
  return {};
}

Status MosquittoSession::send_part(const std::shared_ptr<Group>& group, Qos qos,
                                   std::span<const env::FilterRequest> filters) {
  Part part{group, {}};
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    if (filters[i].qos != qos) continue;
    part.positions.push_back(i);
    texts.push_back(filters[i].filter);
  }
  if (texts.empty() || closed_) return {};
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  int id = 0;
  const bool verify = version_ == MqttVersion::v5 && filters.front().verify;
  const int rc = mosquitto_subscribe_multiple(client_, &id, static_cast<int>(pointers.size()),
                                              pointers.data(), static_cast<int>(qos),
                                              verify ? MQTT_SUB_OPT_SEND_RETAIN_NEW : 0, nullptr);
  if (concerns_message(rc)) return library_error(rc);
  if (rc != 0) {
    library_failed(rc);
    return {};
  }
  last_id_ = id;
  ++group->packets;
  subscribes_.insert_or_assign(id, std::move(part));
  return {};
}

Status MosquittoSession::unsubscribe(env::Token token, std::span<const std::string> filters) {
  if (closed_ || leaving_) return {};
  if (filters.empty()) return Error{Errc::protocol, "no filter", 0};
  std::vector<std::string> texts(filters.begin(), filters.end());
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    if (Status status = check_filter(text); !status.ok()) return status;
    pointers.push_back(text.data());
  }
  int id = 0;
  const int rc = mosquitto_unsubscribe_multiple(client_, &id, static_cast<int>(pointers.size()),
                                                pointers.data(), nullptr);
  if (concerns_message(rc)) return library_error(rc);
  if (rc != 0) {
    library_failed(rc);
    return {};
  }
  last_id_ = id;
  unsubscribes_.insert_or_assign(id, Unsubscribe{token, filters.size()});
  return {};
}

void MosquittoSession::disconnect() {
  if (closed_ || leaving_) return;
  leaving_ = true;
  const int reason =
      will_on_stop_ ? MQTT_RC_DISCONNECT_WITH_WILL_MSG : MQTT_RC_NORMAL_DISCONNECTION;
  const int rc = mosquitto_disconnect_v5(client_, reason, nullptr);
  if (rc != 0)
    close(true, Verdict::engine_failed, std::string("libmosquitto: ") + mosquitto_strerror(rc));
}

void MosquittoSession::read_all() {
  int waiting = 1;  // the owner calls because there is something
  while (!closed_ && waiting > 0) {
    // Each call takes at least one byte or fails, and failing closes.
    const int rc = mosquitto_loop_read(client_, 1);
    if (rc != 0) library_failed(rc);
    const int fd = mosquitto_socket(client_);
    if (fd < 0 || ioctl(fd, FIONREAD, &waiting) != 0) return;
  }
}

void MosquittoSession::write_all() {
  if (closed_ || !mosquitto_want_write(client_)) return;
  const int rc = mosquitto_loop_write(client_, 1);
  if (rc != 0) library_failed(rc);
}

void MosquittoSession::packet_comes(const Framing& packet) {
  if (packet.type() != PacketType::unsuback || version_ != MqttVersion::v5) return;
  if (auto codes = parse_unsuback(packet.body())) {
    unsubacks_.push_back(std::move(*codes));
    if (unsubacks_.size() > kUnsubacksKept) unsubacks_.pop_front();
  }
}

/// The library doesn't tell the codes of UNSUBACK.
void MosquittoSession::unsubscribed(int id) {
  const auto pending = unsubscribes_.find(id);
  if (pending == unsubscribes_.end()) return;
  const Unsubscribe request = pending->second;
  unsubscribes_.erase(pending);
  std::vector<std::uint8_t> codes(request.filters, 0);
  if (version_ == MqttVersion::v5) {
    const auto seen = std::find_if(unsubacks_.begin(), unsubacks_.end(),
                                   [&](const auto& ack) { return ack.packet_id == id; });
    if (seen == unsubacks_.end() || seen->codes.size() != request.filters) {
      close(false, Verdict::protocol_error, "UNSUBACK with a wrong number of reason codes");
      return;
    }
    codes = std::move(seen->codes);
    unsubacks_.erase(seen);
  }
  events_.emplace_back(Subscribed{request.token, std::move(codes)});
}

std::vector<SessionEvent> MosquittoSession::take_events() { return std::exchange(events_, {}); }

void MosquittoSession::library_failed(int code) {
  close(leaving_, Verdict::engine_failed, std::string("libmosquitto: ") + mosquitto_strerror(code));
}

void MosquittoSession::close(bool own, Verdict verdict, std::string words) {
  if (closed_) return;
  closed_ = true;
  events_.emplace_back(Closed{own, verdict, std::move(words)});
}

}  // namespace holdfast::engines
