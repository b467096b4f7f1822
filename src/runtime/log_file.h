// The log's file, written by a thread of its own: a disk that hangs delays nobody.
//
// Threads:  put() from one thread at a time, never waits. The thread gathers lines for kGather, or
//           until there is a page of them, so that flash is written seldom.
// Bounds:   limits::kLogQueue bytes wait; what does not fit, or is not taken by the disk, is
//           counted.
// Errors:   told to `trouble`, on that thread, when they begin and when they are over.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/result.h"

namespace holdfast::runtime {

class LogFile {
 public:
  static constexpr Duration kGather = std::chrono::seconds(5);
  static constexpr std::size_t kPage = 4096;

  /// An ok Status: the trouble is over.
  using Trouble = std::function<void(const Status&)>;

  LogFile(const Config::Log& config, Trouble trouble);
  /// Waits a moment for what is left to be written.
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// One line without its end. `soon`: not to be gathered.
  void put(const std::string& line, bool soon);
  [[nodiscard]] std::uint64_t lost() const;

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
};

}  // namespace holdfast::runtime
