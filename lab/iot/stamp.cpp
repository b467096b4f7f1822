#include "lab/iot/stamp.h"

#include <charconv>
#include <string>
#include <string_view>

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kName = "$lab/published-at";

}  // namespace

void stamp(mqtt::Publish& message, WallTime now) {
  message.properties.all.insert(
      message.properties.all.begin(),
      {mqtt::PropertyId::user_property, 0, std::string(kName), std::to_string(now.ms)});
}

std::optional<WallTime> take_stamp(mqtt::Publish& message) {
  auto& all = message.properties.all;
  for (auto p = all.begin(); p != all.end(); ++p) {
    if (p->id != mqtt::PropertyId::user_property || p->text != kName) continue;
    WallTime at;
    std::from_chars(p->value.data(), p->value.data() + p->value.size(), at.ms);
    all.erase(p);
    return at;
  }
  return std::nullopt;
}

}  // namespace holdfast::lab::iot
