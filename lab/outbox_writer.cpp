// One life of an outbox, told line by line: the victim of tools/torture power.
//
// Use:      hf_outbox_writer DIRECTORY FIRST SEED SEGMENT MAX [--no-sync | --drain]
//           Opens the store, lists all that waits, then puts, commits, fetches and settles until it
//           is killed. Messages are numbered from FIRST on. --drain settles all and closes instead.
//           --no-sync makes every sync a lie, to show that the rig notices.
// Lines:    O accepted delivered pending dropped torn   as found, before anything else
//           M number…    waiting, with the right bytes   F text     wrong bytes
//           R            all of them are listed          P first last   about to be put
//           A number…    committed: now it is a promise  S number…  about to be settled
//           E text       the disk refuses; ends with 3
//           C accepted delivered pending dropped          closed in order
// Each line is one write(2) to standard output, made before (P, S) or after (A, M) what it tells.
// So a reader never knows less than was promised, wherever the cut comes. A serial port counts as
// told only when the last byte has left the machine, for what the kernel holds is cut with it.
// Threads:  one.
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "outbox/outbox.h"
#include "posix/system.h"

namespace {

using namespace holdfast;  // NOLINT: a program's main file

constexpr std::size_t kFetchCount = 256;
constexpr std::size_t kFetchBytes = 1024 * 1024;
constexpr int kDiskRefuses = 3;

void tell(const std::string& line) {
  const std::string whole = line + "\n";
  const ssize_t written = ::write(STDOUT_FILENO, whole.data(), whole.size());
  static const bool is_port = ::isatty(STDOUT_FILENO) == 1;
  if (written != static_cast<ssize_t>(whole.size()) || (is_port && ::tcdrain(STDOUT_FILENO) != 0)) {
    std::exit(1);  // nobody listens any more
  }
}

std::string numbers(char kind, const std::vector<std::uint64_t>& list) {
  std::string line(1, kind);
  for (const std::uint64_t number : list) line += " " + std::to_string(number);
  return line;
}

std::string counts(const Ledger& ledger) {
  std::uint64_t dropped = 0;
  for (const std::uint64_t count : ledger.dropped) dropped += count;
  return std::to_string(ledger.accepted) + " " + std::to_string(ledger.delivered) + " " +
         std::to_string(ledger.pending) + " " + std::to_string(dropped);
}

[[noreturn]] void refuse(const Error& error) {
  tell("E " + error.message);
  std::_Exit(kDiskRefuses);
}

/// Everything about message `number` follows from the number, its bytes too. A segment takes no
/// message of more than half of it, less its own head.
StoredMessage make_message(std::uint64_t number, std::uint64_t segment) {
  std::mt19937_64 random(number);
  StoredMessage message;
  message.lane = static_cast<LaneIndex>(random() % 3);
  message.topic = "torture/" + std::to_string(number);
  const std::uint64_t kind = random() % 20;
  const std::uint64_t most = kind == 0 ? 12000 : kind < 5 ? 2000 : 200;
  message.payload.resize(random() % std::min(most, segment / 16));
  for (std::byte& byte : message.payload) byte = static_cast<std::byte>(random());
  if (random() % 4 == 0) message.user_properties.emplace_back("n", std::to_string(number));
  return message;
}

/// The disk that forgets: every sync succeeds and does nothing.
class NoSyncFile final : public env::File {
 public:
  explicit NoSyncFile(std::unique_ptr<env::File> real) : real_(std::move(real)) {}
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
    return real_->read_at(offset, out);
  }
  Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    return real_->write_at(offset, bytes);
  }
  Status sync() override { return {}; }
  Result<std::uint64_t> size() override { return real_->size(); }

 private:
  std::unique_ptr<env::File> real_;
};

class NoSyncDisk final : public env::Disk {
 public:
  explicit NoSyncDisk(std::unique_ptr<env::Disk> real) : real_(std::move(real)) {}
  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override {
    auto file = real_->open(name, mode);
    if (!file.ok()) return file;
    return std::unique_ptr<env::File>(std::make_unique<NoSyncFile>(std::move(file).value()));
  }
  Result<std::vector<std::string>> list() override { return real_->list(); }
  Status remove(std::string_view name) override { return real_->remove(name); }
  Status rename(std::string_view from, std::string_view to) override {
    return real_->rename(from, to);
  }
  Status sync_directory() override { return {}; }
  Status lock() override { return real_->lock(); }
  Result<std::uint64_t> free_bytes() override { return real_->free_bytes(); }

 private:
  std::unique_ptr<env::Disk> real_;
};

class Life {
 public:
  Life(outbox::Outbox& box, std::uint64_t first, std::uint64_t seed, std::uint64_t segment)
      : box_(box), next_(first), segment_(segment), random_(seed) {
    batch_ = std::uint64_t{1} << below(6);
    backlog_ = below(2) == 0 ? 5 : 150;
  }

  void list() {
    fetch('M');
    tell("R");
  }

  void work() {
    for (;;) {
      put(1 + below(batch_));
      fetch('\0');
      const std::size_t keep = full_ ? waiting_.size() / 2 : backlog_ + below(20);
      settle(std::max(waiting_.size(), keep) - keep);
      if (below(8) == 0) box_.tick();
    }
  }

