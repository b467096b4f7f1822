// holdfast: publish, subscribe and look, through the agent of this machine.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "commands.h"
#include "doctor.h"
#include "history.h"
#include "identity.h"
#include "logs.h"
#include "network.h"
#include "outbox.h"
#include "programs.h"
#include "provision.h"
#include "runtime/config_keys.h"
#include "runtime/local_protocol.h"
#include "runtime/watch_program.h"
#include "status_watch.h"

namespace {

using namespace holdfast;       // NOLINT: a program's main file
using namespace holdfast::cli;  // NOLINT

struct Arguments {
  std::string socket = "/run/holdfast/holdfast.sock";
  std::string topic, message, file, expiry, durability, timeout, wait = "accepted", config;
  std::string correlation_data;
  std::vector<std::string> user_properties;
  unsigned qos = 1;
  bool json = false;
  bool connected = false;
  bool live = false;
  std::string interval = "1s";
  bool end = false;
  std::string reason = "command";
  std::string detail;
  PublishOptions publish;
  RequestOptions request;
  SubscribeOptions subscribe;
  OutboxOptions outbox;
  HistoryOptions history;
  LogsOptions logs;
  HeartbeatOptions heartbeat;
  runtime::WatchOptions watch;
  std::string watched_port;
  std::string log_area, log_level;
  DoctorOptions doctor;
  IdentityOptions identity;
  ProvisionOptions provision;
  NetworkPlanOptions network_plan;
  MessageId message_id = 0;
};

const CLI::Validator duration_validator(
    [](std::string& text) {
      const auto parsed = runtime::parse_duration(text);
      return parsed && *parsed > 0 ? std::string() : "give a duration such as 30s";
    },
    "DURATION");

const CLI::Validator property_validator(
    [](std::string& text) {
      const bool good = text.find('=') != std::string::npos;
      return good ? std::string() : "give NAME=VALUE";
    },
    "");

Milliseconds duration_of(const std::string& text) {
  return Milliseconds(static_cast<Milliseconds::rep>(runtime::parse_duration(text).value_or(0)));
}

/// What publish and request say of a message alike.
void add_message_options(CLI::App& command, Arguments& a, Message& message) {
  command.add_option("-q,--qos", a.qos, "0 or 1 (default 1)")->check(CLI::Range(0, 1));
  command.add_option("--content-type", message.content_type, "MQTT 5 content type");
  command.add_option("--user-property", a.user_properties, "MQTT 5 user property; may be repeated")
      ->type_name("NAME=VALUE")
      ->check(property_validator)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void take_message_options(const Arguments& a, Message& message) {
  message.topic = a.topic;
  message.qos = static_cast<Qos>(a.qos);
  for (const std::string& property : a.user_properties) {
    const std::size_t sign = property.find('=');  // property_validator has seen it
    message.user_properties.emplace_back(property.substr(0, sign), property.substr(sign + 1));
  }
}

CLI::App* add_request(CLI::App& app, Arguments& a) {
  CLI::App* command = app.add_subcommand("request", "Publish a message and print the answer to it");
  command->add_option("TOPIC", a.topic, "where to")->required();
  auto* text = command->add_option("MESSAGE", a.request.text, "the payload (default empty)");
  command->add_option("-f,--file", a.request.file, "the payload is this file")->excludes(text);
  command->add_option("--timeout", a.timeout, "longest wait for the answer (default 10s)")
      ->check(duration_validator);
  command->add_flag("--json", a.request.json, "print the answer whole, as a JSON object");
  add_message_options(*command, a, a.request.message);
  return command;
}

ExitCode request(Arguments& a) {
  take_message_options(a, a.request.message);
  if (!a.timeout.empty()) a.request.timeout = duration_of(a.timeout);
  return run_request(a.socket, a.request);
}

CLI::App* add_publish(CLI::App& app, Arguments& a) {
  CLI::App* command = app.add_subcommand("publish", "Hand messages to the agent, safely on disk");
  Message& message = a.publish.message;
  auto* topic = command->add_option("TOPIC", a.topic, "where to; not with --json");
  auto* text = command->add_option("MESSAGE", a.message,
                                   "the payload; without it: from --file or "
                                   "a message a line from standard input");
  auto* file = command->add_option("-f,--file", a.file, "the payload is this file")->excludes(text);
  command->add_flag("--stdin-lines", a.publish.stdin_lines, "a message a line, also if typed")
      ->excludes(text)
      ->excludes(file);
  command
      ->add_flag("--json", a.publish.json,
                 "each line is a publish request of the local API, as outbox export writes it")
      ->excludes(topic)
      ->excludes(file);
  add_message_options(*command, a, message);
  command->add_flag("-r,--retain", message.retain, "ask the broker to keep it");
  command->add_option("--lane", message.lane, "one of flow.lanes (default normal)");
  command->add_option("--key", message.key,
                      "in a lane that conflates: replaces the last of this key");
  command->add_option("--expiry", a.expiry, "drop it if not sent by then, such as 1h")
      ->check(duration_validator);
  command->add_option("--durability", a.durability, "durable (default), spill or memory")
      ->check(CLI::IsMember({"durable", "spill", "memory"}));
  command->add_option("--response-topic", message.response_topic,
                      "MQTT 5: where an answer is wanted");
  command->add_option("--correlation-data", a.correlation_data,
                      "MQTT 5: what goes back with the answer");
  command->add_option("--wait", a.wait, "accepted (on disk, default) or delivered (PUBACKed)")
      ->check(CLI::IsMember({"accepted", "delivered"}));
  command
      ->add_option("--timeout", a.timeout,
                   "longest time without an answer (default 30s for accepted, none for "
                   "delivered)")
      ->check(duration_validator);
  return command;
}

CLI::App* add_subscribe(CLI::App& app, Arguments& a) {
  CLI::App* command = app.add_subcommand("subscribe", "Print a line for each message");
  command->add_option("FILTER", a.subscribe.filters, "topic filters");
  CLI::Option* const unmatched = command->add_flag(
      "--unmatched", a.subscribe.unmatched, "also what belongs to no subscription of the agent");
  command->add_option("-q,--qos", a.qos, "0 or 1 (default 1)")->check(CLI::Range(0, 1));
  command->add_option("-n,--count", a.subscribe.count, "end after so many messages");
  auto* topic =
      command->add_flag("-t,--topic-prefix", a.subscribe.topic_prefix, "print the topic before it");
  command->add_flag("--json", a.subscribe.json, "print each message whole, as a JSON object a line")
      ->excludes(topic);
  command->add_option("--timeout", a.timeout, "longest wait for a message (default none)")
      ->check(duration_validator);
  CLI::Option* const acknowledge =
      command
          ->add_flag("--acknowledge", a.subscribe.acknowledge,
                     "what was not printed before an end comes again, to the next subscriber")
          ->excludes(unmatched);
  command->add_option("--group", a.subscribe.group, "share the messages with this group only")
      ->needs(acknowledge);
  return command;
}

CLI::App* add_history(CLI::App& app, HistoryOptions& o) {
  CLI::App* const command =
      app.add_subcommand("history", "When the device was away, why, and what it cost");
  command->add_option("DIR", o.directory, "the directory of the outbox; without it: ask the agent");
  command->add_option("--limit", o.limit, "the newest so many (default 20)")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{runtime::kLocalListMax}));
  command->add_flag("--json", o.json, "for programs: an entry a line");
  return command;
}

