#include "lab/iot/streams.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/base64.h"
#include "base/hex.h"
#include "lab/iot/cbor.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::string_view kThings = "$aws/things/";
constexpr std::string_view kStreams = "/streams/";
constexpr std::size_t kPerMille = 1000;

void send(std::string topic, bool cbor, const Json& payload, Answers& out) {
  Answer answer;
  answer.to = Answer::To::requester;
  answer.topic = std::move(topic);
  answer.payload = cbor ? to_cbor(payload) : dump(payload);
  out.all.push_back(std::move(answer));
}

std::string topic_for(std::string_view thing, std::string_view stream, std::string_view kind,
                      bool cbor) {
  return std::string(kThings).append(thing).append(kStreams).append(stream).append("/").append(
             kind) +
         (cbor ? "/cbor" : "/json");
}

/// The bytes of a bitmap: hexadecimal digits, or in CBOR bytes as they are; nullopt: neither.
std::optional<std::string> bitmap_of(const Json& value) {
  if (value.is_binary()) {
    const auto& bytes = value.get_binary();
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  const auto* text = value.get_ptr<const std::string*>();
  return text == nullptr ? std::nullopt : text_from_hex(*text);
}

}  // namespace

Streams::Streams(StreamsSettings settings, std::function<bool(std::string_view)> has_thing,
                 const FileSource& files, env::Random& random)
    : settings_(std::move(settings)),
      has_thing_(std::move(has_thing)),
      files_(files),
      random_(random) {}

Claim Streams::claims(std::string_view topic) const {
  if (!topic.starts_with(kThings)) return Claim::none;
  const std::size_t end = topic.find('/', kThings.size());
  const bool ours = end != std::string_view::npos && topic.substr(end).starts_with(kStreams);
  return ours ? Claim::only : Claim::none;
}

std::optional<Streams::Topic> Streams::topic_of(std::string_view text) {
  text.remove_prefix(kThings.size());
  const std::size_t end = text.find('/');
  Topic topic;
  topic.thing = text.substr(0, end);
  text.remove_prefix(end + kStreams.size());
  const std::size_t slash = text.find('/');
  topic.stream = text.substr(0, slash);
  if (topic.thing.empty() || topic.stream.empty()) return std::nullopt;
  if (slash == std::string_view::npos) return topic;
  text.remove_prefix(slash + 1);
  const std::size_t last = text.find('/');
  topic.operation = text.substr(0, last);
  if (last != std::string_view::npos) topic.format = text.substr(last + 1);
  return topic;
}

void Streams::on_request(WallTime /*now*/, const Requester& /*from*/, const mqtt::Publish& message,
                         Answers& out) {
  const auto topic = topic_of(message.topic);
  if (!topic) return;  // nowhere to answer to
  const bool cbor = topic->format == "cbor";
  const bool describe = topic->operation == "describe";
  if ((!describe && topic->operation != "get") || (!cbor && topic->format != "json")) {
    return refuse(*topic, {"InvalidTopic", "no operation of streams has this topic"}, nullptr, out);
  }
  const auto input = cbor ? parse_cbor(message.payload, {}, true) : parse_json(message.payload);
  if (!input) {
    const char* code = cbor ? "InvalidCbor" : "InvalidJson";
    return refuse(*topic, {code, input.error().message}, nullptr, out);
  }
  const std::string* token = string_in(*input, "c");
  if (token != nullptr && token->size() > kClientTokenBytes) token = nullptr;
  if (const auto refusal = check(*topic, *input)) return refuse(*topic, *refusal, token, out);
  const Stream& stream = streams_.find(topic->stream)->second;
  if (describe) {
    Json reply = Json::object();
    if (token != nullptr) reply["c"] = *token;
    reply.update(description_of(stream));
    return send(topic_for(topic->thing, topic->stream, "description", cbor), cbor, reply, out);
  }
  auto blocks = read_get(stream, *input);
  if (const auto* refusal = std::get_if<Refusal>(&blocks)) {
    return refuse(*topic, *refusal, token, out);
  }
  const auto failed = send_blocks(*topic, stream, std::get<Blocks>(std::move(blocks)), token, out);
  if (failed) refuse(*topic, *failed, token, out);
}

std::optional<Streams::Refusal> Streams::check(const Topic& topic, const Json& input) const {
  if (!input.is_object()) return Refusal{"InvalidRequest", "the request must be an object"};
  const auto token = input.find("c");
  if (token != input.end()) {
    const auto* text = token->get_ptr<const std::string*>();
    if (text == nullptr || text->size() > kClientTokenBytes) {
      return Refusal{"InvalidRequest", "c must be a string of at most 64 bytes"};
    }
  }
  if (!has_thing_(topic.thing)) return Refusal{"Unauthorized", "there is no such thing"};
  if (streams_.find(topic.stream) == streams_.end()) {
    return Refusal{"ResourceNotFound", "there is no such stream"};
  }
  return std::nullopt;
}

void Streams::refuse(const Topic& topic, const Refusal& refusal, const std::string* token,
                     Answers& out) {
  const bool cbor = topic.format == "cbor";
  Json reply = {{settings_.long_names ? "code" : "o", refusal.code},
                {settings_.long_names ? "message" : "m", refusal.message}};
  if (token != nullptr) reply[settings_.long_names ? "clientToken" : "c"] = *token;
  send(topic_for(topic.thing, topic.stream, "rejected", cbor), cbor, reply, out);
}

