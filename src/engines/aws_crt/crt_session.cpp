#include "engines/aws_crt/crt_session.h"

#include <aws/common/error.h>
#include <aws/io/socket.h>
#include <aws/mqtt/v5/mqtt5_client.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string_view>
#include <utility>

#include "base/limits.h"

namespace holdfast::engines {
namespace {

/// Deadlines that must never come: waiting is the attempt's and the core's.
constexpr std::uint32_t kNeverSeconds = 365 * 24 * 3600;
constexpr std::uint64_t kNeverMs = std::uint64_t{kNeverSeconds} * 1000;

aws_byte_cursor cursor(std::string_view text) {
  return aws_byte_cursor_from_array(text.data(), text.size());
}

aws_byte_cursor cursor(const Bytes& bytes) {
  return aws_byte_cursor_from_array(bytes.data(), bytes.size());
}

std::string text_of(const aws_byte_cursor& bytes) {
  return {reinterpret_cast<const char*>(bytes.ptr), bytes.len};
}

std::string text_of(const aws_byte_cursor* bytes) {
  return bytes == nullptr ? std::string() : text_of(*bytes);
}

Bytes bytes_of(const aws_byte_cursor& bytes) {
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.ptr);
  return {begin, begin + bytes.len};
}

aws_mqtt5_qos qos_of(Qos qos) {
  return qos == Qos::at_most_once ? AWS_MQTT5_QOS_AT_MOST_ONCE : AWS_MQTT5_QOS_AT_LEAST_ONCE;
}

std::string words_of(int code) { return std::string("AWS CRT: ") + aws_error_str(code); }

/// What a call has refused concerns that message alone.
Error refused() { return Error{Errc::protocol, words_of(aws_last_error()), 0}; }

std::uint32_t milliseconds(Duration time) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(count, 1, std::numeric_limits<std::uint32_t>::max()));
}

std::uint32_t seconds_of(Seconds time) {
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(time.count(), 0, std::numeric_limits<std::uint32_t>::max()));
}

/// They point into `pairs`.
std::vector<aws_mqtt5_user_property> views_of(
    const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<aws_mqtt5_user_property> views;
  views.reserve(pairs.size() + 1);
  for (const auto& [name, value] : pairs) views.push_back({cursor(name), cursor(value)});
  return views;
}

Verdict verdict_of(int code) {
  switch (code) {
    case AWS_ERROR_MQTT5_DECODE_PROTOCOL_ERROR:
    case AWS_ERROR_MQTT5_INVALID_INBOUND_TOPIC_ALIAS:
    case AWS_ERROR_MQTT5_INVALID_UTF8_STRING:
    case AWS_ERROR_MQTT_CANCELLED_FOR_CLEAN_SESSION:  // a session that we had told to be gone
      return Verdict::protocol_error;
    case AWS_ERROR_MQTT5_PING_RESPONSE_TIMEOUT:
      return Verdict::silent_peer;
    default:
      return Verdict::engine_failed;
  }
}

/// How operations end with their connection; the attempt is told of that by itself.
bool ends_with_connection(int code) {
  return code == AWS_ERROR_MQTT5_OPERATION_FAILED_DUE_TO_OFFLINE_QUEUE_POLICY ||
         code == AWS_ERROR_MQTT5_USER_REQUESTED_STOP || code == AWS_ERROR_MQTT5_CLIENT_TERMINATED;
}

env::UpInfo up_info(const aws_mqtt5_packet_connack_view& connack) {
  env::UpInfo info;
  info.session_present = connack.session_present;
  if (connack.receive_maximum != nullptr) info.receive_maximum = *connack.receive_maximum;
  if (connack.maximum_packet_size != nullptr) {
    info.maximum_packet_size = *connack.maximum_packet_size;
  }
  if (connack.server_keep_alive != nullptr) {
    info.server_keep_alive = Seconds(*connack.server_keep_alive);
  }
  if (connack.topic_alias_maximum != nullptr) {
    info.topic_alias_maximum = *connack.topic_alias_maximum;
  }
  info.assigned_client_id = text_of(connack.assigned_client_identifier);
  if (connack.retain_available != nullptr) info.retain_available = *connack.retain_available;
  if (connack.maximum_qos != nullptr && *connack.maximum_qos == AWS_MQTT5_QOS_AT_MOST_ONCE) {
    info.maximum_qos = Qos::at_most_once;
  }
  return info;
}

