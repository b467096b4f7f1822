// See config_file.h.
#include "runtime/config_file.h"

#include <stdexcept>

// toml++ asserts what a malformed file can break, such as "[" followed by NUL (found by
// config_fuzz). Here that is a syntax error like any other, in every build; with NDEBUG it would be
// assumed instead.
#undef NDEBUG
namespace {
constexpr void require(bool holds) {
  if (!holds) throw std::logic_error("malformed, in a way that has no name");
}
}  // namespace
#define TOML_ASSERT(holds) ::require(static_cast<bool>(holds))
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <sstream>

#include "base/limits.h"
#include "posix/os_error.h"
#include "runtime/config_keys.h"

namespace holdfast::runtime {
namespace {

constexpr std::size_t kFileMax = limits::kMiB;
constexpr std::size_t kNoLine = std::numeric_limits<std::size_t>::max();
constexpr std::string_view kVariablePrefix = "HOLDFAST_";
constexpr std::string_view kProfileHelp = R"(give "aws-iot-core", "generic" or "device-advisor")";

/// Where a key was written: a line of the file, or an environment variable.
struct Origin {
  std::size_t line = kNoLine;
  std::string variable;
};

/// A key as people may have typed it, fit for a line of output.
std::string printable(std::string_view key) {
  const bool plain = std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  });
  return plain && key.size() <= 80 ? std::string(key) : in_quotes(key);
}

