// What the outbox tests share: a clock to turn by hand, seeded randomness, short helpers.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "env/clock.h"
#include "env/random.h"
#include "outbox/store.h"
#include "sim/power_cut_disk.h"
#include "sim/seeded_random.h"

namespace holdfast::outbox::test {

class HandClock final : public env::Clock {
 public:
  [[nodiscard]] BootTime now() const override { return boot; }
  [[nodiscard]] WallTime wall() const override { return WallTime{wall_ms}; }
  [[nodiscard]] bool wall_synchronized() const override { return synchronized; }
  [[nodiscard]] env::BootId boot_id() const override { return id; }

  void pass(Duration d) {
    boot += d;
    wall_ms += std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  }
  void reboot() {
    boot = BootTime{std::chrono::seconds(10)};
    ++id[0];
  }

  BootTime boot{std::chrono::seconds(100)};
  std::int64_t wall_ms = 1'750'000'000'000;
  bool synchronized = true;
  env::BootId id{1};
};

using sim::SeededRandom;

inline StoredMessage make_message(LaneIndex lane, std::string topic, std::size_t payload,
                                  std::uint8_t fill = 0x55) {
  StoredMessage m;
  m.lane = lane;
  m.topic = std::move(topic);
  m.payload.assign(payload, static_cast<std::byte>(fill));
  return m;
}

inline bool same_message(const StoredMessage& a, const StoredMessage& b) {
  return a.qos == b.qos && a.retain == b.retain && a.expiry_seconds == b.expiry_seconds &&
         a.topic == b.topic && a.payload == b.payload && a.content_type == b.content_type &&
         a.user_properties == b.user_properties && a.response_topic == b.response_topic &&
         a.correlation_data == b.correlation_data;
}

inline Options small_options() {
  Options options;
  options.segment_bytes = kSegmentFloor;
  options.max_bytes = 8 * std::uint64_t{kSegmentFloor};
  return options;
}

/// Opens as Device::open does: what cannot be read is damage when waiting has not helped.
inline Result<std::unique_ptr<Outbox>> open_at_last(env::Disk& disk, HandClock& clock,
                                                    env::Random& random, RecoveryReport& report) {
  return Outbox::open_patiently(disk, clock, random, small_options(), report, [&](const Error&) {
    clock.pass(kOpenRetry);
    return true;
  });
}

/// Whether it had to wait until what cannot be read was given up (or could be read).
inline bool wait_for_reads(Outbox& box, HandClock& clock) {
  if (box.health() != StorageHealth::degraded) return false;
  for (int i = 0; i < 120 && box.health() == StorageHealth::degraded; ++i) {
    clock.pass(std::chrono::seconds(1));
    box.tick();
  }
  return box.health() != StorageHealth::degraded;
}

/// A valid record of a segment's bytes.
struct PlacedRecord {
  std::uint32_t from = 0;
  std::uint32_t to = 0;  ///< Of what its checksum covers.
  RecordType type = RecordType::pad;
  MessageId id = 0;
};

inline std::vector<PlacedRecord> records_of(std::span<const std::byte> segment) {
  std::vector<PlacedRecord> out;
  const auto header = decode_segment_header(segment);
  if (!header) return out;
  const SegmentKey key = make_key(header->store, header->sequence, header->salt);
  for (std::uint32_t at = kDataStart; at + kRecordHeaderSize <= segment.size();) {
    const auto rest = segment.subspan(at);
    const RecordHeader record = decode_record_header(rest);
    const bool valid = record.tag == key.tag && record.length >= kRecordHeaderSize &&
                       record.length <= rest.size() &&
                       record_valid(rest.first(record.length), record, key, at);
    if (!valid) {
      at += kAlign;
      continue;
    }
    const std::uint32_t covered =
        record.type == RecordType::pad ? kRecordHeaderSize : record.length;
    out.push_back({at, at + covered, record.type, record.id});
    at += stride(record.length);
  }
  return out;
}

/// Whether a readable record tells that a message was put at this place of the newest segment: one
/// behind it of the same opening, or of a session, with its counter. Without one, damage looks like
/// a cut.
template <typename Damaged>
bool leaves_trace(const std::vector<PlacedRecord>& records, const PlacedRecord& put,
                  const Damaged& damaged) {
  return std::any_of(records.begin(), records.end(), [&](const PlacedRecord& r) {
    return r.from > put.from && !damaged(r) &&
           (epoch_of(r.id) == epoch_of(put.id) || r.type == RecordType::session);
  });
}

inline std::uint64_t env_number(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace holdfast::outbox::test