InboundMessage inbound(const aws_mqtt5_packet_publish_view& publish) {
  InboundMessage result;
  result.topic = text_of(publish.topic);
  result.payload = bytes_of(publish.payload);
  result.qos = publish.qos == AWS_MQTT5_QOS_AT_MOST_ONCE ? Qos::at_most_once : Qos::at_least_once;
  result.retain = publish.retain;
  result.content_type = text_of(publish.content_type);
  result.response_topic = text_of(publish.response_topic);
  if (publish.correlation_data != nullptr) {
    result.correlation_data = bytes_of(*publish.correlation_data);
  }
  for (const auto& property : std::span(publish.user_properties, publish.user_property_count)) {
    result.user_properties.emplace_back(text_of(property.name), text_of(property.value));
  }
  return result;
}

/// The library's share in a mailbox: kept by itself until the client has ended.
struct Share {
  std::shared_ptr<Mailbox> mailbox;
  std::shared_ptr<Share> self;
};

/// One operation under way; the library gives it back exactly once.
struct Operation {
  std::shared_ptr<Mailbox> mailbox;
  env::Token token = 0;
  std::size_t filters = 0;
};

}  // namespace

// All of these run on the library's thread.
struct CrtSession::Callbacks {
  static void lifecycle(const aws_mqtt5_client_lifecycle_event* event) {
    Mailbox& mailbox = *static_cast<Share*>(event->user_data)->mailbox;
    const bool refusal = event->connack_data != nullptr &&
                         event->error_code == AWS_ERROR_MQTT5_CONNACK_CONNECTION_REFUSED;
    switch (event->event_type) {
      case AWS_MQTT5_CLET_CONNECTION_SUCCESS:
        mailbox.put(Accepted{up_info(*event->connack_data)});
        return;
      case AWS_MQTT5_CLET_CONNECTION_FAILURE:
      case AWS_MQTT5_CLET_DISCONNECTION:
        if (refusal) {
          mailbox.put(Refused{static_cast<std::uint8_t>(event->connack_data->reason_code),
                              text_of(event->connack_data->reason_string)});
        } else {
          mailbox.put(Closed{event->error_code == AWS_ERROR_MQTT5_USER_REQUESTED_STOP,
                             verdict_of(event->error_code), words_of(event->error_code)});
        }
        return;
      case AWS_MQTT5_CLET_ATTEMPTING_CONNECT:
      case AWS_MQTT5_CLET_STOPPED:
        return;
    }
  }

  static void message(const aws_mqtt5_packet_publish_view* publish, void* share) {
    Mailbox& mailbox = *static_cast<Share*>(share)->mailbox;
    if (publish->qos != AWS_MQTT5_QOS_AT_MOST_ONCE && publish->packet_id == 0) {
      mailbox.put(Closed{false, Verdict::protocol_error, "a message with packet id 0"});
    } else {
      mailbox.put(env::Arrival{inbound(*publish), publish->packet_id});
    }
  }

  static void ended(void* share) { const auto last = std::move(static_cast<Share*>(share)->self); }

  static std::unique_ptr<Operation> done(void* operation, int code) {
    std::unique_ptr<Operation> owned(static_cast<Operation*>(operation));
    if (code != 0 && !ends_with_connection(code)) {
      owned->mailbox->put(Closed{false, verdict_of(code), words_of(code)});
    }
    return owned;
  }

  static void published(aws_mqtt5_packet_type type, const void* packet, int code, void* context) {
    const auto operation = done(context, code);
    if (code != 0) return;
    if (type == AWS_MQTT5_PT_PUBACK) {
      const auto& puback = *static_cast<const aws_mqtt5_packet_puback_view*>(packet);
      operation->mailbox->put(
          Acknowledged{operation->token, static_cast<std::uint8_t>(puback.reason_code)});
    } else {
      operation->mailbox->put(HandedOver{operation->token});
    }
  }

