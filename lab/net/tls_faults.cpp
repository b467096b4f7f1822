#include "lab/net/tls_faults.h"

#include <utility>

namespace holdfast::lab::net {

namespace {

// None of them is among those of AWS IoT Core: elliptic curves with Camellia, finite-field
// Diffie-Hellman, and Camellia with RSA.
constexpr const char* kOldSuites =
    "ECDHE-ECDSA-CAMELLIA128-SHA256:ECDHE-RSA-CAMELLIA128-SHA256:DHE-RSA-AES128-SHA:"
    "DHE-RSA-AES256-SHA:CAMELLIA128-SHA:CAMELLIA256-SHA";

}  // namespace

Result<TlsServerOptions> TlsServers::options(const fault::TlsSettings& settings) const {
  TlsServerOptions out = usual_;
  switch (settings.fault) {
    case fault::TlsFault::none:
    case fault::TlsFault::no_handshake:
      break;
    case fault::TlsFault::old_suites_only:
      out.highest = TlsVersion::tls12;
      out.suites_1_2 = kOldSuites;
      break;
    case fault::TlsFault::expired:
    case fault::TlsFault::wrong_name:
    case fault::TlsFault::unknown_ca:
    case fault::TlsFault::oversized_chain: {
      const std::string name(to_string(settings.fault));
      if (folder_.empty()) {
        return Error{Errc::invalid_argument,
                     "tls.fault: there is no folder of certificates to take \"" + name + "\" from"};
      }
      out.chain_file = folder_ + "/" + name + ".crt";
      out.key_file = folder_ + "/" + name + ".key";
      break;
    }
  }
  if (settings.record_bytes != 0) out.record_size = settings.record_bytes;
  if (settings.min_version) out.lowest = *settings.min_version;
  if (settings.max_version) out.highest = *settings.max_version;
  if (out.lowest > out.highest) out.lowest = out.highest;  // Only one of them was wanted.
  return out;
}

Result<TlsServer> TlsServers::server(const fault::TlsSettings& settings) {
  if (made_ && made_for_ == settings) return *made_;
  auto wanted = options(settings);
  if (!wanted) return std::move(wanted).error();
  auto server = TlsServer::make(std::move(wanted).value());
  if (!server) return std::move(server).error().with("tls");
  made_ = *server;
  made_for_ = settings;
  return server;
}

}  // namespace holdfast::lab::net
