// host-telemetry: publishes this machine's own live readings, whatever the network does.
//
//   host-telemetry --config FILE [--rate N] [--prefix TOPIC] [--journal FILE] [--seconds N]
//
// Topics:   PREFIX/CLIENT_ID/NAME, one a reading, durable, QoS 1; the payload is
//           {"run":"<id of this process's run>","seq":N,"ts":ms since 1970,"value":…,"unit":"…"}.
// Commands: PREFIX/CLIENT_ID/cmd/interval takes "0.5" (seconds between two rounds through all
//           readings) or {"rate":20} (readings a second; 0 pauses). Others are logged and ignored.
// Signals:  SIGTERM and SIGINT stop in order, the backlog stays on disk; SIGHUP reads the
//           configuration again.
// Exit:     0 stopped in order, 1 could not start, 2 wrong option or configuration.
// Threads:  main publishes and waits for signals; handlers run on the device's executor.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>

#include "holdfast/device.h"
#include "journal.h"
#include "pace.h"
#include "readings.h"

namespace {

using std::chrono::steady_clock;
using telemetry::Journal;
using telemetry::Pace;
using telemetry::Reading;

constexpr double kCommandNone = -1;
constexpr int kBurstMax = 1000;
constexpr std::chrono::seconds kLongestWait{3600};

struct Options {
  std::filesystem::path config_file;
  std::filesystem::path journal_file;
  std::string prefix = "telemetry";
  double rate = 1;
  double seconds = 0;  // 0: until a signal
};

void log_line(const holdfast::LogLine& line) {
  std::fprintf(stderr, "%s: %s\n", std::string(to_string(line.level)).c_str(), line.text.c_str());
}

void log_line(holdfast::LogLevel level, std::string text) {
  log_line({level, holdfast::LogArea::agent, std::move(text)});
}

std::string new_run_id() {
  std::random_device random;
  char text[17];
  std::snprintf(text, sizeof(text), "%08x%08x", random(), random());
  return text;
}

holdfast::Bytes to_bytes(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

class Telemetry {
 public:
  Telemetry(holdfast::Device& device, const Options& options, const std::string& client_id,
            Journal& journal)
      : device_(device),
        journal_(journal),
        base_(options.prefix + '/' + client_id + '/'),
        run_(new_run_id()),
        pace_(options.rate, steady_clock::now()) {
    next_round();
  }

  holdfast::Status obey_commands() {
    auto id = device_.subscribe(base_ + "cmd/interval", holdfast::Qos::at_least_once,
                                [this](const holdfast::InboundMessage& m) { command(m); });
    if (!id) return std::move(id).error();
    return {};
  }

  // Publishes what is due; says how long there is nothing to do.
  std::chrono::nanoseconds turn() {
    if (const double asked = commanded_.exchange(kCommandNone); asked != kCommandNone) {
      pace_.set_rate(asked, steady_clock::now());
    }
    // Bounded, so that signals are looked at also when the rate is more than this machine can do.
    for (int i = 0; i < kBurstMax && pace_.take(steady_clock::now()); ++i) publish_next();
    return pace_.wait(steady_clock::now(), kLongestWait);
  }

 private:
  void next_round() {
    readings_ = telemetry::take_readings();
    taken_ms_ = std::chrono::duration_cast<std::chrono::milliseconds>(
                    std::chrono::system_clock::now().time_since_epoch())
                    .count();
    round_size_ = readings_.size();
    at_ = 0;
  }

  void publish_next() {
    if (at_ == readings_.size()) next_round();
    if (readings_.empty()) return;  // a machine without /proc
    const Reading& reading = readings_[at_++];
    nlohmann::ordered_json body{{"run", run_}, {"seq", ++sequence_}, {"ts", taken_ms_}};
    // Counters are whole; print them so.
    if (std::abs(reading.value) < 9e15 && reading.value == std::trunc(reading.value)) {
      body["value"] = static_cast<std::int64_t>(reading.value);
    } else {
      body["value"] = reading.value;
    }
    body["unit"] = reading.unit;
    const std::string topic = base_ + reading.name;
    const std::string entry = run_ + ' ' + std::to_string(sequence_) + ' ' + topic;
    holdfast::Message message;
    message.topic = topic;
    message.payload = to_bytes(body.dump());
    const holdfast::PublishAnswer answer = device_.publish(
        std::move(message),
        [this, entry](const holdfast::Receipt& receipt) { journal_.note(entry, receipt); });
    if (!answer) {
      holdfast::Receipt receipt;
      receipt.kind = holdfast::ReceiptKind::rejected;
      receipt.rejected = answer.rejected;
      journal_.note(entry, receipt);
    }
  }

  // On the executor. The main thread takes over the new rate at its next turn, which SIGUSR1 calls.
  void command(const holdfast::InboundMessage& message) {
    const std::string text(reinterpret_cast<const char*>(message.payload.data()),
                           message.payload.size());
    const auto rate = telemetry::parse_command(text, round_size_);
    if (!rate) {
      log_line(holdfast::LogLevel::warning,
               "ignored a command on " + message.topic + ": " + rate.error().message);
      return;
    }
    char line[64];
    std::snprintf(line, sizeof(line), "command: now %.6g readings a second", *rate);
    log_line(holdfast::LogLevel::info, line);
    commanded_ = *rate;
    ::kill(::getpid(), SIGUSR1);
  }

  holdfast::Device& device_;
  Journal& journal_;
  const std::string base_;
  const std::string run_;
  Pace pace_;
  std::vector<Reading> readings_;
  std::atomic<std::size_t> round_size_{0};
  std::size_t at_ = 0;
  std::int64_t taken_ms_ = 0;
  std::uint64_t sequence_ = 0;
  std::atomic<double> commanded_{kCommandNone};
};

sigset_t signals_of_interest() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&set, signal);
  return set;
}

