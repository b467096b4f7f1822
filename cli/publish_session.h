// The bookkeeping of `holdfast publish`: what may be sent now, what is owed, what went wrong.
//
// Purpose:  full speed with a bounded window of unanswered messages, also in bytes, and another try
//           for those that the agent had no room for. Pure: lines in, lines out.
// Threads:  one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/types.h"
#include "runtime/local_protocol.h"

namespace holdfast::cli {

class PublishSession {
 public:
  /// Unanswered at once. Bytes stay well below the agent's memory for incoming messages.
  static constexpr std::size_t kWindow = 1024;
  static constexpr std::size_t kWindowBytes = 256 * 1024;

  PublishSession(Message message, runtime::WantedReceipt receipt)
      : message_(std::move(message)), receipt_(receipt) {}

  /// Whether another message may be sent now. One message always may, whatever its size.
  [[nodiscard]] bool has_room() const noexcept;
  /// The request for one more message.
  [[nodiscard]] std::string request(const std::string& payload);
  /// The same for a line that is a publish request itself (docs/local-api.md), such as `outbox
  /// export` writes. Empty, and counted as failed, if it is none.
  [[nodiscard]] std::string repeat_request(std::string_view line);
  /// Takes an answer. False: not an answer to a request of ours.
  bool take(std::string_view line);
  /// Requests to repeat because the agent had no room; they count as sent again.
  [[nodiscard]] std::string repeat();
  [[nodiscard]] bool has_repeats() const noexcept { return !refused_for_now_.empty(); }

  [[nodiscard]] std::uint64_t sent() const noexcept { return last_id_; }
  [[nodiscard]] std::uint64_t done() const noexcept { return done_; }
  [[nodiscard]] std::uint64_t failed() const noexcept { return failed_; }
  [[nodiscard]] std::size_t open() const noexcept { return open_.size(); }
  /// How each reason failed how many, and which was the first: {"too_large", {count, id}}.
  struct Failure {
    std::uint64_t count = 0;
    std::uint64_t first = 0;
  };
  [[nodiscard]] const std::map<std::string, Failure>& failures() const noexcept {
    return failures_;
  }

 private:
  std::string keep(std::uint64_t id, std::string line);
  void count_failure(const std::string& reason, std::uint64_t id);

  Message message_;
  runtime::WantedReceipt receipt_;
  std::map<std::uint64_t, std::string> open_;  // lines
  std::size_t open_bytes_ = 0;
  std::vector<std::uint64_t> refused_for_now_;
  std::uint64_t last_id_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t failed_ = 0;
  std::map<std::string, Failure> failures_;
};

/// Cuts a byte stream into lines. A line over the limit is skipped and counted.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t limit) : limit_(limit) {}
  void feed(std::string_view bytes);
  /// After the last bytes: an unfinished last line is a line.
  void finish();
  /// False: no whole line yet.
  bool next(std::string& line);
  [[nodiscard]] std::uint64_t skipped() const noexcept { return skipped_; }

 private:
  std::size_t limit_;
  std::string buffer_;
  std::size_t taken_ = 0;
  bool skipping_ = false;
  std::uint64_t skipped_ = 0;
};

}  // namespace holdfast::cli
