#include "transport/token_pin.h"

#include <utility>

#include "posix/system.h"

namespace holdfast::transport {

namespace {
constexpr std::size_t kPinFileMax = 4096;
}  // namespace

Result<Secret> read_pin(const TlsConfig& tls) {
  if (tls.pin_file.empty()) return Secret();
  auto text = posix::read_file(tls.pin_file, kPinFileMax);
  if (!text) return std::move(text).error().with("PIN");
  const Secret whole(std::move(text).value());
  Secret pin(whole.text().substr(0, whole.text().find_first_of("\r\n")));
  if (!pin.text().empty()) return pin;
  return Error{Errc::corrupt, "PIN " + tls.pin_file.string() + ": its first line is empty", 0};
}

}  // namespace holdfast::transport
