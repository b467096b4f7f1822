// holdfast outbox: the commands. See outbox.h.
#include "outbox.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "commands.h"
#include "runtime/local_protocol.h"
#include "runtime/outbox_files.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// Standard output. A reader that has had enough ends the command in order.
class Output {
 public:
  Output() { ::signal(SIGPIPE, SIG_IGN); }

  /// False: there is no sense in going on.
  bool write(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return true;
    return failed();
  }
  /// Pure ASCII on a terminal, so that nothing in a message can steer it.
  template <class Json>
  bool write_json(const Json& value) {
    return write(value.dump(-1, ' ', terminal_, Json::error_handler_t::replace) + "\n");
  }
  ExitCode end() {
    if (!ended_ && std::fflush(stdout) != 0) failed();
    return code_;
  }
  [[nodiscard]] bool terminal() const { return terminal_; }

 private:
  bool failed() {
    const int why = errno;
    ended_ = true;
    if (why != EPIPE) {
      code_ = fail(kFailed, std::string("cannot write to standard output: ") + std::strerror(why) +
                                "; check where it leads");
    }
    return false;
  }

  const bool terminal_ = ::isatty(STDOUT_FILENO) == 1;
  bool ended_ = false;
  ExitCode code_ = kOk;
};

ExitCode fail_with(const Error& error) {
  switch (error.code) {
    case Errc::invalid_argument:
      return fail(kUsage, error.message);
    case Errc::timeout:
      return fail(kTimedOut, error.message + "; the agent's disk may be slow");
    default:
      return fail(kUnreachable, error.message);
  }
}

constexpr const char* kSealed =
    "sealed with a key that is not here; give DIR and --key FILE (the agent's key when it was "
    "sealed)";

/// How many messages of the lane wait, or of all lanes.
std::uint64_t waiting(const json& stat, const std::string& lane) {
  const json lanes = stat.value("lanes", json::object());
  std::uint64_t sum = 0;
  for (const auto& [name, count] : lanes.items()) {
    if (lane.empty() || lane == name) sum += count.get<std::uint64_t>();
  }
  return sum;
}

/// Calls `show` with messages until it gives false or `limit` were shown. Gives how many were.
template <class Show>
Result<std::uint64_t> each_message(OutboxSource& source, const OutboxOptions& options,
                                   std::uint64_t limit, bool payload, Show&& show) {
  std::uint64_t shown = 0;
  std::string from;
  while (shown < limit) {
    const std::uint64_t ask = std::min<std::uint64_t>(limit - shown, runtime::kLocalListMax);
    const Result<json> page = source.page(options.lane, ask, from, payload);
    if (!page) return page.error();
    for (const json& message : page->value("messages", json::array())) {
      if (!show(message)) return shown;
      ++shown;
    }
    from = page->value("next", "");
    if (from.empty()) break;
  }
  return shown;
}

}  // namespace

ExitCode run_outbox_ls(const std::filesystem::path& socket, const OutboxOptions& options) {
  auto source = open_source(socket, options);
  if (!source) return fail_with(source.error());
  const Result<json> stat = (*source)->stat();
  if (!stat) return fail_with(stat.error());
  Output out;
  if (out.terminal() && !options.json) out.write("ID\tLANE\tAGE\tSIZE\tQOS\tEXPIRY\tTOPIC\n");
  const std::uint64_t limit = options.all ? ~std::uint64_t{0} : options.limit;
  const std::int64_t now = wall_now().ms;
  const auto shown = each_message(**source, options, limit, false, [&](const json& message) {
    return options.json ? out.write_json(message) : out.write(render_listed(message, now));
  });
  if (!shown) return fail_with(shown.error());
  const std::uint64_t total = waiting(*stat, options.lane);
  if (*shown == limit && total > limit) {
    std::fflush(stdout);
    std::fprintf(stderr, "holdfast: %llu of %llu shown; give --all or --limit\n",
                 static_cast<unsigned long long>(*shown), static_cast<unsigned long long>(total));
  }
  return out.end();
}

ExitCode run_outbox_stat(const std::filesystem::path& socket, const OutboxOptions& options) {
  auto source = open_source(socket, options);
  if (!source) return fail_with(source.error());
  const Result<json> stat = (*source)->stat();
  if (!stat) return fail_with(stat.error());
  Output out;
  if (options.json) {
    out.write_json(*stat);
  } else {
    out.write(render_outbox(*stat));
  }
  return out.end();
}

ExitCode run_outbox_cat(const std::filesystem::path& socket, const OutboxOptions& options) {
  auto source = open_source(socket, options);
  if (!source) return fail_with(source.error());
  const Result<json> message = (*source)->message(options.id);
  if (!message && message.error().code == Errc::not_found) {
    return fail(kFailed, "no message " + std::to_string(options.id) +
                             " waits in the outbox; see holdfast outbox ls");
  }
  if (!message) return fail_with(message.error());
  if (message->value("locked", false) && !options.json) return fail(kFailed, kSealed);
  Output out;
  if (options.json) {
    out.write_json(*message);
  } else if (const auto coded = message->find("payload_base64"); coded != message->end()) {
    const auto bytes = from_base64(coded->get_ref<const std::string&>());
    if (!bytes) return fail(kFailed, "the agent's answer is not base64; is it holdfastd?");
    out.write({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  } else {
    out.write(message->value("payload", ""));
  }
  return out.end();
}

ExitCode run_outbox_export(const std::filesystem::path& socket, const OutboxOptions& options) {
  auto source = open_source(socket, options);
  if (!source) return fail_with(source.error());
  Output out;
  std::uint64_t locked = 0;
  const auto shown =
      each_message(**source, options, ~std::uint64_t{0}, true, [&](const json& message) {
        const bool sealed = message.value("locked", false);
        locked += sealed ? 1 : 0;
        return sealed || out.write_json(export_request(message));
      });
  if (!shown) return fail_with(shown.error());
  const ExitCode written = out.end();
  if (written != kOk || locked == 0) return written;
  return fail(kFailed, std::to_string(locked) + " not exported: " + kSealed);
}

ExitCode run_outbox_verify(const OutboxOptions& options) {
  auto files = runtime::OutboxFiles::open(options.directory);
  if (!files) return fail_with(files.error());
  const json result = files->verify();
  Output out;
  if (options.json) {
    out.write_json(result);
  } else {
    out.write(render_verification(result));
  }
  const ExitCode written = out.end();
  if (written != kOk) return written;
  return result.value("clean", false) ? kOk : kFailed;
}

ExitCode run_outbox_repair(const OutboxOptions& options) {
  const auto repaired = runtime::repair_outbox(options.directory, options.yes);
  if (!repaired && repaired.error().code == Errc::in_use) {
    return fail(kFailed, repaired.error().message);
  }
  if (!repaired) return fail_with(repaired.error());
  const json result = *repaired;
  Output out;
  if (options.json) {
    out.write_json(result);
  } else {
    out.write(render_repair(result, options.directory));
  }
  const ExitCode written = out.end();
  if (written != kOk) return written;
  const json judged = result.value(options.yes ? "after" : "before", json::object());
  // Damaged bytes that cost nothing any more stay until their segment is used again.
  const bool good = options.yes ? judged.value("lost", 1) == 0 : judged.value("clean", false);
  return good ? kOk : kFailed;
}

}  // namespace holdfast::cli
