// Repairing an outbox that no agent has open: see repair_outbox() in outbox_files.h.
//
// The store itself recovers and gives up, counted, what cannot be read. What is added here is to
// put files that do not belong to it aside before, so that nothing of them is ever overwritten.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "outbox/slots.h"
#include "outbox/store.h"
#include "posix/system.h"
#include "runtime/outbox_files.h"

namespace holdfast::runtime {
namespace {

using nlohmann::ordered_json;
constexpr const char* kQuarantine = "quarantine";

struct Move {
  std::string file;
  const char* why = "";
};

/// Files that hold nothing for this store. A segment that was cut short stays as long as messages
/// wait in it.
std::vector<Move> plan_moves(const outbox::Inspector& inspector) {
  std::vector<Move> moves;
  const outbox::SegmentMap& segments = inspector.state().segments;
  for (const outbox::FileView& file : inspector.files()) {
    const bool waiting = std::any_of(segments.begin(), segments.end(), [&](const auto& entry) {
      return entry.second.slot == file.slot && entry.second.live_count() > 0;
    });
    const std::string name = outbox::slot_name(file.slot);
    switch (file.state) {
      case outbox::FileState::foreign:
        moves.push_back({name, "a segment of another store"});
        break;
      case outbox::FileState::other_format:
        moves.push_back({name, "a segment of another version of the format"});
        break;
      case outbox::FileState::wrong_size:
        if (!waiting) moves.push_back({name, "of the wrong size, and no message waits in it"});
        break;
      case outbox::FileState::unfinished:
        moves.push_back({name, "of the wrong size, without a header"});
        break;
      default:
        break;
    }
  }
  return moves;
}

/// Opens the store as its agent would, without making or removing a slot, and has it give up what
/// cannot be read.
Result<std::uint64_t> let_store_recover(env::Disk& disk, const outbox::Inspector& seen) {
  const auto clock = posix::make_clock();
  const auto random = posix::make_random();
  outbox::Options options;
  options.lanes.clear();
  for (const std::string& lane : seen.view().session.lanes) options.lanes.emplace_back(lane);
  if (options.lanes.size() > limits::kLanesMax)
    options.lanes.erase(options.lanes.begin() + limits::kLanesMax, options.lanes.end());
  std::uint32_t slots = 0;
  for (const outbox::FileView& file : seen.files()) slots = std::max(slots, file.slot + 1);
  options.segment_bytes = seen.view().segment_bytes;
  options.unreadable_is_damage = true;
  options.max_bytes = std::uint64_t{slots} * seen.view().segment_bytes;
  outbox::RecoveryReport report;
  auto store = outbox::Store::open_store(disk, *clock, *random, std::move(options), report);
  if (!store) return store.error();
  const std::uint64_t given_up = (*store)->audit_all();
  std::vector<MessageId> lost;
  if (Status committed = (*store)->commit(lost); !committed) return committed.error();
  if (Status closed = (*store)->close(); !closed) return closed.error();
  return report.corrupt + given_up;
}

Result<ordered_json> apply_repair(const std::filesystem::path& directory) {
  if (Status owner = posix::require_owner(directory); !owner) return owner.error();
  auto disk = posix::open_existing_disk(directory);
  if (!disk) return disk.error();
  if (Status locked = (*disk)->lock(); !locked) return locked.error();
  auto files = OutboxFiles::open(directory);
  if (!files) return files.error();
  ordered_json out{{"applied", true}, {"moved", ordered_json::array()}};
  out["before"] = files->verify();
  for (const Move& move : plan_moves(files->inspector())) {
    auto to = posix::move_aside(directory, move.file, kQuarantine);
    if (!to) return to.error();
    out["moved"].push_back({{"file", move.file}, {"to", *to}, {"why", move.why}});
  }
  const auto& report = files->inspector().report();
  out["torn"] = report.torn;
  std::uint64_t given_up = 0;
  if (!out["before"]["clean"].get<bool>() || report.rebuilt) {
    auto recovered = let_store_recover(**disk, files->inspector());
    if (!recovered) return recovered.error();
    given_up = *recovered;
  }
  out["given_up"] = given_up;
  auto again = OutboxFiles::open(directory);
  if (!again) return again.error();
  out["after"] = again->verify();
  if (!out["before"]["clean"].get<bool>() || !out["moved"].empty()) {
    auto written =
        posix::write_aside(directory, "report.json", kQuarantine,
                           out.dump(1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
    if (!written) return written.error();
    out["report"] = *written;
  }
  return out;
}

}  // namespace

Result<ordered_json> repair_outbox(const std::filesystem::path& directory, bool apply) {
  if (apply) return apply_repair(directory);
  auto files = OutboxFiles::open(directory);
  if (!files) return files.error();
  ordered_json out{{"applied", false}, {"moved", ordered_json::array()}};
  out["before"] = files->verify();
  for (const Move& move : plan_moves(files->inspector())) {
    out["moved"].push_back({{"file", move.file}, {"why", move.why}});
  }
  out["torn"] = files->inspector().report().torn;
  out["given_up"] = out["before"]["lost"];
  return out;
}

}  // namespace holdfast::runtime
