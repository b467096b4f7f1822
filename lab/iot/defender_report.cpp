#include "lab/iot/defender_report.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "lab/iot/cidr.h"
#include "lab/iot/fields.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::int64_t kHighestPort = 65'535;

/// A member's two names.
struct Name {
  std::string_view long_one;
  std::string_view short_one;
};

/// One object of the report, and what becomes of it.
struct Part {
  Fields from;
  Json into = Json::object();

  /// The name under which a member came. Both at once are one too many.
  std::string_view found(const Name& name) {
    if (!from.has(name.short_one)) return name.long_one;
    if (from.has(name.long_one)) from.complain(name.short_one, "is there under its long name, too");
    return name.short_one;
  }
  bool has(const Name& name) { return from.has(found(name)); }

  void text(const Name& name) {
    if (has(name)) into[std::string(name.long_one)] = from.text(found(name));
  }
  void count(const Name& name, std::int64_t most = INT64_MAX) {
    if (!has(name)) return;
    const Json& value = from.any(found(name));
    const auto number = number_in(Json{{"n", value}}, "n");
    if (!value.is_number_integer() || !number || *number < 0 || *number > most) {
      from.complain(found(name), "must be a count");
    }
    into[std::string(name.long_one)] = value;
  }
  /// Reads an object within, if it is there, by `read(Part&)`.
  template <class Read>
  void part(const Name& name, Read&& read) {
    if (!has(name)) return;
    Part inner{from.object(found(name))};
    read(inner);
    inner.from.no_others();
    into[std::string(name.long_one)] = std::move(inner.into);
  }
  /// Reads a list of objects, if it is there, each by `read(Part&)`.
  template <class Read>
  void parts(const Name& name, Read&& read) {
    if (!has(name)) return;
    Json list = Json::array();
    from.each_item(found(name), [&](Fields item) {
      Part inner{std::move(item)};
      read(inner);
      inner.from.no_others();
      list.push_back(std::move(inner.into));
    });
    into[std::string(name.long_one)] = std::move(list);
  }
};

/// "192.0.2.7:443", "[2001:db8::1]:443" or "2001:db8::1:443".
bool is_peer(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  const std::string port(text.substr(colon + 1));
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits && std::stoi(port) <= kHighestPort && address.find('/') == std::string_view::npos &&
         parse_ip(address);
}

void read_connection(Part& connection) {
  constexpr Name kRemote{"remote_addr", "rad"};
  if (!connection.has(kRemote)) connection.from.complain(kRemote.long_one, "is missing");
  connection.text(kRemote);
  const std::string* remote = string_in(connection.into, kRemote.long_one);
  if (remote != nullptr && !is_peer(*remote)) {
    connection.from.complain(kRemote.long_one, "is no address with a port");
  }
  connection.count({"local_port", "lp"}, kHighestPort);
  connection.text({"local_interface", "li"});
}

void read_ports(Part& ports) {
  ports.parts({"ports", "pts"}, [](Part& port) {
    constexpr Name kPort{"port", "pt"};
    if (!port.has(kPort)) port.from.complain(kPort.long_one, "is missing");
    port.count(kPort, kHighestPort);
    port.text({"interface", "if"});
  });
  ports.count({"total", "t"});
}

void read_metrics(Part& metrics) {
  metrics.part({"tcp_connections", "tc"}, [](Part& tcp) {
    tcp.part({"established_connections", "ec"}, [](Part& established) {
      established.parts({"connections", "cs"}, read_connection);
      established.count({"total", "t"});
    });
  });
  metrics.part({"listening_tcp_ports", "tp"}, read_ports);
  metrics.part({"listening_udp_ports", "up"}, read_ports);
  metrics.part({"network_stats", "ns"}, [](Part& stats) {
    stats.count({"bytes_in", "bi"});
    stats.count({"bytes_out", "bo"});
    stats.count({"packets_in", "pi"});
    stats.count({"packets_out", "po"});
  });
}

bool is_custom_value(std::string_view kind, const Json& value) {
  if (kind == "number") return value.is_number();
  if (!value.is_array()) return false;
  return std::all_of(value.begin(), value.end(), [&](const Json& item) {
    if (kind == "number_list") return item.is_number();
    if (!item.is_string()) return false;
    return kind == "string_list" ||
           (kind == "ip_list" && parse_ip(item.get<std::string>()).has_value());
  });
}

/// Each is a list of one object with one value: [{"number": 1}].
void read_custom(Part& custom) {
  for (const std::string& name : custom.from.names()) {
    const Json& value = custom.from.any(name);
    const bool one = value.is_array() && value.size() == 1 && value[0].is_object() &&
                     value[0].size() == 1 &&
                     is_custom_value(value[0].begin().key(), value[0].begin().value());
    if (!one) {
      custom.from.complain(name,
                           "must be a list of one number, number_list, string_list or ip_list");
    }
    custom.into[name] = value;
  }
}

}  // namespace

Result<DefenderReport> read_defender_report(const Json& report) {
  constexpr Name kHeader{"header", "hed"};
  constexpr Name kMetrics{"metrics", "met"};
  constexpr Name kCustom{"custom_metrics", "cmet"};
  constexpr Name kId{"report_id", "rid"};
  constexpr Name kVersion{"version", "v"};
  std::string complaint;
  Part all{Fields(report, complaint)};
  if (!all.has(kHeader)) all.from.complain(kHeader.long_one, "is missing");
  all.part(kHeader, [&](Part& header) {
    if (!header.has(kId)) header.from.complain(kId.long_one, "is missing");
    header.count(kId);
    if (!header.has(kVersion)) header.from.complain(kVersion.long_one, "is missing");
    header.text(kVersion);
    if (header.into["version"] != "1.0") {
      header.from.complain(kVersion.long_one, "must be \"1.0\"");
    }
  });
  if (!all.has(kMetrics) && !all.has(kCustom)) {
    all.from.complain(kMetrics.long_one, "and custom_metrics are both missing");
  }
  all.part(kMetrics, read_metrics);
  all.part(kCustom, read_custom);
  all.from.no_others();
  if (Status status = state_status(complaint); !status) return status.error();
  return DefenderReport{all.into["header"]["report_id"].get<std::int64_t>(), std::move(all.into)};
}

}  // namespace holdfast::lab::iot
