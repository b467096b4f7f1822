// See document.h.
#include "document.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/hex.h"
#include "base/limits.h"
#include "document_parts.h"
#include "runtime/config_keys.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using runtime::in_quotes;
using update::Step;
using update::StepKind;

constexpr const char* kAny = "*";

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t blank = std::min(text.find_first_of(" \t"), text.size());
    if (blank > 0) words.emplace_back(text.substr(0, blank));
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
  return words;
}

/// "df,-h,a\,b": commas separate, but for "\,".
std::vector<std::string> split_command(std::string_view text) {
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',') {
      words.back() += text[++i];
    } else if (text[i] == ',') {
      words.emplace_back();
    } else {
      words.back() += text[i];
    }
  }
  for (std::string& word : words) {
    word.erase(0, word.find_first_not_of(' '));
    word.erase(word.find_last_not_of(' ') + 1);
  }
  return words;
}

/// Names of packages and units: nothing that could be an option or a path.
bool is_object_name(std::string_view name) {
  return !name.empty() && name.front() != '-' && name.size() <= 255 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  std::string_view("-_.+:=@~").find(c) != std::string_view::npos;
         });
}

/// Without "." and "..", below one of the directories.
bool is_below(const fs::path& path, const std::vector<std::string>& directories) {
  if (!path.is_absolute() || path.lexically_normal() != path || !path.has_filename()) return false;
  return std::any_of(directories.begin(), directories.end(), [&](const std::string& one) {
    const fs::path parent = fs::path(one + "/").lexically_normal().parent_path();
    return path.parent_path() == parent;
  });
}

/// One that others than root and ourselves could change is not run.
std::string problem_of_handler(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return "there is no handler " + file.string();
  if (!S_ISREG(info.st_mode) || ::access(file.c_str(), X_OK) != 0) {
    return file.string() + " is not an executable file";
  }
  if ((info.st_uid != 0 && info.st_uid != ::geteuid()) ||
      (info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return file.string() +
           " can be changed by others; its owner must be root or the updater's "
           "user, its mode 0700 or 0755";
  }
  return "";
}

/// os-release and machine, and what the configuration says.
std::optional<std::string> fact(const std::string& name, const Settings& settings) {
  for (const std::string& one : settings.facts) {
    if (one.starts_with(name + "=")) return one.substr(name.size() + 1);
  }
  if (name == "architecture") {
    utsname machine{};
    return ::uname(&machine) == 0 ? std::optional<std::string>(machine.machine) : std::nullopt;
  }
  if (name != "operatingSystem") return std::nullopt;
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);) {
    if (!line.starts_with("ID=")) continue;
    line.erase(std::remove(line.begin(), line.end(), '"'), line.end());
    return line.substr(3);
  }
  return std::nullopt;
}

/// Documents of the device client.
class ClientDocument {
 public:
  ClientDocument(const json& document, const Settings& settings)
      : document_(document), settings_(settings) {}

  Result<Job> read() {
    std::string wrong;
    job_.output = flag_of(document_, "includeStdOut", wrong).value_or(false);
    if (!wrong.empty()) return refuse("the document", wrong);
    if (Status good = conditions(); !good) return std::move(good).error();
    if (document_.contains("operation")) {
      if (Status good = old_document(); !good) return std::move(good).error();
      return std::move(job_);
    }
    const auto steps = document_.find("steps");
    if (steps == document_.end() || !steps->is_array() || steps->empty()) {
      return refuse("steps", "give a list of at least one step");
    }
    for (std::size_t i = 0; i < steps->size(); ++i) {
      if (Status good = step((*steps)[i], "steps[" + std::to_string(i) + "]"); !good) {
        return std::move(good).error();
      }
    }
    if (const auto last = document_.find("finalStep"); last != document_.end()) {
      if (Status good = step(*last, "finalStep"); !good) return std::move(good).error();
    }
    return std::move(job_);
  }