CLI::App* add_safe_mode(CLI::App& app, Arguments& a) {
  CLI::App* const command =
      app.add_subcommand("safe-mode", "Whether the agent does with less after a crash loop");
  command->add_flag("--end", a.end, "have it do everything again");
  return command;
}

CLI::App* add_receipt(CLI::App& app, Arguments& a) {
  CLI::App* const command =
      app.add_subcommand("receipt", "What became of a message: pending, delivered, dropped");
  command->add_option("ID", a.message_id, "the message id that its receipt gave")->required();
  command->add_flag("--json", a.json, "for programs");
  return command;
}

struct PowerCommands {
  const CLI::App* fail;
  const CLI::App* down;
};

PowerCommands add_power(CLI::App& app, Arguments& a) {
  CLI::App* const fail = app.add_subcommand(
      "power-fail", "Say that this machine's power goes; ends when all is saved");
  CLI::Option* const detail = fail->add_option("WORDS", a.detail, "who says so");
  fail->add_flag("--cancel", a.end, "it does not go after all")->excludes(detail);
  CLI::App* const down = app.add_subcommand(
      "going-down", "Say why this machine is about to go down, for its next boot");
  down->add_option("--reason", a.reason, "update, command or low_power (default command)")
      ->check(CLI::IsMember({"update", "command", "low_power"}));
  down->add_option("WORDS", a.detail, "more about it");
  return {fail, down};
}

