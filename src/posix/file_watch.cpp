#include "posix/file_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "posix/os_error.h"

namespace holdfast::posix {

namespace {

constexpr std::uint32_t kNews =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_ONLYDIR;
constexpr std::size_t kBufferSize = 16 * (sizeof(inotify_event) + NAME_MAX + 1);
constexpr const char* kContainerLink = "..data";

}  // namespace

FileWatch::FileWatch(EventLoop& loop, std::function<void()> changed)
    : loop_(loop), changed_(std::move(changed)), settling_(loop) {
  HF_CHECK(changed_ != nullptr);
}

FileWatch::~FileWatch() = default;

void FileWatch::watch(const std::vector<std::filesystem::path>& files) {
  ready_.reset();
  names_.clear();
  settling_.cancel();
  inotify_ = UniqueFd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_) {
    problem_ = "changes of files are not seen: " + os_words(errno);
    return;
  }
  for (const std::filesystem::path& file : files) {
    if (file.empty()) continue;
    const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
    const int watch = ::inotify_add_watch(inotify_.get(), folder.c_str(), kNews);
    if (watch >= 0) names_[watch].insert(file.filename().string());
  }
  if (names_.empty()) return;
  ready_ = std::make_unique<FdWatch>(loop_, inotify_.get());
  listen();
}

void FileWatch::listen() {
  ready_->want(true, false, [this](bool, bool) { heard(); });
}

void FileWatch::heard() {
  alignas(inotify_event) std::array<char, kBufferSize> buffer{};
  bool ours = false;
  for (;;) {
    const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* const name = event.len == 0 ? "" : buffer.data() + at + sizeof event;
      ours = ours || (event.mask & IN_Q_OVERFLOW) != 0 || is_ours(event.wd, name);
      at += sizeof event + event.len;
    }
  }
  listen();
  // Armed anew by each piece of news: files are still on their way.
  if (ours) settling_.arm_after(kFilesSettle, [this] { changed_(); });
}

bool FileWatch::is_ours(int directory, const char* name) const {
  const auto names = names_.find(directory);
  return names != names_.end() &&
         (names->second.contains(name) || std::strcmp(name, kContainerLink) == 0);
}

}  // namespace holdfast::posix