 private:
  Status conditions() {
    const auto all = document_.find("conditions");
    if (all == document_.end() || all->is_null()) return {};
    if (!all->is_array()) return refuse("conditions", "give a list");
    for (const json& one : *all) {
      if (!one.is_object()) return refuse("conditions", "give a list of objects");
      std::string wrong;
      const auto name = text_of(one, "key", wrong);
      const auto type = text_of(one, "type", wrong);
      const auto values = one.find("value");
      if (!wrong.empty()) return refuse("conditions", wrong);
      if (!name || values == one.end() || !values->is_array() ||
          !std::all_of(values->begin(), values->end(),
                       [](const json& value) { return value.is_string(); })) {
        return refuse("conditions", "each has a key and a list of values, which are texts");
      }
      if (type && *type != "stringEqual") {
        return refuse("conditions", "the type " + in_quotes(*type) + " is not known");
      }
      const auto have = fact(*name, settings_);
      const bool met =
          have && std::find(values->begin(), values->end(), json(*have)) != values->end();
      if (!met) {
        return refuse("conditions", "this device is not meant: " + *name + " is " +
                                        (have ? in_quotes(*have) : "not known here"));
      }
    }
    return {};
  }

  Status old_document() {
    json action = {
        {"name", document_["operation"]},
        {"type", "runHandler"},
        {"input",
         {{"handler", document_["operation"]}, {"args", document_.value("args", json::array())}}}};
    if (document_.contains("path")) action["input"]["path"] = document_["path"];
    if (document_.contains("allowStdErr")) action["allowStdErr"] = document_["allowStdErr"];
    return step(json{{"action", action}}, "operation");
  }

  Status step(const json& step, const std::string& where) {
    const auto action = step.is_object() ? step.find("action") : step.end();
    if (!step.is_object() || action == step.end() || !action->is_object()) {
      return refuse(where, "give an object with an action");
    }
    std::string wrong;
    const auto name = text_of(*action, "name", wrong);
    const auto type = text_of(*action, "type", wrong);
    const auto user = text_of(*action, "runAsUser", wrong);
    const auto input = action->find("input");
    if (!wrong.empty()) return refuse(where, wrong);
    if (!name) return refuse(where + ".action.name", "is missing");
    if (input == action->end() || !input->is_object()) {
      return refuse(where + ".action.input", "is missing");
    }
    if (user && !is_listed(settings_.allow_users, *user)) {
      return refuse(where + ".action.runAsUser",
                    "the user " + in_quotes(*user) + " is not in update.allow_users");
    }
    plan_ =
        Step{StepKind::command, update::clean_detail(*name), false, false, settings_.step_timeout};
    plan_.ignore_failure = flag_of(*action, "ignoreStepFailure", wrong).value_or(false);
    if (!wrong.empty()) return refuse(where + ".action", wrong);
    command_ = CommandAction{{}, user.value_or(""), {}, {}};
    if (const auto most = action->find("allowStdErr"); most != action->end()) {
      if (!most->is_number_unsigned()) {
        return refuse(where + ".action.allowStdErr", "give a whole number");
      }
      command_.errors_max = most->get<std::uint64_t>();
    }
    if (type == "runCommand") return run_command(*input, where);
    if (type == "runHandler") return run_handler(*input, where);
    return refuse(where + ".action.type", R"(give "runHandler" or "runCommand")");
  }

  Status run_command(const json& input, const std::string& where) {
    std::string wrong;
    const auto text = text_of(input, "command", wrong);
    if (!text) return refuse(where + ".action.input.command", wrong.empty() ? "is missing" : wrong);
    command_.argv = split_command(*text);
    const std::string& program = command_.argv.front();
    if (program.empty()) return refuse(where + ".action.input.command", "names no program");
    if (!is_listed(settings_.allow_commands, program)) {
      return refuse(where + ".action.input.command",
                    in_quotes(program) + " is not in update.allow_commands");
    }
    add(command_);
    return {};
  }