CLI::App* add_heartbeat(CLI::App& app, Arguments& a) {
  CLI::App* const command =
      app.add_subcommand("heartbeat", "A program's sign of life; when none follows, it is missed");
  command->add_option("NAME", a.heartbeat.name, "of the heartbeat")->required();
  CLI::Option* const every =
      command
          ->add_option("--every", a.timeout,
                       "the next one comes within this time (default: as configured, or as before)")
          ->check(duration_validator);
  command->add_flag("--end", a.heartbeat.end, "no other follows: the program ends in order")
      ->excludes(every);
  return command;
}

ExitCode heartbeat(Arguments& a) {
  if (!a.timeout.empty()) a.heartbeat.every = duration_of(a.timeout);
  return run_heartbeat(a.socket, a.heartbeat);
}

void add_time(CLI::App& command, const char* name, Duration& into, const char* help) {
  command
      .add_option_function<std::string>(
          name, [&into](const std::string& text) { into = duration_of(text); }, help)
      ->check(duration_validator);
}

CLI::App* add_watch(CLI::App& app, Arguments& a) {
  runtime::WatchOptions& o = a.watch;
  const auto within = [&](runtime::LifeSign sign) -> Duration& {
    return o.rules.within.at(static_cast<std::size_t>(sign));
  };
  CLI::App* const command = app.add_subcommand(
      "watch",
      "Run a program; start it again when it ends or falls silent: watch [options] -- "
      "COMMAND");
  command->add_option("COMMAND", o.command, "the program and its arguments, after --")->required();
  add_time(*command, "--output-within", within(runtime::LifeSign::output),
           "it is stuck if it writes nothing for so long");
  add_time(*command, "--heartbeat-within", within(runtime::LifeSign::heartbeat),
           "… if it sends no WATCHDOG=1 to $NOTIFY_SOCKET (sd_notify) for so long");
  command->add_option("--port", a.watched_port,
                      "… if nothing answers at this TCP port: "
                      "[ADDRESS:]PORT");
  within(runtime::LifeSign::port) = Seconds(30);
  add_time(*command, "--port-within", within(runtime::LifeSign::port), "… for so long (30s)");
  add_time(*command, "--first-sign", o.rules.first_sign, "the first sign may take so long (10s)");
  add_time(*command, "--stop-within", o.rules.stop_grace, "from SIGTERM to SIGKILL (10s)");
  add_time(*command, "--backoff-cap", o.rules.backoff_cap,
           "delays between starts double from 1s up to this (1m)");
  command->add_option("--restarts", o.rules.restarts, "give up after so many (default: never)")
      ->check(CLI::Range(1, 1000));
  add_time(*command, "--window", o.rules.window, "… within this time (10m)");
  command->add_flag("--until-success", o.rules.ends_with_zero, "an exit code of 0 is the end");
  command->add_option("--name", o.name,
                      "of the heartbeat at the agent (default: the program's name)");
  return command;
}

