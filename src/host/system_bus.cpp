// See system_bus.h: with sd-bus.
#include "host/system_bus.h"

#include <dlfcn.h>
#include <poll.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <list>
#include <optional>
#include <utility>

#include "base/check.h"
#include "posix/os_error.h"

namespace holdfast::host {
namespace {

constexpr const char* kFile = "libsystemd.so.0";
constexpr int kStepsPerTurn = 64;  // then the rest of the loop has its turn
constexpr const char* kBusName = "org.freedesktop.DBus";
constexpr const char* kBusObject = "/org/freedesktop/DBus";

/// What we use of libsystemd, found at run time.
struct Library {
  decltype(&::sd_bus_open_system) open_system = nullptr;
  decltype(&::sd_bus_close_unref) close_unref = nullptr;
  decltype(&::sd_bus_get_fd) get_fd = nullptr;
  decltype(&::sd_bus_get_events) get_events = nullptr;
  decltype(&::sd_bus_get_timeout) get_timeout = nullptr;
  decltype(&::sd_bus_process) process = nullptr;
  decltype(&::sd_bus_is_open) is_open = nullptr;
  decltype(&::sd_bus_call_async) call_async = nullptr;
  decltype(&::sd_bus_add_match_async) add_match_async = nullptr;
  decltype(&::sd_bus_slot_unref) slot_unref = nullptr;
  decltype(&::sd_bus_message_new_method_call) new_method_call = nullptr;
  decltype(&::sd_bus_message_set_auto_start) set_auto_start = nullptr;
  decltype(&::sd_bus_message_append_basic) append_basic = nullptr;
  decltype(&::sd_bus_message_unref) message_unref = nullptr;
  decltype(&::sd_bus_message_get_error) get_error = nullptr;
  decltype(&::sd_bus_message_get_path) get_path = nullptr;
  decltype(&::sd_bus_message_peek_type) peek_type = nullptr;
  decltype(&::sd_bus_message_read_basic) read_basic = nullptr;
  decltype(&::sd_bus_message_enter_container) enter_container = nullptr;
  decltype(&::sd_bus_message_exit_container) exit_container = nullptr;
  decltype(&::sd_bus_message_skip) skip = nullptr;

  std::string problem;
};

Library find_library() {
  Library found;
  void* const module = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    found.problem = std::string("D-Bus is not to be had: ") + kFile + " is not installed";
    return found;
  }
  const auto find = [&](auto& to, const char* name) {
    void* const symbol = ::dlsym(module, name);
    if (symbol == nullptr) found.problem = std::string(kFile) + " has no " + name;
    to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(symbol);
  };
  find(found.open_system, "sd_bus_open_system");
  find(found.close_unref, "sd_bus_close_unref");
  find(found.get_fd, "sd_bus_get_fd");
  find(found.get_events, "sd_bus_get_events");
  find(found.get_timeout, "sd_bus_get_timeout");
  find(found.process, "sd_bus_process");
  find(found.is_open, "sd_bus_is_open");
  find(found.call_async, "sd_bus_call_async");
  find(found.add_match_async, "sd_bus_add_match_async");
  find(found.slot_unref, "sd_bus_slot_unref");
  find(found.new_method_call, "sd_bus_message_new_method_call");
  find(found.set_auto_start, "sd_bus_message_set_auto_start");
  find(found.append_basic, "sd_bus_message_append_basic");
  find(found.message_unref, "sd_bus_message_unref");
  find(found.get_error, "sd_bus_message_get_error");
  find(found.get_path, "sd_bus_message_get_path");
  find(found.peek_type, "sd_bus_message_peek_type");
  find(found.read_basic, "sd_bus_message_read_basic");
  find(found.enter_container, "sd_bus_message_enter_container");
  find(found.exit_container, "sd_bus_message_exit_container");
  find(found.skip, "sd_bus_message_skip");
  return found;
}

/// Stays loaded.
const Library& library() {
  static const Library found = find_library();
  return found;
}

/// Looked at before the library is loaded, for which a machine without a bus has no use.
bool bus_is_there() {
  if (std::getenv("DBUS_SYSTEM_BUS_ADDRESS") != nullptr) return true;
  return ::access("/run/dbus/system_bus_socket", F_OK) == 0;
}

/// What stands next in a message; false: nothing more, or it cannot be read.
class Reader {
 public:
  Reader(const Library& bus, sd_bus_message* message) : bus_(bus), message_(message) {}

