#include "sim/damage_explorer.h"

#include <algorithm>

#include "sim/campaign.h"

namespace holdfast::sim {
namespace {

using outbox::kSegmentFloor;
using outbox::RecordType;
using outbox::test::PlacedRecord;
using outbox::test::records_of;

constexpr std::size_t kSector = PowerCutDisk::kSector;
constexpr std::uint64_t kFlips = std::uint64_t{kSegmentFloor} * 8;
constexpr std::uint64_t kSectors = kSegmentFloor / kSector;
constexpr std::uint64_t kReopenEvery = 16;  // damages after which a second opening is judged, too

struct Damage {
  DamageKind kind = DamageKind::flip;
  std::uint64_t at = 0;     // a bit, a length, a sector
  std::uint64_t other = 0;  // duplicate, swap: another sector
};

/// All damages of a segment, in the order of their numbers.
std::vector<Damage> all_damages() {
  std::vector<Damage> out;
  for (std::uint64_t bit = 0; bit < kFlips; ++bit) out.push_back({DamageKind::flip, bit, 0});
  for (std::uint64_t n = 0; n < kSegmentFloor; ++n) out.push_back({DamageKind::truncate, n, 0});
  for (std::uint64_t s = 0; s < kSectors; ++s) {
    out.push_back({DamageKind::zero, s, 0});
    if (s > 0) out.push_back({DamageKind::duplicate, s, s - 1});
    if (s + 1 < kSectors) out.push_back({DamageKind::duplicate, s, s + 1});
    for (std::uint64_t other = 0; other < s; ++other) {
      out.push_back({DamageKind::swap, s, other});
    }
  }
  return out;
}

/// Whether bytes [from, to) of the segment are touched.
bool touches(const Damage& damage, std::uint64_t from, std::uint64_t to) {
  const auto in_sector = [&](std::uint64_t sector) {
    return from < (sector + 1) * kSector && to > sector * kSector;
  };
  switch (damage.kind) {
    case DamageKind::flip:
      return from <= damage.at / 8 && damage.at / 8 < to;
    case DamageKind::truncate:
      return to > damage.at;
    case DamageKind::zero:
    case DamageKind::duplicate:
      return in_sector(damage.at);
    case DamageKind::swap:
      return in_sector(damage.at) || in_sector(damage.other);
  }
  return false;
}

std::vector<std::byte> damaged(std::vector<std::byte> bytes, const Damage& damage) {
  const auto sector = [&](std::uint64_t number) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(number * kSector);
  };
  constexpr auto kLength = static_cast<std::ptrdiff_t>(kSector);
  switch (damage.kind) {
    case DamageKind::flip:
      bytes[damage.at / 8] ^= static_cast<std::byte>(1U << (damage.at % 8));
      break;
    case DamageKind::truncate:
      bytes.resize(damage.at);
      break;
    case DamageKind::zero:
      std::fill_n(sector(damage.at), kLength, std::byte{0});
      break;
    case DamageKind::duplicate:
      std::copy_n(sector(damage.other), kLength, sector(damage.at));
      break;
    case DamageKind::swap:
      std::swap_ranges(sector(damage.at), sector(damage.at) + kLength, sector(damage.other));
      break;
  }
  return bytes;
}

/// What an opening gave back.
struct Outcome {
  std::string wrong;
  std::uint64_t back = 0;
  std::uint64_t corrupt = 0;
  std::uint64_t torn = 0;
  bool clean = false;
  Ledger ledger;
  std::vector<bool> there;  // by position in Model::known
};

class Explorer {
 public:
  Explorer(const DamageCase& chosen, std::uint64_t seed, const DamageBudget& budget)
      : case_(chosen), seed_(seed), budget_(budget), rig_(seed, options_of(chosen)) {}

  DamageTable run() {
    note(0);
    if (!prepare()) return table_;
    const std::vector<Damage> all = all_damages();
    for (std::uint64_t i = 0; i < all.size(); ++i) {
      const std::uint64_t number = i + 1;
      if (budget_.only != 0 ? number != budget_.only : !due(all[i], i)) continue;
      note(number);
      attempt(all[i], number);
    }
    return table_;
  }

 private:
  static outbox::Options options_of(const DamageCase& chosen) {
    outbox::Options options = outbox::test::small_options();
    options.max_bytes = chosen.segments * std::uint64_t{kSegmentFloor};
    return options;
  }