ExitCode watch(Arguments& a) {
  runtime::WatchOptions& o = a.watch;
  o.socket = a.socket;
  if (o.name.empty()) o.name = runtime::heartbeat_name_of(o.command.front());
  if (a.watched_port.empty()) {
    o.rules.within.at(static_cast<std::size_t>(runtime::LifeSign::port)) = Duration::zero();
  } else {
    auto place = runtime::parse_watched_port(a.watched_port);
    if (!place) return fail(kUsage, "--port: " + place.error().message);
    o.port = std::move(place).value();
  }
  return runtime::watch_program(o, [](const std::string& line) { fail(kFailed, line); });
}

CLI::App* add_logs(CLI::App& app, LogsOptions& o) {
  CLI::App* const command = app.add_subcommand("logs", "The last lines of the agent's log");
  command->add_option("-n,--lines", o.count, "so many (default: all that it remembers)")
      ->check(CLI::Range(std::size_t{1}, limits::kLogLast));
  command->add_flag("--json", o.json, "for programs: a line is an object");
  CLI::Option* const send =
      command->add_flag("--send", o.send, "publish them, in the last lane, instead");
  command->add_option("--topic", o.topic, "on this topic instead of log.topic")->needs(send);
  return command;
}

CLI::App* add_status(CLI::App& app, Arguments& a) {
  CLI::App* const status = app.add_subcommand("status", "State, verdict, backlog and ledger");
  status->add_flag("--json", a.json, "for programs");
  CLI::Option* const watch =
      status->add_flag("--watch", a.live, "again and again, with curves, until Ctrl-C");
  status->add_option("--interval", a.interval, "so often (default 1s)")
      ->needs(watch)
      ->check(duration_validator);
  return status;
}

CLI::App* add_health(CLI::App& app, Arguments& a) {
  CLI::App* const health =
      app.add_subcommand("health", "Whether the agent goes on: for containers and supervisors");
  health->add_flag("--connected", a.connected, "and is connected");
  health->add_option("--timeout", a.timeout, "so long a part may stand still (default 10s)")
      ->check(duration_validator);
  return health;
}

CLI::App* add_log_level(CLI::App& app, Arguments& a) {
  CLI::App* const command = app.add_subcommand(
      "log-level", "What the agent logs, until it reads its configuration again");
  command->add_option("AREA", a.log_area, "of this area, such as outbox; or a level for all");
  command->add_option("LEVEL", a.log_level, "error, warning, info or debug");
  return command;
}

CLI::App* add_doctor(CLI::App& app, Arguments& a) {
  DoctorOptions& o = a.doctor;
  CLI::App* const command =
      app.add_subcommand("doctor", "What is wrong on the way to the broker, and how to mend it");
  a.config = "/etc/holdfast/holdfast.toml";
  command->add_option("FILE", a.config,
                      "the agent's configuration file (default " + a.config + ")");
  command->add_option("--only", o.only, "these checks, and what they rest on");
  command->add_flag("--list", o.list, "print the checks and make none");
  command->add_flag("--json", o.json, "for programs");
  command->add_option("--client-id", o.wish.client_id,
                      "connect as (default: the configured one and -doctor)");
  command->add_option("--topic", o.wish.topics, "publish a test message there; may be repeated");
  command->add_option("--filter", o.wish.filters, "subscribe to it; may be repeated");
  command->add_option("--unit", o.wish.unit,
                      "the agent's systemd unit (default holdfastd.service)");
  command->add_option("--timeout", a.timeout, "longest wait for each stage (default: [timing])")
      ->check(duration_validator);
  return command;
}

ExitCode doctor(Arguments& a, bool socket_given) {
  runtime::DoctorWish& wish = a.doctor.wish;
  wish.config_file = a.config;
  wish.environment = runtime::process_environment();
  if (socket_given) wish.socket = a.socket;
  if (!a.timeout.empty()) wish.timeout = duration_of(a.timeout);
  return run_doctor(std::move(a.doctor));
}

/// The subcommands of `identity`.
struct IdentityCommands {
  CLI::App* all = nullptr;
  CLI::App* install = nullptr;
  CLI::App* rollback = nullptr;
};

