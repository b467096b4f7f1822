// See stderr_log.h.
#include "runtime/stderr_log.h"

#include "posix/log.h"

namespace holdfast::runtime {

LogHandler stderr_log() { return posix::StderrLog(posix::Severity::debug); }

}  // namespace holdfast::runtime
