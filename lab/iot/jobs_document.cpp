#include "lab/iot/jobs_document.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kParameter = "${aws:iot:parameter:";
constexpr std::string_view kPresigned = "${aws:iot:s3-presigned-url:";

/// What is put in the place of a placeholder; nullopt: it stays.
using Replacement = std::function<std::optional<std::string>(std::string_view inner)>;

std::string replaced(std::string_view text, std::string_view opening, const Replacement& by) {
  std::string result;
  for (;;) {
    const std::size_t begin = text.find(opening);
    const std::size_t end =
        begin == std::string_view::npos ? begin : text.find('}', begin + opening.size());
    if (end == std::string_view::npos) return result.append(text);
    const auto inner = text.substr(begin + opening.size(), end - begin - opening.size());
    result.append(text.substr(0, begin));
    if (const auto value = by(inner)) {
      result.append(*value);
    } else {
      result.append(text.substr(begin, end + 1 - begin));
    }
    text.remove_prefix(end + 1);
  }
}

/// Whether `text` is one placeholder and nothing else.
bool is_only(std::string_view text, std::string_view opening) {
  return text.starts_with(opening) && text.find('}') == text.size() - 1;
}

/// A copy with each string as `change` makes it; what `drop` picks is left out. Recursion ends: a
/// document is never nested deeper than parse_json() allows.
Json mapped(const Json& value, const std::function<std::string(std::string_view)>& change,
            const std::function<bool(const Json&)>& drop) {
  if (const auto* text = value.get_ptr<const std::string*>()) return change(*text);
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& item : value) {
      if (!drop(item)) list.push_back(mapped(item, change, drop));
    }
    return list;
  }
  if (!value.is_object()) return value;
  Json object = Json::object();
  for (const auto& [key, item] : value.items()) {
    if (!drop(item)) object[key] = mapped(item, change, drop);
  }
  return object;
}

std::string placeholder(std::string_view name) {
  return std::string(kParameter).append(name).append("}");
}

ManagedTemplate handler_template(const std::string& action, const std::string& handler,
                                 const std::vector<std::string>& arguments) {
  Json input = {{"handler", handler}};
  if (!arguments.empty()) {
    Json& list = input["args"] = Json::array();
    for (const std::string& name : arguments) list.push_back(placeholder(name));
  }
  input["path"] = placeholder("pathToHandler");
  const Json step = {{"name", action},
                     {"type", "runHandler"},
                     {"input", std::move(input)},
                     {"runAsUser", placeholder("runAsUser")}};
  return {"AWS-" + action,
          {{"version", "1.0"}, {"steps", Json::array({Json{{"action", step}}})}},
          arguments,
          {"pathToHandler", "runAsUser"}};
}

ManagedTemplate command_template() {
  const Json step = {{"name", "Run-Command"},
                     {"type", "runCommand"},
                     {"input", {{"command", placeholder("command")}}},
                     {"runAsUser", placeholder("runAsUser")}};
  return {"AWS-Run-Command",
          {{"version", "1.0"}, {"steps", Json::array({Json{{"action", step}}})}},
          {"command"},
          {"runAsUser"}};
}

/// The code point that starts at text[i], which is moved behind it. REQUIRES: UTF-8.
std::uint32_t next_code_point(std::string_view text, std::size_t& i) noexcept {
  const auto first = static_cast<unsigned char>(text[i++]);
  const int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : first >= 0xC0 ? 1 : 0;
  std::uint32_t point = more == 0 ? first : first & (0x3FU >> more);
  for (int k = 0; k < more && i < text.size(); ++k) {
    point = (point << 6) | (static_cast<unsigned char>(text[i++]) & 0x3FU);
  }
  return point;
}