IdentityCommands add_identity(CLI::App& app, Arguments& a) {
  IdentityOptions& o = a.identity;
  IdentityCommands c;
  c.all = app.add_subcommand("identity", "The certificates: list them, install the next one");
  c.all->add_option("--directory", o.directory, "identity.directory; without it: ask the agent");
  c.all->add_flag("--json", o.json, "the list, for programs");
  c.install =
      c.all->add_subcommand("install", "Check a certificate and its key, and have it tried");
  c.install->add_option("--certificate", o.certificate, "PEM: ours, then its chain")->required();
  c.install->add_option("--key", o.key, "PEM: its private key, without a password")->required();
  c.rollback = c.all->add_subcommand(
      "rollback", "Take the next one away; without one: have the previous one tried");
  for (CLI::App* command : {c.install, c.rollback}) {
    command->add_flag("--wait", o.wait, "until the agent has kept it, or rolled it back");
    command->add_option("--timeout", a.timeout, "longest wait (default 5m)")
        ->check(duration_validator);
    command->fallthrough();
  }
  return c;
}

ExitCode identity(const IdentityCommands& c, Arguments& a) {
  if (!a.timeout.empty()) a.identity.timeout = duration_of(a.timeout);
  if (*c.install) return run_identity_install(a.socket, a.identity);
  if (*c.rollback) return run_identity_rollback(a.socket, a.identity);
  return run_identity_list(a.socket, a.identity);
}

CLI::App* add_provision(CLI::App& app, Arguments& a) {
  ProvisionOptions& o = a.provision;
  CLI::App* const command =
      app.add_subcommand("provision", "Get this device's certificate from AWS IoT Core");
  command->add_option("-c,--config", o.config, "the agent's configuration file")->required();
  command->add_option("--claim", o.claim,
                      "a claim as CreateProvisioningClaim gives it, instead of the configured one");
  command->add_flag("--renew", o.renew, "get a successor of the active certificate");
  command->add_option("--days-left", o.days_left, "with --renew: only if so many days are left")
      ->check(CLI::Range(0, 36500));
  command->add_flag("--anew", o.anew,
                    "forget what was reached; a certificate of an earlier run may stay in force");
  command->add_flag("--wait", o.wait, "go on where only somebody else can help");
  command->add_option("--timeout", a.timeout, "longest time (default 10m)")
      ->check(duration_validator);
  command->add_flag("--json", o.json, "for programs: a line at each change, the result last");
  return command;
}

ExitCode provision(Arguments& a) {
  if (!a.timeout.empty()) a.provision.timeout = duration_of(a.timeout);
  return run_provision(a.provision);
}

/// The subcommands of `outbox`.
struct OutboxCommands {
  CLI::App* all = nullptr;
  CLI::App* ls = nullptr;
  CLI::App* stat = nullptr;
  CLI::App* cat = nullptr;
  CLI::App* verify = nullptr;
  CLI::App* exporting = nullptr;
  CLI::App* repair = nullptr;
};

OutboxCommands add_outbox(CLI::App& app, OutboxOptions& o) {
  OutboxCommands c;
  c.all = app.add_subcommand("outbox", "Look into the outbox: through the agent, or into DIR");
  c.all->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, bool needs_directory) {
    CLI::App* const command = c.all->add_subcommand(name, help);
    if (std::string_view(name) == "cat") {
      command->add_option("ID", o.id, "the message's id, as ls shows it")->required();
    }
    command
        ->add_option("DIR", o.directory,
                     needs_directory ? "the directory of the outbox"
                                     : "the directory of the outbox; without it: ask the agent")
        ->required(needs_directory);
    return command;
  };
  c.ls = add("ls", "A line for each waiting message", false);
  c.ls->add_option("--limit", o.limit, "at most so many (default 100)")->check(CLI::PositiveNumber);
  c.ls->add_flag("--all", o.all, "without a limit");
  c.stat = add("stat", "Segments, ledger and lanes", false);
  c.cat = add("cat", "The payload of a message", false);
  c.verify = add("verify", "Check every record; exit 1 if there is damage", true);
  c.exporting = add("export", "All waiting messages, as publish requests, a line each", false);
  c.repair =
      add("repair", "Put foreign files aside and give up what is lost; no agent may run", true);
  c.repair->add_flag("--yes", o.yes, "do it; without: say what would be done");
  for (CLI::App* command : {c.ls, c.exporting}) {
    command->add_option("--lane", o.lane, "only this lane");
  }
  for (CLI::App* command : {c.ls, c.cat, c.exporting}) {
    command->add_option("--key", o.key_file,
                        "the key file of an encrypted outbox, with DIR (outbox.key_file)");
  }
  for (CLI::App* command : {c.ls, c.stat, c.cat, c.verify, c.repair}) {
    command->add_flag("--json", o.json, "for programs");
  }
  for (CLI::App* command : c.all->get_subcommands({})) command->fallthrough();
  return c;
}

