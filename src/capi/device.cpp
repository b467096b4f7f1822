// Devices of holdfast.h: from open to close, and what is seen of them.
#include <cstdlib>
#include <cstring>

#include "capi/handle.h"
#include "capi/views.h"
#include "runtime/local_protocol.h"

namespace holdfast::capi {

namespace {

/// Keeps the state for those who wait, and hands it on.
void follow(holdfast_device& box, holdfast_connection_handler handler, void* user) {
  box.device->on_connection(
      [shared = box.shared, device = &box, handler, user](const ConnectionState& now) {
        {
          const std::lock_guard lock(shared->mutex);
          shared->connection = now;
        }
        shared->changed.notify_all();
        if (handler == nullptr) return;
        const holdfast_connection view = view_of(now);
        const InHandler here(device);
        handler(&view, user);
      });
}

int open(const holdfast_config& config, holdfast_device** handle) {
  Result<Config> settings = read(config);
  if (!settings) return fail(settings.error());
  auto box = std::make_shared<holdfast_device>();
  box->shared->stop_deadline = settings->timing.stop_deadline;
  auto opened = Device::open(std::move(*settings), log_handler(config, box.get()));
  if (!opened) return fail(opened.error());
  box->device = std::move(*opened);
  follow(*box, nullptr, nullptr);
  *handle = box.get();
  add_device(std::move(box));
  return HOLDFAST_OK;
}

/// Below 0: within the configured deadline.
void stop(holdfast_device& box, std::int64_t deadline_ms) {
  Milliseconds deadline(std::min(deadline_ms, kLongestWaitMs));
  {
    const std::lock_guard lock(box.shared->mutex);
    box.shared->stopped = true;
    if (deadline_ms < 0) deadline = box.shared->stop_deadline;
  }
  box.shared->changed.notify_all();
  box.device->stop(deadline);
}

int reload(holdfast_device& box, const holdfast_config& config) {
  Result<Config> settings = read(config);
  if (!settings) return fail(settings.error());
  const Milliseconds deadline = settings->timing.stop_deadline;
  if (const Status done = box.device->reload(std::move(*settings)); !done) return of(done);
  const std::lock_guard lock(box.shared->mutex);
  box.shared->stop_deadline = deadline;
  return HOLDFAST_OK;
}

int refuse_in_handler(const holdfast_device& box, const char* what) noexcept {
  if (!InHandler::of(&box)) return HOLDFAST_OK;
  return fail(Errc::invalid_argument,
              std::string(what) + " was called from a handler, where it would wait for itself");
}

int wait_connected(holdfast_device& box, std::int64_t timeout_ms) {
  Shared& shared = *box.shared;
  const auto limit = Milliseconds(std::clamp<std::int64_t>(timeout_ms, 0, kLongestWaitMs));
  ConnectionState now;
  {
    std::unique_lock lock(shared.mutex);
    shared.changed.wait_for(lock, limit, [&] {
      return shared.stopped || shared.connection.state == LinkState::connected;
    });
    if (shared.stopped) return fail(Errc::closed, "the device has been stopped");
    now = shared.connection;
  }
  if (now.state == LinkState::connected) return HOLDFAST_OK;
  std::string words = "not connected within the time: ";
  words += to_string(now.verdict);
  if (!now.detail.empty()) words += " (" + now.detail + ")";
  return fail(Errc::timeout, words);
}

/// What the local API's status has between its frame.
int status_json(const holdfast_device& box, char** json) {
  const Device& device = *box.device;
  std::string line = runtime::status_line({}, device.state(), device.filters(), device.identity(),
                                          device.log_state(), device.heartbeats());
  constexpr std::string_view kKey = "\"status\":";
  const std::size_t begin = line.find(kKey) + kKey.size();
  const std::size_t end = line.rfind('}');  // of the frame, which ends the line
  line = line.substr(begin, end - begin);
  *json = static_cast<char*>(std::malloc(line.size() + 1));
  if (*json == nullptr) return fail(Errc::no_space, "no memory for the status");
  std::memcpy(*json, line.c_str(), line.size() + 1);
  return HOLDFAST_OK;
}

}  // namespace

}  // namespace holdfast::capi

