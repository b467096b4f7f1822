// Network and clock in the words of `holdfast status`. See commands.h.
#include <nlohmann/json.hpp>

#include "commands.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

std::string said(const json& object, const char* name) { return object.value(name, ""); }

/// "FakeNet (home), lte, signal 64 %"
std::string modem_text(const json& modem) {
  std::string text = said(modem, "operator_name");
  if (text.empty()) text = said(modem, "state");
  if (const std::string how = said(modem, "registration"); !how.empty()) text += " (" + how + ")";
  if (const std::string what = said(modem, "technology"); !what.empty()) text += ", " + what;
  text += ", signal " + std::to_string(count_of(modem, "signal_percent")) + " %";
  return said(modem, "name") + ": " + text;
}

}  // namespace

void put_network(std::string& out, const json& status) {
  const json network = status.value("network", json::object());
  put_field(out, "network", said(network, "problem"));
  if (network.value("managed", false)) {
    const std::string connection = said(network, "connection");
    std::string text = connection.empty() ? "no connection"
                                          : connection + " (" + said(network, "type") + " on " +
                                                said(network, "device") + ")";
    text += ", connectivity " + said(network, "connectivity");
    text += ", metered " + said(network, "metered");
    put_field(out, "network", text);
  }
  for (const json& modem : network.value("modems", json::array())) {
    put_field(out, "modem", modem_text(modem));
  }
  if (const std::uint64_t spared = count_of(network, "attempts_spared"); spared > 0) {
    put_field(out, "spared", std::to_string(spared) + " attempts that could have led nowhere");
  }
  std::string held;
  for (const json& lane : network.value("held_lanes", json::array())) {
    held += (held.empty() ? "" : ", ") + lane.get<std::string>();
  }
  if (!held.empty()) put_field(out, "held", held + ": while the network is metered");
  const json clock = status.value("clock", json::object());
  if (clock.empty()) return;
  std::string text = clock.value("synchronized", false) ? "synchronized" : "not synchronized";
  if (const std::uint64_t steps = count_of(clock, "steps"); steps > 0) {
    text += ", set " + std::to_string(steps) + " times, last by " +
            std::to_string(clock.value("last_step_ms", std::int64_t{0}) / 1000) + " s";
  }
  put_field(out, "clock", text);
}

}  // namespace holdfast::cli