ExitCode outbox(const OutboxCommands& c, const Arguments& a) {
  if (*c.ls) return run_outbox_ls(a.socket, a.outbox);
  if (*c.stat) return run_outbox_stat(a.socket, a.outbox);
  if (*c.cat) return run_outbox_cat(a.socket, a.outbox);
  if (*c.exporting) return run_outbox_export(a.socket, a.outbox);
  if (*c.verify) return run_outbox_verify(a.outbox);
  return run_outbox_repair(a.outbox);
}

/// So far there is one thing to do with the network: look at the plan.
CLI::App* add_network(CLI::App& app, NetworkPlanOptions& o) {
  CLI::App* const all = app.add_subcommand("network", "The uplinks of this machine");
  all->require_subcommand(1);
  CLI::App* const plan =
      all->add_subcommand("plan", "Check the order of NetworkManager's profiles; exit 1: it fails");
  plan->add_option("DIR", o.directory, "keyfiles (default /etc/NetworkManager/system-connections)");
  plan->add_option("--write", o.write,
                   "write examples into this folder: Ethernet, Wi-Fi, cellular");
  plan->add_option("--ssid", o.ssid, "the Wi-Fi's name, for --write")->needs("--write");
  plan->add_option("--apn", o.apn, "the cellular network's APN, for --write")->needs("--write");
  plan->add_flag("--json", o.json, "for programs");
  return all;
}

ExitCode publish(Arguments& a, const CLI::App& command) {
  PublishOptions& options = a.publish;
  if (a.topic.empty() && !options.json) {
    return fail(kUsage, "TOPIC is required, or --json; see holdfast publish --help");
  }
  take_message_options(a, options.message);
  if (command.count("MESSAGE") > 0) options.text = a.message;
  if (command.count("--file") > 0) options.file = a.file;
  if (a.durability == "memory") options.message.durability = Durability::memory;
  if (a.durability == "spill") options.message.durability = Durability::spill;
  const auto correlation = std::as_bytes(std::span(a.correlation_data));
  options.message.correlation_data.assign(correlation.begin(), correlation.end());
  if (!a.expiry.empty()) {
    options.message.expiry = std::chrono::ceil<Seconds>(duration_of(a.expiry));
  }
  options.wait_delivered = a.wait == "delivered";
  if (!options.wait_delivered) options.timeout = Seconds(30);
  if (!a.timeout.empty()) options.timeout = duration_of(a.timeout);
  return run_publish(a.socket, options);
}

ExitCode subscribe(Arguments& a) {
  a.subscribe.qos = static_cast<Qos>(a.qos);
  if (!a.timeout.empty()) a.subscribe.timeout = duration_of(a.timeout);
  return run_subscribe(a.socket, a.subscribe);
}

/// Only for --help: main() has seen them before.
void add_programs(CLI::App& app) {
  app.add_subcommand("fleet", "Many devices' metrics for Prometheus; holdfast fleet --help");
  app.add_subcommand("job", "Documents of jobs for the updater; holdfast job --help");
  app.add_subcommand("lab", "The test lab: a local AWS IoT Core, and faults; holdfast lab --help");
}

