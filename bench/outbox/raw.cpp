// The physical limit: overwrites a file that was written before, and syncs it. It keeps nothing
// that could be read back; no store that survives a power cut can write less.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "bench/outbox/candidate.h"

namespace holdfast::bench {
namespace {

constexpr std::size_t kFileBytes = 64UL * 1024 * 1024;

class Raw final : public Candidate {
 public:
  Raw(int fd, bool synced) : fd_(fd), synced_(synced) {}
  ~Raw() override { ::close(fd_); }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

  bool put(std::uint64_t, std::span<const std::byte> payload) override {
    batch_.insert(batch_.end(), payload.begin(), payload.end());
    return true;
  }

  bool commit() override {
    if (at_ + batch_.size() > kFileBytes) at_ = 0;
    const auto done = ::pwrite(fd_, batch_.data(), batch_.size(), static_cast<off_t>(at_));
    if (done != static_cast<ssize_t>(batch_.size())) die("raw: cannot write");
    at_ += batch_.size();
    batch_.clear();
    if (synced_ && ::fdatasync(fd_) != 0) die("raw: cannot sync");
    return true;
  }

  std::size_t fetch(std::size_t count, const Visit&) override { return count; }
  bool ack(std::uint64_t) override { return true; }
  std::uint64_t pending() override { return 0; }

 private:
  int fd_;
  bool synced_;
  std::size_t at_ = 0;
  std::vector<std::byte> batch_;
};

}  // namespace

std::unique_ptr<Candidate> open_raw(const CandidateOptions& options, std::string& why) {
  const std::string path = options.directory + "/raw";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    why = "cannot create " + path;
    return nullptr;
  }
  const std::vector<std::byte> zeros(1024UL * 1024);
  for (std::size_t at = 0; at < kFileBytes; at += zeros.size()) {
    if (::pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(at)) !=
        static_cast<ssize_t>(zeros.size())) {
      die("raw: cannot fill " + path);
    }
  }
  if (::fsync(fd) != 0) die("raw: cannot sync " + path);
  return std::make_unique<Raw>(fd, options.synced);
}

}  // namespace holdfast::bench