std::string variable_of(std::string_view key) {
  std::string name(kVariablePrefix);
  for (const char c : key) {
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

/// "a table" … for the sentence "is a table; give …".
std::string_view type_name(const toml::node& node) {
  if (node.is_table()) return "a section";
  if (node.is_array()) return "a list";
  if (node.is_string()) return "a text";
  if (node.is_boolean()) return "true or false";
  if (node.is_floating_point()) return "a fraction";
  if (node.is_integer()) return "a number without unit";
  return "a date or time";
}

/// The first line with a control character or a byte above 127 outside of texts and comments, or 0.
/// TOML has none there, and on some toml++ 3.3's tables of white space run into undefined behaviour
/// (found by config_fuzz).
std::size_t line_of_stray_byte(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::size_t line = 1;
  std::string_view end;  // what ends the present text or comment; empty outside of them
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    std::size_t taken = 1;
    if (c == '\n') {
      ++line;
      if (end.size() == 1) end = {};  // nothing but a text in three quotes goes over lines
    } else if (!end.empty()) {
      if (c == '\\' && end.front() == '"' && i + 1 < text.size() && text[i + 1] != '\n') {
        taken = 2;
      } else if (text.substr(i).starts_with(end)) {
        taken = end.size();
        end = {};
      }
    } else if (c == '#') {
      end = "\n";
    } else if (c == '"' || c == '\'') {
      const std::string_view three = c == '"' ? "\"\"\"" : "'''";
      end = text.substr(i).starts_with(three) ? three : three.substr(0, 1);
      taken = end.size();
    } else if (c > 126 || (c < 32 && c != '\t' && c != '\r')) {
      return line;
    }
    i += taken;
  }
  return 0;
}

/// Reads one file: collects values into the Config and problems with their places.
class Reader {
 public:
  Reader(const std::filesystem::path& file, const Environment& environment)
      : file_(file), environment_(environment) {}

  ConfigReport run(std::string_view text, CheckDepth depth) {
    std::optional<toml::table> root = parse(text);
    if (root) {
      take_profile(*root);
      walk(*root, "");
      take_environment();
      for (const ConfigProblem& problem : check_values(config_)) found(problem);
      if (depth == CheckDepth::surroundings) {
        for (const ConfigProblem& problem : check_surroundings(config_)) found(problem);
      }
    }
    return {std::move(config_), in_order()};
  }

 private:
  struct Problem {
    Origin origin;
    std::string key;  // empty when the whole line is meant
    std::string text;
    Errc code = Errc::invalid_config;
  };

  // toml++ reports by throwing; nothing of it leaves this function.
  std::optional<toml::table> parse(std::string_view text) {
    if (const std::size_t line = line_of_stray_byte(text); line != 0) {
      report_syntax(text, line, "a character that may only stand in a text or a comment");
      return std::nullopt;
    }
    try {
      return toml::parse(text);
    } catch (const toml::parse_error& error) {
      report_syntax(text, error.source().begin.line, std::string(error.description()));
    } catch (const std::exception& error) {
      report_syntax(text, 1, error.what());
    }
    return std::nullopt;
  }

  void report_syntax(std::string_view text, std::size_t line, std::string description) {
    const std::string_view mark = "cannot redefine existing ";
    if (const std::size_t at = description.find(mark); at != std::string::npos) {
      const std::size_t open = description.find('\'', at);
      const std::size_t close = description.find('\'', open + 1);
      if (close != std::string::npos) {
        const std::string name = description.substr(open + 1, close - open - 1);
        const std::string key = full_name(text, line, name);
        problems_.push_back({{line, {}}, key, "is given twice; keep one of the two"});
        return;
      }
    }
    for (char& c : description) {
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7F) c = ' ';
    }
    problems_.push_back({{line, {}}, "", "not TOML: " + description + "; mend this line"});
  }

  /// The duplicate's name with its section, as found above its line.
  static std::string full_name(std::string_view text, std::size_t line, const std::string& name) {
    std::istringstream lines{std::string(text)};
    std::string current;
    std::string section;
    for (std::size_t number = 1; number <= line && std::getline(lines, current); ++number) {
      const std::size_t first = current.find_first_not_of(" \t");
      const std::size_t end = current.find(']');
      if (first == std::string::npos || current[first] != '[' || end == std::string::npos) continue;
      if (number == line) return current.substr(first + 1, end - first - 1);  // a section twice
      section = current.substr(first + 1, end - first - 1);
    }
    return section.empty() ? name : section + "." + name;
  }

  void take_profile(const toml::table& root) {
    std::string profile = "aws-iot-core";
    Origin origin;
    if (const toml::node* node = root.get("profile")) {
      origin.line = line_of(*node);
      const auto text = node->value_exact<std::string>();
      if (!text) {
        add(origin, "profile",
            "is " + std::string(type_name(*node)) + "; " + std::string(kProfileHelp));
        return;
      }
      profile = *text;
    }
    for (const auto& [name, value] : environment_) {
      if (name != "HOLDFAST_PROFILE") continue;
      profile = value;
      origin = {kNoLine, name};
    }
    if (!apply_profile(profile, config_)) {
      add(origin, "profile", "is " + in_quotes(profile) + "; " + std::string(kProfileHelp));
    }
  }

  void walk(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string name =
          prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
      if (name == "profile") continue;
      Origin origin{line_of(node), {}};
      if (origin.line == kNoLine || origin.line == 0) origin.line = key.source().begin.line;
      if (const ConfigKey* known = find_key(name)) {
        origins_[name] = origin;
        take(*known, node, origin);
      } else if (!is_section(name)) {
        unknown(origin, name, node.is_table());
      } else if (const toml::table* section = node.as_table()) {
        origins_[name] = origin;
        walk(*section, name);
      } else {
        add(origin, name,
            "is " + std::string(type_name(node)) + "; write it as the section [" + name + "]");
      }
    }
  }

  void unknown(const Origin& origin, const std::string& name, bool section) {
    const std::string_view nearest = nearest_name(name);
    std::string text = section ? "is not a known section; " : "is not a known key; ";
    if (nearest.empty()) {
      text += "remove it (docs/configuration.md lists all)";
    } else {
      text += "did you mean ";
      text += is_section(nearest) ? "[" + std::string(nearest) + "]" : std::string(nearest);
      text += "?";
    }
    add(origin, name, text);
  }

  void take(const ConfigKey& key, const toml::node& node, const Origin& origin) {
    const std::optional<KeyValue> value = value_of(key, node, origin);
    if (value) accept(key, *value, origin);
  }

  /// The node as a value of the key's kind; empty when a problem has been reported.
  std::optional<KeyValue> value_of(const ConfigKey& key, const toml::node& node,
                                   const Origin& origin) {
    const bool number = key.kind == KeyKind::count || key.kind == KeyKind::qos;
    if (key.kind == KeyKind::boolean && node.is_boolean()) return *node.value<bool>();
    if (const auto integer = node.value_exact<std::int64_t>()) {
      // A zero needs no unit; anything else would leave the unit to guessing.
      if (*integer >= 0 && (number || *integer == 0) && key.kind != KeyKind::text &&
          key.kind != KeyKind::path && key.kind != KeyKind::version &&
          key.kind != KeyKind::boolean && key.kind != KeyKind::names) {
        return static_cast<std::uint64_t>(*integer);
      }
      if (number) {
        add(origin, key.name, "is " + std::to_string(*integer) + "; give " + expectation(key));
        return std::nullopt;
      }
    }
    if (key.kind == KeyKind::names) {
      if (auto names = names_of(node)) return KeyValue(*std::move(names));
    } else if (const auto* text = node.as_string();
               text != nullptr && !number && key.kind != KeyKind::boolean) {
      Result<KeyValue> value = parse_value(key, text->get());
      if (value) return std::move(value).value();
      add(origin, key.name, value.error().message);
      return std::nullopt;
    }
    add(origin, key.name, "is " + std::string(type_name(node)) + "; give " + expectation(key));
    return std::nullopt;
  }

  static std::optional<std::vector<std::string>> names_of(const toml::node& node) {
    const toml::array* const array = node.as_array();
    if (array == nullptr) return std::nullopt;
    std::vector<std::string> names;
    for (const toml::node& element : *array) {
      const auto* text = element.as_string();
      if (text == nullptr) return std::nullopt;
      names.push_back(text->get());
    }
    return names;
  }

  void accept(const ConfigKey& key, KeyValue value, const Origin& origin) {
    if (key.kind == KeyKind::path) {
      auto& text = std::get<std::string>(value);
      const std::filesystem::path path(text);
      // Absolute from here on: a later change of directory must not move the files.
      if (!text.empty() && path.is_relative()) {
        text = (directory() / path).lexically_normal().string();
      }
    }
    if (const std::string wrong = check_range(key, value); !wrong.empty()) {
      add(origin, key.name, wrong);
    } else {
      key.set(config_, value);
    }
  }

  [[nodiscard]] std::filesystem::path directory() const {
    std::error_code ignored;
    const std::filesystem::path whole = std::filesystem::absolute(file_, ignored);
    return ignored ? file_.parent_path() : whole.parent_path();
  }

  void take_environment() {
    for (const auto& variable : environment_) {
      const std::string& name = variable.first;
      if (name == "HOLDFAST_PROFILE" || !name.starts_with(kVariablePrefix)) continue;
      const auto keys = config_keys();
      const auto key = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& candidate) {
        return variable_of(candidate.name) == name;
      });
      const Origin origin{kNoLine, name};
      if (key == keys.end()) {
        unknown_variable(origin, name);
        continue;
      }
      origins_[std::string(key->name)] = origin;
      // The variable replaces the file's value, and with it what was wrong there.
      std::erase_if(problems_, [&](const Problem& old) { return old.key == key->name; });
      Result<KeyValue> parsed = parse_value(*key, variable.second);
      if (parsed) {
        accept(*key, std::move(parsed).value(), origin);
      } else {
        add(origin, key->name, parsed.error().message);
      }
    }
  }

  /// Only variables that look like keys are errors: others may belong to somebody else.
  void unknown_variable(const Origin& origin, const std::string& name) {
    for (const ConfigKey& key : config_keys()) {
      const std::string section(key.name.substr(0, key.name.find('.')));
      const std::string prefix = variable_of(section) + "_";
      if (!name.starts_with(prefix)) continue;
      std::string guess = section + ".";
      for (const char c : name.substr(prefix.size())) {
        guess += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
      const std::string_view nearest = nearest_name(guess);
      add(origin, "",
          nearest.empty() || is_section(nearest)
              ? "names no known key; unset it (docs/configuration.md lists all)"
              : "names no known key; did you mean " + variable_of(nearest) + "?");
      return;
    }
  }

  static std::size_t line_of(const toml::node& node) {
    const std::size_t line = node.source().begin.line;
    return line == 0 ? kNoLine : line;
  }

  void add(const Origin& origin, std::string_view key, std::string text,
           Errc code = Errc::invalid_config) {
    problems_.push_back({origin, std::string(key), std::move(text), code});
  }

  /// A problem of the finished Config, unless reading its key has already found one.
  void found(const ConfigProblem& problem) {
    for (const Problem& old : problems_) {
      if (old.key == problem.key) return;
    }
    // A key that is missing is reported at its section.
    std::string name = problem.key;
    auto origin = origins_.find(name);
    while (origin == origins_.end() && name.find('.') != std::string::npos) {
      name.resize(name.rfind('.'));
      origin = origins_.find(name);
    }
    add(origin == origins_.end() ? Origin{} : origin->second, problem.key, problem.text,
        problem.code);
  }

  std::vector<Error> in_order() {
    std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
      return a.origin.line < b.origin.line;
    });
    std::vector<Error> errors;
    for (const Problem& problem : problems_) {
      std::string place = printable_path();
      if (!problem.origin.variable.empty()) {
        place = "environment variable " + printable(problem.origin.variable);
      } else if (problem.origin.line != kNoLine) {
        place += ":" + std::to_string(problem.origin.line);
      }
      const std::string key = problem.key.empty() ? "" : printable(problem.key) + ": ";
      errors.push_back({problem.code, place + ": " + key + problem.text});
    }
    return errors;
  }

  [[nodiscard]] std::string printable_path() const {
    std::string path = file_.string();
    for (char& c : path) {
      if (static_cast<unsigned char>(c) < 0x20) c = '?';
    }
    return path;
  }

  const std::filesystem::path& file_;
  const Environment& environment_;
  Config config_;
  std::map<std::string, Origin> origins_;
  std::vector<Problem> problems_;
};

