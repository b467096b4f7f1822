// Frames to packets; see packet.h. What is checked is what MQTT makes a receiver check.
#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "lab/mqtt/packet.h"
#include "lab/mqtt/wire.h"

namespace holdfast::lab::mqtt {
namespace {

using Id = PropertyId;

/// Where a property is at home: bits of packet types, and one for wills (MQTT 5.0 table 2-4).
constexpr std::uint32_t bit(Type type) { return 1U << static_cast<unsigned>(type); }
constexpr std::uint32_t kInWill = 1U;
constexpr std::uint32_t kInAcks = bit(Type::puback) | bit(Type::pubrec) | bit(Type::pubrel) |
                                  bit(Type::pubcomp) | bit(Type::suback) | bit(Type::unsuback);

struct Rule {
  PropertyId id;
  std::uint32_t homes;
  enum class Form : std::uint8_t { byte, flag, two, four, variable, text, binary, pair } form;
};
using Form = Rule::Form;

constexpr std::uint32_t kMessage = bit(Type::publish) | kInWill;
constexpr std::uint32_t kEntry = bit(Type::connect) | bit(Type::connack);
constexpr auto kRules = std::to_array<Rule>({
    {Id::payload_format_indicator, kMessage, Form::flag},
    {Id::message_expiry_interval, kMessage, Form::four},
    {Id::content_type, kMessage, Form::text},
    {Id::response_topic, kMessage, Form::text},
    {Id::correlation_data, kMessage, Form::binary},
    {Id::subscription_identifier, bit(Type::publish) | bit(Type::subscribe), Form::variable},
    {Id::session_expiry_interval, kEntry | bit(Type::disconnect), Form::four},
    {Id::assigned_client_identifier, bit(Type::connack), Form::text},
    {Id::server_keep_alive, bit(Type::connack), Form::two},
    {Id::authentication_method, kEntry | bit(Type::auth), Form::text},
    {Id::authentication_data, kEntry | bit(Type::auth), Form::binary},
    {Id::request_problem_information, bit(Type::connect), Form::flag},
    {Id::will_delay_interval, kInWill, Form::four},
    {Id::request_response_information, bit(Type::connect), Form::flag},
    {Id::response_information, bit(Type::connack), Form::text},
    {Id::server_reference, bit(Type::connack) | bit(Type::disconnect), Form::text},
    {Id::reason_string, bit(Type::connack) | kInAcks | bit(Type::disconnect) | bit(Type::auth),
     Form::text},
    {Id::receive_maximum, kEntry, Form::two},
    {Id::topic_alias_maximum, kEntry, Form::two},
    {Id::topic_alias, bit(Type::publish), Form::two},
    {Id::maximum_qos, bit(Type::connack), Form::flag},
    {Id::retain_available, bit(Type::connack), Form::flag},
    {Id::user_property, ~0U, Form::pair},
    {Id::maximum_packet_size, kEntry, Form::four},
    {Id::wildcard_subscription_available, bit(Type::connack), Form::flag},
    {Id::subscription_identifier_available, bit(Type::connack), Form::flag},
    {Id::shared_subscription_available, bit(Type::connack), Form::flag},
});

bool text_ok(std::string_view text) { return valid_utf8(text); }

/// One frame being read. The first complaint is kept.
class Decoder {
 public:
  Decoder(Version version, Type type, std::uint8_t flags, std::string_view body)
      : version_(version), type_(type), flags_(flags), in_(body) {}

  Result<Packet> packet() {
    Packet packet = read();
    if (in_.failed()) malformed("ends too early");
    if (!error_ && !in_.at_end()) malformed("has bytes after its end");
    if (error_) return *std::move(error_);
    return packet;
  }

 private:
  Packet read() {
    check_flags();
    switch (type_) {
      case Type::connect:
        return connect();
      case Type::connack:
        return connack();
      case Type::publish:
        return publish();
      case Type::puback:
      case Type::pubrec:
      case Type::pubrel:
      case Type::pubcomp:
        return ack();
      case Type::subscribe:
        return subscribe();
      case Type::suback:
      case Type::unsuback:
        return suback();
      case Type::unsubscribe:
        return unsubscribe();
      case Type::pingreq:
      case Type::pingresp:
        return Ping{type_};
      case Type::disconnect:
      case Type::auth:
        return disconnect();
    }
    malformed("is of no known type");
    return Ping{};
  }

  /// Section 2.1.3: only PUBLISH has flags of its own.
  void check_flags() {
    if (type_ == Type::publish) return;
    const bool two =
        type_ == Type::pubrel || type_ == Type::subscribe || type_ == Type::unsubscribe;
    if (flags_ != (two ? 2 : 0)) malformed("has wrong flags in its first byte");
    if (type_ == Type::auth && !five()) malformed("does not exist in MQTT 3.1.1");
  }