Json Streams::description_of(const Stream& stream) {
  Json list = Json::array();
  for (const auto& [id, file] : stream.files) list.push_back({{"f", id}, {"z", file.facts.size}});
  return {{"s", stream.version}, {"d", stream.description}, {"r", std::move(list)}};
}

// ---- blocks ----

std::variant<Streams::Blocks, Streams::Refusal> Streams::read_get(const Stream& stream,
                                                                  const Json& input) const {
  std::string complaint;
  Fields in(input, complaint);
  Blocks blocks;
  const auto version = in.number_if("s");
  blocks.file = in.number("f");
  blocks.size = in.number("l");
  if (!complaint.empty()) return Refusal{"InvalidRequest", complaint};
  if (version && *version != stream.version) {
    return Refusal{"VersionMismatch", "the version is " + std::to_string(stream.version)};
  }
  if (blocks.size < kSmallestBlock || blocks.size > kLargestBlock) {
    return Refusal{"BlockSizeOutOfBounds", "l must be 256 to 131072"};
  }
  const auto file = stream.files.find(blocks.file);
  if (file == stream.files.end()) return Refusal{"ResourceNotFound", "there is no such file"};
  const auto facts = files_.look(file->second.location);
  if (!facts) return Refusal{"ResourceNotFound", "the file is gone"};
  if (facts->etag != file->second.facts.etag || facts->size != file->second.facts.size) {
    return Refusal{"ETagMismatch", "the file was changed"};
  }
  const auto size = static_cast<std::int64_t>(facts->size);
  auto indices = read_indices(input, blocks.size, (size + blocks.size - 1) / blocks.size);
  if (auto* refusal = std::get_if<Refusal>(&indices)) return std::move(*refusal);
  blocks.indices = std::get<0>(std::move(indices));
  return blocks;
}

std::variant<std::vector<std::int64_t>, Streams::Refusal> Streams::read_indices(
    const Json& input, std::int64_t size, std::int64_t count) {
  std::string complaint;
  Fields in(input, complaint);
  const std::int64_t most = std::max<std::int64_t>(1, kBytesPerRequest / size);
  const std::int64_t offset = in.number_if("o").value_or(0);
  const std::int64_t wanted = in.number_if("n").value_or(in.has("b") ? kMostBlocks : most);
  std::string bitmap;
  if (in.has("b")) {
    const auto bytes = bitmap_of(in.any("b"));
    if (!bytes) in.complain("b", "must be hexadecimal digits");
    bitmap = bytes.value_or("");
  }
  if (!complaint.empty()) return Refusal{"InvalidRequest", complaint};
  if (offset < 0 || offset > kLargestOffset || (offset > 0 && offset >= count)) {
    return Refusal{"OffsetOutOfBounds", "o must be 0 to 98304, and within the file"};
  }
  if (wanted < 0 || wanted > kMostBlocks) {
    return Refusal{"BlockCountLimitExceeded", "n must be 0 to 98304"};
  }
  if (bitmap.size() >= kBitmapBytes) {
    return Refusal{"BlockBitmapLimitExceeded", "b must be shorter than 12288 bytes"};
  }
  // Bit i of the bitmap, from the lowest of its first byte, is block o + i.
  const std::int64_t span =
      in.has("b") ? static_cast<std::int64_t>(bitmap.size()) * 8 : kMostBlocks;
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < span && offset + i < count; ++i) {
    if (static_cast<std::int64_t>(indices.size()) >= std::min(wanted, most)) break;
    const auto byte = static_cast<std::size_t>(i / 8);
    const bool asked =
        bitmap.empty() || ((static_cast<unsigned char>(bitmap[byte]) >> (i % 8)) & 1U) != 0;
    if (asked) indices.push_back(offset + i);
  }
  return indices;
}

std::optional<Streams::Refusal> Streams::send_blocks(const Topic& topic, const Stream& stream,
                                                     Blocks blocks, const std::string* token,
                                                     Answers& out) {
  const File& file = stream.files.find(blocks.file)->second;
  const bool cbor = topic.format == "cbor";
  if (settings_.shuffled) {
    for (std::size_t i = blocks.indices.size(); i > 1; --i) {
      std::swap(blocks.indices[i - 1], blocks.indices[random_.below(i)]);
    }
  }
  for (const std::int64_t index : blocks.indices) {
    const auto offset = static_cast<std::uint64_t>(index * blocks.size);
    const auto length = std::min(static_cast<std::uint64_t>(blocks.size), file.facts.size - offset);
    const auto bytes = files_.read(file.location, offset, static_cast<std::size_t>(length));
    if (!bytes || bytes->size() != length) {
      return Refusal{"InternalError", "the file cannot be read"};
    }
    if (random_.below(kPerMille) < settings_.dropped_per_mille) continue;
    const std::size_t copies = random_.below(kPerMille) < settings_.duplicated_per_mille ? 2 : 1;
    Json block = Json::object();
    if (token != nullptr) block["c"] = *token;
    block["f"] = blocks.file;
    block["l"] = length;
    block["i"] = index;
    if (cbor) {
      block["p"] = Json::binary({bytes->begin(), bytes->end()});
    } else {
      block["p"] = text_to_base64(*bytes);
    }
    for (std::size_t i = 0; i < copies; ++i) {
      send(topic_for(topic.thing, topic.stream, "data", cbor), cbor, block, out);
    }
  }
  return std::nullopt;
}

}  // namespace holdfast::lab::iot