  [[nodiscard]] bool due(const Damage& damage, std::uint64_t i) const {
    if (i % budget_.parts != budget_.part) return false;
    switch (damage.kind) {
      case DamageKind::flip:
      case DamageKind::truncate:
        return (damage.at + seed_) % budget_.every == 0;
      case DamageKind::swap:
        return (damage.at + damage.other + seed_) % (1 + budget_.every / kSectors) == 0;
      case DamageKind::zero:
      case DamageKind::duplicate:
        return true;
    }
    return true;
  }

  void note(std::uint64_t number) const {
    set_under_way("damage_sim --case " + std::string(case_.name) + " --seed " +
                  std::to_string(seed_) + " --damage " + std::to_string(number));
  }

  DamageTotals& totals(DamageKind kind) { return table_[static_cast<std::size_t>(kind)]; }

  void found_wrong(DamageKind kind, const std::string& what) {
    DamageTotals& t = totals(kind);
    if (t.failed++ == 0) t.first = what + "\n    " + under_way();
  }

  bool prepare() {
    case_.build(rig_);
    if (case_.closed) rig_.close();
    if (!rig_.wrong().empty()) return found_wrong(DamageKind::flip, rig_.wrong()), false;
    rig_.abandon();
    rig_.disk().kill();
    choose_target();
    if (target_.empty()) return found_wrong(DamageKind::flip, "the case has no target"), false;
    records_ = records_of(rig_.disk().content(target_));
    whole_ = take_out(*rig_.disk().image(image_random_));
    for (std::size_t i = 0; i < known().size() && whole_.wrong.empty(); ++i) {
      if (whole_.there[i] != !known()[i].settled) whole_.wrong = "the undamaged store is wrong";
    }
    // The other way round is no mistake: a full segment has no room for the mark of the closing.
    if (whole_.clean && !case_.closed) whole_.wrong = "the case is closed, though it says not";
    if (!whole_.wrong.empty()) return found_wrong(DamageKind::flip, whole_.wrong), false;
    return true;
  }

  void choose_target() {
    std::uint64_t chosen = 0;
    for (const auto& [name, bytes] : rig_.disk().durable()) {
      const auto header = outbox::decode_segment_header(bytes);
      if (!header) continue;
      const auto records = records_of(bytes);
      const bool waits = std::any_of(records.begin(), records.end(), [&](const PlacedRecord& r) {
        const Known* k = r.type == RecordType::put ? rig_.model().find(r.id) : nullptr;
        return k != nullptr && !k->settled;
      });
      const bool carried = header->kind == outbox::SegmentKind::carried;
      if (!waits || carried != (case_.target == DamageCase::Target::carried)) continue;
      const bool better = case_.target == DamageCase::Target::oldest ? header->sequence < chosen
                                                                     : header->sequence > chosen;
      if (chosen != 0 && !better) continue;
      chosen = header->sequence;
      target_ = name;
    }
  }

  [[nodiscard]] const std::vector<Known>& known() const { return rig_.model().known; }

  /// Opens, takes out everything and works on; without `goes_on` only what was found is made
  /// durable.
  Outcome take_out(PowerCutDisk& disk, bool goes_on = true) {
    Outcome out;
    out.there.assign(known().size(), false);
    SeededRandom random(seed_);
    outbox::test::HandClock clock = rig_.clock;
    outbox::RecoveryReport report;
    auto opened = outbox::Outbox::open(disk, clock, random, rig_.options, report);
    if (!opened) {
      out.wrong = "does not open: " + opened.error().message;
      return out;
    }
    outbox::Outbox& box = **opened;
    fetch_all(box, out);
    out.torn = report.torn;
    out.clean = report.clean;
    out.ledger = box.ledger();
    out.corrupt = out.ledger.dropped[static_cast<std::size_t>(DropReason::corrupt)];
    if (!out.wrong.empty()) return out;
    const auto found =
        static_cast<std::uint64_t>(std::count(out.there.begin(), out.there.end(), true));
    if (!out.ledger.balanced()) out.wrong = "the ledger is not balanced";
    if (out.ledger.pending != found) out.wrong = "pending is not what was found";
    for (std::size_t i = 0; i < known().size(); ++i) {
      const bool lost = !known()[i].settled && !out.there[i];
      if (lost && box.fate(known()[i].id).kind == FateKind::delivered) {
        out.wrong = "a lost message is said to be delivered";
      }
    }
    if (!goes_on) {
      std::vector<MessageId> lost;
      static_cast<void>(box.commit(lost));
    } else if (!works_on(box)) {
      out.wrong = "accepts nothing afterwards";
    }
    return out;
  }

  /// A store that was full accepts again once it was drained.
  bool works_on(outbox::Outbox& box) const {
    std::vector<MessageId> lost;
    const StoredMessage message = outbox::test::make_message(0, "after", 10);
    if (box.put(message).rejected != RejectReason::none) {
      for (const Known& k : known()) box.settle_delivered(k.id);
      if (!box.commit(lost).ok() || box.put(message).rejected != RejectReason::none) return false;
    }
    return box.commit(lost).ok() && lost.empty();
  }