  Packet connect() {
    Connect c;
    if (in_.binary() != "MQTT") return wrong<Connect>("has no protocol name MQTT");
    const std::uint8_t level = in_.byte();
    if (level != 4 && level != 5) return wrong<Connect>("has an unknown protocol level");
    version_ = c.version = static_cast<Version>(level);
    const unsigned flags = in_.byte();
    const bool with_will = (flags & 0x04U) != 0;
    const auto qos = static_cast<std::uint8_t>(flags >> 3 & 3U);
    if ((flags & 1U) != 0 || qos == 3 || (!with_will && (flags & 0x38U) != 0)) {
      return wrong<Connect>("has impossible connect flags");
    }
    if (!five() && (flags & 0xC0U) == 0x40U) return wrong<Connect>("has a password without a name");
    c.clean_start = (flags & 0x02U) != 0;
    c.keep_alive = in_.two();
    c.properties = properties(bit(type_));
    c.client_id = text("client id");
    if (with_will) {
      Will& will = c.will.emplace();
      will.qos = qos;
      will.retain = (flags & 0x20U) != 0;
      will.properties = properties(kInWill);
      will.topic = text("will topic");
      will.payload = in_.binary();
    }
    if ((flags & 0x80U) != 0) c.username = text("user name");
    if ((flags & 0x40U) != 0) c.password = in_.binary();
    return c;
  }

  Packet connack() {
    Connack c;
    const unsigned flags = in_.byte();
    if (flags > 1) malformed("has wrong acknowledge flags");
    c.session_present = flags == 1;
    c.code = in_.byte();
    c.properties = properties(bit(type_));
    return c;
  }

  Packet publish() {
    Publish p;
    p.dup = (flags_ & 8U) != 0;
    p.qos = static_cast<std::uint8_t>(flags_ >> 1 & 3U);
    p.retain = (flags_ & 1U) != 0;
    if (p.qos == 3) return wrong<Publish>("has QoS 3");
    if (p.qos == 0 && p.dup) malformed("has DUP at QoS 0");
    p.topic = text("topic");
    if (p.qos > 0) p.packet_id = packet_id();
    p.properties = properties(bit(type_));
    p.payload = in_.rest();
    const auto alias = p.properties.number(Id::topic_alias);
    if (p.topic.empty() && !alias) protocol("has neither topic nor topic alias");
    if (alias && *alias == 0) protocol("has topic alias 0");
    if (p.topic.find_first_of("+#") != std::string::npos) malformed("has a wildcard in its topic");
    return p;
  }

  Packet ack() {
    Ack a;
    a.type = type_;
    a.packet_id = packet_id();
    if (five() && !in_.at_end()) {
      a.reason = in_.byte();
      if (!in_.at_end()) a.properties = properties(bit(type_));
    }
    return a;
  }

  Packet subscribe() {
    Subscribe s;
    s.packet_id = packet_id();
    s.properties = properties(bit(type_));
    do {
      Subscription& one = s.subscriptions.emplace_back();
      one.filter = text("filter");
      one.options = in_.byte();
      const unsigned reserved = five() ? 0xC0U : 0xFCU;
      if ((one.options & reserved) != 0 || (one.options & 3U) == 3 ||
          (one.options & 0x30U) == 0x30U) {
        malformed("has impossible subscription options");
      }
      if (one.filter.empty()) malformed("has an empty filter");
    } while (!in_.failed() && !in_.at_end() && !error_);
    return s;
  }

  Packet unsubscribe() {
    Unsubscribe u;
    u.packet_id = packet_id();
    u.properties = properties(bit(type_));
    do {
      if (u.filters.emplace_back(text("filter")).empty()) malformed("has an empty filter");
    } while (!in_.failed() && !in_.at_end() && !error_);
    return u;
  }

  Packet suback() {
    Suback s;
    s.type = type_;
    s.packet_id = packet_id();
    s.properties = properties(bit(type_));
    if (!five() && type_ == Type::unsuback) return s;
    for (const char c : in_.rest()) s.codes.push_back(static_cast<std::uint8_t>(c));
    if (s.codes.empty()) malformed("has no codes");
    return s;
  }

  Packet disconnect() {
    Disconnect d;
    d.type = type_;
    if (five() && !in_.at_end()) {
      d.reason = in_.byte();
      if (!in_.at_end()) d.properties = properties(bit(type_));
    }
    return d;
  }

  std::uint16_t packet_id() {
    const std::uint16_t id = in_.two();
    if (id == 0) protocol("has packet id 0");
    return id;
  }