  /// SUBACK or UNSUBACK.
  template <class Ack>
  static void answered(const Ack* ack, int code, void* context) {
    const auto operation = done(context, code);
    if (code != 0) return;
    if (ack->reason_code_count != operation->filters) {
      operation->mailbox->put(Closed{false, Verdict::protocol_error,
                                     "SUBACK or UNSUBACK with a wrong number of reason codes"});
      return;
    }
    Subscribed event{operation->token, {}};
    for (const auto reason : std::span(ack->reason_codes, ack->reason_code_count)) {
      event.codes.push_back(static_cast<std::uint8_t>(reason));
    }
    operation->mailbox->put(std::move(event));
  }

  /// The views that a client is made from; they point into the request.
  struct Options {
    explicit Options(const SessionRequest& request);
    void say_will(const StatusMessage& wanted);
    aws_mqtt5_client_options client{};
    aws_socket_options socket{};
    aws_mqtt5_packet_connect_view connect{};
    aws_mqtt5_packet_publish_view will{};
    aws_byte_cursor will_type{};
    std::uint32_t will_delay = 0;
    std::uint32_t will_expiry = 0;
    std::vector<aws_mqtt5_user_property> will_properties;
    aws_mqtt5_client_topic_alias_options aliases{};
    aws_byte_cursor username{};
    aws_byte_cursor password{};
    std::uint32_t session_expiry = 0;
    std::uint32_t maximum_packet_size = kInboundPacketMax;
    std::uint16_t receive_maximum = 1;
  };
};

CrtSession::Callbacks::Options::Options(const SessionRequest& request) {
  const env::ConnectRequest& wanted = request.connect;
  connect.keep_alive_interval_seconds = keep_alive_seconds(wanted);
  connect.client_id = cursor(wanted.client_id);
  username = cursor(wanted.username);
  password = cursor(wanted.password);
  if (!wanted.username.empty()) connect.username = &username;
  if (!wanted.password.empty()) connect.password = &password;
  session_expiry = seconds_of(wanted.session_expiry);
  if (session_expiry > 0) connect.session_expiry_interval_seconds = &session_expiry;
  receive_maximum = std::max<std::uint16_t>(wanted.receive_maximum, 1);
  connect.receive_maximum = &receive_maximum;
  connect.maximum_packet_size_bytes = &maximum_packet_size;
  if (wanted.will) say_will(*wanted.will);
  aliases.outbound_topic_alias_behavior = AWS_MQTT5_COTABT_MANUAL;

  socket.type = AWS_SOCKET_STREAM;
  socket.domain = AWS_SOCKET_LOCAL;
  socket.connect_timeout_ms = milliseconds(wanted.connack_timeout);

  client.host_name = cursor(request.path);
  client.socket_options = &socket;
  client.connect_options = &connect;
  client.topic_aliasing_options = &aliases;
  const bool assigned = wanted.client_id.empty();
  client.session_behavior =
      wanted.clean_start || assigned ? AWS_MQTT5_CSBT_CLEAN : AWS_MQTT5_CSBT_REJOIN_ALWAYS;
  client.extended_validation_and_flow_control_options = AWS_MQTT5_EVAFCO_NONE;
  client.offline_queue_behavior = AWS_MQTT5_COQBT_FAIL_ALL_ON_DISCONNECT;
  client.min_reconnect_delay_ms = kNeverMs;
  client.max_reconnect_delay_ms = kNeverMs;
  client.connack_timeout_ms = std::numeric_limits<std::uint32_t>::max();
  client.ping_timeout_ms = std::numeric_limits<std::uint32_t>::max();
  client.ack_timeout_seconds = kNeverSeconds;
  client.publish_received_handler = &Callbacks::message;
  client.lifecycle_event_handler = &Callbacks::lifecycle;
  client.client_termination_handler = &Callbacks::ended;
}

