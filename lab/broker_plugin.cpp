// The lab's plugin in mosquitto: what the front door cannot see from outside.
//
// Purpose:  lets in the front door alone, so that no client goes around it; and drops, for a client
//           that is away, what is over the quotas of stored messages (AWS General Reference: 100 a
//           second for a session, 500 a second for all).
// Options:  plugin_opt_password: what the front door logs in with. plugin_opt_stored_per_second and
//           plugin_opt_stored_per_second_all: the quotas; 0: none.
// Threads:  the broker's one.
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include <mosquitto.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "lab/iot/broker_login.h"

namespace {

using Clock = std::chrono::steady_clock;
namespace iot = holdfast::lab::iot;

/// Counts within each second.
class PerSecond {
 public:
  bool take(Clock::time_point now, long most) {
    const auto second = std::chrono::floor<std::chrono::seconds>(now);
    if (second != second_) {
      second_ = second;
      taken_ = 0;
    }
    return most == 0 || ++taken_ <= most;
  }

 private:
  std::chrono::time_point<Clock, std::chrono::seconds> second_{};
  long taken_ = 0;
};

class Plugin {
 public:
  mosquitto_plugin_id_t* id = nullptr;

  /// False for an option that is none, or has no number where it wants one.
  bool take_option(std::string_view key, std::string_view value) {
    if (key == "password") {
      password_ = value;
      return true;
    }
    long* const quota = key == "stored_per_second"       ? &stored_per_second_
                        : key == "stored_per_second_all" ? &stored_per_second_all_
                                                         : nullptr;
    if (quota == nullptr) return false;
    const char* const end = value.data() + value.size();
    const auto [stop, failure] = std::from_chars(value.data(), end, *quota);
    return failure == std::errc{} && stop == end && *quota >= 0;
  }
  [[nodiscard]] bool has_password() const { return !password_.empty(); }

  int authenticate(const mosquitto_evt_basic_auth& login) {
    const bool known = login.username != nullptr && login.password != nullptr &&
                       std::strcmp(login.username, iot::kBrokerUser) == 0 &&
                       password_ == login.password;
    if (!known) return MOSQ_ERR_AUTH;
    here_.insert(login.client);
    stored_.erase(name(login.client));
    return MOSQ_ERR_SUCCESS;
  }

  /// A message is about to go to a client, or into its queue.
  int deliver(const mosquitto* client) {
    if (here_.count(client) != 0) return MOSQ_ERR_SUCCESS;
    const auto now = Clock::now();
    const bool kept = stored_[name(client)].take(now, stored_per_second_) &&
                      all_stored_.take(now, stored_per_second_all_);
    if (!kept) ++dropped_;
    return kept ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
  }

  void leave(const mosquitto* client) { here_.erase(client); }

  void tick() {
    if (dropped_ == told_) return;
    told_ = dropped_;
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "lab: %lu messages over the quota of stored ones dropped",
                         dropped_);
  }

 private:
  static std::string name(const mosquitto* client) {
    const char* id = mosquitto_client_id(client);
    return id != nullptr ? id : "";
  }

  std::string password_;
  long stored_per_second_ = 100;
  long stored_per_second_all_ = 500;
  std::set<const mosquitto*> here_;  // connected
  std::unordered_map<std::string, PerSecond> stored_;
  PerSecond all_stored_;
  unsigned long dropped_ = 0;
  unsigned long told_ = 0;
};

int on_auth(int, void* event, void* plugin) {
  return static_cast<Plugin*>(plugin)->authenticate(*static_cast<mosquitto_evt_basic_auth*>(event));
}

int on_acl(int, void* event, void* plugin) {
  const auto& check = *static_cast<mosquitto_evt_acl_check*>(event);
  // Policies are the front door's; only what goes out concerns us.
  if (check.access != MOSQ_ACL_READ) return MOSQ_ERR_SUCCESS;
  return static_cast<Plugin*>(plugin)->deliver(check.client);
}

int on_disconnect(int, void* event, void* plugin) {
  static_cast<Plugin*>(plugin)->leave(static_cast<mosquitto_evt_disconnect*>(event)->client);
  return MOSQ_ERR_SUCCESS;
}

int on_tick(int, void*, void* plugin) {
  static_cast<Plugin*>(plugin)->tick();
  return MOSQ_ERR_SUCCESS;
}

struct Hook {
  int event;
  MOSQ_FUNC_generic_callback call;
};
constexpr Hook kHooks[] = {{MOSQ_EVT_BASIC_AUTH, on_auth},
                           {MOSQ_EVT_ACL_CHECK, on_acl},
                           {MOSQ_EVT_DISCONNECT, on_disconnect},
                           {MOSQ_EVT_TICK, on_tick}};

}  // namespace

int mosquitto_plugin_version(int, const int*) { return 5; }

int mosquitto_plugin_init(mosquitto_plugin_id_t* id, void** userdata, mosquitto_opt* options,
                          int count) {
  auto* plugin = new Plugin;
  *userdata = plugin;
  plugin->id = id;
  for (int i = 0; i < count; ++i) {
    if (!plugin->take_option(options[i].key, options[i].value)) {
      mosquitto_log_printf(MOSQ_LOG_ERR, "lab: plugin_opt_%s makes no sense", options[i].key);
      return MOSQ_ERR_INVAL;
    }
  }
  if (!plugin->has_password()) {
    mosquitto_log_printf(MOSQ_LOG_ERR, "lab: plugin_opt_password is missing");
    return MOSQ_ERR_INVAL;
  }
  for (const Hook& hook : kHooks) {
    const int failed = mosquitto_callback_register(id, hook.event, hook.call, nullptr, plugin);
    if (failed != MOSQ_ERR_SUCCESS) return failed;
  }
  return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void* userdata, mosquitto_opt*, int) {
  auto* plugin = static_cast<Plugin*>(userdata);
  for (const Hook& hook : kHooks) {
    mosquitto_callback_unregister(plugin->id, hook.event, hook.call, nullptr);
  }
  delete plugin;
  return MOSQ_ERR_SUCCESS;
}