using namespace holdfast;  // NOLINT: the calls of the C interface are outside of every namespace
using namespace holdfast::capi;  // NOLINT

extern "C" {

int holdfast_open(const holdfast_config* config, holdfast_device** device) {
  return guarded([&] {
    if (!usable(config)) return fail(Errc::invalid_argument, "config is no configuration");
    if (device == nullptr) return missing("device");
    return capi::open(*config, device);
  });
}

int holdfast_stop(holdfast_device* device, int64_t deadline_ms) {
  return look(device, [&](holdfast_device& box) {
    if (const int refused = refuse_in_handler(box, "holdfast_stop()")) return refused;
    capi::stop(box, deadline_ms);
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_close(holdfast_device* device) {
  if (device == nullptr) return HOLDFAST_OK;
  return guarded([&] {
    if (InHandler::of(device)) return refuse_in_handler(*device, "holdfast_close()");
    const std::shared_ptr<holdfast_device> box = take_device(device);
    if (box == nullptr) return no_device(device);
    capi::stop(*box, -1);
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_on_connection(holdfast_device* device, holdfast_connection_handler handler,
                           void* user) {
  return use(device, [&](holdfast_device& box) {
    follow(box, handler, user);
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_wait_connected(holdfast_device* device, int64_t timeout_ms) {
  return use(device, [&](holdfast_device& box) {
    if (const int refused = refuse_in_handler(box, "holdfast_wait_connected()")) return refused;
    return wait_connected(box, timeout_ms);
  });
}

int holdfast_reconnect_now(holdfast_device* device) {
  return use(device, [](holdfast_device& box) {
    box.device->reconnect_now();
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_reload(holdfast_device* device, const holdfast_config* config) {
  return use(device, [&](holdfast_device& box) {
    if (!usable(config)) return fail(Errc::invalid_argument, "config is no configuration");
    return reload(box, *config);
  });
}

int holdfast_status_json(holdfast_device* device, char** json) {
  return look(device, [&](const holdfast_device& box) {
    return json == nullptr ? missing("json") : status_json(box, json);
  });
}

void holdfast_text_free(char* text) { std::free(text); }

int holdfast_heartbeat(holdfast_device* device, const char* name, int64_t every_ms) {
  return use(device, [&](holdfast_device& box) {
    return name == nullptr ? missing("name")
                           : of(box.device->heartbeat(name, Milliseconds(every_ms)));
  });
}

int holdfast_end_heartbeat(holdfast_device* device, const char* name) {
  return use(device, [&](holdfast_device& box) {
    return name == nullptr ? missing("name") : of(box.device->end_heartbeat(name));
  });
}

int holdfast_get_progress(holdfast_device* device, holdfast_progress* progress) {
  return look(device, [&](holdfast_device& box) {
    if (progress == nullptr) return missing("progress");
    const Progress now = box.device->progress();
    const bool filled =
        fill(progress, holdfast_progress{sizeof(holdfast_progress), now.loop, now.engine,
                                         now.storage, now.callbacks, now.applications});
    if (!filled) return fail(Errc::invalid_argument, "progress.size must be its sizeof");
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_power_fail(holdfast_device* device, const char* why, holdfast_saved_handler handler,
                        void* user) {
  return use(device, [&](holdfast_device& box) {
    if (why == nullptr) return missing("why");
    SavedHandler saved;
    if (handler != nullptr) {
      saved = [handler, user, handle = &box](std::optional<Milliseconds> took) {
        const InHandler here(handle);
        handler(took ? took->count() : -1, user);
      };
    }
    box.device->power_fail(why, std::move(saved));
    return static_cast<int>(HOLDFAST_OK);
  });
}

int holdfast_power_back(holdfast_device* device) {
  return use(device, [](holdfast_device& box) {
    box.device->power_back();
    return static_cast<int>(HOLDFAST_OK);
  });
}

}  // extern "C"
