// FdWatch over an Asio descriptor that duplicates the watched one.
#include <fcntl.h>
#include <poll.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/check.h"
#include "posix/event_loop.h"

namespace holdfast::posix {

// Waits that are under way stay registered when the wish changes; a wait that ends is checked with
// poll() against the wish of that moment, so a stale one can never call back.
struct FdWatch::State : std::enable_shared_from_this<FdWatch::State> {
  explicit State(boost::asio::io_context& context) : descriptor(context) {}

  using Wait = boost::asio::posix::stream_descriptor::wait_type;

  void wait() {
    if (want_read && !read_waiting) start(Wait::wait_read, read_waiting);
    if (want_write && !write_waiting) start(Wait::wait_write, write_waiting);
  }

  void start(Wait kind, bool& waiting) {
    waiting = true;
    descriptor.async_wait(kind,
                          [self = shared_from_this(), &waiting](const boost::system::error_code&) {
                            waiting = false;
                            if (self->descriptor.is_open()) self->look();
                          });
  }

  void look() {
    if (!want_read && !want_write) return;
    pollfd now{descriptor.native_handle(), 0, 0};
    if (want_read) now.events |= POLLIN;
    if (want_write) now.events |= POLLOUT;
    if (::poll(&now, 1, 0) < 0) now.revents = 0;  // EINTR, ENOMEM: wait() asks again.
    const bool broken = (now.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
    const bool readable = (now.revents & POLLIN) != 0 || broken;
    const bool writable = want_write && ((now.revents & POLLOUT) != 0 || broken);
    if (!readable && !writable) {
      wait();
      return;
    }
    want_read = want_write = false;
    const Ready call = std::exchange(ready, nullptr);
    call(readable, writable);
  }

  boost::asio::posix::stream_descriptor descriptor;
  Ready ready;
  bool want_read = false;
  bool want_write = false;
  bool read_waiting = false;
  bool write_waiting = false;
};

FdWatch::FdWatch(EventLoop& loop, int fd) : state_(std::make_shared<State>(loop.context())) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return;
  boost::system::error_code error;
  state_->descriptor.assign(copy, error);
  if (error) ::close(copy);
}

FdWatch::~FdWatch() {
  state_->ready = nullptr;
  state_->want_read = state_->want_write = false;
  boost::system::error_code ignored;
  state_->descriptor.close(ignored);
}

bool FdWatch::valid() const noexcept { return state_->descriptor.is_open(); }

void FdWatch::want(bool readable, bool writable, Ready ready) {
  HF_CHECK(ready != nullptr || (!readable && !writable));
  state_->want_read = readable;
  state_->want_write = writable;
  state_->ready = std::move(ready);
  if (valid()) state_->wait();
}

}  // namespace holdfast::posix
