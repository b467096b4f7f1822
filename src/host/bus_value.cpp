// See system_bus.h: what does not need sd-bus.
#include <type_traits>

#include "host/system_bus.h"

namespace holdfast::host {
namespace {

const BusValue kNothing{};

}  // namespace

const BusValue& BusValue::operator[](std::string_view name) const {
  const auto found = dict.find(name);
  return found == dict.end() ? kNothing : found->second;
}

const BusValue& BusValue::at(std::size_t place) const {
  return place < list.size() ? list[place] : kNothing;
}

std::string BusValue::text() const {
  const auto* const own = std::get_if<std::string>(&plain);
  return own == nullptr ? std::string() : *own;
}

std::uint64_t BusValue::number() const {
  if (const auto* const own = std::get_if<std::uint64_t>(&plain)) return *own;
  const std::int64_t other = whole();
  return other < 0 ? 0 : static_cast<std::uint64_t>(other);
}

std::int64_t BusValue::whole() const {
  const auto* const own = std::get_if<std::int64_t>(&plain);
  return own == nullptr ? 0 : *own;
}

bool BusValue::truth() const {
  const auto* const own = std::get_if<bool>(&plain);
  return own != nullptr && *own;
}

BusCall get_all(std::string service, std::string path, std::string interface) {
  return {std::move(service),
          std::move(path),
          "org.freedesktop.DBus.Properties",
          "GetAll",
          {std::move(interface)}};
}

}  // namespace holdfast::host
