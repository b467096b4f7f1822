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

}  // namespace

Bridge::Bridge(posix::EventLoop& loop, env::Clock& clock, posix::UniqueFd local, Library library,
               std::unique_ptr<transport::Stream> stream, BridgeOwner& owner)
    : clock_(clock),
      local_(std::move(local)),
      stream_(std::move(stream)),
      owner_(&owner),
      last_words_(loop),
      in_(kBufferSize),
      out_(kBufferSize + kPing.size()),
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
  if (owner_ == nullptr || writing_ || write_failure_ || drained_) return;
  const auto self = shared_from_this();
  owner_->bridge_room();
  if (owner_ == nullptr) return;
  const ssize_t count = recv(local_.get(), out_.data(), kBufferSize, MSG_DONTWAIT);
  if (count > 0) {
    const auto from_library = static_cast<std::size_t>(count);
    taken_ += from_library;
    write(insert_ping(from_library), from_library);
  } else if (count == 0) {
    drained_ = true;
    owner_->bridge_drained();
  } else if (ping_wanted_ && outbound_.at_boundary()) {
    write(insert_ping(0), 0);
  }
}

std::size_t Bridge::insert_ping(std::size_t count) {
  // Follow the boundaries always, for the next ping; the last one in these bytes is as good as any.
  std::size_t boundary = 0;
  bool found = outbound_.at_boundary();
  std::span<const std::byte> rest(out_.data(), count);
  for (;;) {
    const Framing::Step step = outbound_.next(rest);
    HF_CHECK(step != Framing::Step::malformed);  // the library's own packets
    if (step == Framing::Step::more) break;
    if (step != Framing::Step::packet) continue;
    if (outbound_.type() == PacketType::puback && unanswered_ > 0) --unanswered_;
    owner_->bridge_leaving(outbound_);
    boundary = count - rest.size();
    found = true;
  }
  if (!ping_wanted_ || !found) return count;
  ping_wanted_ = false;
  const auto begin = out_.begin();
  const auto at = begin + static_cast<std::ptrdiff_t>(boundary);
  const auto last = begin + static_cast<std::ptrdiff_t>(count);
  std::move_backward(at, last, last + static_cast<std::ptrdiff_t>(kPing.size()));
  std::copy(kPing.begin(), kPing.end(), at);
  return count + kPing.size();
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
  written_ += from_library;
  HF_CHECK(written_ <= taken_);
  if (from_library > 0) owner_->bridge_written(written_);
  flush();
  read();
  watch();
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
