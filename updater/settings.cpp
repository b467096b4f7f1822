// See settings.h.
#include "settings.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/limits.h"
#include "runtime/config_keys.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;
using runtime::KeyKind;
using runtime::KeySpec;
using runtime::KeyValue;

constexpr std::uint64_t kSecond = 1000;
constexpr std::uint64_t kHour = 3600 * kSecond;
constexpr std::uint64_t kPathMax = 4096;
constexpr std::uint64_t kNamesMax = 64;
constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 40U;
constexpr std::size_t kFileMax = 256 * std::size_t{1024};
constexpr std::size_t kApplicationsMax = 32;
constexpr std::size_t kNameMax = 64;
constexpr std::uint64_t kPackageNameMax = 128;

void put(bool& field, const KeyValue& value) { field = std::get<bool>(value); }
void put(std::uint64_t& field, const KeyValue& value) { field = std::get<std::uint64_t>(value); }
void put(std::string& field, const KeyValue& value) { field = std::get<std::string>(value); }
void put(fs::path& field, const KeyValue& value) { field = std::get<std::string>(value); }
void put(Seconds& field, const KeyValue& value) {
  field = Seconds(static_cast<Seconds::rep>(std::get<std::uint64_t>(value) / kSecond));
}
void put(std::vector<std::string>& field, const KeyValue& value) {
  field = std::get<std::vector<std::string>>(value);
}

template <class Part>
struct Key : KeySpec {
  void (*set)(Part& part, const KeyValue& value);
};

template <auto Member, class Part>
constexpr Key<Part> key(std::string_view name, KeyKind kind, std::uint64_t min, std::uint64_t max) {
  return {{name, kind, min, max},
          [](Part& part, const KeyValue& value) { put(part.*Member, value); }};
}
template <auto Member>
constexpr auto own(std::string_view name, KeyKind kind, std::uint64_t min, std::uint64_t max) {
  return key<Member, Settings>(name, kind, min, max);
}
template <auto Member>
constexpr auto app(std::string_view name, KeyKind kind, std::uint64_t min, std::uint64_t max) {
  return key<Member, ApplicationSettings>(name, kind, min, max);
}

using K = KeyKind;
using S = Settings;
using A = ApplicationSettings;
constexpr std::array kKeys{
    own<&S::socket>("agent.socket", K::path, 1, kPathMax),
    own<&S::thing>("update.thing", K::text, 0, 128),
    own<&S::directory>("update.directory", K::path, 1, kPathMax),
    own<&S::handlers>("update.handlers", K::path, 1, kPathMax),
    own<&S::handler_directories>("update.handler_directories", K::names, 0, kNamesMax),
    own<&S::allow_commands>("update.allow_commands", K::names, 0, kNamesMax),
    own<&S::allow_users>("update.allow_users", K::names, 0, kNamesMax),
    own<&S::allow_packages>("update.allow_packages", K::names, 0, kNamesMax),
    own<&S::allow_units>("update.allow_units", K::names, 0, kNamesMax),
    own<&S::allow_reports>("update.allow_reports", K::names, 0, kNamesMax),
    own<&S::doctor>("update.doctor", K::names, 1, kNamesMax),
    own<&S::report_topic>("update.report_topic", K::text, 0, limits::kTopicMax),
    own<&S::report_lane>("update.report_lane", K::text, 1, kNameMax),
    own<&S::download_directories>("update.download_directories", K::names, 0, kNamesMax),
    own<&S::facts>("update.facts", K::names, 0, kNamesMax),
    own<&S::reboot>("update.reboot", K::names, 1, kNamesMax),
    own<&S::step_timeout>("update.step_timeout", K::seconds, kSecond, 24 * kHour),
    own<&S::keys>("update.keys", K::path, 0, kPathMax),
    own<&S::allow_unsigned>("update.allow_unsigned", K::boolean, 0, 0),
    own<&S::max_size>("update.max_size", K::size, 1024, kSizeMax),
    own<&S::bytes_per_second>("update.bytes_per_second", K::size, 0, kSizeMax),
    own<&S::ca_file>("update.ca_file", K::path, 0, kPathMax),
    own<&S::allow_http>("update.allow_http", K::boolean, 0, 0),
    own<&S::window>("update.window", K::text, 0, 11),
    own<&S::window_limit>("update.window_limit", K::seconds, 0, 365 * 24 * kHour),
    own<&S::ask>("update.ask", K::names, 0, kNamesMax),
    own<&S::ask_limit>("update.ask_limit", K::seconds, 0, 365 * 24 * kHour),
    own<&S::jitter>("update.jitter", K::seconds, 0, 7 * 24 * kHour),
    own<&S::prove_within>("update.prove_within", K::seconds, 5 * kSecond, 24 * kHour),
};
constexpr std::array kApplicationKeys{
    app<&A::directory>("directory", K::path, 1, kPathMax),
    app<&A::package>("package", K::text, 1, kPackageNameMax),
    app<&A::file>("file", K::path, 1, kPathMax),
    app<&A::updater>("updater", K::text, 1, kPathMax),
    app<&A::validate>("validate", K::names, 0, kNamesMax),
    app<&A::units>("units", K::names, 0, kNamesMax),
    app<&A::restart>("restart", K::names, 0, kNamesMax),
    app<&A::check>("check", K::names, 0, kNamesMax),
    app<&A::stable>("stable", K::seconds, 0, 24 * kHour),
    app<&A::version>("version", K::names, 0, kNamesMax),
    app<&A::install>("install", K::names, 0, kNamesMax),
    app<&A::activate>("activate", K::names, 0, kNamesMax),
    app<&A::take_back>("take_back", K::names, 0, kNamesMax),
    app<&A::commit>("commit", K::names, 0, kNamesMax),
    app<&A::reboots>("reboots", K::boolean, 0, 0),
    app<&A::allow_downgrade>("allow_downgrade", K::boolean, 0, 0),
};

