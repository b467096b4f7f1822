// env::Random over getrandom(2).
#include <sys/random.h>

#include <cerrno>

#include "base/check.h"
#include "posix/system.h"

namespace holdfast::posix {

namespace {

class SystemRandom final : public env::Random {
 public:
  // getrandom() blocks only before the kernel has its first entropy, early in the boot; up to 256
  // bytes it is never cut short.
  std::uint64_t next() override {
    std::uint64_t value = 0;
    ssize_t got = -1;
    do {
      got = ::getrandom(&value, sizeof(value), 0);
    } while (got < 0 && errno == EINTR);
    HF_CHECK(got == ssize_t{sizeof(value)});
    return value;
  }
};

}  // namespace

std::unique_ptr<env::Random> make_random() { return std::make_unique<SystemRandom>(); }

}  // namespace holdfast::posix