  void drain() {
    settle(waiting_.size());
    commit({});
    if (Status closed = box_.close(); !closed.ok()) refuse(closed.error());
    tell("C " + counts(box_.ledger()));
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }

  /// Fetches all there is and checks every byte; names them if `kind` is not 0.
  void fetch(char kind) {
    for (LaneIndex lane = 0; lane < 3; ++lane) {
      for (bool more = true; more;) {
        outbox::Outbox::Fetched got = box_.fetch(lane, kFetchCount, kFetchBytes);
        more = got.more && !got.messages.empty();
        std::vector<std::uint64_t> found;
        for (const MessagePtr& message : got.messages) found.push_back(take(*message));
        if (kind != '\0' && !found.empty()) tell(numbers(kind, found));
      }
    }
  }

  std::uint64_t take(const StoredMessage& message) {
    const std::size_t slash = message.topic.find('/');
    const std::uint64_t number = std::strtoull(message.topic.c_str() + slash + 1, nullptr, 10);
    const StoredMessage wanted = make_message(number, segment_);
    if (message.topic != wanted.topic || message.payload != wanted.payload ||
        message.lane != wanted.lane || message.user_properties != wanted.user_properties) {
      tell("F id " + std::to_string(message.id) + " topic " + message.topic);
    }
    waiting_.emplace_back(message.id, number);
    return number;
  }

  void put(std::uint64_t count) {
    tell("P " + std::to_string(next_) + " " + std::to_string(next_ + count - 1));
    std::vector<std::pair<MessageId, std::uint64_t>> taken;
    full_ = false;
    for (std::uint64_t i = 0; i < count && !full_; ++i, ++next_) {
      const outbox::PutResult result = box_.put(make_message(next_, segment_));
      if (result.rejected == RejectReason::none) {
        taken.emplace_back(result.id, next_);
      } else if (result.rejected == RejectReason::outbox_full) {
        full_ = true;
      } else {
        refuse(Error{Errc::io, "put: " + std::string(to_string(result.rejected)), 0});
      }
    }
    commit(taken);
  }

  void commit(const std::vector<std::pair<MessageId, std::uint64_t>>& taken) {
    std::vector<MessageId> lost;
    const Status status = box_.commit(lost);
    std::vector<std::uint64_t> safe;
    for (const auto& [id, number] : taken) {
      if (std::find(lost.begin(), lost.end(), id) == lost.end()) safe.push_back(number);
    }
    if (!status.ok()) refuse(status.error());
    tell(numbers('A', safe));
  }

  /// Out of order now and then, as answers of a broker are.
  void settle(std::size_t count) {
    std::vector<std::pair<MessageId, std::uint64_t>> chosen;
    for (; chosen.size() < count;) {
      const std::size_t at = below(10) == 0 ? below(std::min<std::size_t>(waiting_.size(), 20)) : 0;
      chosen.push_back(waiting_[at]);
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (chosen.empty()) return;
    std::vector<std::uint64_t> named;
    for (const auto& [id, number] : chosen) named.push_back(number);
    tell(numbers('S', named));
    for (const auto& [id, number] : chosen) box_.settle_delivered(id);
  }

  outbox::Outbox& box_;
  std::uint64_t next_;
  std::uint64_t segment_;
  std::mt19937_64 random_;
  std::uint64_t batch_ = 1;
  std::size_t backlog_ = 0;
  bool full_ = false;
  std::deque<std::pair<MessageId, std::uint64_t>> waiting_;  // fetched, not settled
};

int live(char** argv, std::string_view mode) {
  auto opened = posix::open_disk(argv[1]);
  if (!opened.ok()) refuse(opened.error());
  std::unique_ptr<env::Disk> disk = std::move(opened).value();
  if (mode == "--no-sync") disk = std::make_unique<NoSyncDisk>(std::move(disk));
  if (Status locked = disk->lock(); !locked.ok()) refuse(locked.error());
  const auto clock = posix::make_clock();
  const auto random = posix::make_random();
  outbox::Options options;
  options.segment_bytes = std::strtoull(argv[4], nullptr, 10);
  options.max_bytes = std::strtoull(argv[5], nullptr, 10);
  outbox::RecoveryReport report;
  auto box = outbox::Outbox::open(*disk, *clock, *random, options, report);
  if (!box.ok()) refuse(box.error());
  tell("O " + counts((*box)->ledger()) + " " + std::to_string(report.torn));
  Life life(**box, std::strtoull(argv[2], nullptr, 10), std::strtoull(argv[3], nullptr, 10),
            options.segment_bytes);
  life.list();
  if (mode == "--drain") {
    life.drain();
    return 0;
  }
  life.work();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view mode = argc == 7 ? argv[6] : "";
  if (argc < 6 || argc > 7 || (argc == 7 && mode != "--no-sync" && mode != "--drain")) {
    std::fputs(
        "usage: hf_outbox_writer DIRECTORY FIRST SEED SEGMENT MAX [--no-sync | --drain]\n"
        "Writes an outbox until it is killed and tells of each step; see its source.\n",
        stderr);
    return 2;
  }
  return live(argv, mode);
}