template <class Keys>
std::string names_of(const Keys& keys) {
  std::string names;
  for (const auto& one : keys) names += (names.empty() ? "" : ", ") + std::string(one.name);
  return names;
}

class Reader {
 public:
  explicit Reader(fs::path file) : file_(std::move(file)) {}

  void read(std::string_view text) {
    toml::table table;
    // toml++ reports by throwing; nothing of it leaves this function.
    try {
      table = toml::parse(text);
    } catch (const toml::parse_error& error) {
      return wrong(error.source().begin.line, "",
                   "not TOML: " + std::string(error.description()) + "; mend this line");
    } catch (const std::exception& error) {
      return wrong(1, "", std::string("not TOML: ") + error.what());
    }
    for (const auto& [name, node] : table) section(std::string(name.str()), node);
    check();
  }

  SettingsReport report;

 private:
  void wrong(std::size_t line, const std::string& key, const std::string& what) {
    std::string message = file_.string() + ":" + std::to_string(line) + ": ";
    for (const char c : (key.empty() ? "" : key + ": ") + what) {
      message += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
    }
    report.problems.push_back({Errc::invalid_config, std::move(message), 0});
  }

  void section(const std::string& name, const toml::node& node) {
    const std::size_t line = node.source().begin.line;
    const toml::table* const table = node.as_table();
    if (name == "application") {
      if (table == nullptr) return wrong(line, name, "write [application.NAME], one for each");
      for (const auto& [free, settings] : *table) application(std::string(free.str()), settings);
      return;
    }
    if ((name != "agent" && name != "update") || table == nullptr) {
      return wrong(line, name, "is not known; there are [agent], [update] and [application.NAME]");
    }
    for (const auto& [leaf, value] : *table) {
      take(kKeys, name + "." + std::string(leaf.str()), name + "." + std::string(leaf.str()), value,
           report.settings);
    }
  }

  void application(const std::string& name, const toml::node& node) {
    const std::string whole = "application." + name;
    const toml::table* const table = node.as_table();
    if (table == nullptr) return wrong(node.source().begin.line, whole, "write it as a section");
    lines_[whole] = node.source().begin.line;
    ApplicationSettings& one = report.settings.applications[name];
    for (const auto& [leaf, value] : *table) {
      take(kApplicationKeys, std::string(leaf.str()), whole + "." + std::string(leaf.str()), value,
           one);
    }
  }

  template <class Keys, class Part>
  void take(const Keys& keys, const std::string& name, const std::string& whole,
            const toml::node& node, Part& part) {
    const std::size_t line = node.source().begin.line;
    lines_[whole] = line;
    const auto known =
        std::find_if(keys.begin(), keys.end(), [&](const auto& one) { return one.name == name; });
    if (known == keys.end()) {
      return wrong(line, whole, "is not a known key; there are " + names_of(keys));
    }
    const KeySpec spec{whole, known->kind, known->min, known->max};
    Result<KeyValue> value = value_of(spec, node);
    if (value) {
      const std::string range = runtime::check_range(spec, *value);
      if (range.empty()) return known->set(part, *value);
      return wrong(line, whole, range);
    }
    wrong(line, whole, value.error().message);
  }

  Result<KeyValue> value_of(const KeySpec& spec, const toml::node& node) {
    if (const auto flag = node.value_exact<bool>(); flag && spec.kind == K::boolean) {
      return KeyValue(*flag);
    }
    if (const toml::array* const array = node.as_array();
        array != nullptr && spec.kind == K::names) {
      std::vector<std::string> names;
      for (const toml::node& one : *array) {
        if (const auto text = one.value_exact<std::string>()) names.push_back(*text);
      }
      if (names.size() == array->size()) return KeyValue(std::move(names));
    }
    if (const auto zero = node.value_exact<std::int64_t>();
        zero == 0 && (spec.kind == K::seconds || spec.kind == K::size)) {
      return KeyValue(std::uint64_t{0});
    }
    if (const auto text = node.value_exact<std::string>();
        text && spec.kind != K::boolean && spec.kind != K::names) {
      Result<KeyValue> value = runtime::parse_value(spec, *text);
      if (value && spec.kind == K::path) {
        auto& path = std::get<std::string>(*value);
        if (!path.empty() && fs::path(path).is_relative()) {
          path = (fs::absolute(file_).parent_path() / path).lexically_normal().string();
        }
      }
      return value;
    }
    return Error{Errc::invalid_config, "give " + runtime::expectation(spec), 0};
  }