void reload(holdfast::Device& device, const std::filesystem::path& file) {
  auto config = holdfast::load_config(file);
  const holdfast::Status done = config ? device.reload(std::move(*config)) : config.error();
  log_line(done ? holdfast::LogLevel::info : holdfast::LogLevel::error,
           done ? "configuration reloaded" : "not reloaded: " + done.error().message);
}

void publish_until_told(holdfast::Device& device, Telemetry& telemetry, const Options& options,
                        const sigset_t& signals) {
  const auto start = steady_clock::now();
  const auto length = std::chrono::duration_cast<steady_clock::duration>(
      std::chrono::duration<double>(options.seconds));
  for (;;) {
    std::chrono::nanoseconds wait = telemetry.turn();
    if (options.seconds > 0) {
      const std::chrono::nanoseconds left = start + length - steady_clock::now();
      if (left.count() <= 0) return;
      wait = std::min(wait, left);
    }
    const timespec limit{static_cast<std::time_t>(wait.count() / 1000000000),
                         static_cast<long>(wait.count() % 1000000000)};
    switch (::sigtimedwait(&signals, nullptr, &limit)) {
      case SIGTERM:
      case SIGINT:
        return;
      case SIGHUP:
        reload(device, options.config_file);
        break;
      default:
        break;  // time to publish, a command, or EINTR
    }
  }
}

int run(const Options& options) {
  auto config = holdfast::load_config(options.config_file);
  if (!config) {
    std::fprintf(stderr, "host-telemetry: %s\n", config.error().message.c_str());
    return 2;
  }
  // Before any thread exists, so that all inherit the mask and only the main one gets signals.
  const sigset_t signals = signals_of_interest();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Journal journal;
  if (!options.journal_file.empty()) {
    if (const auto opened = journal.open(options.journal_file); !opened) {
      std::fprintf(stderr, "host-telemetry: %s\n", opened.error().message.c_str());
      return 1;
    }
  }
  const std::string client_id = config->client_id;
  const holdfast::Milliseconds deadline = config->timing.stop_deadline;
  auto opened = holdfast::Device::open(std::move(*config),
                                       [](const holdfast::LogLine& line) { log_line(line); });
  if (!opened) {
    std::fprintf(stderr, "host-telemetry: %s\n", opened.error().message.c_str());
    return opened.error().code == holdfast::Errc::invalid_config ? 2 : 1;
  }
  holdfast::Device& device = **opened;
  Telemetry telemetry(device, options, client_id, journal);
  if (const auto subscribed = telemetry.obey_commands(); !subscribed) {
    std::fprintf(stderr, "host-telemetry: %s\n", subscribed.error().message.c_str());
    return 1;
  }
  publish_until_told(device, telemetry, options, signals);
  // Ends the handlers before the things they use go.
  device.stop(deadline);
  opened->reset();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Publishes this machine's own live readings.", "host-telemetry");
  app.add_option("--config", options.config_file, "TOML configuration of the device")->required();
  app.add_option("--rate", options.rate, "Readings a second (default 1)")
      ->check(CLI::Range(0.0, telemetry::kRateMax));
  app.add_option("--prefix", options.prefix, "First part of every topic (default telemetry)");
  app.add_option("--journal", options.journal_file, "Append every receipt to this file");
  app.add_option("--seconds", options.seconds, "Stop by itself after this time")
      ->check(CLI::NonNegativeNumber);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "host-telemetry: %s; see host-telemetry --help\n", error.what());
    return 2;
  }
  return run(options);
}