Result<std::string> slurp(const std::filesystem::path& file) {
  std::error_code failure;
  if (std::filesystem::is_directory(file, failure)) {
    return Error{Errc::io, file.string() + ": is a directory; name the configuration file in it"};
  }
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  std::string text;
  if (stream) {
    text.resize(kFileMax + 1);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
  }
  if (!stream && !stream.eof()) {
    const int os_error = errno == 0 ? EIO : errno;
    return Error{posix::errc_of(os_error),
                 file.string() + ": cannot be read: " + posix::os_words(os_error) +
                     "; check path and permissions",
                 os_error};
  }
  if (text.size() > kFileMax) {
    return Error{Errc::too_large, file.string() + ": is larger than " + format_size(kFileMax) +
                                      "; is this the configuration file?"};
  }
  return text;
}

}  // namespace

Environment process_environment() {
  Environment variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || !text.starts_with(kVariablePrefix)) continue;
    variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(variables.begin(), variables.end());
  return variables;
}

ConfigReport parse_config(std::string_view text, const std::filesystem::path& file,
                          const Environment& environment, CheckDepth depth) {
  return Reader(file, environment).run(text, depth);
}

ConfigReport read_config(const std::filesystem::path& file, const Environment& environment,
                         CheckDepth depth) {
  Result<std::string> text = slurp(file);
  if (!text) return {{}, {text.error()}};
  return parse_config(*text, file, environment, depth);
}

}  // namespace holdfast::runtime

namespace holdfast {

Result<Config> load_config(const std::filesystem::path& file) {
  runtime::ConfigReport report = runtime::read_config(file, runtime::process_environment());
  if (!report.problems.empty()) return std::move(report.problems.front());
  return std::move(report.config);
}

}  // namespace holdfast