  Status run_handler(const json& input, const std::string& where) {
    const std::string field = where + ".action.input";
    std::string wrong;
    const auto handler = text_of(input, "handler", wrong);
    const auto path = text_of(input, "path", wrong);
    if (!wrong.empty()) return refuse(field, wrong);
    if (!handler || !is_plain_name(*handler)) {
      return refuse(field + ".handler", "give the name of a file, without a directory");
    }
    std::vector<std::string> arguments;
    if (const auto list = input.find("args"); list != input.end() && !list->is_null()) {
      if (!list->is_array() || list->size() > kArgumentsMax) {
        return refuse(field + ".args", "give a list of at most 64 texts");
      }
      for (const json& one : *list) {
        const auto* const text = one.get_ptr<const std::string*>();
        if (text == nullptr || text->size() > kTextMax || text->find('\0') != std::string::npos) {
          return refuse(field + ".args", "give a list of texts of at most 4096 bytes");
        }
        arguments.push_back(is_absent(*text) ? "" : *text);
      }
    }
    fs::path directory = settings_.handlers;
    if (path && *path != "default") {
      directory = *path;
      if (!is_below(directory / "x", settings_.handler_directories) &&
          directory != settings_.handlers) {
        return refuse(field + ".path", in_quotes(*path) + " is not in update.handler_directories");
      }
    }
    const fs::path file = directory / *handler;
    std::error_code ignored;
    if (!fs::exists(file, ignored)) {
      const auto found = std::find_if(kBuiltIn.begin(), kBuiltIn.end(),
                                      [&](const BuiltIn& one) { return one.name == *handler; });
      if (found != kBuiltIn.end()) return (this->*found->make)(arguments, field);
    }
    if (const std::string problem = problem_of_handler(file); !problem.empty()) {
      return refuse(field + ".handler", problem);
    }
    command_.argv = {file.string(), command_.user};
    command_.argv.insert(command_.argv.end(), arguments.begin(), arguments.end());
    if (*handler == "reboot.sh") plan_.kind = StepKind::reboot;
    // As with the device client, who to be is the handler's business.
    command_.user.clear();
    add(command_);
    return {};
  }

  // The handlers of the managed templates, for a device that has no files for them.

  Status reboot(const std::vector<std::string>& /*arguments*/, const std::string& /*field*/) {
    plan_.kind = StepKind::reboot;
    command_.argv = settings_.reboot;
    add(command_);
    return {};
  }

  Status download(const std::vector<std::string>& arguments, const std::string& field) {
    if (arguments.size() != 2) return refuse(field + ".args", "give a URL and a file");
    if (!is_url(arguments[0], settings_.allow_http)) {
      return refuse(field + ".args[0]", "is no URL that begins with https://");
    }
    if (!is_below(arguments[1], settings_.download_directories)) {
      return refuse(field + ".args[1]",
                    in_quotes(arguments[1]) + " is not in one of update.download_directories");
    }
    plan_.kind = StepKind::download;
    add(DownloadAction{{arguments[0], "", 0}, arguments[1]});
    return {};
  }

  Status objects(const std::vector<std::string>& arguments, const std::string& field,
                 const std::vector<std::string>& allowed, const char* key,
                 std::vector<std::string> argv) {
    std::vector<std::string> names;
    for (const std::string& one : arguments) {
      for (std::string& word : words_of(one)) names.push_back(std::move(word));
    }
    if (names.empty()) return refuse(field + ".args", "names nothing");
    for (const std::string& name : names) {
      if (!is_object_name(name)) return refuse(field + ".args", in_quotes(name) + " is no name");
      if (!is_listed(allowed, name.substr(0, name.find('=')))) {
        return refuse(field + ".args", in_quotes(name) + " is not in update." + key);
      }
    }
    command_.argv = std::move(argv);
    command_.argv.insert(command_.argv.end(), names.begin(), names.end());
    command_.variables = {{"DEBIAN_FRONTEND", "noninteractive"}};
    plan_.again = true;
    add(command_);
    return {};
  }
  Status packages(const std::vector<std::string>& arguments, const std::string& field,
                  const char* what) {
    return objects(arguments, field, settings_.allow_packages, "allow_packages",
                   {"apt-get", "--yes", "--no-install-recommends",
                    "--option=Dpkg::Options::=--force-confold", what, "--"});
  }
  Status install(const std::vector<std::string>& arguments, const std::string& field) {
    return packages(arguments, field, "install");
  }
  Status remove(const std::vector<std::string>& arguments, const std::string& field) {
    return packages(arguments, field, "remove");
  }
  Status units(const std::vector<std::string>& arguments, const std::string& field,
               const char* what) {
    return objects(arguments, field, settings_.allow_units, "allow_units",
                   {"systemctl", what, "--"});
  }
  Status start(const std::vector<std::string>& arguments, const std::string& field) {
    return units(arguments, field, "start");
  }
  Status stop(const std::vector<std::string>& arguments, const std::string& field) {
    return units(arguments, field, "stop");
  }
  Status restart(const std::vector<std::string>& arguments, const std::string& field) {
    return units(arguments, field, "restart");
  }

