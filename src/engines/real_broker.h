// A real mosquitto, on 127.0.0.1 if not told otherwise, with its own directory and, if asked, its
// own CA. Test code only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engines/real_process.h"
#include "holdfast/config.h"

namespace holdfast::engines::test {

/// A CA, a server certificate for 127.0.0.1 and a client certificate, as PEM files in `directory`:
/// ca.pem, server.pem, server.key, client.pem, client.key.
void make_pki(const std::filesystem::path& directory);

/// What its listener speaks.
enum class Way : std::uint8_t { plain, tls, websocket, websocket_tls };

class RealBroker {
 public:
  /// Whether mosquitto is installed.
  [[nodiscard]] static bool available();

  /// Starts it and waits until it says that it runs. With TLS it demands client certificates.
  explicit RealBroker(Way way, const std::string& address = "127.0.0.1");
  ~RealBroker();
  RealBroker(const RealBroker&) = delete;
  RealBroker& operator=(const RealBroker&) = delete;

  void kill() { process_.kill(); }
  /// Again after kill(), on the same port; it has forgotten all sessions.
  void start();
  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] TlsConfig tls() const;
  [[nodiscard]] Transport transport() const;

 private:
  std::filesystem::path directory_;
  Way way_ = Way::plain;
  std::uint16_t port_ = 0;
  RealProcess process_;
};

}  // namespace holdfast::engines::test
