// MQTT-based file delivery: files that devices fetch block by block.
//
// A device asks on $aws/things/T/streams/S/{describe|get}/{json|cbor}; what comes back goes to it
// alone. Blocks may be lost, doubled and shuffled on purpose: a device must cope with all three.
// One thread; nothing throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "env/random.h"
#include "lab/iot/fields.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

/// An object in S3, as CreateStream names it.
struct FileLocation {
  std::string bucket;
  std::string key;
  std::string version;  ///< Empty: the latest.
};

/// Where the files of streams are.
class FileSource {
 public:
  struct Facts {
    std::uint64_t size = 0;
    std::string etag;  ///< Changes with the content.
  };

  FileSource() = default;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  virtual ~FileSource() = default;

  /// nullopt: there is no such file.
  [[nodiscard]] virtual std::optional<Facts> look(const FileLocation& file) const = 0;
  /// The bytes [offset, offset + length). Fails when it cannot give them all.
  [[nodiscard]] virtual Result<std::string> read(const FileLocation& file, std::uint64_t offset,
                                                 std::size_t length) const = 0;
};

struct StreamsSettings {
  std::string region = "eu-central-1";
  std::string account = "123456789012";
  bool long_names = false;  ///< Refusals with "code", "message", "clientToken"; else "o", "m", "c".
  std::uint32_t dropped_per_mille = 0;     ///< Blocks that are not sent.
  std::uint32_t duplicated_per_mille = 0;  ///< Blocks that are sent twice.
  bool shuffled = false;                   ///< Blocks of an answer in any order.
};

class Streams final : public Service {
 public:
  static constexpr std::size_t kStreamIdLength = 128;
  static constexpr std::size_t kDescriptionLength = 2028;
  static constexpr std::size_t kFilesPerStream = 10;
  static constexpr std::int64_t kLargestFileId = 255;
  static constexpr std::uint64_t kFileBytes = std::uint64_t{24} * 1024 * 1024;
  static constexpr std::int64_t kSmallestBlock = 256;
  /// As documented, though in Base64 such a block is larger than a payload may be.
  static constexpr std::int64_t kLargestBlock = 131'072;
  static constexpr std::int64_t kLargestOffset = 98'304;
  static constexpr std::int64_t kMostBlocks = 98'304;
  static constexpr std::size_t kBitmapBytes = 12'288;           ///< A bitmap is shorter.
  static constexpr std::int64_t kBytesPerRequest = 128 * 1024;  ///< Of data in all blocks.
  static constexpr std::size_t kClientTokenBytes = 64;

  /// `has_thing`: whether a thing of this name exists. `files` and `random` must outlive it.
  Streams(StreamsSettings settings, std::function<bool(std::string_view)> has_thing,
          const FileSource& files, env::Random& random);

  void configure(StreamsSettings settings) { settings_ = std::move(settings); }
  void on_switches(const Switches& switches) override {
    settings_.long_names = switches.streams_long_names;
    settings_.dropped_per_mille = static_cast<std::uint32_t>(switches.streams_dropped_per_mille);
    settings_.duplicated_per_mille =
        static_cast<std::uint32_t>(switches.streams_duplicated_per_mille);
    settings_.shuffled = switches.streams_shuffled;
  }

  [[nodiscard]] std::string_view name() const override { return "streams"; }
  [[nodiscard]] Claim claims(std::string_view topic) const override;
  void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override;
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  struct File {
    FileLocation location;
    FileSource::Facts facts;  ///< As they were when the stream was made.
  };
  struct Stream {
    std::string description;
    std::int64_t version = 1;
    std::map<std::int64_t, File> files;
    WallTime created;
    WallTime updated;
  };
  struct Topic {
    std::string thing, stream, operation, format;
  };
  static std::optional<Topic> topic_of(std::string_view text);

  struct Refusal {
    std::string code;
    std::string message;
  };
  struct Blocks {
    std::int64_t file = 0;
    std::int64_t size = 0;
    std::vector<std::int64_t> indices;
  };
  std::optional<Refusal> check(const Topic& topic, const Json& input) const;
  static Json description_of(const Stream& stream);
  std::variant<Blocks, Refusal> read_get(const Stream& stream, const Json& input) const;
  static std::variant<std::vector<std::int64_t>, Refusal> read_indices(const Json& input,
                                                                       std::int64_t size,
                                                                       std::int64_t count);
  std::optional<Refusal> send_blocks(const Topic& topic, const Stream& stream, Blocks blocks,
                                     const std::string* token, Answers& out);
  void refuse(const Topic& topic, const Refusal& refusal, const std::string* token, Answers& out);

  ApiResult put_stream(WallTime now, const Json& input, bool create);
  std::map<std::int64_t, File> read_files(Fields& in) const;
  ApiResult describe_stream(const Json& input) const;
  ApiResult list_streams(const Json& input) const;
  ApiResult delete_stream(const Json& input);
  [[nodiscard]] std::string arn(std::string_view id) const;

  StreamsSettings settings_;
  std::function<bool(std::string_view)> has_thing_;
  const FileSource& files_;
  env::Random& random_;
  std::map<std::string, Stream, std::less<>> streams_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