  std::string text(std::string_view what) {
    const std::string_view found = in_.binary();
    if (!text_ok(found)) malformed("has a " + std::string(what) + " that is no UTF-8 string");
    return std::string(found);
  }

  /// `home`: the bit of the place they stand in.
  Properties properties(std::uint32_t home) {
    Properties found;
    if (!five()) return found;
    const std::size_t length = in_.variable();
    const std::string_view bytes = in_.take(length);
    Reader in(bytes);
    while (!in.at_end() && !in.failed() && !error_) property(in, home, found);
    if (in.failed()) malformed("has properties that end too early");
    return found;
  }

  void property(Reader& in, std::uint32_t home, Properties& found) {
    const auto id = static_cast<Id>(in.byte());
    const auto rule =
        std::find_if(kRules.begin(), kRules.end(), [id](const Rule& r) { return r.id == id; });
    if (rule == kRules.end()) return malformed("has an unknown property");
    const std::string name(to_string(id));
    if ((rule->homes & home) == 0) return protocol("may not have the property " + name);
    const bool many =
        id == Id::user_property || (id == Id::subscription_identifier && type_ == Type::publish);
    if (!many && found.has(id)) return protocol("has the property " + name + " twice");
    Property& p = found.all.emplace_back();
    p.id = id;
    value(in, rule->form, p);
    const bool zero_is_wrong = id == Id::receive_maximum || id == Id::maximum_packet_size ||
                               id == Id::subscription_identifier;
    if (zero_is_wrong && p.number == 0) protocol("has the property " + name + " with 0");
  }

  void value(Reader& in, Form form, Property& p) {
    switch (form) {
      case Form::byte:
      case Form::flag:
        p.number = in.byte();
        if (form == Form::flag && p.number > 1) protocol("has a property that is neither 0 nor 1");
        break;
      case Form::two:
        p.number = in.two();
        break;
      case Form::four:
        p.number = in.four();
        break;
      case Form::variable:
        p.number = in.variable();
        break;
      case Form::binary:
        p.text = in.binary();
        break;
      case Form::text:
      case Form::pair:
        p.text = in.binary();
        if (form == Form::pair) p.value = in.binary();
        if (!text_ok(p.text) || !text_ok(p.value))
          malformed("has a property that is no UTF-8 string");
        break;
    }
  }

  [[nodiscard]] bool five() const { return version_ == Version::v5; }

  void complain(Errc code, std::string_view what) {
    if (error_) return;
    if (in_.failed()) {  // what was read then is not there
      code = Errc::corrupt;
      what = "ends too early";
    }
    error_ = Error{code, std::string(to_string(type_)) + " " + std::string(what) + ", at byte " +
                             std::to_string(in_.offset())};
  }
  void malformed(std::string_view what) { complain(Errc::corrupt, what); }
  void protocol(std::string_view what) { complain(Errc::protocol, what); }
  template <class P>
  P wrong(std::string_view what) {
    malformed(what);
    return {};
  }

  Version version_;
  Type type_;
  std::uint8_t flags_;
  Reader in_;
  std::optional<Error> error_;
};

}  // namespace

Result<Packet> decode(Version version, std::string_view frame) {
  Reader in(frame);
  const std::uint8_t first = in.byte();
  const std::uint32_t length = in.variable();
  const std::string_view body = in.rest();
  if (in.failed() || body.size() != length) {
    return Error{Errc::corrupt, "a frame of another length than it says"};
  }
  const auto flags = static_cast<std::uint8_t>(first & 0x0FU);
  return Decoder(version, static_cast<Type>(first >> 4), flags, body).packet();
}

Result<std::optional<std::string_view>> Framer::next() {
  if (begin_ > 0 && (begin_ == held_.size() || begin_ > 64 * 1024)) {
    held_.erase(0, begin_);
    begin_ = 0;
  }
  const std::string_view held = rest();
  if (held.size() < 2) return std::optional<std::string_view>();
  Reader in(held.substr(1));
  const std::size_t length = in.variable();
  if (in.failed()) {
    if (held.size() < 5) return std::optional<std::string_view>();
    return Error{Errc::corrupt, "a remaining length of more than four bytes"};
  }
  if ((static_cast<unsigned char>(held[0]) >> 4) == 0) {
    return Error{Errc::corrupt, "a packet of type 0"};
  }
  const std::size_t whole = 1 + in.offset() + length;
  if (whole > largest_) {
    return Error{Errc::too_large, "a packet of " + std::to_string(whole) + " bytes; at most " +
                                      std::to_string(largest_) + " are allowed"};
  }
  if (held.size() < whole) return std::optional<std::string_view>();
  begin_ += whole;
  return std::optional<std::string_view>(held.substr(0, whole));
}

}  // namespace holdfast::lab::mqtt
