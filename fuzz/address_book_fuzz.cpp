// Goal: whatever the file of addresses holds, it is read within the book's bounds, or refused with
// a
//       reason; and what the book saves, it can read.
// Method: libFuzzer over the file's text, on a clock that stands still.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "transport/address_book.h"

namespace {

using namespace holdfast;             // NOLINT: a short program
using namespace holdfast::transport;  // NOLINT

class StandingClock final : public env::Clock {
 public:
  BootTime now() const override { return BootTime(std::chrono::hours(1)); }
  WallTime wall() const override { return {1'800'000'000'000}; }
  bool wall_synchronized() const override { return true; }
  env::BootId boot_id() const override { return {}; }
};

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const StandingClock clock;
  std::string saved;
  AddressBook book(clock, [&](std::string text) { saved = std::move(text); });
  const Status loaded = book.load({reinterpret_cast<const char*>(data), size});
  require(loaded.ok() || !loaded.error().message.empty());
  const env::Place place{"broker.test", 8883};
  require(book.last_good(place).size() <= limits::kGoodAddresses);
  book.worked({"another.test", 8883}, {"192.0.2.1", false}, true);
  if (saved.empty()) return 0;
  require(saved.size() <= limits::kAddressFileMax);
  AddressBook next(clock, [](const std::string&) {});
  require(next.load(saved).ok());
  require(next.last_good(place).size() <= book.last_good(place).size());
  return 0;
}