  bool next(BusValue& to, int depth = 0) {
    char type = 0;
    const char* contents = nullptr;
    if (bus_.peek_type(message_, &type, &contents) <= 0) return false;
    switch (type) {
      case SD_BUS_TYPE_STRING:
      case SD_BUS_TYPE_OBJECT_PATH:
      case SD_BUS_TYPE_SIGNATURE:
        return text(type, to);
      case SD_BUS_TYPE_BOOLEAN: {
        int value = 0;
        if (bus_.read_basic(message_, type, &value) <= 0) return false;
        to.plain = value != 0;
        return true;
      }
      case SD_BUS_TYPE_BYTE:
        return number<std::uint8_t, std::uint64_t>(type, to);
      case SD_BUS_TYPE_INT16:
        return number<std::int16_t, std::int64_t>(type, to);
      case SD_BUS_TYPE_UINT16:
        return number<std::uint16_t, std::uint64_t>(type, to);
      case SD_BUS_TYPE_INT32:
        return number<std::int32_t, std::int64_t>(type, to);
      case SD_BUS_TYPE_UINT32:
        return number<std::uint32_t, std::uint64_t>(type, to);
      case SD_BUS_TYPE_INT64:
        return number<std::int64_t, std::int64_t>(type, to);
      case SD_BUS_TYPE_UINT64:
        return number<std::uint64_t, std::uint64_t>(type, to);
      case SD_BUS_TYPE_DOUBLE:
        return number<double, double>(type, to);
      case SD_BUS_TYPE_VARIANT:
      case SD_BUS_TYPE_ARRAY:
      case SD_BUS_TYPE_STRUCT:
        return container(type, contents, to, depth);
      default:
        return bus_.skip(message_, nullptr) >= 0;  // descriptors: of no use to us
    }
  }

 private:
  bool text(char type, BusValue& to) {
    const char* value = nullptr;
    if (bus_.read_basic(message_, type, &value) <= 0) return false;
    to.plain = std::string(value);
    return true;
  }

  template <class Wire, class Ours>
  bool number(char type, BusValue& to) {
    Wire value{};
    if (bus_.read_basic(message_, type, &value) <= 0) return false;
    to.plain = Ours{value};
    return true;
  }

  bool container(char type, const char* contents, BusValue& to, int depth) {
    if (depth >= kBusDepthMost) return bus_.skip(message_, nullptr) >= 0;
    const bool entries = type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN;
    const std::string inner = contents;  // the message may move it
    if (bus_.enter_container(message_, type, inner.c_str()) < 0) return false;
    if (type == SD_BUS_TYPE_VARIANT) {
      static_cast<void>(next(to, depth + 1));
    } else if (entries) {
      read_entries(to, depth);
    } else {
      for (BusValue one; next(one, depth + 1); one = {}) to.list.push_back(std::move(one));
    }
    return bus_.exit_container(message_) >= 0;
  }

  void read_entries(BusValue& to, int depth) {
    for (;;) {
      char type = 0;
      const char* contents = nullptr;
      if (bus_.peek_type(message_, &type, &contents) <= 0) return;
      const std::string inner = contents;
      if (bus_.enter_container(message_, type, inner.c_str()) < 0) return;
      BusValue key;
      BusValue value;
      const bool whole = next(key, depth + 1) && next(value, depth + 1);
      if (bus_.exit_container(message_) < 0 || !whole) return;
      to.dict.insert_or_assign(key.text(), std::move(value));
    }
  }

