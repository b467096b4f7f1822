#include "outbox/verify.h"

#include <algorithm>
#include <limits>
#include <map>

#include "outbox/bytes.h"

namespace holdfast::outbox {
namespace {

bool newer(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) > 0; }

/// Bytes between two valid records.
struct Gap {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  MessageId first = 0;      // ids that may have been in it: first …
  MessageId behind = 0;     // … below this
  std::uint32_t epoch = 0;  // of the record before it
  RecordHeader next;        // the record behind it
  bool last = false;        // there is none
  std::uint64_t known = 0;  // ids of the segment that should be in it
  std::uint64_t waiting = 0;
  MessageId first_known = 0;
};

struct Walk {
  std::vector<bool> found;  // by index of the segment's ids
  std::vector<Gap> gaps;
  std::map<std::uint32_t, std::uint32_t> top;  // newest group of each epoch
  std::uint64_t records = 0;
  std::uint64_t messages = 0;
  std::uint64_t more_gaps = 0;
  std::uint64_t unreadable_sectors = 0;
  std::uint64_t unplaced = 0;  // waiting messages without a record and without a gap for it

  [[nodiscard]] bool suspect() const {
    return !gaps.empty() || std::find(found.begin(), found.end(), false) != found.end();
  }
};

class Verifier {
 public:
  explicit Verifier(Inspector& inspector) : in_(inspector) {}

  Verification run() {
    for (const FileView& file : in_.files()) check_file(file);
    for (const Segment& segment : in_.missing()) {
      add({FindingKind::missing, segment.slot, segment.sequence, 0, 0,
           segment.size() > 0 ? segment.id_at(0) : 0, segment.size(), segment.live_count()});
    }
    // What recovery would count as corrupt, less the segments without their files.
    newest_lost_ = in_.report().corrupt - std::min(in_.report().corrupt, out_.lost);
    const SegmentMap& segments = in_.state().segments;
    for (const auto& [place, segment] : segments) {
      // What has been settled may be written over at any time, also by a use that was cut.
      if (segment.live_count() == 0 && segment.sequence != in_.newest()) continue;
      check_segment(segment);
    }
    out_.lost += newest_lost_;  // not tied to a place
    return std::move(out_);
  }

 private:
  void add(const Finding& finding) {
    out_.lost += finding.lost;
    if (is_damage(finding.kind)) ++out_.damages;
    if (finding.kind == FindingKind::torn) ++out_.torn;
    if (out_.findings.size() < kFindingsMax) {
      out_.findings.push_back(finding);
    } else {
      ++out_.more_findings;
    }
  }

  void check_file(const FileView& file) {
    FindingKind kind{};
    switch (file.state) {
      case FileState::foreign:
        kind = FindingKind::foreign;
        break;
      case FileState::other_format:
        kind = FindingKind::other_format;
        break;
      case FileState::wrong_size:
        kind = FindingKind::wrong_size;
        break;
      default:
        return;
    }
    add({kind, file.slot, file.sequence, 0, static_cast<std::uint32_t>(file.bytes), 0, 0, 0});
  }

  Walk walk(const Segment& segment, env::File& file) {
    Walk out;
    out.found.resize(segment.size());
    std::uint32_t at = kDataStart;
    MessageId mark = 0;
    std::uint32_t epoch = 0;
    in_.reader().forget();
    const std::uint64_t unreadable = in_.reader().sector_errors();
    while (const auto record =
               in_.reader().next(file, segment.key, segment.sequence, at, segment.end)) {
      const RecordHeader& header = record->header;
      if (epoch_of(header.id) < epoch) {  // stale: recovery ignores it
        at = record->next;
        continue;
      }
      if (record->offset > at) {
        note(out, {at, record->offset, mark, header.id, epoch, header, false, 0, 0, 0});
      }
      at = record->next;
      epoch = epoch_of(header.id);
      const auto top = out.top.emplace(epoch, header.group).first;
      if (newer(header.group, top->second)) top->second = header.group;
      ++out.records;
      mark = header.id;
      if (header.type != RecordType::put) continue;
      ++mark;
      ++out.messages;
      if (const auto index = segment.index_of(header.id)) out.found[*index] = true;
    }
    if (at < segment.end) {
      note(
          out,
          {at, segment.end, mark, std::numeric_limits<MessageId>::max(), epoch, {}, true, 0, 0, 0});
    }
    out.unreadable_sectors = in_.reader().sector_errors() - unreadable;
    place_missing(segment, out);
    return out;
  }

  static void note(Walk& walk, const Gap& gap) {
    if (walk.gaps.size() < kFindingsMax) {
      walk.gaps.push_back(gap);
    } else {
      ++walk.more_gaps;
      walk.gaps.back().to = gap.to;
      walk.gaps.back().behind = gap.behind;
      walk.gaps.back().last = gap.last;
    }
  }

  /// Which gap the messages were in that the segment should hold and does not.
  static void place_missing(const Segment& segment, Walk& walk) {
    auto gap = walk.gaps.begin();
    for (std::uint32_t i = 0; i < segment.size(); ++i) {
      if (walk.found[i]) continue;
      if (gap == walk.gaps.end()) {
        walk.unplaced += segment.live_at(i) ? 1U : 0U;
        continue;
      }
      const MessageId id = segment.id_at(i);
      while (std::next(gap) != walk.gaps.end() && id >= gap->behind) ++gap;
      if (gap->known++ == 0) gap->first_known = id;
      if (segment.live_at(i)) ++gap->waiting;
    }
  }

