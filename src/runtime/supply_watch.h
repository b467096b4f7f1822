// Asks the kernel every kSupplyPoll how batteries and mains are, on a thread of its own: the driver
// of a battery may take its time, or hang.
//
// Threads: `told` is called on that thread, never after the destructor.
// Ends:    a thread that hangs in a driver is left behind.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/time.h"
#include "holdfast/result.h"
#include "posix/power_supply.h"

namespace holdfast::runtime {

inline constexpr Duration kSupplyPoll = std::chrono::seconds(5);

class SupplyWatch {
 public:
  using Told = std::function<void(const Result<posix::SupplyLook>& look)>;
  SupplyWatch(std::filesystem::path directory, Told told);
  ~SupplyWatch();
  SupplyWatch(const SupplyWatch&) = delete;
  SupplyWatch& operator=(const SupplyWatch&) = delete;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace holdfast::runtime
