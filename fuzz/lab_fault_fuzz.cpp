// Random rules and random frames on one conversation: nothing crashes, what waits is bounded, and
// frames that no rule matched pass unchanged. The input is steps of two bytes: what, and its
// choice.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "lab/fault/faults.h"
#include "lab/fault/mqtt_faults.h"
#include "lab/mqtt/packet.h"

using namespace holdfast;              // NOLINT: a fuzz target's only file
using namespace holdfast::lab;         // NOLINT
using namespace holdfast::lab::fault;  // NOLINT

namespace {

class Input final : public env::Random {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  [[nodiscard]] bool empty() const { return left_ == 0; }
  std::uint64_t next() override { return std::uint64_t{byte()} * 0x0101010101010101U; }
  std::string take(std::size_t count) {
    std::string bytes;
    for (; count > 0 && left_ > 0; --count) bytes += static_cast<char>(byte());
    return bytes;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

Action any_action(Input& in) {
  switch (in.byte() % 10) {
    case 0:
      return Drop{};
    case 1:
      return Hold{};
    case 2:
      return Delay{std::chrono::milliseconds(in.byte())};
    case 3:
      return Reorder{std::chrono::milliseconds(in.byte())};
    case 4:
      return Duplicate{1U + in.byte() % 3U};
    case 5: {
      Alter alter;
      const unsigned what = in.byte();
      if ((what & 1U) != 0) alter.code = in.byte();
      if ((what & 2U) != 0) alter.qos = in.byte() % 3;
      if ((what & 4U) != 0) alter.packet_id = in.byte() + 1;
      if ((what & 8U) != 0) alter.topic = "t";
      if ((what & 16U) != 0) alter.payload = in.take(3);
      if ((what & 32U) != 0) alter.set.set(mqtt::PropertyId::receive_maximum, in.byte());
      if ((what & 64U) != 0) alter.remove.push_back(mqtt::PropertyId::topic_alias);
      return alter;
    }
    case 6:
      return Answer{std::nullopt, in.byte(), false, {}};
    case 7: {
      Disconnect disconnect;
      disconnect.pass = in.byte() % 2 == 0;
      disconnect.delay = std::chrono::milliseconds(in.byte());
      disconnect.side = in.byte() % 2 == 0 ? mqtt::Side::device : mqtt::Side::broker;
      return disconnect;
    }
    case 8:
      return Rate{static_cast<double>(in.byte()) + 0.5};
    default:
      return Redeliver{std::chrono::milliseconds(10 + in.byte()), in.byte() % 2 == 0,
                       in.byte() % 2 == 0, in.byte() % 4U};
  }
}

std::vector<Rule> any_rules(Input& in) {
  std::vector<Rule> rules(in.byte() % 4);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    Rule& rule = rules[i];
    rule.name = std::to_string(i);
    if (in.byte() % 4 != 0) rule.match.packets = {static_cast<mqtt::Type>(1 + in.byte() % 15)};
    if (in.byte() % 2 == 0) rule.match.from = mqtt::Side::device;
    if (in.byte() % 8 == 0) rule.match.topic = "t/#";
    if (in.byte() % 8 == 0) rule.match.client_id = "?*";
    if (in.byte() % 8 == 0) rule.match.probability = 0.5;
    rule.match.every = 1 + in.byte() % 2;
    rule.match.scope = in.byte() % 2 == 0 ? Scope::all : Scope::connection;
    rule.action = any_action(in);
  }
  return rules;
}

std::string any_frame(Input& in) {
  mqtt::Publish publish;
  publish.qos = 1;
  publish.packet_id = 1 + in.byte() % 4;
  switch (in.byte() % 6) {
    case 0: {
      mqtt::Connect connect;
      connect.version = in.byte() % 4 == 0 ? mqtt::Version::v311 : mqtt::Version::v5;
      connect.client_id = "c";
      return mqtt::encode(connect.version, connect);
    }
    case 1:
      publish.properties.set(mqtt::PropertyId::topic_alias, 1 + in.byte() % 2);
      [[fallthrough]];
    case 2:
      publish.topic = in.byte() % 2 == 0 ? "t/1" : "";
      return mqtt::encode(mqtt::Version::v5, publish);
    case 3:
      return mqtt::encode(mqtt::Version::v5,
                          mqtt::Ack{mqtt::Type::puback, publish.packet_id, 0, {}});
    case 4:
      return mqtt::encode(
          mqtt::Version::v5,
          mqtt::Ack{mqtt::Type::puback, static_cast<std::uint16_t>(0xFFFF - in.byte() % 4), 0, {}});
    default: {
      const std::string body = in.take(in.byte() % 32);
      return std::string(1, static_cast<char>(in.byte())) + static_cast<char>(body.size()) + body;
    }
  }
}

/// Without rules, and before any of them did something, what comes goes on as it is.
void check_untouched(const mqtt::Wishes& out, mqtt::Side from, const std::string& frame) {
  HF_CHECK(out.all.size() == 1);
  HF_CHECK(out.all[0].kind == mqtt::Wish::Kind::send);
  HF_CHECK(out.all[0].to == mqtt::other(from));
  HF_CHECK(out.all[0].bytes == frame);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  FaultCounters shared;
  MqttFaults faults(in, shared);
  BootTime now{std::chrono::seconds(1)};
  std::vector<Rule> rules;
  bool touched = false;  // a rule was applied once
  while (!in.empty()) {
    mqtt::Wishes out;
    const unsigned what = in.byte();
    const mqtt::Side side = what % 2 == 0 ? mqtt::Side::device : mqtt::Side::broker;
    switch (what / 2 % 16) {
      case 0:
        rules = any_rules(in);
        faults.set(now, rules);
        break;
      case 1:
        now += std::chrono::milliseconds(in.byte());
        if (faults.wake() <= now) faults.on_wake(now, out);
        HF_CHECK(faults.wake() > now);
        break;
      case 2:
        if (in.byte() % 16 == 0) {
          faults.on_closed(now, side, out);
          touched = true;
        }
        break;
      default: {
        const std::string frame = any_frame(in);
        faults.on_frame(now, side, frame, out);
        const bool noted = std::any_of(out.all.begin(), out.all.end(), [](const mqtt::Wish& wish) {
          return wish.kind == mqtt::Wish::Kind::note;
        });
        // A rate that is kept and a PUBLISH to be sent again are no news, but may matter later.
        touched = touched || noted || std::any_of(rules.begin(), rules.end(), [](const Rule& rule) {
                    return std::holds_alternative<Redeliver>(rule.action);
                  });
        if (!touched) check_untouched(out, side, frame);
      }
    }
    std::size_t bytes = 0;
    for (const mqtt::Wish& wish : out.all) bytes += wish.bytes.size();
    HF_CHECK(bytes <= 4 * MqttFaults::kHeldMax);
  }
  return 0;
}
