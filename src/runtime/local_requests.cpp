// The requests of local_protocol.h that are no messages, as clients write them.
#include <nlohmann/json.hpp>

#include "runtime/local_protocol.h"

namespace holdfast::runtime {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string dump(const ordered_json& value) {
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

std::string subscribe_line(std::uint64_t id, const SubscribeRequest& request) {
  ordered_json out{{"op", "subscribe"},
                   {"id", id},
                   {"filter", request.filter},
                   {"qos", static_cast<unsigned>(request.qos)}};
  if (const std::optional<AckTerms>& terms = request.acknowledge) {
    out["acknowledge"] = true;
    if (!terms->group.empty()) out["group"] = terms->group;
    out["window"] = terms->window;
    out["within_ms"] = terms->within.count();
    out["linger_ms"] = terms->linger.count();
  }
  return dump(out) + "\n";
}

std::string acknowledge_line(std::uint64_t id, std::uint64_t delivery) {
  return dump(ordered_json{
             {"op", "acknowledge"}, {"id", id}, {"deliveries", json::array({delivery})}}) +
         "\n";
}

std::string op_line(std::uint64_t id, std::string_view op) {
  return dump(ordered_json{{"op", op}, {"id", id}}) + "\n";
}

std::string op_line(std::uint64_t id, std::string_view op, std::string_view fields) {
  ordered_json out{{"op", op}, {"id", id}};
  out.update(ordered_json::parse(fields));
  return dump(out) + "\n";
}

}  // namespace holdfast::runtime
