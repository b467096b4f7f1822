// A program that runs for years: reacts to what happens, and ends when it is told.
//
//   resilient CONFIG.toml TOPIC      a reading each second, each five seconds while offline
//
// Verdicts: those that only people can mend are told as alarms (standard error); all others mend
// themselves. Signals: SIGTERM and SIGINT end it in order, SIGHUP reads the configuration again.
// Exit: 0 ended in order, 1 could not start, 2 configuration.
#include <signal.h>

#include <atomic>
#include <ctime>
#include <iostream>

#include "bytes.h"
#include "holdfast/device.h"

namespace {

using holdfast::LinkState;
using holdfast::Verdict;

bool needs_people(Verdict verdict) {
  switch (verdict) {
    case Verdict::no_credentials:
    case Verdict::tls_server_untrusted:
    case Verdict::tls_client_refused:
    case Verdict::not_authorized:
    case Verdict::bad_credentials:
    case Verdict::id_taken_over:
      return true;
    default:
      return false;
  }
}

void publish_reading(holdfast::Device& device, const std::string& topic) {
  holdfast::Message message;
  message.topic = topic;
  message.payload = bytes_of(std::to_string(std::time(nullptr)));
  const auto answer = device.publish(std::move(message), [](const holdfast::Receipt& receipt) {
    if (receipt.kind == holdfast::ReceiptKind::dropped) {
      std::cerr << "message " << receipt.id << " lost: " << to_string(receipt.dropped) << std::endl;
    } else if (receipt.kind == holdfast::ReceiptKind::delivered) {
      std::cout << "delivered " << receipt.id << std::endl;
    }
  });
  // Nothing is kept of a refused one. This reading is soon followed by another; else try again.
  if (!answer) std::cerr << "not accepted: " << to_string(answer.rejected) << std::endl;
}

void reload(holdfast::Device& device, const char* file) {
  auto config = holdfast::load_config(file);
  const holdfast::Status done = config ? device.reload(std::move(*config)) : config.error();
  std::cout << (done ? "configuration reloaded" : done.error().message) << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::cerr << "usage: resilient CONFIG.toml TOPIC\n", 2;
  // Before there are threads, so that they all inherit it and only this one gets the signals.
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto config = holdfast::load_config(argv[1]);
  if (!config) return std::cerr << config.error().message << '\n', 2;
  auto opened = holdfast::Device::open(*config);
  if (!opened) return std::cerr << opened.error().message << '\n', 1;
  holdfast::Device& device = **opened;
  std::atomic<bool> online{false};
  device.on_connection([&online](const holdfast::ConnectionState& now) {
    online = now.state == LinkState::connected;
    std::cout << to_string(now.state) << ": " << to_string(now.verdict) << std::endl;
    if (needs_people(now.verdict)) {
      std::cerr << "ALARM: " << explain(now.verdict) << ' ' << now.detail << std::endl;
    }
  });
  for (;;) {
    publish_reading(device, argv[2]);
    const timespec pause{online ? 1 : 5, 0};
    const int signal = ::sigtimedwait(&signals, nullptr, &pause);
    if (signal == SIGTERM || signal == SIGINT) break;
    if (signal == SIGHUP) reload(device, argv[1]);
  }
  device.stop(config->timing.stop_deadline);
  std::cout << device.state().ledger.pending << " wait for the next start" << std::endl;
}
