// A file over MQTT, block by block: what to ask for next, and what the answers mean.
//
// Purpose:  a file gets here whole over a connection that loses, doubles and shuffles blocks, at a
//           bounded rate, and goes on where an earlier process has left off.
// Method:   one window of a few blocks at a time: all that is missing of it is asked for by one
//           question, again after a silence, each time a longer one. Blocks leave in the order of
//           the file, so that what is on disk is always its beginning; its length is all that has
//           to be known to go on.
// Threads:  one.
// Errors:   ended(). That the bytes are those that were meant, only a digest says.
// Source:   AWS IoT Core, "MQTT-based file delivery": DescribeStream, GetStream, error codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "env/random.h"

namespace holdfast::update {

/// From a question, or a block, to the question once more if nothing comes; it doubles.
inline constexpr Duration kBlockFirst = std::chrono::seconds(2);
inline constexpr Duration kBlockCap = std::chrono::seconds(64);
/// So many in a row end the attempt.
inline constexpr unsigned kBlockSilences = 8;

struct StreamQuestion {
  enum class Kind : std::uint8_t { describe, get };
  Kind kind = Kind::describe;
  std::string token;
  // Of get:
  std::int64_t version = 0;
  std::uint32_t file = 0;
  std::uint64_t offset = 0;  ///< The block that the bitmap begins with.
  std::uint32_t blocks = 0;  ///< Bit i: block offset + i is wanted.
};
static_assert(limits::kStreamBlocksAtOnce <= 32, "a question's bitmap");

struct StreamDescription {
  std::int64_t version = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> files;  ///< Ids and sizes.
};

class FileStream {
 public:
  struct End {
    bool for_good = false;  ///< Asking again would not help.
    std::string words;
  };

  /// `have`: bytes of its beginning that are here already. `bytes_per_second`: 0: as fast as it
  /// goes. `random` must outlive this. REQUIRES: 0 < size <= kStreamFileMax.
  FileStream(std::uint32_t file, std::uint64_t size, std::uint64_t have,
             std::uint64_t bytes_per_second, env::Random& random);

  /// Messages of the stream get through, both ways.
  void connected(BootTime now);
  void disconnected();

  void described(BootTime now, const std::string& token, const StreamDescription& what);
  /// A block that is not wanted, any more or at all, is left alone: false.
  bool block(BootTime now, const std::string& token, std::uint32_t file, std::uint64_t index,
             std::string bytes);
  void refused(const std::string& token, const std::string& code);

  /// What to send now.
  [[nodiscard]] std::optional<StreamQuestion> step(BootTime now);
  [[nodiscard]] BootTime next_step() const;

  /// Where the next bytes belong, and they; after them the ones behind.
  [[nodiscard]] std::optional<std::pair<std::uint64_t, std::string>> ready();
  /// All has left by ready().
  [[nodiscard]] bool whole() const { return begin_ >= size_; }
  [[nodiscard]] const std::optional<End>& ended() const { return end_; }

 private:
  enum class State : std::uint8_t {
    /// Waits for: the stream's description. Interrupted by: disconnected(). Next: getting.
    describing,
    /// Waits for: blocks of the window. Interrupted by: a refusal. Next: describing, for another
    /// version.
    getting,
  };
  [[nodiscard]] std::uint64_t length_of(std::uint64_t index) const;
  [[nodiscard]] std::uint32_t missing() const;
  void begin_window();
  void begin_describing();
  void end(bool for_good, std::string words);

  std::uint32_t file_;
  std::uint64_t size_;
  std::uint64_t begin_;  ///< Bytes that have left; of a whole number of blocks, or all.
  std::uint64_t bytes_per_second_;
  env::Random& random_;
  State state_ = State::describing;
  bool connected_ = false;
  std::string token_;
  std::int64_t version_ = 0;
  std::map<std::uint64_t, std::string> window_;  ///< Blocks that are here, and have not left.
  BootTime ask_at_ = kNever;                     ///< The question, or the question once more;
  BootTime not_before_ = BootTime::min();        ///< but for the sake of the rate not before.
  Duration silence_ = kBlockFirst;
  unsigned silences_ = 0;
  std::optional<End> end_;
};

}  // namespace holdfast::update
