#include "update/file_stream.h"

#include <algorithm>

#include "base/check.h"
#include "update/token.h"

namespace holdfast::update {
namespace {

constexpr std::uint64_t kBlock = limits::kStreamBlock;
constexpr double kNanoseconds = 1e9;  // of a second

bool is_transient(const std::string& code) {
  return code == "InternalError" || code == "RequestThrottled";
}

}  // namespace

FileStream::FileStream(std::uint32_t file, std::uint64_t size, std::uint64_t have,
                       std::uint64_t bytes_per_second, env::Random& random)
    : file_(file),
      size_(size),
      begin_(have >= size ? size : have / kBlock * kBlock),
      bytes_per_second_(bytes_per_second),
      random_(random) {
  HF_CHECK(size > 0 && size <= limits::kStreamFileMax);
  begin_describing();
}

void FileStream::begin_describing() {
  state_ = State::describing;
  token_ = make_token(random_);  // blocks of another version are none of ours
  window_.clear();
  ask_at_ = BootTime::min();
}

void FileStream::connected(BootTime now) {
  connected_ = true;
  ask_at_ = now;
  silence_ = kBlockFirst;
  silences_ = 0;
}

void FileStream::disconnected() { connected_ = false; }

void FileStream::end(bool for_good, std::string words) {
  if (!end_) end_ = End{for_good, std::move(words)};
}

std::uint64_t FileStream::length_of(std::uint64_t index) const {
  return std::min(kBlock, size_ - index * kBlock);
}

/// Of the window.
std::uint32_t FileStream::missing() const {
  const std::uint64_t first = begin_ / kBlock;
  const std::uint64_t all = (size_ + kBlock - 1) / kBlock;
  std::uint32_t bits = 0;
  for (std::uint64_t i = 0; i < limits::kStreamBlocksAtOnce && first + i < all; ++i) {
    if (window_.find(first + i) == window_.end()) bits |= std::uint32_t{1} << i;
  }
  return bits;
}

std::optional<StreamQuestion> FileStream::step(BootTime now) {
  if (now < next_step()) return std::nullopt;
  if (++silences_ > kBlockSilences) {
    end(false, "the service does not send the stream");
    return std::nullopt;
  }
  StreamQuestion question;
  question.token = token_;
  question.file = file_;
  if (state_ == State::getting) {
    question.kind = StreamQuestion::Kind::get;
    question.version = version_;
    question.offset = begin_ / kBlock;
    question.blocks = missing();
    if (bytes_per_second_ > 0) {
      std::uint64_t bytes = 0;
      for (std::uint64_t i = 0; i < limits::kStreamBlocksAtOnce; ++i) {
        if ((question.blocks >> i & 1U) != 0) bytes += length_of(question.offset + i);
      }
      not_before_ =
          now + Duration(static_cast<Duration::rep>(static_cast<double>(bytes) * kNanoseconds /
                                                    static_cast<double>(bytes_per_second_)));
    }
  }
  ask_at_ = now + silence_;
  silence_ = std::min(silence_ * 2, kBlockCap);
  return question;
}

BootTime FileStream::next_step() const {
  if (!connected_ || end_ || whole()) return kNever;
  return std::max(ask_at_, not_before_);
}

void FileStream::described(BootTime now, const std::string& token, const StreamDescription& what) {
  if (state_ != State::describing || token != token_) return;
  const auto found = std::find_if(what.files.begin(), what.files.end(),
                                  [&](const auto& one) { return one.first == file_; });
  if (found == what.files.end()) {
    return end(true, "the stream has no file " + std::to_string(file_));
  }
  if (found->second != size_) {
    return end(true, "the stream's file has " + std::to_string(found->second) +
                         " bytes instead of " + std::to_string(size_));
  }
  version_ = what.version;
  state_ = State::getting;
  begin_window();
  ask_at_ = now;
}

void FileStream::begin_window() {
  silence_ = kBlockFirst;
  silences_ = 0;
  ask_at_ = BootTime::min();
}

bool FileStream::block(BootTime now, const std::string& token, std::uint32_t file,
                       std::uint64_t index, std::string bytes) {
  const std::uint64_t first = begin_ / kBlock;
  if (state_ != State::getting || token != token_ || file != file_ || whole()) return false;
  if (index < first || index - first >= limits::kStreamBlocksAtOnce || index * kBlock >= size_) {
    return false;
  }
  if (bytes.size() != length_of(index)) return false;
  if (!window_.emplace(index, std::move(bytes)).second) return false;
  silence_ = kBlockFirst;
  silences_ = 0;
  ask_at_ = missing() == 0 ? BootTime::min() : now + silence_;
  return true;
}

void FileStream::refused(const std::string& token, const std::string& code) {
  // A question that could not be read is refused without its token.
  if (end_ || (!token.empty() && token != token_)) return;
  if (is_transient(code)) return;  // asked again like one unanswered
  if (code == "VersionMismatch" && state_ == State::getting) return begin_describing();
  end(true, "the service refuses the stream: " + code);
}

std::optional<std::pair<std::uint64_t, std::string>> FileStream::ready() {
  // A window leaves as a whole, so that it stays one while it is asked for.
  if (window_.empty() || missing() != 0) return std::nullopt;
  std::pair<std::uint64_t, std::string> piece{begin_, ""};
  for (auto& [index, bytes] : window_) piece.second += bytes;
  window_.clear();
  begin_ += piece.second.size();
  begin_window();
  return piece;
}

}  // namespace holdfast::update
