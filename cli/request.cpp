// holdfast request: one message, and the answer to it.
#include <chrono>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "commands.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;
/// The agent itself ends a request; only a stuck one is later than this.
constexpr Milliseconds kAgentLate{5000};

}  // namespace

ExitCode run_request(const std::filesystem::path& socket, const RequestOptions& options) {
  Message message = options.message;
  std::string payload = options.text;
  if (options.file) {
    Result<std::string> content = content_of(*options.file);
    if (!content) return fail(kUsage, content.error().message);
    payload = std::move(content).value();
  }
  const auto bytes = std::as_bytes(std::span(payload));
  message.payload.assign(bytes.begin(), bytes.end());
  Result<runtime::LocalClient> client = runtime::LocalClient::connect(socket);
  if (!client) return fail(kUnreachable, client.error().message);
  client->send(runtime::ask_line(1, message, options.timeout));
  const Result<std::string> line = client->receive(options.timeout + kAgentLate);
  if (!line) return fail(exit_code_of(line.error()), line.error().message);
  const json answer = json::parse(*line, nullptr, false);
  if (!answer.is_object()) return fail(kFailed, "the agent's line is not JSON; is it holdfastd?");
  if (answer.value("ok", false)) {
    if (print_message(answer.value("response", json::object()), options.json, false)) return kOk;
    return fail(kFailed, "cannot write to standard output; check where it leads");
  }
  const std::string error = answer.value("error", "no reason given");
  if (error == "timed_out") return fail(kTimedOut, "no answer in time; " + advice(error));
  return fail(kFailed, "no answer: " + advice(error));
}

}  // namespace holdfast::cli
