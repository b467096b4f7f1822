// Configurations of holdfast.h: where the text is, and what is set over it.
#include <algorithm>
#include <cctype>

#include "capi/handle.h"
#include "capi/views.h"
#include "runtime/config_keys.h"

namespace holdfast::capi {

namespace {

constexpr std::string_view kTextName = "(text)";

/// As configuration files name the variable of a key.
std::string variable_of(std::string_view key) {
  std::string name = "HOLDFAST_";
  for (const char c : key) {
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

runtime::ConfigReport report_of(const holdfast_config& config, runtime::CheckDepth depth) {
  runtime::Environment environment = runtime::process_environment();
  environment.insert(environment.end(), config.set.begin(), config.set.end());
  return config.is_text ? runtime::parse_config(config.text, config.file, environment, depth)
                        : runtime::read_config(config.file, environment, depth);
}

int make(holdfast_config** config, std::filesystem::path file, bool is_text, std::string text) {
  auto made = std::make_unique<holdfast_config>();
  made->file = std::move(file);
  made->is_text = is_text;
  made->text = std::move(text);
  *config = made.release();
  return HOLDFAST_OK;
}

int set(holdfast_config& config, std::string_view key, std::string_view value) {
  const runtime::ConfigKey* const known = runtime::find_key(key);
  if (known == nullptr) {
    const std::string_view nearest = runtime::nearest_name(key);
    return fail(Errc::not_found, std::string(key) + ": is not a known key; " +
                                     (nearest.empty() ? "docs/configuration.md lists all"
                                                      : "did you mean " + std::string(nearest)));
  }
  const Result<runtime::KeyValue> parsed = runtime::parse_value(*known, value);
  const std::string wrong = parsed ? runtime::check_range(*known, *parsed) : parsed.error().message;
  if (!wrong.empty()) return fail(Errc::invalid_config, std::string(key) + ": " + wrong);
  const std::string name = variable_of(key);
  std::erase_if(config.set, [&](const auto& one) { return one.first == name; });
  config.set.emplace_back(name, value);
  return HOLDFAST_OK;
}

}  // namespace

Result<Config> read(const holdfast_config& config) {
  runtime::ConfigReport report = report_of(config, runtime::CheckDepth::values);
  if (!report.problems.empty()) return std::move(report.problems.front());
  return std::move(report.config);
}

LogHandler log_handler(const holdfast_config& config, const holdfast_device* device) {
  if (config.log == nullptr) return {};
  return [handler = config.log, user = config.log_user, device](const LogLine& line) {
    const LogView view(line);
    const InHandler here(device);
    try {
      handler(&view.c, user);
    } catch (...) {  // of one in C++: where it is called, nobody could take it
    }
  };
}

}  // namespace holdfast::capi

using namespace holdfast;  // NOLINT: the calls of the C interface are outside of every namespace
using namespace holdfast::capi;  // NOLINT

extern "C" {

int holdfast_config_from_file(const char* path, holdfast_config** config) {
  return guarded([&] {
    if (config == nullptr) return missing("config");
    if (path == nullptr) return missing("path");
    if (*path == '\0') return fail(Errc::invalid_argument, "path is empty");
    return make(config, path, false, {});
  });
}

int holdfast_config_from_text(const char* toml, size_t length, const char* folder,
                              holdfast_config** config) {
  return guarded([&] {
    if (config == nullptr) return missing("config");
    if (toml == nullptr) return missing("toml");
    const std::filesystem::path place = folder == nullptr ? "" : folder;
    return make(config, place / kTextName, true, std::string(toml, length));
  });
}

int holdfast_config_set(holdfast_config* config, const char* key, const char* value) {
  return guarded([&] {
    if (!usable(config)) return fail(Errc::invalid_argument, "config is no configuration");
    if (key == nullptr) return missing("key");
    if (value == nullptr) return missing("value");
    return set(*config, key, value);
  });
}

int holdfast_config_on_log(holdfast_config* config, holdfast_log_handler handler, void* user) {
  if (!usable(config)) return fail(Errc::invalid_argument, "config is no configuration");
  config->log = handler;
  config->log_user = user;
  return HOLDFAST_OK;
}

int holdfast_config_check(const holdfast_config* config) {
  return guarded([&] {
    if (!usable(config)) return fail(Errc::invalid_argument, "config is no configuration");
    const runtime::ConfigReport report = report_of(*config, runtime::CheckDepth::surroundings);
    if (report.problems.empty()) return static_cast<int>(HOLDFAST_OK);
    Error first = report.problems.front();
    if (const std::size_t more = report.problems.size() - 1; more != 0) {
      first.message += " (and " + std::to_string(more) + " more)";
    }
    return fail(first);
  });
}

void holdfast_config_free(holdfast_config* config) {
  if (usable(config)) delete config;
}

}  // extern "C"