int run(int argc, char** argv) {
  Arguments a;
  CLI::App app("Publish, subscribe and look through the Holdfast agent of this machine.",
               "holdfast");
  app.require_subcommand(1)->fallthrough();
  app.set_version_flag("--version", "holdfast " HOLDFAST_VERSION);
  const CLI::Option* const socket =
      app.add_option("--socket", a.socket, "the agent's socket (or HOLDFAST_SOCKET)")
          ->envname("HOLDFAST_SOCKET");
  CLI::App* const publishing = add_publish(app, a);
  CLI::App* const requesting = add_request(app, a);
  CLI::App* const subscribing = add_subscribe(app, a);
  const CLI::App* const status = add_status(app, a);
  const CLI::App* const health = add_health(app, a);
  CLI::App* const checking =
      app.add_subcommand("check-config", "Print everything that is wrong with a configuration");
  checking->add_option("FILE", a.config, "the agent's configuration file")->required();
  const CLI::App* const receipt = add_receipt(app, a);
  app.add_subcommand("reconnect", "Try to connect now instead of after the delay");
  const CLI::App* const page =
      app.add_subcommand("page", "The address of the agent's page, to open in a browser");
  CLI::App* const history = add_history(app, a.history);
  const CLI::App* const safe_mode = add_safe_mode(app, a);
  const PowerCommands power = add_power(app, a);
  const CLI::App* const beating = add_heartbeat(app, a);
  const CLI::App* const watching = add_watch(app, a);
  const CLI::App* const logs = add_logs(app, a.logs);
  const CLI::App* const log_level = add_log_level(app, a);
  const CLI::App* const examining = add_doctor(app, a);
  const OutboxCommands looking = add_outbox(app, a.outbox);
  const IdentityCommands identities = add_identity(app, a);
  CLI::App* const provisioning = add_provision(app, a);
  const CLI::App* const network = add_network(app, a.network_plan);
  add_programs(app);
  for (CLI::App* command : app.get_subcommands({})) command->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    const std::vector<std::string> strays = app.remaining();
    const bool unknown = app.get_subcommands().empty() && !strays.empty();
    std::string what = unknown ? "'" + strays.front() + "' is not a command" : error.what();
    for (char& c : what) c = c == '\n' ? ' ' : c;
    return fail(kUsage, what + "; see holdfast --help");
  }
  if (*publishing) return publish(a, *publishing);
  if (*requesting) return request(a);
  if (*subscribing) return subscribe(a);
  if (*status && a.live) return run_status_watch(a.socket, duration_of(a.interval), a.json);
  if (*status) return run_status(a.socket, a.json);
  if (*health)
    return run_health(a.socket, a.connected, duration_of(a.timeout.empty() ? "10s" : a.timeout));
  if (*looking.all) return outbox(looking, a);
  if (*examining) return doctor(a, !socket->empty());
  if (*identities.all) return identity(identities, a);
  if (*provisioning) return provision(a);
  if (*network) return run_network_plan(a.network_plan);
  if (*page) return run_page(a.socket);
  if (*history) return run_history(a.socket, a.history);
  if (*beating) return heartbeat(a);
  if (*safe_mode) return run_safe_mode(a.socket, a.end);
  if (*power.fail) return run_power_fail(a.socket, a.detail, a.end);
  if (*power.down) return run_going_down(a.socket, a.reason, a.detail);
  if (*watching) return watch(a);
  if (*logs) return run_logs(a.socket, a.logs);
  if (*log_level) return run_log_level(a.socket, a.log_area, a.log_level);
  if (*receipt) return run_receipt(a.socket, a.message_id, a.json);
  if (*checking) return run_check_config(a.config);
  return run_reconnect(a.socket);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 1 && std::string_view(argv[1]) == "lab") return run_lab(argv + 2);
    if (argc > 1 && std::string_view(argv[1]) == "job") return run_job(argv + 2);
    if (argc > 1 && std::string_view(argv[1]) == "fleet") return run_fleet(argv + 2);
    return run(argc, argv);
  } catch (const std::exception& error) {
    return fail(kFailed, std::string(error.what()) + "; please report it");
  }
}