  const Library& bus_;
  sd_bus_message* message_;
};

BusValue arguments_of(const Library& bus, sd_bus_message* message) {
  BusValue all;
  Reader reader(bus, message);
  for (BusValue one; reader.next(one); one = {}) all.list.push_back(std::move(one));
  return all;
}

Error error_of(const sd_bus_error& error) {
  const std::string name = error.name == nullptr ? "" : error.name;
  const std::string words = error.message == nullptr ? name : std::string(error.message);
  const auto is = [&](std::string_view one) { return name == one; };
  Errc code = Errc::io;
  if (is(SD_BUS_ERROR_SERVICE_UNKNOWN) || is(SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
    code = Errc::not_found;
  } else if (is(SD_BUS_ERROR_NO_REPLY) || is(SD_BUS_ERROR_TIMEOUT)) {
    code = Errc::timeout;
  } else if (is(SD_BUS_ERROR_ACCESS_DENIED) || name.ends_with("PermissionDenied") ||
             name.ends_with("Unauthorized")) {
    code = Errc::permission;
  }
  return {code, words};
}

}  // namespace

struct SystemBus::Impl {
  /// One call under way, or one match; its slot ends with it.
  struct Slot {
    Impl* owner = nullptr;
    sd_bus_slot* handle = nullptr;
    Answer answer;
    Heard heard;
    std::list<Slot>::iterator self;
  };

  Impl(posix::EventLoop& loop_in, Hooks hooks_in)
      : loop(loop_in), hooks(std::move(hooks_in)), again(loop_in), deadline(loop_in) {}

  ~Impl() { close(); }

  void connect() {
    if (!bus_is_there()) return lost("the system bus is not there");
    const Library& found = library();
    if (!found.problem.empty()) return say_down(found.problem);  // for good
    const int result = found.open_system(&bus);
    if (result < 0) return lost("the system bus is not there: " + posix::os_words(-result));
    watch.emplace(loop, found.get_fd(bus));
    if (!watch->valid()) return lost("the system bus cannot be watched: no descriptors left");
    wait = kBusAgain;
    down_said = false;
    hooks.up();
    schedule();
  }

  void close() {
    watch.reset();
    deadline.cancel();
    if (bus == nullptr) return;
    for (Slot& slot : slots) library().slot_unref(slot.handle);
    slots.clear();
    library().close_unref(std::exchange(bus, nullptr));
  }

  void lost(const std::string& why) {
    close();
    say_down(why);
    again.arm_after(wait, [this] { connect(); });
    wait = std::min(wait * 2, kBusAgainMost);
  }

  void say_down(const std::string& why) {
    if (!std::exchange(down_said, true)) hooks.down(why);
  }

  /// Never inside sd-bus, so that a loss may end everything.
  void schedule() {
    if (std::exchange(scheduled, true)) return;
    loop.post([this, weak = std::weak_ptr(alive)] {
      if (weak.expired()) return;
      scheduled = false;
      if (bus != nullptr) pump();
    });
  }

  void pump() {
    const Library& lib = library();
    for (int step = 0; step < kStepsPerTurn; ++step) {
      const int result = lib.process(bus, nullptr);
      if (result < 0) return lost("the system bus is gone: " + posix::os_words(-result));
      if (result == 0) return rest();
    }
    schedule();
  }

  void rest() {
    const Library& lib = library();
    if (lib.is_open(bus) <= 0) return lost("the system bus is gone");
    const int events = lib.get_events(bus);
    watch->want(true, events >= 0 && (events & POLLOUT) != 0, [this](bool, bool) { schedule(); });
    std::uint64_t until = 0;
    if (lib.get_timeout(bus, &until) < 0 || until == UINT64_MAX) return deadline.cancel();
    using std::chrono::microseconds;
    const auto now = std::chrono::steady_clock::now().time_since_epoch();  // CLOCK_MONOTONIC
    const Duration left = microseconds(until) - std::chrono::duration_cast<microseconds>(now);
    deadline.arm_after(std::max<Duration>(left, Duration::zero()), [this] { schedule(); });
  }

  Slot& add_slot() {
    slots.emplace_back();
    Slot& slot = slots.back();
    slot.owner = this;
    slot.self = std::prev(slots.end());
    return slot;
  }

  void drop(Slot& slot) {
    library().slot_unref(slot.handle);
    slots.erase(slot.self);
  }