bool is_control(std::uint32_t c) noexcept {
  constexpr std::pair<std::uint32_t, std::uint32_t> kRanges[] = {
      {0x00, 0x1F},       {0x7F, 0x9F},       {0xAD, 0xAD},     {0x600, 0x605},   {0x61C, 0x61C},
      {0x6DD, 0x6DD},     {0x70F, 0x70F},     {0x180E, 0x180E}, {0x200B, 0x200F}, {0x202A, 0x202E},
      {0x2060, 0x206F},   {0xD800, 0xF8FF},   {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xFFFE, 0xFFFF},
      {0xE0001, 0xE007F}, {0xF0000, 0x10FFFF}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

bool is_detail_key(std::string_view key) {
  return !key.empty() && key.size() <= kDetailKeyLength &&
         std::all_of(key.begin(), key.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == ':' || c == '_' || c == '-';
         });
}

}  // namespace

Json with_parameters(const Json& document, const Json& parameters, OmittedParameter omitted) {
  const auto value_of = [&](std::string_view name) -> std::optional<std::string> {
    if (const std::string* value = string_in(parameters, name)) return *value;
    if (omitted == OmittedParameter::literal) return std::nullopt;
    return "";
  };
  const auto is_omitted = [&](const Json& item) {
    const auto* text = item.get_ptr<const std::string*>();
    if (omitted != OmittedParameter::removed || text == nullptr) return false;
    if (!is_only(*text, kParameter)) return false;
    const auto name = std::string_view(*text).substr(kParameter.size());
    return string_in(parameters, name.substr(0, name.size() - 1)) == nullptr;
  };
  return mapped(
      document, [&](std::string_view text) { return replaced(text, kParameter, value_of); },
      is_omitted);
}

Json with_presigned_urls(const Json& document,
                         const std::function<std::string(std::string_view url)>& presign) {
  return mapped(
      document, [&](std::string_view text) { return replaced(text, kPresigned, presign); },
      [](const Json&) { return false; });
}

const std::vector<ManagedTemplate>& managed_templates() {
  static const std::vector<ManagedTemplate> kAll = {
      handler_template("Reboot", "reboot.sh", {}),
      handler_template("Download-File", "download-file.sh", {"downloadUrl", "filePath"}),
      handler_template("Install-Application", "install-packages.sh", {"packages"}),
      handler_template("Remove-Application", "remove-packages.sh", {"packages"}),
      handler_template("Start-Application", "start-services.sh", {"services"}),
      handler_template("Stop-Application", "stop-services.sh", {"services"}),
      handler_template("Restart-Application", "restart-services.sh", {"services"}),
      command_template()};
  return kAll;
}

const ManagedTemplate* managed_template(std::string_view region, std::string_view arn) {
  const std::string prefix = "arn:aws:iot:" + std::string(region) + "::jobtemplate/";
  for (const ManagedTemplate& one : managed_templates()) {
    if (arn == prefix + one.name + ":1.0") return &one;
  }
  return nullptr;
}

std::string complaint_about_details(const Json& details, bool strict) {
  if (!details.is_object()) return "statusDetails must be an object";
  if (details.size() > kDetailPairs) {
    return "statusDetails must have at most " + std::to_string(kDetailPairs) + " members";
  }
  for (const auto& [key, value] : details.items()) {
    const std::string name = "statusDetails." + key.substr(0, kDetailKeyLength);
    if (!is_detail_key(key)) return name + " has a name that is not [a-zA-Z0-9:_-]{1,128}";
    const auto* text = value.get_ptr<const std::string*>();
    if (text == nullptr) return name + " must be a string";
    if (length_of(*text) > kDetailValueLength) {
      return name + " must have at most " + std::to_string(kDetailValueLength) + " characters";
    }
    if (strict && text->empty()) return name + " must not be empty";
    if (strict && has_control_characters(*text)) return name + " must not have control characters";
  }
  return {};
}

std::size_t length_of(std::string_view text) noexcept {
  std::size_t points = 0;
  for (std::size_t i = 0; i < text.size(); ++points) (void)next_code_point(text, i);
  return points;
}

bool has_control_characters(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    if (is_control(next_code_point(text, i))) return true;
  }
  return false;
}

}  // namespace holdfast::lab::iot
