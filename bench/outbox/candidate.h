// One way to keep messages on disk, as the outbox benchmark drives it.
//
// Purpose:  the same workloads for our outbox, for its rivals and for the physical limit.
// Threads:  one. A candidate may have threads of its own (LevelDB does); their CPU time counts.
// Errors:   put, commit and ack answer false when the store refuses; whatever else fails ends the
//           program with one line (die()), because a benchmark must not go on with a broken store.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::bench {

inline constexpr std::string_view kTopic = "bench/01";

struct CandidateOptions {
  std::string directory;
  std::size_t payload = 256;
  bool synced = true;  ///< False: nothing waits for the disk.
  std::uint64_t max_bytes = 0;
  bool evict = false;        ///< Ours only: what is full gives up its oldest.
  bool preallocate = false;  ///< Ours only: makes its files before anything is measured.
};

/// The number of a message and its payload as read back.
using Visit = std::function<void(std::uint64_t number, std::span<const std::byte> payload)>;

class Candidate {
 public:
  virtual ~Candidate() = default;
  /// Messages are numbered 1, 2, 3 … in the order of put().
  [[nodiscard]] virtual bool put(std::uint64_t number, std::span<const std::byte> payload) = 0;
  /// Everything so far becomes durable (if `synced`).
  [[nodiscard]] virtual bool commit() = 0;
  /// Reads the next messages that were not read before, as sending does; gives how many.
  virtual std::size_t fetch(std::size_t count, const Visit& visit) = 0;
  /// The end of a message that was fetched. Durable with the next commit().
  [[nodiscard]] virtual bool ack(std::uint64_t number) = 0;
  /// The exact number of messages that wait.
  [[nodiscard]] virtual std::uint64_t pending() = 0;
  /// Messages that the store itself says are lost, at opening or while reading.
  [[nodiscard]] virtual std::uint64_t reported_lost() { return 0; }
  /// Errors that the store gave while opening or reading, without a count of messages.
  [[nodiscard]] virtual std::uint64_t errors() { return 0; }
  /// Ends in order; no calls afterwards.
  virtual void close() {}
};

/// Null with a reason when the store cannot be opened.
using Opener = std::unique_ptr<Candidate> (*)(const CandidateOptions& options, std::string& why);

std::unique_ptr<Candidate> open_ours(const CandidateOptions& options, std::string& why);
/// The same, encrypted at rest.
std::unique_ptr<Candidate> open_ours_sealed(const CandidateOptions& options, std::string& why);
std::unique_ptr<Candidate> open_raw(const CandidateOptions& options, std::string& why);
std::unique_ptr<Candidate> open_sqlite(const CandidateOptions& options, std::string& why);
std::unique_ptr<Candidate> open_leveldb(const CandidateOptions& options, std::string& why);
std::unique_ptr<Candidate> open_paho(const CandidateOptions& options, std::string& why);
std::unique_ptr<Candidate> open_paho_synced(const CandidateOptions& options, std::string& why);
std::unique_ptr<Candidate> open_paho_synced_all(const CandidateOptions& options, std::string& why);

/// Null when the name is unknown or this build has no such rival.
[[nodiscard]] Opener find_candidate(std::string_view name);
[[nodiscard]] std::vector<std::string> candidate_names();

/// The payload that belongs to a number; it begins with the number.
void fill_payload(std::uint64_t number, std::span<std::byte> out);
[[nodiscard]] std::uint64_t number_of(std::span<const std::byte> payload);

[[noreturn]] void die(const std::string& line);

}  // namespace holdfast::bench
