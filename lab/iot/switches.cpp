#include "lab/iot/switches.h"

#include <array>
#include <string_view>
#include <variant>

namespace holdfast::lab::iot {
namespace {

struct Row {
  std::string_view name;
  std::variant<bool Switches::*, std::int64_t Switches::*> member;
};

constexpr auto kRows = std::to_array<Row>({
    {"connect_denied_code_311", &Switches::connect_denied_code_311},
    {"publish_denied_puback", &Switches::publish_denied_puback},
    {"subscribe_denied_suback", &Switches::subscribe_denied_suback},
    {"receive_denied_disconnects", &Switches::receive_denied_disconnects},
    {"require_sni", &Switches::require_sni},
    {"maximum_packet_size", &Switches::maximum_packet_size},
    {"session_expiry_most", &Switches::session_expiry_most},
    {"redelivery_ms", &Switches::redelivery_ms},
    {"redelivery_new_id", &Switches::redelivery_new_id},
    {"redelivery_window_v5", &Switches::redelivery_window_v5},
    {"redelivery_window_311", &Switches::redelivery_window_311},
    {"publishes_per_second", &Switches::publishes_per_second},
    {"bytes_per_second", &Switches::bytes_per_second},
    {"drained_per_second", &Switches::drained_per_second},
    {"connects_per_client", &Switches::connects_per_client},
    {"connects_per_second", &Switches::connects_per_second},
    {"retained_per_topic", &Switches::retained_per_topic},
    {"connection_seconds", &Switches::connection_seconds},
    {"websocket_seconds", &Switches::websocket_seconds},
    {"signature_seconds", &Switches::signature_seconds},
    {"keys_clock_ahead", &Switches::keys_clock_ahead},
    {"assume_role_per_second", &Switches::assume_role_per_second},
    {"assumed_seconds", &Switches::assumed_seconds},
    {"ownership_token_seconds", &Switches::ownership_token_seconds},
    {"creates_per_second", &Switches::creates_per_second},
    {"csrs_per_second", &Switches::csrs_per_second},
    {"registers_per_second", &Switches::registers_per_second},
});

const Row* row_named(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace

Status change(Switches& switches, const Json& changes) {
  if (!changes.is_object()) return Error{Errc::invalid_argument, "switches are an object"};
  Switches changed = switches;
  for (const auto& [name, value] : changes.items()) {
    const Row* row = row_named(name);
    if (row == nullptr) return Error{Errc::invalid_argument, "there is no switch " + name};
    if (const auto* flag = std::get_if<bool Switches::*>(&row->member)) {
      if (!value.is_boolean()) return Error{Errc::invalid_argument, name + " is true or false"};
      changed.*(*flag) = value.get<bool>();
      continue;
    }
    if (!value.is_number_integer() || value.get<std::int64_t>() < 0) {
      return Error{Errc::invalid_argument, name + " is a whole number from 0"};
    }
    changed.*std::get<std::int64_t Switches::*>(row->member) = value.get<std::int64_t>();
  }
  switches = changed;
  return {};
}

Json to_json(const Switches& switches) {
  Json all = Json::object();
  for (const Row& row : kRows) {
    std::visit([&](auto member) { all[std::string(row.name)] = switches.*member; }, row.member);
  }
  return all;
}

}  // namespace holdfast::lab::iot
