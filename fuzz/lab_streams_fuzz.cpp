// Anything asked of file delivery streams: refusals and blocks are well formed, blocks are those of
// the file and not more than one request may bring; and the same for results of commands.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "base/check.h"
#include "lab/iot/cbor.h"
#include "lab/iot/commands.h"
#include "lab/iot/streams.h"

using namespace holdfast;            // NOLINT: a fuzz target's only file
using namespace holdfast::lab::iot;  // NOLINT

namespace {

constexpr std::size_t kFileSize = 3000;

class Files final : public FileSource {
 public:
  [[nodiscard]] std::optional<Facts> look(const FileLocation& /*file*/) const override {
    return Facts{kFileSize, "e"};
  }
  [[nodiscard]] Result<std::string> read(const FileLocation& /*file*/, std::uint64_t offset,
                                         std::size_t length) const override {
    HF_CHECK(length > 0);
    HF_CHECK(offset + length <= kFileSize);
    std::string bytes;
    for (std::size_t i = 0; i < length; ++i) bytes += static_cast<char>(offset + i);
    return bytes;
  }
};

class Counter final : public env::Random {
 public:
  std::uint64_t next() override { return count_++; }

 private:
  std::uint64_t count_ = 0;
};

bool any_thing(std::string_view /*name*/) { return true; }

/// Every block is one of the file; all together are not too much.
void check_answers(const Answers& out, bool cbor) {
  std::size_t total = 0;
  for (const Answer& a : out.all) {
    HF_CHECK(a.to == Answer::To::requester);
    HF_CHECK(a.topic.ends_with(cbor ? "/cbor" : "/json"));
    const auto payload = cbor ? parse_cbor(a.payload, {}, true) : parse_json(a.payload);
    HF_CHECK(payload.ok());
    if (a.topic.find("/data/") == std::string::npos) continue;
    const auto& p = payload->at("p");
    const auto bytes = cbor ? std::string(p.get_binary().begin(), p.get_binary().end())
                            : text_from_base64(p.get<std::string>()).value_or("");
    HF_CHECK(!bytes.empty());
    HF_CHECK(payload->at("l") == bytes.size());
    total += bytes.size();
  }
  HF_CHECK(total <= 2 * kFileSize);  // each block twice at most
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint8_t kind = data[0];
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  const bool cbor = kind % 2 == 0;
  const WallTime now{1'700'000'000'000};
  const char* format = cbor ? "/cbor" : "/json";
  Files files;
  Counter random;
  Answers out;
  StreamsSettings settings;
  settings.shuffled = (kind & 8) != 0;
  settings.duplicated_per_mille = (kind & 16) != 0 ? 500 : 0;
  Streams streams(settings, any_thing, files, random);
  const Json file = {{"fileId", 1}, {"s3Location", {{"bucket", "b"}, {"key", "k"}}}};
  const Json stream = {{"streamId", "s"}, {"files", Json::array({file})}};
  HF_CHECK(std::holds_alternative<Json>(streams.call(now, "CreateStream", stream, out)));

  holdfast::lab::mqtt::Publish message;
  message.topic = "$aws/things/t/streams/s/";
  message.topic += (kind & 2) != 0 ? "get" : "describe";
  message.topic += format;
  message.payload = rest;
  streams.on_request(now, {1, "c", "p"}, message, out);
  check_answers(out, cbor);

  message.topic = "$aws/things/t/streams/";
  message.topic += rest;
  streams.on_request(now, {1, "c", "p"}, message, out);

  Commands commands({}, any_thing, random);
  Answers answers;
  const Json command = {{"commandId", "c"}, {"payload", {{"content", "eA=="}}}};
  HF_CHECK(std::holds_alternative<Json>(commands.call(now, "CreateCommand", command, answers)));
  const Json start = {{"commandArn", "arn:aws:iot:eu-central-1:123456789012:command/c"},
                      {"targetArn", "arn:aws:iot:eu-central-1:123456789012:thing/t"}};
  const ApiResult started = commands.call(now, "StartCommandExecution", start, answers);
  answers = {};
  message.topic = "$aws/commands/things/t/executions/";
  message.topic += std::get<Json>(started).at("executionId").get<std::string>();
  message.topic += "/response";
  message.topic += format;
  commands.on_request(now, {1, "c", "p"}, message, answers);
  HF_CHECK(answers.all.size() == 1);
  const std::string& reply = answers.all.front().payload;
  HF_CHECK((cbor ? parse_cbor(reply) : parse_json(reply)).ok());
  Commands other({}, any_thing, random);
  const Json saved = commands.save();
  HF_CHECK(other.load(*parse_json(dump(saved))).ok());
  HF_CHECK(dump(other.save()) == dump(saved));

  const auto state = parse_json(rest);
  if (state) {
    (void)streams.load(*state);
    (void)commands.load(*state);
  }
  return 0;
}
