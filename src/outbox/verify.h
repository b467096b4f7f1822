// Checks every record of every segment that counts, and says what is damaged and what it costs.
//
// Threads:  as Inspector: one, also beside a writer. A finding is believed only after a second look
//           and only if the slot was not used again meanwhile.
// Errors:   none; what cannot be read is a finding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "outbox/inspect.h"

namespace holdfast::outbox {

inline constexpr std::size_t kFindingsMax = 1000;  ///< Listed one by one; all are counted.

enum class FindingKind : std::uint8_t {
  records,       ///< Bytes that hold no valid record, although they were durable.
  torn,          ///< Bytes of a commit that was cut: never accepted, no damage.
  header,        ///< One copy of the segment's header; the other is used.
  header_blank,  ///< One copy is zeros or of an earlier use: cut while written. No damage.
  no_header,     ///< Both copies; the segment is read by what a checkpoint says of it.
  missing,       ///< The file of a segment in which messages waited.
  wrong_size,    ///< A segment cut short, or grown.
  foreign,       ///< A file of another store.
  other_format,  ///< A file of another version of the format.
};
[[nodiscard]] std::string_view to_string(FindingKind kind) noexcept;
[[nodiscard]] bool is_damage(FindingKind kind) noexcept;

struct Finding {
  FindingKind kind = FindingKind::records;
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  std::uint32_t from = 0;  ///< Bytes of the file, where that means something.
  std::uint32_t to = 0;
  MessageId first_id = 0;      ///< Of the messages that were there, if any can be told.
  std::uint64_t messages = 0;  ///< How many ids are not found.
  std::uint64_t lost = 0;      ///< Of these, waiting: accepted messages that cannot be sent.
};

struct SegmentCheck {
  std::uint64_t sequence = 0;
  std::uint32_t slot = 0;
  std::uint64_t records = 0;   ///< Valid ones.
  std::uint64_t messages = 0;  ///< Of these, messages.
  std::uint32_t end = 0;
  bool used_again = false;  ///< While it was checked; nothing is said of it.
};

struct Verification {
  std::vector<SegmentCheck> segments;
  std::vector<Finding> findings;
  std::uint64_t more_findings = 0;  ///< Beyond kFindingsMax.
  std::uint64_t damages = 0;        ///< Findings that are damage.
  std::uint64_t lost = 0;           ///< Waiting messages that cannot be read any more.
  std::uint64_t torn = 0;           ///< Findings that are cut commits.
  std::uint64_t unreadable_sectors = 0;

  [[nodiscard]] bool clean() const { return damages == 0 && lost == 0; }
};

[[nodiscard]] Verification verify(Inspector& inspector);

}  // namespace holdfast::outbox
