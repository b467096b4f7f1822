#include "engines/real_broker_kinds.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <stdexcept>

#include "engines/real_broker.h"

namespace holdfast::engines::test {
namespace {

using std::chrono::seconds;

std::string at(const BrokerFiles& files, const char* name) {
  return (files.directory / name).string();
}

// ---- mosquitto ----------------------------------------------------------------------------------

std::string mosquitto_program() { return find_program("mosquitto"); }

void write_mosquitto(const BrokerFiles& files) {
  RealProcess make_password;
  make_password.start({find_program("mosquitto_passwd"), "-b", "-c", at(files, "users"),
                       files.kind.username, files.kind.password},
                      {}, files.directory / "mosquitto_passwd.output");
  if (make_password.wait_for_end(seconds(10)) != 0) throw std::runtime_error("mosquitto_passwd");
  std::ofstream conf(files.directory / "mosquitto.conf");
  // Started as root it would change to a user that cannot read the directory.
  if (geteuid() == 0) conf << "user root\n";
  // A listener for WebSocket needs one of another kind before it, and names addresses so.
  conf << "listener " << files.port << " 127.0.0.1\n"
       << "listener " << files.tls_port << " 127.0.0.1\n"
       << "cafile " << at(files, "ca.pem") << "\ncertfile " << at(files, "server.pem")
       << "\nkeyfile " << at(files, "server.key") << "\nrequire_certificate true\n"
       << "listener " << files.websocket_port << " 127.0.0.1\n"
       << "socket_domain ipv4\nprotocol websockets\n"
       << "allow_anonymous false\npassword_file " << at(files, "users") << "\n"
       << "log_dest stderr\nset_tcp_nodelay true\nmax_queued_messages 0\n"
       << "persistence true\npersistence_location " << files.directory.string()
       << "/\n"
       // After each change, which is the most that it can do.
       << "autosave_on_changes true\nautosave_interval 1\n";
}

void start_mosquitto(const BrokerFiles& files, RealProcess& broker, RealProcess& /*helper*/) {
  broker.start({mosquitto_program(), "-c", at(files, "mosquitto.conf")}, {},
               files.directory / "output");
}

// ---- ejabberd -----------------------------------------------------------------------------------

/// The folder that has ejabberd's code: Debian's ejabberdctl insists on a user of its own, so the
/// test starts Erlang itself.
std::filesystem::path ejabberd_code() {
  std::error_code ignored;
  for (const auto& platform : std::filesystem::directory_iterator("/usr/lib", ignored)) {
    if (!platform.is_directory(ignored)) continue;
    for (const auto& each : std::filesystem::directory_iterator(platform, ignored)) {
      if (each.path().filename().string().starts_with("ejabberd-") &&
          std::filesystem::exists(each.path() / "ebin" / "mod_mqtt.beam", ignored)) {
        return platform.path();
      }
    }
  }
  return {};
}

std::string ejabberd_program() {
  return ejabberd_code().empty() ? std::string() : find_program("erl");
}

void write_ejabberd(const BrokerFiles& files) {
  // It wants the certificate and its key in one file.
  std::ofstream chain(files.directory / "server-both.pem");
  for (const char* part : {"server.pem", "server.key"}) {
    chain << std::ifstream(files.directory / part).rdbuf();
  }
  std::ofstream conf(files.directory / "ejabberd.yml");
  conf << "hosts: [localhost]\nloglevel: info\nlog_rotate_size: infinity\n"
       << "auth_method: [internal]\nacme: {auto: false}\n"
       << "ca_file: " << at(files, "ca.pem") << "\n"
       << "certfiles: [" << at(files, "server-both.pem") << "]\n"
       << "listen:\n  - {port: " << files.port << ", ip: \"127.0.0.1\", module: mod_mqtt}\n"
       << "  - {port: " << files.tls_port
       << ", ip: \"127.0.0.1\", module: mod_mqtt, tls: true, tls_verify: true}\n"
       << "  - {port: " << files.websocket_port << ", ip: \"127.0.0.1\", module: ejabberd_http, "
       << "request_handlers: {/mqtt: mod_mqtt}}\n"
       << "modules:\n  mod_mqtt:\n"
       << "    access_publish: {\"#\": [{allow: all}]}\n"
       << "    access_subscribe: {\"#\": [{allow: all}]}\n"
       << "    session_expiry: 1 hour\n    max_queue: 5000\n";
}

void start_ejabberd(const BrokerFiles& files, RealProcess& broker, RealProcess& /*helper*/) {
  // Without a name of its own Erlang needs no epmd. The second start finds the user there.
  const std::string add_user =
      "_ = ejabberd_auth:try_register(<<\"device\">>, <<\"localhost\">>, "
      "<<\"" +
      files.kind.password +
      "\">>), "
      "io:format(\"the broker is ready~n\").";
  broker.start({ejabberd_program(), "+S", "1:1", "+sbwt", "none", "-noinput", "-mnesia", "dir",
                "\"" + at(files, "db") + "\"", "-s", "ejabberd", "-eval", add_user},
               {"HOME=" + files.directory.string(), "ERL_LIBS=" + ejabberd_code().string(),
                "EJABBERD_CONFIG_PATH=" + at(files, "ejabberd.yml"),
                "EJABBERD_LOG_PATH=" + at(files, "ejabberd.log"), "ERL_MAX_ETS_TABLES=1400",
                "ERL_CRASH_DUMP_BYTES=0"},
               files.directory / "output");
}

// ---- RabbitMQ -----------------------------------------------------------------------------------

/// Not the one in PATH, which insists on a user of its own.
std::string rabbitmq_program() {
  constexpr const char* kProgram = "/usr/lib/rabbitmq/bin/rabbitmq-server";
  return access(kProgram, X_OK) == 0 ? kProgram : "";
}

void write_rabbitmq(const BrokerFiles& files) {
  std::ofstream(files.directory / "enabled_plugins") << "[rabbitmq_mqtt,rabbitmq_web_mqtt].\n";
  std::ofstream conf(files.directory / "rabbitmq.conf");
  conf << "listeners.tcp = none\ndistribution.listener.interface = 127.0.0.1\n"
       << "mqtt.listeners.tcp.1 = 127.0.0.1:" << files.port << "\n"
       << "mqtt.listeners.ssl.1 = 127.0.0.1:" << files.tls_port << "\n"
       << "ssl_options.cacertfile = " << at(files, "ca.pem") << "\n"
       << "ssl_options.certfile = " << at(files, "server.pem") << "\n"
       << "ssl_options.keyfile = " << at(files, "server.key") << "\n"
       << "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
       << "web_mqtt.tcp.ip = 127.0.0.1\nweb_mqtt.tcp.port = " << files.websocket_port << "\n"
       << "web_mqtt.ws_path = /mqtt\n"
       << "mqtt.allow_anonymous = false\nmqtt.subscription_ttl = 86400000\nmqtt.prefetch = 100\n"
       << "default_user = " << files.kind.username << "\ndefault_pass = " << files.kind.password
       << "\n";
}

void start_rabbitmq(const BrokerFiles& files, RealProcess& broker, RealProcess& helper) {
  const std::string epmd_port = "ERL_EPMD_PORT=" + std::to_string(files.helper_port);
  // Erlang's directory of nodes. One that RabbitMQ started itself would outlive it.
  helper.start({find_program("epmd"), "-address", "127.0.0.1"}, {epmd_port},
               files.directory / "epmd.output");
  broker.start({rabbitmq_program()},
               {"HOME=" + files.directory.string(), epmd_port, "ERL_EPMD_ADDRESS=127.0.0.1",
                // Then its script becomes Erlang, instead of waiting for it.
                "RUNNING_UNDER_SYSTEMD=true", "RABBITMQ_NODENAME=holdfast@localhost",
                "RABBITMQ_DIST_PORT=" + std::to_string(files.other_port),
                "RABBITMQ_CONFIG_FILE=" + at(files, "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE=" + at(files, "enabled_plugins"),
                "RABBITMQ_MNESIA_BASE=" + at(files, "db"), "RABBITMQ_LOG_BASE=" + at(files, "log"),
                "RABBITMQ_LOGS=-", "RABBITMQ_PID_FILE=" + at(files, "pid"),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none"},
               files.directory / "output");
}

// ---- NATS ---------------------------------------------------------------------------------------

std::string nats_program() { return find_program("nats-server"); }

void write_nats(const BrokerFiles& files) {
  // Its MQTT is either with TLS or without, so there are two of it, which know nothing of each
  // other.
  for (const bool tls : {false, true}) {
    std::ofstream conf(files.directory / (tls ? "nats-tls.conf" : "nats.conf"));
    conf << "server_name: holdfast\n"
         << "listen: \"127.0.0.1:" << (tls ? files.other_port : files.helper_port) << "\"\n"
         << "authorization { user: " << files.kind.username << ", password: " << files.kind.password
         << " }\n"
         << "jetstream { store_dir: \"" << at(files, tls ? "jetstream-tls" : "jetstream")
         << "\" }\n";
    if (tls) {
      conf << "mqtt { listen: \"127.0.0.1:" << files.tls_port << "\", tls { cert_file: \""
           << at(files, "server.pem") << "\", key_file: \"" << at(files, "server.key")
           << "\", ca_file: \"" << at(files, "ca.pem") << "\", verify: true } }\n";
    } else {
      conf << "mqtt { listen: \"127.0.0.1:" << files.port << "\" }\n"
           << "websocket { listen: \"127.0.0.1:" << files.websocket_port << "\", no_tls: true }\n";
    }
  }
}

void start_nats(const BrokerFiles& files, RealProcess& broker, RealProcess& helper) {
  helper.start({nats_program(), "-c", at(files, "nats-tls.conf")}, {},
               files.directory / "tls-output");
  helper.wait_for(files.kind.ready, files.kind.start_limit);
  broker.start({nats_program(), "-c", at(files, "nats.conf")}, {}, files.directory / "output");
}

std::vector<BrokerKind> make_kinds() {
  BrokerKind mosquitto;
  mosquitto.name = mosquitto.package = "mosquitto";
  mosquitto.versions = {MqttVersion::v5, MqttVersion::v311};
  mosquitto.names_takeover = false;
  mosquitto.keeps_what_it_acknowledged = false;
  mosquitto.program = mosquitto_program;
  mosquitto.write_files = write_mosquitto;
  mosquitto.start = start_mosquitto;
  mosquitto.ready = " running";

  BrokerKind ejabberd;
  ejabberd.name = ejabberd.package = "ejabberd";
  ejabberd.versions = {MqttVersion::v5, MqttVersion::v311};
  ejabberd.username = "device@localhost";
  ejabberd.demands_certificate = false;
  ejabberd.tells_no_subscription = false;
  ejabberd.heeds_expiry = false;
  ejabberd.sessions_survive_kill = false;
  ejabberd.retained_survive_kill = false;
  ejabberd.keeps_what_it_acknowledged = false;
  ejabberd.program = ejabberd_program;
  ejabberd.write_files = write_ejabberd;
  ejabberd.start = start_ejabberd;
  ejabberd.ready = "the broker is ready";

  BrokerKind rabbitmq;
  rabbitmq.name = "rabbitmq";
  rabbitmq.package = "rabbitmq-server";
  rabbitmq.versions = {MqttVersion::v311};
  rabbitmq.wrong_password_v311 = Verdict::bad_credentials;
  rabbitmq.wrong_version = Verdict::server_gone;
  rabbitmq.turns_dots_to_slashes = true;
  rabbitmq.retained_for_wildcards = false;
  rabbitmq.remembers_empty_sessions = false;
  rabbitmq.retained_survive_kill = false;
  rabbitmq.program = rabbitmq_program;
  rabbitmq.write_files = write_rabbitmq;
  rabbitmq.start = start_rabbitmq;
  rabbitmq.ready = "Server startup complete";

  BrokerKind nats;
  nats.name = "nats";
  nats.package = "nats-server";
  nats.versions = {MqttVersion::v311};
  nats.refuses_in_topics = ". ";
  nats.program = nats_program;
  nats.write_files = write_nats;
  nats.start = start_nats;
  nats.ready = "Server is ready";

  return {mosquitto, ejabberd, rabbitmq, nats};
}

}  // namespace

bool BrokerKind::speaks(MqttVersion version) const {
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

const std::vector<BrokerKind>& broker_kinds() {
  static const std::vector<BrokerKind> kinds = make_kinds();
  return kinds;
}

KindOfBroker::KindOfBroker(const BrokerKind& kind) : files_{kind, make_directory()} {
  make_pki(files_.directory);
  kind.write_files(files_);
  start();
}

KindOfBroker::~KindOfBroker() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(files_.directory, ignored);
}

void KindOfBroker::kill() {
  broker_.kill();
  helper_.kill();
}

void KindOfBroker::start() {
  files_.kind.start(files_, broker_, helper_);
  broker_.wait_for(files_.kind.ready, files_.kind.start_limit);
}

TlsConfig KindOfBroker::tls() const {
  TlsConfig config;
  config.ca_file = files_.directory / "ca.pem";
  config.cert_file = files_.directory / "client.pem";
  config.key_file = files_.directory / "client.key";
  return config;
}

}  // namespace holdfast::engines::test