  struct BuiltIn {
    std::string_view name;
    Status (ClientDocument::*make)(const std::vector<std::string>& arguments,
                                   const std::string& field);
  };
  static const std::array<BuiltIn, 7> kBuiltIn;

  void add(Action action) {
    job_.plan.steps.push_back(plan_);
    job_.actions.push_back(std::move(action));
  }

  const json& document_;
  const Settings& settings_;
  Job job_;
  Step plan_;
  CommandAction command_;
};

const std::array<ClientDocument::BuiltIn, 7> ClientDocument::kBuiltIn{{
    {"reboot.sh", &ClientDocument::reboot},
    {"download-file.sh", &ClientDocument::download},
    {"install-packages.sh", &ClientDocument::install},
    {"remove-packages.sh", &ClientDocument::remove},
    {"start-services.sh", &ClientDocument::start},
    {"stop-services.sh", &ClientDocument::stop},
    {"restart-services.sh", &ClientDocument::restart},
}};

}  // namespace

Error refuse(const std::string& field, const std::string& what) {
  return Error{Errc::invalid_config, field + ": " + what, 0};
}

bool is_absent(std::string_view text) { return text.empty() || text.starts_with("${"); }

bool is_listed(const std::vector<std::string>& list, std::string_view one) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& entry) { return entry == one || entry == kAny; });
}

std::optional<std::string> text_of(const json& object, const char* name, std::string& wrong) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  const auto* const text = found->get_ptr<const std::string*>();
  if (text == nullptr || text->size() > kTextMax || text->find('\0') != std::string::npos) {
    wrong = std::string(name) + ": give a text of at most 4096 bytes";
    return std::nullopt;
  }
  if (is_absent(*text)) return std::nullopt;
  return *text;
}

std::optional<bool> flag_of(const json& object, const char* name, std::string& wrong) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::nullopt;
  if (const auto* const flag = found->get_ptr<const bool*>()) return *flag;
  const auto* const text = found->get_ptr<const std::string*>();
  if (text != nullptr && is_absent(*text)) return std::nullopt;
  if (text != nullptr && *text == "true") return true;
  if (text != nullptr && *text == "false") return false;
  wrong = std::string(name) + ": give true or false";
  return std::nullopt;
}

bool is_url(std::string_view url, bool allow_http) {
  return (url.starts_with("https://") || (allow_http && url.starts_with("http://"))) &&
         std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c <= '~'; });
}

Result<Job> parse_document(std::string_view text, const Settings& settings) {
  if (text.size() > limits::kJobDocumentMax) return refuse("the document", "is over 32 KiB");
  const json document = json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object()) return refuse("the document", "is no JSON object");
  Result<Job> job = [&]() -> Result<Job> {
    if (document.contains("holdfast")) return parse_own_document(document, settings);
    if (document.contains("operation")) return ClientDocument(document, settings).read();
    if (document.value("version", json()) != "1.0") {
      return refuse("version", R"(give "1.0", or "holdfast": 1)");
    }
    return ClientDocument(document, settings).read();
  }();
  if (job) {
    if (const std::string problem = update::problem_of(job->plan); !problem.empty()) {
      return refuse("the document", problem);
    }
  }
  return job;
}

std::optional<std::pair<std::string, std::string>> what_is_updated(std::string_view text) {
  const json document = json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object() || !document.contains("update")) return std::nullopt;
  const json& update = document["update"];
  std::string wrong;
  if (!update.is_object()) return std::nullopt;
  auto application = text_of(update, "application", wrong);
  auto version = text_of(update, "version", wrong);
  if (!application || !version || !is_version(*version)) return std::nullopt;
  return std::pair(*std::move(application), *std::move(version));
}

std::string signed_text(const UpdateAction& update) {
  return "holdfast-update 1\napplication " + update.application + "\nversion " + update.version +
         "\nsize " + std::to_string(update.size) + "\nsha256 " + update.sha256 + "\n";
}

}  // namespace holdfast::updater
