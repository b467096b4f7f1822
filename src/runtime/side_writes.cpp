// See side_writes.h.
#include "runtime/side_writes.h"

#include <mutex>
#include <utility>

namespace holdfast::runtime {

/// How the write before has ended.
struct SideWrites::Last {
  std::mutex mutex;
  std::string problem;
};

SideWrites::SideWrites(Storage& storage, LogArea area, std::string complaint, LogHandler log)
    : storage_(storage),
      area_(area),
      complaint_(std::move(complaint)),
      log_(std::move(log)),
      last_(std::make_shared<Last>()) {}

void SideWrites::post(Write write) {
  {
    const std::lock_guard lock(last_->mutex);
    if (!last_->problem.empty()) {
      log_({LogLevel::warning, area_, complaint_ + ": " + last_->problem});
    }
  }
  storage_.look([write = std::move(write), last = last_](outbox::Outbox&) {
    const Status written = write();
    const std::lock_guard lock(last->mutex);
    last->problem = written ? std::string() : written.error().message;
    return true;
  });
}

}  // namespace holdfast::runtime
