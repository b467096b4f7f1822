#include "runtime/key_guard.h"

#include <sys/prctl.h>

#include "transport/key_memory.h"

namespace holdfast::runtime {

void guard_keys(bool core_dumps, Logger& log) {
  if (!core_dumps && ::prctl(PR_SET_DUMPABLE, 0) != 0) {
    log.write({LogLevel::warning, LogArea::agent,
               "core dumps cannot be turned off; private keys would be in them"});
  }
  if (const Status locked = transport::lock_key_memory(); !locked) {
    log.write({LogLevel::warning, LogArea::agent, locked.error().message});
  }
}

}  // namespace holdfast::runtime
