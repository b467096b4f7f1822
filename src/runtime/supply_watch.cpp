#include "runtime/supply_watch.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace holdfast::runtime {

struct SupplyWatch::Shared {
  std::mutex mutex;
  std::condition_variable wake;
  Told told;  // empty: it is over
};

SupplyWatch::SupplyWatch(std::filesystem::path directory, Told told)
    : shared_(std::make_shared<Shared>()) {
  shared_->told = std::move(told);
  std::thread([shared = shared_, directory = std::move(directory)] {
    for (;;) {
      const auto look = posix::look_at_supplies(directory);
      std::unique_lock lock(shared->mutex);
      if (!shared->told) return;
      shared->told(look);
      shared->wake.wait_for(lock, kSupplyPoll, [&] { return !shared->told; });
      if (!shared->told) return;
    }
  }).detach();
}

SupplyWatch::~SupplyWatch() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->told = nullptr;
  }
  shared_->wake.notify_all();
}

}  // namespace holdfast::runtime
