// What stands behind the handles of holdfast.h, and how a call begins and ends.
//
// Purpose:  a handle is looked at before it is used; a failure is kept for
// holdfast_error_message();
//           no exception leaves a call.
// Threads:  the table of devices is locked; a call holds its device, so that closing it meanwhile
// is
//           safe. Messages and configurations belong to one thread at a time.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "holdfast.h"
#include "holdfast/device.h"
#include "runtime/config_file.h"

namespace holdfast::capi {

/// First member of what a handle points to, so that one of another kind is known.
class Mark {
 public:
  explicit Mark(std::uint32_t kind) : kind_(kind) {}
  ~Mark() { kind_ = 0; }  // a freed one is known while its memory is not used again
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  [[nodiscard]] bool is(std::uint32_t kind) const { return kind_ == kind; }

 private:
  volatile std::uint32_t kind_;
};

/// What waiting calls and handlers share; outlives the device while either needs it.
struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  bool stopped = false;
  ConnectionState connection;
  Milliseconds stop_deadline{0};  // as configured
};

/// A day: nobody waits longer at once, and no sum of times overflows.
inline constexpr std::int64_t kLongestWaitMs = 24 * 3600 * 1000;

/// Keeps the failure for this thread; gives its code.
int fail(Errc code, std::string_view message, int os_error = 0) noexcept;
int fail(const Error& error) noexcept;
int fail(holdfast_error code, std::string_view message) noexcept;
/// "NAME is NULL".
int missing(std::string_view name) noexcept;
int of(const Status& status) noexcept;

/// While one lives, this thread runs a handler of that device.
class InHandler {
 public:
  explicit InHandler(const holdfast_device* device) noexcept;
  ~InHandler();
  InHandler(const InHandler&) = delete;
  InHandler& operator=(const InHandler&) = delete;
  [[nodiscard]] static bool of(const holdfast_device* device) noexcept;

 private:
  const holdfast_device* before_;
};

/// Runs a call's body, which gives its result.
template <class Body>
int guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::exception& error) {
    return fail(Errc::internal, error.what());
  } catch (...) {
    return fail(Errc::internal, "something that is no exception was thrown");
  }
}

void add_device(std::shared_ptr<holdfast_device> device);
/// Null: no device of that handle is open.
[[nodiscard]] std::shared_ptr<holdfast_device> find_device(const holdfast_device* handle);
/// The same, and it is found no more.
[[nodiscard]] std::shared_ptr<holdfast_device> take_device(const holdfast_device* handle);

int no_device(const holdfast_device* handle) noexcept;

}  // namespace holdfast::capi

struct holdfast_device {
  static constexpr std::uint32_t kKind = 0x48464431;
  holdfast::capi::Mark mark{kKind};
  std::shared_ptr<holdfast::capi::Shared> shared = std::make_shared<holdfast::capi::Shared>();
  std::unique_ptr<holdfast::Device> device;
};

struct holdfast_config {
  static constexpr std::uint32_t kKind = 0x48464331;
  holdfast::capi::Mark mark{kKind};
  std::filesystem::path file = {};  // or the name that a text has in messages
  bool is_text = false;
  std::string text = {};
  holdfast::runtime::Environment set = {};
  holdfast_log_handler log = nullptr;
  void* log_user = nullptr;
};

struct holdfast_message {
  static constexpr std::uint32_t kKind = 0x48464D31;
  holdfast::capi::Mark mark{kKind};
  holdfast::Message message = {};
};

struct holdfast_hold {
  static constexpr std::uint32_t kKind = 0x48464831;
  holdfast::capi::Mark mark{kKind};
  holdfast::Hold hold;
};

namespace holdfast::capi {

template <class Handle>
[[nodiscard]] bool usable(const Handle* handle) noexcept {
  return handle != nullptr && handle->mark.is(Handle::kKind);
}

[[nodiscard]] Result<Config> read(const holdfast_config& config);
/// For open(): lines of the log to the handler of `config`; empty without one.
[[nodiscard]] LogHandler log_handler(const holdfast_config& config, const holdfast_device* device);

/// A call that only looks, also after the stop.
template <class Body>
int look(const holdfast_device* handle, Body&& body) noexcept {
  return guarded([&] {
    const std::shared_ptr<holdfast_device> device = find_device(handle);
    return device == nullptr ? no_device(handle) : body(*device);
  });
}

[[nodiscard]] bool is_stopped(const holdfast_device& device);

/// A call that a stopped device refuses.
template <class Body>
int use(const holdfast_device* handle, Body&& body) noexcept {
  return look(handle, [&](holdfast_device& device) {
    if (is_stopped(device)) return fail(Errc::closed, "the device has been stopped");
    return body(device);
  });
}

}  // namespace holdfast::capi
