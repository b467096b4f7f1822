#include "engines/bridge.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace holdfast::engines {
namespace {

constexpr std::array<std::byte, 2> kPing{std::byte{0xC0}, std::byte{0x00}};
/// Of ours in one write: a window of PUBACKs, and a ping.
constexpr std::size_t kInsertMax = 512;

}  // namespace

Bridge::Bridge(posix::EventLoop& loop, env::Clock& clock, posix::UniqueFd local, Library library,
               std::unique_ptr<transport::Stream> stream, BridgeOwner& owner)
    : clock_(clock),
      local_(std::move(local)),
      stream_(std::move(stream)),
      owner_(&owner),
      last_words_(loop),
      in_(kBufferSize),
      out_(kBufferSize + kInsertMax),
      last_inbound_(clock.now()),
      last_outbound_(last_inbound_) {
  if (library == Library::on_its_own) watch_.emplace(loop, local_.get());
}

Bridge::~Bridge() { close(); }

void Bridge::start() {
  if (watch_ && !watch_->valid()) {
    const env::Failure failure{Verdict::engine_failed, 0, "no descriptor is left"};
    end(&failure);
    return;
  }
  read();
  flush();
  watch();
}

void Bridge::close() {
  owner_ = nullptr;
  last_words_.cancel();
  stream_.reset();
  watch_.reset();
  local_.reset();
}

/// Both directions of a library's own thread; nothing to do for one that works when told.
void Bridge::watch() {
  if (!watch_ || owner_ == nullptr) return;
  const bool readable = !writing_ && !write_failure_ && !drained_;
  const bool writable = !undelivered_.empty();
  if (!readable && !writable) {
    watch_->want(false, false, nullptr);
    return;
  }
  watch_->want(readable, writable, [this](bool, bool can_write) { on_local(can_write); });
}

void Bridge::on_local(bool writable) {
  const auto self = shared_from_this();
  if (writable) deliver(undelivered_);
  if (owner_ != nullptr && undelivered_.empty() && input_ended_) end_input();
  flush();
  read();
  watch();
}

// ---- inbound ------------------------------------------------------------------------------------

void Bridge::read() {
  if (owner_ == nullptr || reading_ || ended_ || input_ended_) return;
  if (!undelivered_.empty() || unanswered_ >= kUnansweredMax) return;
  reading_ = true;
  stream_->read_some(
      in_, [this](std::size_t count, const env::Failure* failure) { on_read(count, failure); });
}

void Bridge::on_read(std::size_t count, const env::Failure* failure) {
  const auto self = shared_from_this();
  reading_ = false;
  if (failure != nullptr || count == 0) {
    end(failure);
    return;
  }
  HF_CHECK(count <= in_.size());
  last_inbound_ = clock_.now();
  const std::span<const std::byte> bytes(in_.data(), count);
  deliver(bytes.first(inspect(bytes)));
  if (farewell_whole_ && owner_ != nullptr) owner_->bridge_farewell(inbound_);
  flush();
  read();
  watch();
}

/// How many of these bytes the library may have; none when the owner has closed the bridge.
std::size_t Bridge::inspect(std::span<const std::byte> bytes) {
  std::size_t packet_begin = 0;  // of the packet under way, as far as it lies in these bytes
  std::span<const std::byte> rest = bytes;
  while (owner_ != nullptr && !farewell_whole_) {
    switch (inbound_.next(rest)) {
      case Framing::Step::more:
        return farewell_begun_ ? packet_begin : bytes.size();
      case Framing::Step::header:
        if (!owner_->bridge_header(inbound_)) return 0;
        farewell_begun_ = inbound_.type() == PacketType::disconnect;
        if (inbound_.wants_puback()) ++unanswered_;
        break;
      case Framing::Step::packet:
        farewell_whole_ = farewell_begun_;
        if (farewell_whole_) break;
        packet_begin = bytes.size() - rest.size();
        if (!inbound_.body().empty()) owner_->bridge_packet(inbound_);
        break;
      case Framing::Step::malformed:
        owner_->bridge_malformed();
        return 0;
    }
  }
  return owner_ == nullptr ? 0 : packet_begin;
}

