// The certificates of a lab: its CA, its endpoint's, its devices', and wrong ones for tests.
//
// Purpose:   plays Amazon's part: signs for devices, and gives the endpoint an identity that a
//            device with the lab's CA file trusts.
// Threads:   any one. Several processes (the Regions of one lab) may share the directory.
// Files:     ca.pem, ca.key, server.pem, server.key; faults/ when asked for. Keys are 0600.
//            Devices' private keys are given away and never kept.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "lab/iot/issuer.h"

namespace holdfast::lab::net {

/// What is wrong with an endpoint's certificate.
enum class BadServer : std::uint8_t {
  expired,          ///< Since a day.
  wrong_name,       ///< For another host.
  unknown_ca,       ///< Signed by a CA that nobody knows.
  oversized_chain,  ///< Valid, but several times the usual size.
};
inline constexpr std::array kBadServers = {BadServer::expired, BadServer::wrong_name,
                                           BadServer::unknown_ca, BadServer::oversized_chain};

/// Files of PEM that a TLS server needs.
struct ServerFiles {
  std::filesystem::path chain;
  std::filesystem::path key;
};

class Pki final : public iot::CertificateIssuer, public iot::CertificateReader {
 public:
  /// Loads what is in `directory` (created if missing) and makes what is not there yet. The
  /// endpoint's certificate is made anew when it ends soon or lacks one of `names`, which come
  /// besides localhost, its addresses and the names that it has already: Regions that share it do
  /// not take each other's. `random` (serial numbers) must outlive the Pki. Errors name the file.
  [[nodiscard]] static Result<std::unique_ptr<Pki>> open(const std::filesystem::path& directory,
                                                         WallTime now, env::Random& random,
                                                         std::vector<std::string> names = {});
  ~Pki() override;

  /// What devices trust, and what signed their certificates.
  [[nodiscard]] std::filesystem::path ca_file() const;
  [[nodiscard]] ServerFiles server_files() const;
  /// Where bad_server() keeps what it makes: FAULT.crt and FAULT.key, as TlsServers wants them.
  [[nodiscard]] std::filesystem::path fault_folder() const { return directory_ / "faults"; }
  /// Makes such an identity; its key is the endpoint's.
  [[nodiscard]] Result<ServerFiles> bad_server(WallTime now, BadServer kind);

  [[nodiscard]] Result<iot::CertificateFacts> read(std::string_view pem) const override;
  [[nodiscard]] bool is_signed_by(std::string_view pem, std::string_view ca_pem) const override;
  [[nodiscard]] Result<iot::IssuedCertificate> issue_from_csr(WallTime now,
                                                              std::string_view csr_pem) override;
  [[nodiscard]] Result<iot::IssuedCertificate> issue_with_new_key(WallTime now) override;

 private:
  struct Keys;  ///< OpenSSL's objects.

  Pki(std::filesystem::path directory, env::Random& random, std::vector<std::string> names);
  Status open_ca(WallTime now);
  Status open_server(WallTime now);
  /// Reads the endpoint's certificate and takes its names over. False: a new one is needed.
  [[nodiscard]] bool load_server(WallTime now);

  std::filesystem::path directory_;
  env::Random& random_;
  std::vector<std::string> names_;
  std::unique_ptr<Keys> keys_;
};

}  // namespace holdfast::lab::net
