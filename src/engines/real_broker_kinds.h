// The brokers that Holdfast is tested with, as data, and one of them on 127.0.0.1. Test code only.
//
// Each runs in a private directory, as whoever runs the test, with one user (`device`, `secret`),
// and ends with all that belongs to it. It listens for MQTT without and with TLS, where it demands
// a client certificate, and for MQTT over WebSocket. Their packages are in the group [brokers] of
// tools/packages.txt; docs/brokers.md says in words what is data here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engines/real_process.h"
#include "holdfast/config.h"
#include "holdfast/types.h"

namespace holdfast::engines::test {

struct BrokerFiles;

struct BrokerKind {
  std::string name;
  std::string package;  ///< Debian's.
  std::vector<MqttVersion> versions;
  std::string username = "device";
  std::string password = "secret";

  // What each does in its own way.
  Verdict wrong_password_v5 = Verdict::not_authorized;
  Verdict wrong_password_v311 = Verdict::not_authorized;
  /// With TLS, told to verify the client's certificate, it wants one besides the password.
  bool demands_certificate = true;
  /// What an MQTT 5 device hears from a broker that speaks 3.1.1 only.
  Verdict wrong_version = Verdict::protocol_error;
  /// In MQTT 5: it says why when another takes the session over.
  bool names_takeover = true;
  /// In MQTT 5: its UNSUBACK says which filters it did not know.
  bool tells_no_subscription = true;
  /// Characters that it takes in no topic: SUBACK 0x80, and a PUBLISH ends the connection.
  std::string refuses_in_topics;
  /// A message to `a.b` arrives as one to `a/b`.
  bool turns_dots_to_slashes = false;
  /// Retained messages come for filters with wildcards, too.
  bool retained_for_wildcards = true;
  /// In MQTT 5: what has expired while it waited in a session is not given out.
  bool heeds_expiry = true;
  /// A session that has no subscription is one, and present the next time.
  bool remembers_empty_sessions = true;
  // What is promised to be there after a kill -9 and a restart: sessions, retained messages, and
  // all that it had acknowledged at that moment.
  bool sessions_survive_kill = true;
  bool retained_survive_kill = true;
  bool keeps_what_it_acknowledged = true;

  // How it is started.
  Duration start_limit = std::chrono::seconds(120);
  std::string (*program)() = nullptr;  ///< Empty when it is not installed.
  void (*write_files)(const BrokerFiles&) = nullptr;
  void (*start)(const BrokerFiles&, RealProcess& broker, RealProcess& helper) = nullptr;
  std::string ready;  ///< What it says when it is.

  [[nodiscard]] bool installed() const { return !program().empty(); }
  [[nodiscard]] bool speaks(MqttVersion version) const;
};

/// All of them.
[[nodiscard]] const std::vector<BrokerKind>& broker_kinds();

/// Where one broker has its files and ports.
struct BrokerFiles {
  const BrokerKind& kind;
  std::filesystem::path directory;
  std::uint16_t port = free_port();
  std::uint16_t tls_port = free_port();
  std::uint16_t websocket_port = free_port();
  std::uint16_t helper_port = free_port();
  std::uint16_t other_port = free_port();
};

class KindOfBroker {
 public:
  /// Starts it and waits until it says that it is ready. Throws when that fails.
  explicit KindOfBroker(const BrokerKind& kind);
  ~KindOfBroker();
  KindOfBroker(const KindOfBroker&) = delete;
  KindOfBroker& operator=(const KindOfBroker&) = delete;

  /// As a power cut would end it; start() begins again with what is on disk.
  void kill();
  void start();
  [[nodiscard]] const BrokerKind& kind() const { return files_.kind; }
  [[nodiscard]] std::uint16_t port() const { return files_.port; }
  [[nodiscard]] std::uint16_t tls_port() const { return files_.tls_port; }
  [[nodiscard]] std::uint16_t websocket_port() const { return files_.websocket_port; }
  /// With the client certificate that it wants.
  [[nodiscard]] TlsConfig tls() const;
  /// Its log since it was started.
  [[nodiscard]] std::string said() const { return broker_.said(); }

 private:
  BrokerFiles files_;
  RealProcess helper_;
  RealProcess broker_;
};

}  // namespace holdfast::engines::test