void CrtSession::Callbacks::Options::say_will(const StatusMessage& wanted) {
  will.topic = cursor(wanted.topic);
  will.payload = cursor(wanted.payload);
  will.qos = qos_of(wanted.qos);
  will.retain = wanted.retain;
  will_type = cursor(wanted.content_type);
  if (!wanted.content_type.empty()) will.content_type = &will_type;
  will_expiry = seconds_of(wanted.expiry.value_or(Seconds(0)));
  if (wanted.expiry) will.message_expiry_interval_seconds = &will_expiry;
  will_properties = views_of(wanted.user_properties);
  will.user_properties = will_properties.data();
  will.user_property_count = will_properties.size();
  will_delay = seconds_of(wanted.delay);
  if (will_delay > 0) connect.will_delay_interval_seconds = &will_delay;
  connect.will = &will;
}

CrtSession::CrtSession(std::shared_ptr<Mailbox> mailbox, const env::ConnectRequest& request)
    : mailbox_(std::move(mailbox)),
      id_property_{request.id_property, request.id_prefix},
      aliases_(request.topic_aliases),
      will_on_stop_(request.will && request.will->on_stop) {}

Result<std::unique_ptr<Session>> CrtSession::open(CrtThread& thread,
                                                  const SessionRequest& request) {
  if (request.connect.version != MqttVersion::v5) {
    return Error{Errc::unsupported, "AWS CRT speaks MQTT 5 only", 0};
  }
  if (Status fit = check_connect(request.connect); !fit.ok()) return fit.error();
  const Result<aws_client_bootstrap*> bootstrap = thread.bootstrap();
  if (!bootstrap) return bootstrap.error();
  auto mailbox = std::make_shared<Mailbox>(request.loop, request.news);
  std::unique_ptr<CrtSession> session(new CrtSession(mailbox, request.connect));  // private
  auto share = std::make_shared<Share>(Share{mailbox, nullptr});
  share->self = share;
  Callbacks::Options options(request);
  options.client.bootstrap = *bootstrap;
  options.client.publish_received_handler_user_data = share.get();
  options.client.lifecycle_event_handler_user_data = share.get();
  options.client.client_termination_handler_user_data = share.get();
  session->client_ = aws_mqtt5_client_new(aws_default_allocator(), &options.client);
  if (session->client_ == nullptr) {
    Error error{Errc::invalid_argument, words_of(aws_last_error()), 0};
    share->self.reset();
    return error;
  }
  if (aws_mqtt5_client_start(session->client_) != 0) {
    return Error{Errc::io, words_of(aws_last_error()), 0};
  }
  return std::unique_ptr<Session>(std::move(session));
}

CrtSession::~CrtSession() {
  mailbox_->close();
  aws_mqtt5_client_release(client_);
}

Status CrtSession::publish(env::Token token, const StoredMessage& message, BootTime now) {
  if (leaving_) return {};  // The outcome is unknown, like that of all open tokens.
  const Result<Alias> alias =
      check_message(message, MqttVersion::v5, info_, id_property_, aliases_);
  if (!alias) return alias.error();
  aws_mqtt5_packet_publish_view view{};
  view.topic = cursor(message.topic);
  view.payload = cursor(message.payload);
  view.qos = qos_of(message.qos);
  view.retain = message.retain;
  const std::uint32_t expiry = expiry_left(message, now);
  if (message.expiry_seconds) view.message_expiry_interval_seconds = &expiry;
  const aws_byte_cursor content_type = cursor(message.content_type);
  if (!message.content_type.empty()) view.content_type = &content_type;
  // The library leaves the topic out by itself when it has gone with this number before.
  if (alias->number != 0) view.topic_alias = &alias->number;
  const aws_byte_cursor response_topic = cursor(message.response_topic);
  if (!message.response_topic.empty()) view.response_topic = &response_topic;
  const aws_byte_cursor correlation_data = cursor(message.correlation_data);
  if (!message.correlation_data.empty()) view.correlation_data = &correlation_data;
  std::vector<aws_mqtt5_user_property> properties = views_of(message.user_properties);
  const std::string id = id_text(id_property_, message);
  if (!id.empty()) properties.push_back({cursor(id_property_.name), cursor(id)});
  view.user_properties = properties.data();
  view.user_property_count = properties.size();

  auto operation = std::make_unique<Operation>(Operation{mailbox_, token, 0});
  aws_mqtt5_publish_completion_options completion{};
  completion.completion_callback = &Callbacks::published;
  completion.completion_user_data = operation.get();
  if (aws_mqtt5_client_publish(client_, &view, &completion) != 0) return refused();
  static_cast<void>(operation.release());  // the library's, until published()
  aliases_.sent(message.topic, *alias);
  ++requested_;
  return {};
}

