// holdfast subscribe: a line for each message that arrives.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/base64.h"
#include "commands.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;
constexpr Milliseconds kForEver{-1};
constexpr Milliseconds kAnswer{10'000};
constexpr std::uint64_t kAcknowledges = 1'000'000;  // ids: filters have those from 1
constexpr std::uint64_t kLast = kAcknowledges + 1;
constexpr Milliseconds kAgentLooked{500};  // how often an agent that has gone is looked for

/// With a newline; flushed, so that a pipe sees each at once.
bool write(std::string line) {
  line += '\n';
  return std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
         std::fflush(stdout) == 0;
}

runtime::SubscribeRequest request_of(const SubscribeOptions& options, std::size_t index) {
  runtime::SubscribeRequest request{options.filters[index], options.qos};
  if (!options.acknowledge) return request;
  runtime::AckTerms& terms = request.acknowledge.emplace();
  terms.group = options.group;
  // What is not printed before the end is left to the next: at least it should not be marked.
  if (options.count > 0) terms.window = std::min<std::uint64_t>(terms.window, options.count);
  return request;
}

Result<runtime::LocalClient> subscribed(const std::filesystem::path& socket,
                                        const SubscribeOptions& options) {
  Result<runtime::LocalClient> client = runtime::LocalClient::connect(socket);
  if (!client) return client;
  for (std::size_t i = 0; i < options.filters.size(); ++i) {
    client->send(runtime::subscribe_line(i + 1, request_of(options, i)));
  }
  if (options.unmatched) client->send(runtime::op_line(0, "subscribe_unmatched"));
  return client;
}

/// Subscriptions end with their agent; the next one is asked for them anew.
Result<runtime::LocalClient> subscribed_again(const std::filesystem::path& socket,
                                              const SubscribeOptions& options) {
  std::fputs("holdfast: the agent has gone; waiting for it\n", stderr);
  const auto begin = std::chrono::steady_clock::now();
  while (true) {
    std::this_thread::sleep_for(kAgentLooked);
    Result<runtime::LocalClient> client = subscribed(socket, options);
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (client || (options.timeout && waited >= *options.timeout)) return client;
  }
}

/// The agent has read what was sent to it when it answers what was sent last.
ExitCode all_acknowledged(runtime::LocalClient& client) {
  client.send(runtime::op_line(kLast, "ping"));
  while (true) {
    const Result<std::string> line = client.receive(kAnswer);
    if (!line) return fail(exit_code_of(line.error()), line.error().message);
    if (count_of(json::parse(*line, nullptr, false), "id") == kLast) return kOk;
  }
}

}  // namespace

bool print_message(const json& message, bool as_json, bool topic_prefix) {
  if (as_json) return write(message.dump());
  std::string out;
  if (topic_prefix) out = message.value("topic", "") + " ";
  const auto coded = message.find("payload_base64");
  if (coded != message.end() && coded->is_string()) {
    const auto bytes = from_base64(coded->get_ref<const std::string&>());
    if (bytes) out.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  } else {
    out += message.value("payload", "");
  }
  return write(std::move(out));
}

ExitCode run_subscribe(const std::filesystem::path& socket, const SubscribeOptions& options) {
  if (options.filters.empty() && !options.unmatched) {
    return fail(kUsage, "no topic filter; give one, or --unmatched");
  }
  Result<runtime::LocalClient> client = subscribed(socket, options);
  if (!client) return fail(kUnreachable, client.error().message);
  for (std::uint64_t seen = 0; options.count == 0 || seen < options.count;) {
    const Result<std::string> line = client->receive(options.timeout.value_or(kForEver));
    if (!line && line.error().code == Errc::closed) {
      client = subscribed_again(socket, options);
      if (!client) return fail(kUnreachable, client.error().message);
      continue;
    }
    if (!line) {
      const bool late = line.error().code == Errc::timeout;
      return fail(exit_code_of(line.error()),
                  late ? "no message in time; see holdfast status" : line.error().message);
    }
    json event = json::parse(*line, nullptr, false);
    if (!event.is_object()) return fail(kFailed, "the agent's line is not JSON; is it holdfastd?");
    if (event.value("event", "") == "message") {
      const std::uint64_t delivery = count_of(event, "delivery");
      for (const char* ours : {"event", "subscription", "delivery"}) event.erase(ours);
      if (!print_message(event, options.json, options.topic_prefix)) {
        return fail(kFailed, "cannot write to standard output; check where it leads");
      }
      ++seen;
      if (delivery != 0) client->send(runtime::acknowledge_line(kAcknowledges, delivery));
    } else if (!event.value("ok", false)) {
      return fail(kFailed, "the agent refuses: " + event.value("error", "no reason given"));
    }
  }
  return options.acknowledge ? all_acknowledged(*client) : kOk;
}

}  // namespace holdfast::cli