  void fetch_all(outbox::Outbox& box, Outcome& out) {
    for (std::size_t lane = 0; lane < rig_.options.lanes.size(); ++lane) {
      MessageId last = 0;
      for (bool more = true; more;) {
        const auto got = box.fetch(static_cast<LaneIndex>(lane), 64, 64 * 1024);
        more = got.more && (!got.messages.empty() || !box.take_news().dropped.empty());
        for (const MessagePtr& m : got.messages) {
          const Known* k = rig_.model().find(m->id);
          if (k == nullptr || !same_content(*m, *k->message)) out.wrong = "sends a forged message";
          if (k == nullptr) return;
          if (*k->lane != rig_.options.lanes[lane].name) out.wrong = "sends in the wrong lane";
          if (m->id <= last) out.wrong = "sends out of order, or twice";
          last = m->id;
          out.there[static_cast<std::size_t>(k - known().data())] = true;
          out.back += k->settled ? 1U : 0U;
        }
      }
      if (box.unfetched(static_cast<LaneIndex>(lane)) != 0) out.wrong = "has what it does not send";
    }
  }

  std::unique_ptr<PowerCutDisk> hurt(const Damage& damage) {
    auto disk = rig_.disk().image(image_random_);
    if (damage.kind == DamageKind::flip) {
      disk->flip(target_, damage.at / 8, static_cast<unsigned>(damage.at % 8));
    } else {
      disk->plant(target_, damaged(disk->content(target_), damage));
    }
    return disk;
  }

  void attempt(const Damage& damage, std::uint64_t number) {
    const Outcome got = take_out(*hurt(damage));
    std::string wrong = got.wrong.empty() ? judge(damage, got) : got.wrong;
    if (wrong.empty() && number % kReopenEvery == 0) wrong = judge_again(damage, got);
    if (!wrong.empty()) found_wrong(damage.kind, wrong);
  }

  /// A segment that is not the newest has all its ids in a later checkpoint.
  [[nodiscard]] bool provable(const Damage& damage, const PlacedRecord& put) const {
    if (case_.target != DamageCase::Target::newest) return true;
    return outbox::test::leaves_trace(
        records_, put, [&](const PlacedRecord& r) { return touches(damage, r.from, r.to); });
  }

  std::string judge(const Damage& damage, const Outcome& got) {
    DamageTotals& t = totals(damage.kind);
    ++t.tried;
    std::uint64_t missing = 0;
    std::uint64_t traceless = 0;
    for (std::size_t i = 0; i < known().size(); ++i) {
      if (known()[i].settled || got.there[i]) continue;
      ++missing;
      const auto r = std::find_if(records_.begin(), records_.end(), [&](const PlacedRecord& p) {
        return p.type == RecordType::put && p.id == known()[i].id;
      });
      if (r == records_.end() || !touches(damage, r->from, r->to)) {
        return "lost a message that was not damaged: " + std::to_string(known()[i].id);
      }
      traceless += provable(damage, *r) ? 0U : 1U;
    }
    const std::uint64_t corrupt = std::min(got.corrupt, missing);
    const std::uint64_t torn = std::min(got.torn, missing - corrupt);
    const std::uint64_t uncounted = missing - corrupt - torn;
    t.missing += missing;
    t.corrupt += corrupt;
    t.torn += torn;
    t.tail += uncounted;
    const std::string of = " of " + std::to_string(missing) + " missing messages";
    if (uncounted > traceless)
      return std::to_string(uncounted - traceless) + of + " are not counted";
    if (damage.kind == DamageKind::flip) return judge_flip(got, missing, uncounted);
    return {};
  }

  std::string judge_flip(const Outcome& got, std::uint64_t missing, std::uint64_t uncounted) {
    if (missing > 1) return "one bit cost " + std::to_string(missing) + " messages";
    if (got.corrupt > missing) return "counted as corrupt without being missing";
    if (uncounted > 0) return "one bit, and not counted";
    if (!case_.closed) return {};
    if (got.corrupt != missing) return "proven to be accepted, but not counted as corrupt";
    if (got.ledger.accepted != whole_.ledger.accepted) return "accepted changed";
    return {};
  }

