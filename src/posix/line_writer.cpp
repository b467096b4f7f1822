#include "posix/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "base/limits.h"

namespace holdfast::posix {

LineWriter::LineWriter(int fd) : fd_(fd) {
  struct stat what {};
  if (::fstat(fd, &what) != 0) return;
  if (S_ISSOCK(what.st_mode)) way_ = Way::socket;
  if (!S_ISFIFO(what.st_mode) && !S_ISCHR(what.st_mode)) return;
  way_ = Way::stream;
  // Fails where it belongs to another user, or nobody reads: then each write is asked for first.
  own_.reset(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(),
                    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

ssize_t LineWriter::write_some(std::string_view bytes) const {
  if (way_ == Way::socket) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  if (way_ == Way::file || own_) {
    return ::write(own_ ? own_.get() : fd_, bytes.data(), bytes.size());
  }
  // A pipe that is ready takes a page without waiting (pipe(7)).
  pollfd ready{fd_, POLLOUT, 0};
  if (::poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(fd_, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
}

bool LineWriter::give() {
  while (!rest_.empty()) {
    const ssize_t given = write_some(rest_);
    if (given < 0 && errno == EINTR) continue;
    if (given <= 0) return false;
    rest_.erase(0, static_cast<std::size_t>(given));
  }
  return true;
}

bool LineWriter::flush() {
  if (give()) return true;
  if (errno != EAGAIN) rest_.clear();  // a full disk, a reader that has gone
  return rest_.empty();
}

bool LineWriter::put(std::string_view line) {
  if (!flush() || line.size() > limits::kLogUnsent) {
    ++lost_;
    return false;
  }
  rest_.assign(line);
  rest_ += '\n';
  const std::size_t whole = rest_.size();
  if (give() || (errno == EAGAIN && rest_.size() < whole)) return true;
  rest_.clear();
  ++lost_;
  return false;
}

bool is_journal_stream(int fd) {
  const char* const named = std::getenv("JOURNAL_STREAM");
  struct stat what {};
  if (named == nullptr || ::fstat(fd, &what) != 0) return false;
  return std::to_string(what.st_dev) + ":" + std::to_string(what.st_ino) == named;
}

}  // namespace holdfast::posix
