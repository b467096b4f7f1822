// A mosquitto plugin that does to clients what a real broker does on a bad day, when told to.
//
// Purpose:  refuse every CONNECT (0x87, not authorized), or disconnect every client, on command.
// Use:      in mosquitto.conf:  plugin /path/to/hf_broker_control.so
//                               plugin_opt_control_file /path/to/control
//           The control file holds one line, "refuse=0 kick=0". With refuse=1 clients are refused,
//           except those whose id begins with "auditor". Each change of the number after kick=
//           disconnects all clients once, the auditor too. Replace the file (rename), do not edit
//           it in place. What was carried out is written to the broker's log.
// Threads:  the broker's only one; the file is looked at every 50 ms, from the broker's tick.
// Source:   mosquitto_plugin.h and mosquitto_broker.h of mosquitto 2.0.
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace {

constexpr std::chrono::milliseconds kLookEvery{50};
constexpr const char* kAuditorPrefix = "auditor";

struct Orders {
  int refuse = 0;
  unsigned kick = 0;
};

class Control {
 public:
  explicit Control(std::string file) : file_(std::move(file)) {
    // What the file says at the start is the state to begin with; only later kicks are carried out.
    orders_ = read().value_or(orders_);
  }

  [[nodiscard]] bool refuses(const char* client_id) const {
    if (orders_.refuse == 0) return false;
    return client_id == nullptr ||
           std::strncmp(client_id, kAuditorPrefix, std::strlen(kAuditorPrefix)) != 0;
  }

  void look() {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_look_) return;
    next_look_ = now + kLookEvery;
    const std::optional<Orders> wanted = read();
    if (!wanted) return;  // not there (yet): leave everything as it is
    if (wanted->refuse != orders_.refuse) {
      mosquitto_log_printf(MOSQ_LOG_NOTICE, "control: refuse=%d", wanted->refuse);
    }
    const bool kick = wanted->kick != orders_.kick;
    orders_ = *wanted;
    if (kick) {
      mosquitto_log_printf(MOSQ_LOG_NOTICE, "control: kick=%u", orders_.kick);
      mosquitto_kick_client_by_clientid(nullptr, false);  // null: every client
    }
  }

 private:
  /// Takes "NAMEnumber" off the front of `text`.
  template <class Number>
  [[nodiscard]] static bool take_number(std::string_view& text, std::string_view name,
                                        Number& number) {
    if (text.substr(0, name.size()) != name) return false;
    text.remove_prefix(name.size());
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return failure == std::errc{};
  }
  [[nodiscard]] std::optional<Orders> read() const {
    std::ifstream in(file_);
    std::string line;
    Orders found;
    if (!std::getline(in, line)) return std::nullopt;
    std::string_view rest = line;
    if (!take_number(rest, "refuse=", found.refuse)) return std::nullopt;
    if (!take_number(rest, " kick=", found.kick)) return std::nullopt;
    return found;
  }

  std::string file_;
  Orders orders_;
  std::chrono::steady_clock::time_point next_look_{};
};

mosquitto_plugin_id_t* plugin_id = nullptr;

int on_tick(int, void*, void* control) {
  static_cast<Control*>(control)->look();
  return MOSQ_ERR_SUCCESS;
}

int on_auth(int, void* event, void* control) {
  const auto* auth = static_cast<mosquitto_evt_basic_auth*>(event);
  const bool refuse = static_cast<Control*>(control)->refuses(mosquitto_client_id(auth->client));
  return refuse ? MOSQ_ERR_AUTH : MOSQ_ERR_SUCCESS;
}

}  // namespace

int mosquitto_plugin_version(int, const int*) { return 5; }

int mosquitto_plugin_init(mosquitto_plugin_id_t* id, void** userdata, mosquitto_opt* options,
                          int count) {
  plugin_id = id;
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(options[i].key, "control_file") != 0) continue;
    auto* control = new Control(options[i].value);
    *userdata = control;
    mosquitto_callback_register(id, MOSQ_EVT_TICK, on_tick, nullptr, control);
    return mosquitto_callback_register(id, MOSQ_EVT_BASIC_AUTH, on_auth, nullptr, control);
  }
  mosquitto_log_printf(MOSQ_LOG_ERR, "control: plugin_opt_control_file is missing");
  return MOSQ_ERR_INVAL;
}

int mosquitto_plugin_cleanup(void* userdata, mosquitto_opt*, int) {
  mosquitto_callback_unregister(plugin_id, MOSQ_EVT_TICK, on_tick, nullptr);
  mosquitto_callback_unregister(plugin_id, MOSQ_EVT_BASIC_AUTH, on_auth, nullptr);
  delete static_cast<Control*>(userdata);
  return MOSQ_ERR_SUCCESS;
}