  /// What goes beyond one key.
  void check() {
    const Settings& s = report.settings;
    if (!s.window.empty() && !parse_window(s.window)) {
      wrong(lines_["update.window"], "update.window",
            "is " + runtime::in_quotes(s.window) +
                R"(; give hours of the day, such as "02:00-04:30")");
    }
    if (s.reboot.empty() || s.reboot.front().empty()) {
      wrong(lines_["update.reboot"], "update.reboot", "give a program and its arguments");
    }
    if (s.applications.size() > kApplicationsMax) {
      wrong(1, "application", "has more than " + std::to_string(kApplicationsMax) + " sections");
    }
    for (const auto& [name, one] : s.applications) {
      const std::string whole = "application." + name;
      if (!is_plain_name(name)) {
        wrong(lines_[whole], whole, "give a name of letters, digits, '-', '_' and '.'");
      }
      check_installer(whole, one);
    }
  }

  void check_installer(const std::string& whole, const ApplicationSettings& one) {
    const bool programs = !one.version.empty() || !one.install.empty() || !one.activate.empty() ||
                          !one.take_back.empty() || !one.commit.empty();
    const fs::path& updater = one.updater;
    const bool below = !updater.empty() && updater.lexically_normal() == updater &&
                       *updater.begin() != fs::path("..");
    if (!updater.empty() && (updater.is_relative() == one.directory.empty() || !below)) {
      wrong(lines_[whole + ".updater"], whole + ".updater",
            "give a path below the directory's versions, or without a directory a whole one");
    }
    if (!one.validate.empty() && one.file.empty()) {
      wrong(lines_[whole + ".validate"], whole + ".validate", "goes with file");
    }
    if (!one.package.empty() && !is_package_name(one.package)) {
      wrong(lines_[whole + ".package"], whole + ".package", "is no name of a Debian package");
    }
    const int kinds = (one.package.empty() ? 0 : 1) + (one.file.empty() ? 0 : 1) +
                      (one.directory.empty() ? 0 : 1) + (programs ? 1 : 0);
    if (kinds > 1) {
      wrong(lines_[whole], whole,
            "give one of directory, package, file, and programs that install");
    }
    if (!one.package.empty() || !one.file.empty()) return;
    if (!one.by_programs()) {
      if (one.reboots) {
        wrong(lines_[whole], whole + ".directory", "does not go with reboots");
      }
      return;
    }
    if (one.version.empty() || one.install.empty() || one.take_back.empty()) {
      wrong(lines_[whole], whole + ".directory",
            "is missing; give it, package, file, or the programs version, install and take_back");
    }
  }

  fs::path file_;
  std::map<std::string, std::size_t> lines_;
};

}  // namespace

std::optional<Window> parse_window(std::string_view text) {
  if (text.size() != 11 || text[5] != '-') return std::nullopt;
  const auto minute = [](std::string_view time) -> std::optional<unsigned> {
    const auto digit = [&](std::size_t at) { return static_cast<unsigned>(time[at] - '0'); };
    for (const std::size_t at : {0U, 1U, 3U, 4U}) {
      if (time[at] < '0' || time[at] > '9') return std::nullopt;
    }
    const unsigned hours = 10 * digit(0) + digit(1);
    const unsigned minutes = 10 * digit(3) + digit(4);
    if (time[2] != ':' || minutes > 59 || hours > 23) return std::nullopt;
    return 60 * hours + minutes;
  };
  const auto from = minute(text.substr(0, 5));
  const auto to = minute(text.substr(6));
  if (!from || !to || *from == *to) return std::nullopt;
  return Window{*from, *to};
}

bool is_plain_name(std::string_view name) {
  return is_version(name) && name.find_first_of("+~:") == std::string_view::npos;
}

bool is_version(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("-_.+~:").find(c) != std::string_view::npos;
         });
}

bool is_package_name(std::string_view name) {
  return name.size() >= 2 && name.size() <= kPackageNameMax && name.front() != '+' &&
         name.front() != '-' && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  std::string_view("+-.").find(c) != std::string_view::npos;
         });
}

SettingsReport parse_settings(std::string_view text, const fs::path& file) {
  Reader reader(file);
  reader.report.settings.file = file;
  reader.read(text);
  return std::move(reader.report);
}

SettingsReport read_settings(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  if (stream) {
    text.resize(kFileMax + 1);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
  }
  if (!stream.is_open() || stream.bad() || text.size() > kFileMax) {
    SettingsReport report;
    report.problems.push_back(
        {Errc::not_found, file.string() + ": cannot be read, or is longer than 256 KiB", 0});
    return report;
  }
  return parse_settings(text, file);
}

}  // namespace holdfast::updater
