// See log_text.h.
#include "runtime/log_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/calendar.h"
#include "base/limits.h"
#include "base/utf8.h"

namespace holdfast::runtime {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::array<char, kLogLevels> kSeverities{'3', '4', '6', '7'};

char severity_of(LogLevel level) {
  return kSeverities[std::min(static_cast<std::size_t>(level), kLogLevels - 1)];
}

/// Bytes of the character that begins `text`; 0 if none does.
std::size_t length_of_first(std::string_view text) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length) {
    if (valid_utf8(text.substr(0, length))) return length;
  }
  return 0;
}

/// C0, DEL, and C1 in their two bytes: a terminal may obey them.
bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  return character.size() == 2 && first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
}

std::string said(const LogLine& line) {
  return std::string(to_string(line.area)) + ": " + one_line(line.text, limits::kLogText);
}

std::string value_text(const LogField& field) {
  if (const auto* number = std::get_if<std::int64_t>(&field.value)) return std::to_string(*number);
  return one_line(std::get<std::string>(field.value), limits::kErrorDetailMax);
}

/// No value has a line end, so the simple form of the protocol serves.
void put_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += '=';
  out += value;
  out += '\n';
}

}  // namespace

std::string utc_stamp(WallTime time) {
  const std::int64_t millis = (time.ms % 1000 + 1000) % 1000;  // also before 1970
  std::string stamp = iso_time(WallTime{time.ms - millis});
  char part[8];
  std::snprintf(part, sizeof part, ".%03dZ", static_cast<int>(millis));
  stamp.replace(stamp.size() - 1, 1, part);
  return stamp;
}

std::string one_line(std::string_view text, std::size_t most) {
  std::string out;
  out.reserve(std::min(text.size(), most) + kReplacement.size());
  while (!text.empty()) {
    const std::size_t length = length_of_first(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(length, 1));
    if (out.size() + character.size() > most) {
      out += "…";
      break;
    }
    if (length == 0) {
      out += character[0] == '\0' ? std::string_view(" ") : kReplacement;
    } else if (is_control(character)) {
      out += ' ';
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  return out;
}

std::string text_line(const LogLine& line, WallTime time, bool journal_stream) {
  if (journal_stream) return std::string("<") + severity_of(line.level) + ">" + said(line);
  constexpr std::size_t kColumn = 8;
  std::string level(to_string(line.level));
  level.resize(kColumn, ' ');
  return utc_stamp(time) + " " + level + said(line);
}

std::string json_line(const LogLine& line, WallTime time, std::size_t most) {
  ordered_json out{
      {"time", utc_stamp(time)}, {"level", to_string(line.level)}, {"area", to_string(line.area)}};
  if (line.verdict) out["verdict"] = to_string(*line.verdict);
  out["message"] = one_line(line.text, most);
  ordered_json fields = ordered_json::object();
  for (const LogField& field : line.fields) {
    if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
      fields[std::string(field.name)] = *number;
    } else {
      fields[std::string(field.name)] = value_text(field);
    }
  }
  if (!fields.empty()) out["fields"] = std::move(fields);
  return out.dump();
}

std::string journal_datagram(const LogLine& line) {
  std::string out;
  put_field(out, "MESSAGE", said(line));
  put_field(out, "PRIORITY",
            std::string_view(&kSeverities[static_cast<std::size_t>(line.level)], 1));
  put_field(out, "SYSLOG_IDENTIFIER", "holdfastd");
  put_field(out, "HOLDFAST_AREA", to_string(line.area));
  if (line.verdict) put_field(out, "HOLDFAST_VERDICT", to_string(*line.verdict));
  for (const LogField& field : line.fields) {
    std::string name = "HOLDFAST_";
    for (const char c : field.name) name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    put_field(out, name, value_text(field));
  }
  return out;
}

}  // namespace holdfast::runtime
