// Tells that one of some files has been written, replaced, made, made readable or taken away.
//
// Purpose: a device that waits because of a file goes on as soon as that is mended.
// Threads: loop thread only.
// Limits:  a directory that is not there, or goes, is not watched; neither is what a symbolic link
//          leads to, but for the way in which containers get their secrets ("..data").
// Source:  inotify(7).
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "posix/event_loop.h"
#include "posix/unique_fd.h"

namespace holdfast::posix {

/// Several files are often replaced together: after the first, others are awaited for so long.
inline constexpr Duration kFilesSettle = std::chrono::milliseconds(300);

class FileWatch {
 public:
  /// Where the kernel gives no watch, `changed` is never called; problem() then has the words.
  FileWatch(EventLoop& loop, std::function<void()> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  /// These files and no others; empty paths are skipped.
  void watch(const std::vector<std::filesystem::path>& files);

  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  void listen();
  void heard();
  [[nodiscard]] bool is_ours(int directory, const char* name) const;

  EventLoop& loop_;
  std::function<void()> changed_;
  std::string problem_;
  UniqueFd inotify_;
  std::unique_ptr<FdWatch> ready_;
  Timer settling_;
  std::map<int, std::set<std::string, std::less<>>> names_;  ///< By the directory's watch.
};

}  // namespace holdfast::posix
