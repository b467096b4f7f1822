// Where `holdfast outbox` has its answers from: the agent, or the files.
#include <nlohmann/json.hpp>
#include <utility>

#include "outbox.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"
#include "runtime/outbox_files.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;
constexpr Milliseconds kAnswerTime{30000};  // a slow disk included

/// Plain JSON of what the runtime orders.
Result<json> plain(Result<nlohmann::ordered_json> value) {
  if (!value) return std::move(value).error();
  return json(*value);
}

class AgentSource final : public OutboxSource {
 public:
  explicit AgentSource(runtime::LocalClient client) : client_(std::move(client)) {}

  Result<json> stat() override { return field(ask("outbox_stat", json::object()), "outbox"); }

  Result<json> page(const std::string& lane, std::uint64_t limit, const std::string& from,
                    bool payload) override {
    json fields{{"limit", limit}, {"payload", payload}};
    if (!lane.empty()) fields["lane"] = lane;
    if (!from.empty()) fields["from"] = from;
    return ask("outbox_list", fields);
  }

  Result<json> message(std::uint64_t id) override {
    return field(ask("outbox_message", {{"message_id", id}}), "message");
  }

 private:
  Result<json> ask(std::string_view op, const json& fields) {
    client_.send(runtime::op_line(1, op, fields.dump()));
    Result<std::string> line = client_.receive(kAnswerTime);
    if (!line) return std::move(line).error();
    json answer = json::parse(*line, nullptr, false);
    if (!answer.is_object()) {
      return Error{Errc::protocol, "the agent's answer is not JSON; is it holdfastd?", 0};
    }
    if (answer.value("ok", false)) return answer;
    const std::string error = answer.value("error", "no reason given");
    if (error == "not_found") return Error{Errc::not_found, error, 0};
    return Error{Errc::invalid_argument, "the agent refuses: " + error, 0};
  }

  static Result<json> field(Result<json> answer, const char* name) {
    if (!answer) return answer;
    const auto found = answer->find(name);
    if (found != answer->end() && found->is_object()) return *found;
    return Error{Errc::protocol, std::string("the agent's answer has no ") + name, 0};
  }

  runtime::LocalClient client_;
};

class FilesSource final : public OutboxSource {
 public:
  explicit FilesSource(runtime::OutboxFiles files) : files_(std::move(files)) {}

  Result<json> stat() override { return json(files_.stat()); }
  Result<json> page(const std::string& lane, std::uint64_t limit, const std::string& from,
                    bool payload) override {
    runtime::OutboxListRequest request;
    if (!lane.empty()) request.lane = lane;
    request.limit = limit;
    request.from = from;
    request.payload = payload;
    return plain(files_.list(request));
  }
  Result<json> message(std::uint64_t id) override { return plain(files_.message(id)); }

 private:
  runtime::OutboxFiles files_;
};

}  // namespace

Result<std::unique_ptr<OutboxSource>> open_source(const std::filesystem::path& socket,
                                                  const OutboxOptions& options) {
  if (options.directory.empty()) {
    if (!options.key_file.empty()) {
      return Error{Errc::invalid_argument, "--key needs DIR; the agent has the key itself", 0};
    }
    auto client = runtime::LocalClient::connect(socket);
    if (!client) {
      Error error = std::move(client).error();
      error.message += "; or give the directory of the outbox";
      return error;
    }
    return std::unique_ptr<OutboxSource>(std::make_unique<AgentSource>(std::move(client).value()));
  }
  auto files = runtime::OutboxFiles::open(options.directory, options.key_file);
  if (!files) return std::move(files).error();
  return std::unique_ptr<OutboxSource>(std::make_unique<FilesSource>(std::move(files).value()));
}

}  // namespace holdfast::cli