void Bridge::deliver(std::span<const std::byte> bytes) {
  bool stuck = false;
  undelivered_ = {};
  while (!bytes.empty() && owner_ != nullptr) {
    const ssize_t sent =
        send(local_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    const bool full = sent < 0 && (errno == EAGAIN || errno == ENOBUFS);
    // Anything but "full" means that the library has closed its end; it needs no more.
    if (sent < 0 && !full) return;
    if (full && watch_) {
      undelivered_ = bytes;  // until it is writable
      return;
    }
    if (full && std::exchange(stuck, true)) {
      const env::Failure failure{Verdict::engine_failed, 0, "the local socket is stuck"};
      end(&failure);
      return;
    }
    if (sent > 0) {
      stuck = false;
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    owner_->bridge_input();
  }
}

void Bridge::end_input() {
  input_ended_ = true;
  if (undelivered_.empty()) ::shutdown(local_.get(), SHUT_WR);
}

void Bridge::end(const env::Failure* failure) {
  if (owner_ == nullptr || std::exchange(ended_, true)) return;
  last_words_.cancel();
  // The system tells the cause to one side only: after a failed write the read sees a mere end.
  if (failure == nullptr && write_failure_) failure = &*write_failure_;
  owner_->bridge_ended(failure);
}

// ---- outbound -----------------------------------------------------------------------------------

std::uint64_t Bridge::position() const {
  int waiting = 0;
  if (!local_ || ioctl(local_.get(), FIONREAD, &waiting) != 0) return taken_;
  return taken_ + static_cast<std::uint64_t>(std::max(waiting, 0));
}

void Bridge::ping() {
  ping_wanted_ = true;
  flush();
}

void Bridge::flush() {
  const auto self = shared_from_this();
  while (owner_ != nullptr && !writing_ && !write_failure_ && !drained_) {
    owner_->bridge_room();
    if (owner_ == nullptr) return;
    const ssize_t got = recv(local_.get(), out_.data(), kBufferSize, MSG_DONTWAIT);
    if (got == 0) {
      drained_ = true;
      owner_->bridge_drained();
      return;
    }
    const auto from_library = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
    taken_ += from_library;
    const std::size_t count = sift(from_library);
    if (count > 0) return write(count, from_library);
    if (from_library == 0) return;
    enter_written(from_library);  // PUBACKs alone, and they wait
  }
}

/// How much is to be written, at the front of out_, of what the library has put there: PUBACKs go
/// into the gate, and at the first boundary of packets comes what else has to leave. The boundaries
/// are followed always, for the next time.
std::size_t Bridge::sift(std::size_t count) {
  // The peer has seen whole packets only, also in the middle of a PUBACK: nothing of it has left.
  const auto at_boundary = [this] { return outbound_.at_boundary() || !ack_.empty(); };
  std::size_t kept = 0;
  std::optional<std::size_t> boundary;
  if (at_boundary()) boundary = 0;
  std::span<const std::byte> rest(out_.data(), count);
  for (Framing::Step step = Framing::Step::header; step != Framing::Step::more;) {
    const std::span<const std::byte> before = rest;
    step = outbound_.next(rest);
    HF_CHECK(step != Framing::Step::malformed);                   // the library's own packets
    const auto part = before.first(before.size() - rest.size());  // of one packet
    if (outbound_.type() == PacketType::puback) {
      ack_.insert(ack_.end(), part.begin(), part.end());
      if (step == Framing::Step::packet) hold_ack();
      continue;
    }
    if (part.data() != out_.data() + kept) std::ranges::copy(part, out_.data() + kept);
    kept += part.size();
    if (step != Framing::Step::packet) continue;
    owner_->bridge_leaving(outbound_);
    if (!boundary) boundary = kept;
  }
  return boundary ? insert(kept, *boundary) : kept;
}

/// A PUBACK is whole.
void Bridge::hold_ack() {
  constexpr std::size_t kIdSize = 2;
  const std::size_t at = ack_.size() - outbound_.length();
  HF_CHECK(outbound_.length() >= kIdSize && at < ack_.size());
  if (unanswered_ > 0) --unanswered_;
  owner_->bridge_leaving(outbound_);
  const auto id =
      std::to_integer<unsigned>(ack_[at]) << 8 | std::to_integer<unsigned>(ack_[at + 1]);
  gate_.hold(ack_, static_cast<std::uint16_t>(id));
  ack_.clear();
}

/// Puts PUBACKs whose messages are taken, and the ping, at `boundary`; returns the new count.
std::size_t Bridge::insert(std::size_t count, std::size_t boundary) {
  if (!ping_wanted_ && !gate_.ready()) return count;
  std::array<std::byte, kInsertMax> words{};
  std::size_t size = gate_.release(std::span(words).first(kInsertMax - kPing.size()));
  if (std::exchange(ping_wanted_, false)) {
    std::ranges::copy(kPing, words.begin() + static_cast<std::ptrdiff_t>(size));
    size += kPing.size();
  }
  if (size == 0) return count;
  const auto at = out_.begin() + static_cast<std::ptrdiff_t>(boundary);
  const auto last = out_.begin() + static_cast<std::ptrdiff_t>(count);
  std::move_backward(at, last, last + static_cast<std::ptrdiff_t>(size));
  std::copy_n(words.begin(), size, at);
  return count + size;
}

void Bridge::write(std::size_t count, std::size_t from_library) {
  HF_CHECK(count > 0 && count <= out_.size());
  writing_ = true;
  last_outbound_ = clock_.now();
  stream_->write_all({out_.data(), count},
                     [this, from_library](std::size_t, const env::Failure* failure) {
                       on_written(from_library, failure);
                     });
}

void Bridge::on_written(std::size_t from_library, const env::Failure* failure) {
  const auto self = shared_from_this();
  writing_ = false;
  if (failure != nullptr) {
    on_write_failure(*failure);
    return;
  }
  enter_written(from_library);
  flush();
  read();
  watch();
}

void Bridge::enter_written(std::size_t from_library) {
  written_ += from_library;
  HF_CHECK(written_ <= taken_);
  if (from_library > 0) owner_->bridge_written(written_);
}

void Bridge::on_write_failure(const env::Failure& failure) {
  // The peer may have said why before it closed; those bytes are still to be read.
  write_failure_ = failure;
  if (ended_) return;
  last_words_.arm_after(kLastWords, [this] {
    const auto self = shared_from_this();
    end(nullptr);
  });
  read();
}

void Bridge::shutdown(std::function<void()> done) {
  if (owner_ != nullptr) stream_->shutdown(std::move(done));
}

}  // namespace holdfast::engines
