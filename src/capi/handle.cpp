// See handle.h.
#include "capi/handle.h"

#include <unordered_map>

namespace holdfast::capi {

namespace {

struct Failure {
  std::string message;
  int os_error = 0;
};
thread_local Failure last_failure;
thread_local const holdfast_device* running_handler_of = nullptr;

struct Devices {
  std::mutex mutex;
  std::unordered_map<const holdfast_device*, std::shared_ptr<holdfast_device>> open;
};

// Never destroyed: a device that nobody has closed goes on until the process ends.
Devices& devices() {
  static auto* const all = new Devices;
  return *all;
}

int keep(int code, std::string_view message, int os_error) noexcept {
  last_failure.message = message;
  last_failure.os_error = os_error;
  return code;
}

}  // namespace

int fail(Errc code, std::string_view message, int os_error) noexcept {
  return keep(static_cast<int>(code) + 1, message, os_error);
}

int fail(const Error& error) noexcept { return fail(error.code, error.message, error.os_error); }

int fail(holdfast_error code, std::string_view message) noexcept { return keep(code, message, 0); }

int missing(std::string_view name) noexcept {
  return fail(Errc::invalid_argument, std::string(name) + " is NULL");
}

int of(const Status& status) noexcept { return status.ok() ? HOLDFAST_OK : fail(status.error()); }

InHandler::InHandler(const holdfast_device* device) noexcept : before_(running_handler_of) {
  running_handler_of = device;
}

InHandler::~InHandler() { running_handler_of = before_; }

bool InHandler::of(const holdfast_device* device) noexcept { return running_handler_of == device; }

void add_device(std::shared_ptr<holdfast_device> device) {
  Devices& all = devices();
  const std::lock_guard lock(all.mutex);
  const holdfast_device* const handle = device.get();
  all.open.emplace(handle, std::move(device));
}

std::shared_ptr<holdfast_device> find_device(const holdfast_device* handle) {
  Devices& all = devices();
  const std::lock_guard lock(all.mutex);
  const auto found = all.open.find(handle);
  return found == all.open.end() ? nullptr : found->second;
}

std::shared_ptr<holdfast_device> take_device(const holdfast_device* handle) {
  Devices& all = devices();
  const std::lock_guard lock(all.mutex);
  const auto found = all.open.find(handle);
  if (found == all.open.end()) return nullptr;
  std::shared_ptr<holdfast_device> device = std::move(found->second);
  all.open.erase(found);
  return device;
}

int no_device(const holdfast_device* handle) noexcept {
  if (handle == nullptr) return missing("the device");
  return fail(Errc::invalid_argument, "no device of this handle is open; it may have been closed");
}

bool is_stopped(const holdfast_device& device) {
  const std::lock_guard lock(device.shared->mutex);
  return device.shared->stopped;
}

}  // namespace holdfast::capi

extern "C" {

const char* holdfast_error_message(void) { return holdfast::capi::last_failure.message.c_str(); }
int holdfast_error_os(void) { return holdfast::capi::last_failure.os_error; }

}  // extern "C"