  static int on_answer(sd_bus_message* message, void* data, sd_bus_error*) {
    Slot& slot = *static_cast<Slot*>(data);
    const Library& lib = library();
    const Answer answer = std::move(slot.answer);
    const sd_bus_error* const error = lib.get_error(message);
    const Result<BusValue> result =
        error != nullptr ? Result<BusValue>(error_of(*error)) : arguments_of(lib, message);
    slot.owner->drop(slot);
    if (answer) answer(result);
    return 1;
  }

  static int on_signal(sd_bus_message* message, void* data, sd_bus_error*) {
    const Slot& slot = *static_cast<Slot*>(data);
    const char* const path = library().get_path(message);
    slot.heard(path == nullptr ? "" : path, arguments_of(library(), message));
    return 0;  // others may listen, too
  }

  /// A match that the bus refuses only means that we hear less; sd-bus would end the connection.
  static int on_match(sd_bus_message*, void*, sd_bus_error*) { return 1; }

  posix::EventLoop& loop;
  Hooks hooks;
  posix::Timer again;
  posix::Timer deadline;
  Duration wait = kBusAgain;
  bool down_said = false;
  bool scheduled = false;
  sd_bus* bus = nullptr;
  std::optional<posix::FdWatch> watch;
  std::list<Slot> slots;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

bool SystemBus::built() noexcept { return true; }

SystemBus::SystemBus(posix::EventLoop& loop, Hooks hooks)
    : impl_(std::make_unique<Impl>(loop, std::move(hooks))) {
  HF_CHECK(impl_->hooks.up != nullptr && impl_->hooks.down != nullptr);
}

SystemBus::~SystemBus() = default;

void SystemBus::begin() { impl_->connect(); }

bool SystemBus::connected() const { return impl_->bus != nullptr; }

void SystemBus::call(const BusCall& call, Answer answer) {
  Impl& own = *impl_;
  if (own.bus == nullptr) return;
  const Library& lib = library();
  sd_bus_message* message = nullptr;
  int result = lib.new_method_call(own.bus, &message, call.service.c_str(), call.path.c_str(),
                                   call.interface.c_str(), call.method.c_str());
  if (result < 0) return;  // names that are none
  result = lib.set_auto_start(message, 0);
  for (const BusArgument& argument : call.arguments) {
    if (const auto* const text = std::get_if<std::string>(&argument)) {
      result = lib.append_basic(message, SD_BUS_TYPE_STRING, text->c_str());
    } else if (const auto* const path = std::get_if<BusPath>(&argument)) {
      result = lib.append_basic(message, SD_BUS_TYPE_OBJECT_PATH, path->path.c_str());
    } else {
      const int flag = std::get<bool>(argument) ? 1 : 0;
      result = lib.append_basic(message, SD_BUS_TYPE_BOOLEAN, &flag);
    }
    if (result < 0) break;
  }
  if (result >= 0) {
    Impl::Slot& slot = own.add_slot();
    slot.answer = std::move(answer);
    const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(kBusAnswer).count();
    result = lib.call_async(own.bus, &slot.handle, message, &Impl::on_answer, &slot,
                            static_cast<std::uint64_t>(longest));
    if (result < 0) own.slots.erase(slot.self);
  }
  lib.message_unref(message);
  own.schedule();
}

void SystemBus::listen(const std::string& match, Heard heard) {
  Impl& own = *impl_;
  if (own.bus == nullptr) return;
  Impl::Slot& slot = own.add_slot();
  slot.heard = std::move(heard);
  const int result = library().add_match_async(own.bus, &slot.handle, match.c_str(),
                                               &Impl::on_signal, &Impl::on_match, &slot);
  if (result < 0) own.slots.erase(slot.self);
  own.schedule();
}

void SystemBus::follow(const std::string& name, std::function<void(bool there)> changed) {
  listen("type='signal',sender='" + std::string(kBusName) + "',path='" + kBusObject +
             "',interface='" + kBusName + "',member='NameOwnerChanged',arg0='" + name + "'",
         [changed](const std::string&, const BusValue& arguments) {
           changed(!arguments.at(2).text().empty());
         });
  call({kBusName, kBusObject, kBusName, "NameHasOwner", {name}},
       [changed](const Result<BusValue>& answer) { changed(answer && answer->at(0).truth()); });
}

}  // namespace holdfast::host
