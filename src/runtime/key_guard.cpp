#include "runtime/key_guard.h"

#include <sys/prctl.h>

#include "transport/key_memory.h"

namespace holdfast::runtime {

void guard_keys(bool core_dumps, const LogHandler& log) {
  if (!core_dumps && ::prctl(PR_SET_DUMPABLE, 0) != 0) {
    log(LogLevel::warning, "core dumps cannot be turned off; private keys would be in them");
  }
  if (const Status locked = transport::lock_key_memory(); !locked) {
    log(LogLevel::warning, locked.error().message);
  }
}

}  // namespace holdfast::runtime