  void check_segment(const Segment& segment) {
    SegmentCheck check{segment.sequence, segment.slot, 0, 0, segment.end, false};
    env::File* file = in_.file(segment.slot);
    if (file == nullptr) return;  // among the missing
    Walk walked = walk(segment, *file);
    // A second look, because a slot may be used again while it is read.
    if (walked.suspect()) walked = walk(segment, *file);
    const HeaderCopies headers = read_headers(*file);
    if (in_.used_again(segment)) {
      check.used_again = true;
      out_.segments.push_back(check);
      return;
    }
    check.records = walked.records;
    check.messages = walked.messages;
    out_.unreadable_sectors += walked.unreadable_sectors;
    out_.segments.push_back(check);
    check_headers(segment, headers);
    if (walked.unplaced > 0) {
      add({FindingKind::records, segment.slot, segment.sequence, kDataStart, segment.end, 0,
           walked.unplaced, walked.unplaced});
    }
    out_.more_findings += walked.more_gaps;
    const std::uint32_t next_epoch = epoch_behind(segment);
    for (const Gap& gap : walked.gaps) judge(segment, walked, gap, next_epoch);
  }

  void check_headers(const Segment& segment, const HeaderCopies& headers) {
    if (headers.best() == nullptr) {
      return add({FindingKind::no_header, segment.slot, segment.sequence, 0, kDataStart, 0, 0, 0});
    }
    for (std::uint32_t i = 0; i < headers.copy.size(); ++i) {
      const auto& copy = headers.copy[i];
      if (copy && copy->sequence == segment.sequence) continue;
      const bool cut = copy.has_value() || headers.zero[i];
      add({cut ? FindingKind::header_blank : FindingKind::header, segment.slot, segment.sequence,
           i * kBlock, i * kBlock + kSegmentHeaderSize, 0, 0, 0});
    }
  }

  /// The epoch in which the next log segment was begun; 0 if there is none.
  std::uint32_t epoch_behind(const Segment& segment) {
    const SegmentMap& segments = in_.state().segments;
    for (auto entry = segments.upper_bound(segment.place); entry != segments.end(); ++entry) {
      const Segment& next = entry->second;
      if (next.place != next.sequence) continue;  // carried
      env::File* file = in_.file(next.slot);
      if (file == nullptr) return 0;
      const auto record = in_.reader().next(*file, next.key, next.sequence, kDataStart, next.end);
      return record ? epoch_of(record->header.id) : 0;
    }
    return 0;
  }

  /// A gap is damage if its bytes were durable: when messages that are known were in it, when a
  /// later commit of the same opening exists, or when the store went on behind it.
  void judge(const Segment& segment, const Walk& walked, const Gap& gap, std::uint32_t next_epoch) {
    const bool opening =
        gap.last || (gap.next.type == RecordType::session && epoch_of(gap.next.id) > gap.epoch);
    const bool step = gap.to % kBlock == 0 && gap.to == align_up(gap.from, kBlock);
    if (opening && step && gap.known == 0) return;  // each opening begins at a block of its own
    const std::uint32_t epoch = gap.last ? gap.epoch : epoch_of(gap.next.id);
    const bool carried = segment.place != segment.sequence;  // believed as a whole only
    bool durable = carried || gap.known > 0 || gap.last || next_epoch == epoch;
    if (!durable && gap.epoch != 0 && epoch != gap.epoch) durable = true;
    if (!durable) durable = newer(walked.top.at(epoch), gap.next.group);
    Finding finding{durable ? FindingKind::records : FindingKind::torn,
                    segment.slot,
                    segment.sequence,
                    gap.from,
                    gap.to,
                    gap.first_known,
                    gap.known,
                    gap.waiting};
    // In segments that recovery replays, lost messages are not among those that wait.
    if (!carried && gap.known == 0 && !gap.last && gap.first != 0 && epoch == gap.epoch &&
        gap.behind > gap.first) {
      finding.first_id = gap.first;
      finding.messages = gap.behind - gap.first;
      if (durable) finding.lost = std::min(finding.messages, newest_lost_);
      newest_lost_ -= finding.lost;
    }
    add(finding);
  }

  Inspector& in_;
  Verification out_;
  std::uint64_t newest_lost_ = 0;
};

}  // namespace

std::string_view to_string(FindingKind kind) noexcept {
  switch (kind) {
    case FindingKind::records:
      return "records";
    case FindingKind::torn:
      return "torn";
    case FindingKind::header:
      return "header";
    case FindingKind::header_blank:
      return "header_blank";
    case FindingKind::no_header:
      return "no_header";
    case FindingKind::missing:
      return "missing";
    case FindingKind::wrong_size:
      return "wrong_size";
    case FindingKind::foreign:
      return "foreign";
    case FindingKind::other_format:
      return "other_format";
  }
  return "unknown";
}

bool is_damage(FindingKind kind) noexcept {
  return kind != FindingKind::torn && kind != FindingKind::header_blank;
}

Verification verify(Inspector& inspector) { return Verifier(inspector).run(); }

}  // namespace holdfast::outbox
