#include "lab/iot/switches.h"

#include <array>
#include <string_view>
#include <variant>

namespace holdfast::lab::iot {
namespace {

struct Row {
  std::string_view name;
  std::variant<bool Switches::*, std::int64_t Switches::*, std::string Switches::*> member;
  std::string_view choices = {};  ///< Of a text, between blanks; empty: any.
};

constexpr auto kRows = std::to_array<Row>({
    {"connect_denied_code_311", &Switches::connect_denied_code_311},
    {"publish_denied_puback", &Switches::publish_denied_puback},
    {"subscribe_denied_suback", &Switches::subscribe_denied_suback},
    {"receive_denied_disconnects", &Switches::receive_denied_disconnects},
    {"subscription_options", &Switches::subscription_options},
    {"will_delay", &Switches::will_delay},
    {"require_sni", &Switches::require_sni},
    {"refused_certificate", &Switches::refused_certificate,
     " by_state unknown_ca certificate_revoked certificate_expired bad_certificate "
     "certificate_unknown handshake_failure no_alert closed "},
    {"tls13_resumption", &Switches::tls13_resumption},
    {"maximum_packet_size", &Switches::maximum_packet_size},
    {"session_expiry_most", &Switches::session_expiry_most},
    {"redelivery_ms", &Switches::redelivery_ms},
    {"redelivery_new_id", &Switches::redelivery_new_id},
    {"redelivery_doubles", &Switches::redelivery_doubles},
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
    {"provisioning_denied_code", &Switches::provisioning_denied_code},
    {"certificate_disconnect_ms", &Switches::certificate_disconnect_ms},
    {"jobs_strict_details", &Switches::jobs_strict_details},
    {"jobs_queued_may_finish", &Switches::jobs_queued_may_finish},
    {"jobs_empty_next_is_object", &Switches::jobs_empty_next_is_object},
    {"jobs_omitted_parameter", &Switches::jobs_omitted_parameter, " empty removed literal "},
    {"jobs_times_in_ms", &Switches::jobs_times_in_ms},
    {"jobs_http_version_mismatch", &Switches::jobs_http_version_mismatch},
    {"jobs_reads_per_second", &Switches::jobs_reads_per_second},
    {"jobs_writes_per_second", &Switches::jobs_writes_per_second},
    {"jobs_internal_errors_per_mille", &Switches::jobs_internal_errors_per_mille},
    {"shadow_depth", &Switches::shadow_depth},
    {"shadow_requests_per_second", &Switches::shadow_requests_per_second},
    {"shadow_tombstone_hours", &Switches::shadow_tombstone_hours},
    {"shadow_known_things_only", &Switches::shadow_known_things_only},
    {"commands_events", &Switches::commands_events},
    {"commands_format_in_acknowledgement", &Switches::commands_format_in_acknowledgement},
    {"commands_acknowledge_requester", &Switches::commands_acknowledge_requester},
    {"streams_long_names", &Switches::streams_long_names},
    {"streams_dropped_per_mille", &Switches::streams_dropped_per_mille},
    {"streams_duplicated_per_mille", &Switches::streams_duplicated_per_mille},
    {"streams_shuffled", &Switches::streams_shuffled},
    {"defender_shortest_interval", &Switches::defender_shortest_interval},
    {"defender_throttled_code", &Switches::defender_throttled_code},
    {"defender_id_as_key", &Switches::defender_id_as_key},
});

const Row* row_named(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

constexpr std::size_t kTextBytes = 64;
constexpr std::int64_t kMost = 1'000'000'000;

/// Takes `value` if it is of the row's kind; else says of which kind it is.
Status take(const Row& row, const Json& value, Switches& switches) {
  const std::string name(row.name);
  if (const auto* flag = std::get_if<bool Switches::*>(&row.member)) {
    if (!value.is_boolean()) return Error{Errc::invalid_argument, name + " is true or false"};
    switches.*(*flag) = value.get<bool>();
    return {};
  }
  if (const auto* text = std::get_if<std::string Switches::*>(&row.member)) {
    const std::string given = value.is_string() ? value.get<std::string>() : std::string();
    if (given.empty() || given.size() > kTextBytes) {
      return Error{Errc::invalid_argument,
                   name + " is a text of 1 to " + std::to_string(kTextBytes) + " bytes"};
    }
    if (!row.choices.empty() && row.choices.find(' ' + given + ' ') == std::string_view::npos) {
      return Error{Errc::invalid_argument, name + " is one of:" + std::string(row.choices)};
    }
    switches.*(*text) = given;
    return {};
  }
  const std::int64_t number = value.is_number_integer() ? value.get<std::int64_t>() : -1;
  if (number < 0 || number > kMost) {
    return Error{Errc::invalid_argument,
                 name + " is a whole number from 0 to " + std::to_string(kMost)};
  }
  switches.*std::get<std::int64_t Switches::*>(row.member) = number;
  return {};
}

}  // namespace

Status change(Switches& switches, const Json& changes) {
  if (!changes.is_object()) return Error{Errc::invalid_argument, "switches are an object"};
  Switches changed = switches;
  for (const auto& [name, value] : changes.items()) {
    const Row* row = row_named(name);
    if (row == nullptr) return Error{Errc::invalid_argument, "there is no switch " + name};
    if (const Status taken = take(*row, value, changed); !taken) return taken;
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