  /// What one opening found, the next one finds again.
  std::string judge_again(const Damage& damage, const Outcome& got) {
    auto disk = hurt(damage);
    static_cast<void>(take_out(*disk, false));
    disk->kill();
    const Outcome again = take_out(*disk);
    if (!again.wrong.empty()) return again.wrong + ", at the second opening";
    if (again.there != got.there) return "the second opening finds other messages";
    if (again.corrupt != got.corrupt) return "the second opening counts otherwise";
    if (again.ledger.accepted != got.ledger.accepted)
      return "accepted changed at the second opening";
    return {};
  }

  const DamageCase& case_;
  std::uint64_t seed_;
  DamageBudget budget_;
  OutboxRig rig_;
  SeededRandom image_random_{1};
  DamageTable table_;
  std::string target_;
  std::vector<PlacedRecord> records_;
  Outcome whole_;
};

// ---- cases --------------------------------------------------------------------------------------

void put_some(OutboxRig& rig, std::uint64_t most) {
  for (std::uint64_t k = 1 + rig.random.below(most); k > 0 && rig.up(); --k) {
    rig.put_any(rig.random.below(250));
  }
  rig.commit();
}

void work(OutboxRig& rig, std::uint64_t most) {
  put_some(rig, most);
  for (LaneIndex lane = 0; lane < 3; ++lane) rig.fetch(lane, 5);
  const bool in_order = rig.random.below(2) == 0;
  rig.settle(rig.random.below(3), in_order);
}

/// Until so many segments are in use and the newest is more than half full.
void work_until(OutboxRig& rig, std::size_t segments) {
  while (rig.up()) {
    work(rig, 5);
    const auto view = rig.box()->view();
    if (view.segments.size() >= segments && view.segments.back().end > kSegmentFloor / 2) return;
  }
}

void some_segments(OutboxRig& rig) {
  rig.open();
  work_until(rig, 3);
}

// The last commit holds messages: no later one proves that it was durable.
void ends_with_puts(OutboxRig& rig) {
  some_segments(rig);
  put_some(rig, 4);
}

void a_few_commits(OutboxRig& rig) {
  rig.open();
  for (int i = 0; i < 3; ++i) work(rig, 5);
}

void sessions(OutboxRig& rig) {
  for (int i = 0; i < 4 && rig.wrong().empty(); ++i) {
    if (i > 0 && i % 2 == 0) {
      rig.close();
    } else if (i > 0) {
      rig.crash(true);
    }
    if (rig.open()) work(rig, 3);
  }
  rig.commit();
}

void packed(OutboxRig& rig) {
  rig.open();
  work_until(rig, 3);
}

// Filled to its limit and mostly settled, again and again, until little waits in each segment and
// the next message makes it copy that together.
void carried(OutboxRig& rig) {
  rig.open();
  for (int round = 0; round < 3 && rig.up(); ++round) {
    for (int i = 0; i < 400 && rig.up(); ++i) {
      if (!rig.put_any(300 + rig.random.below(500))) break;
      if (i % 6 == 0) rig.commit();
    }
    rig.commit();
    if (round == 2) break;
    for (LaneIndex lane = 0; lane < 3; ++lane) rig.fetch(lane, 200);
    rig.settle(rig.in_flight() * 3 / 4, false);
    rig.commit();
  }
}

}  // namespace

std::string_view to_string(DamageKind kind) {
  constexpr std::array<std::string_view, kDamageKinds> kNames{"flip", "truncate", "zero",
                                                              "duplicate", "swap"};
  return kNames[static_cast<std::size_t>(kind)];
}

void DamageTotals::add(const DamageTotals& other) {
  tried += other.tried;
  missing += other.missing;
  corrupt += other.corrupt;
  torn += other.torn;
  tail += other.tail;
  back += other.back;
  if (failed == 0) first = other.first;
  failed += other.failed;
}

const std::vector<DamageCase>& damage_cases() {
  using Target = DamageCase::Target;
  static const std::vector<DamageCase> all{
      {"closed", "the newest segment of three, closed in order", 12, Target::newest, true,
       some_segments},
      {"killed", "the same, killed after a commit", 12, Target::newest, false, ends_with_puts},
      {"sealed", "the oldest segment in which messages wait", 12, Target::oldest, false,
       ends_with_puts},
      {"lone", "the only segment, closed in order", 12, Target::newest, true, a_few_commits},
      {"sessions", "openings, closings and kills in one segment", 12, Target::newest, false,
       sessions},
      {"packed", "commits one behind the other, without padding", 5, Target::newest, true, packed},
      {"carried", "what waited in several segments, copied into one", 6, Target::carried, true,
       carried},
  };
  return all;
}

DamageTable explore_damage(const DamageCase& chosen, std::uint64_t seed,
                           const DamageBudget& budget) {
  return Explorer(chosen, seed, budget).run();
}

}  // namespace holdfast::sim