Status CrtSession::subscribe(env::Token token, std::span<const env::FilterRequest> filters) {
  if (leaving_) return {};
  std::vector<aws_mqtt5_subscription_view> subscriptions;
  for (const env::FilterRequest& filter : filters) {
    aws_mqtt5_subscription_view& view = subscriptions.emplace_back();
    view.topic_filter = cursor(filter.filter);
    view.qos = qos_of(filter.qos);
    view.retain_handling_type =
        filter.verify ? AWS_MQTT5_RHT_SEND_ON_SUBSCRIBE_IF_NEW : AWS_MQTT5_RHT_SEND_ON_SUBSCRIBE;
  }
  aws_mqtt5_packet_subscribe_view view{};
  view.subscriptions = subscriptions.data();
  view.subscription_count = subscriptions.size();
  auto operation = std::make_unique<Operation>(Operation{mailbox_, token, filters.size()});
  aws_mqtt5_subscribe_completion_options completion{};
  completion.completion_callback = &Callbacks::answered<aws_mqtt5_packet_suback_view>;
  completion.completion_user_data = operation.get();
  if (aws_mqtt5_client_subscribe(client_, &view, &completion) != 0) return refused();
  static_cast<void>(operation.release());
  ++requested_;
  return {};
}

Status CrtSession::unsubscribe(env::Token token, std::span<const std::string> filters) {
  if (leaving_) return {};
  std::vector<aws_byte_cursor> cursors;
  for (const std::string& filter : filters) cursors.push_back(cursor(filter));
  aws_mqtt5_packet_unsubscribe_view view{};
  view.topic_filters = cursors.data();
  view.topic_filter_count = cursors.size();
  auto operation = std::make_unique<Operation>(Operation{mailbox_, token, filters.size()});
  aws_mqtt5_unsubscribe_completion_options completion{};
  completion.completion_callback = &Callbacks::answered<aws_mqtt5_packet_unsuback_view>;
  completion.completion_user_data = operation.get();
  if (aws_mqtt5_client_unsubscribe(client_, &view, &completion) != 0) return refused();
  static_cast<void>(operation.release());
  ++requested_;
  return {};
}

void CrtSession::disconnect() {
  if (std::exchange(leaving_, true)) return;
  stop_when_all_has_left();
}

void CrtSession::packet_leaves(const Framing& packet) {
  const PacketType type = packet.type();
  if (type != PacketType::publish && type != PacketType::subscribe &&
      type != PacketType::unsubscribe) {
    return;
  }
  ++left_;
  if (leaving_) stop_when_all_has_left();
}

void CrtSession::stop_when_all_has_left() {
  if (left_ != requested_) return;
  aws_mqtt5_packet_disconnect_view farewell{};
  farewell.reason_code = will_on_stop_ ? AWS_MQTT5_DRC_DISCONNECT_WITH_WILL_MESSAGE
                                       : AWS_MQTT5_DRC_NORMAL_DISCONNECTION;
  aws_mqtt5_client_stop(client_, &farewell, nullptr);
}

std::vector<SessionEvent> CrtSession::take_events() {
  std::vector<SessionEvent> events = mailbox_->take();
  for (const SessionEvent& event : events) {
    if (const auto* accepted = std::get_if<Accepted>(&event)) {
      info_ = accepted->info;
      aliases_.limit(info_.topic_alias_maximum);
    }
  }
  return events;
}

}  // namespace holdfast::engines
