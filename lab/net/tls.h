// TLS over any stream, at the server's side and at the client's, and a record of each handshake.
//
// Purpose:   a server that a test can make wrong in every way that a device must survive, and that
//            remembers who said what: versions, suites, alerts.
// Threads:   the loop's thread only.
// Ownership: streams share their context.
// Sessions:  none is resumed, as at AWS IoT Core: no ticket, no cache. Those of TLS 1.3 are where a
//            server is told so.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/result.h"
#include "lab/fault/faults.h"
#include "lab/net/stream.h"

namespace holdfast::lab::net {

/// What the other end has shown.
struct PeerCertificate {
  std::string pem;
  std::string fingerprint;  ///< SHA-256 in lower-case hexadecimal: AWS's certificate id.
  std::string subject;      ///< RFC 2253.
  bool chain_valid = false;
  std::string chain_problem;  ///< Why not, in OpenSSL's words.
};

/// What a server makes of a client's certificate; all but `accept` end the handshake with the alert
/// of that name (`unknown`: certificate_unknown; `failure`: handshake_failure), `silent` without
/// one.
enum class ClientVerdict : std::uint8_t {
  accept,
  unknown_ca,
  revoked,
  expired,
  bad,
  unknown,
  failure,
  silent
};

struct TlsAlert {
  bool from_peer = false;
  bool fatal = false;
  int number = 0;    ///< RFC 8446, section 6.
  std::string name;  ///< "certificate expired"
};

/// Everything about one handshake and its end; what is not known is empty.
struct TlsFacts {
  bool established = false;
  bool resumed = false;  ///< By a ticket: no certificate was shown, that of the ticket counts.
  std::string version;   ///< "TLSv1.3"
  std::string suite;     ///< "TLS_AES_128_GCM_SHA256"
  std::string server_name;
  std::vector<std::string> alpn_offered;
  std::string alpn;
  std::optional<PeerCertificate> peer;
  std::vector<TlsAlert> alerts;
  std::string problem;                  ///< OpenSSL's words when it failed.
  bool ticket_received = false;         ///< Of a client: the server offers to resume.
  std::size_t largest_record_sent = 0;  ///< Bytes, without the record's header.
};

using fault::TlsVersion;

struct TlsServerOptions {
  std::string chain_file;  ///< PEM: the certificate, then its intermediates.
  std::string key_file;
  enum class Client : std::uint8_t { none, optional, required } client = Client::none;
  std::string client_ca_file;  ///< For PeerCertificate::chain_valid; empty: no chain is valid.
  TlsVersion lowest = TlsVersion::tls12;
  TlsVersion highest = TlsVersion::tls13;
  std::string suites_1_2;           ///< OpenSSL's cipher list; empty: its default.
  std::string suites_1_3;           ///< The same for TLS 1.3.
  std::size_t record_size = 16384;  ///< Plaintext of a record of data, 1 to 16384.
  /// Default: accepts a valid chain.
  std::function<ClientVerdict(const PeerCertificate&)> judge;
  /// Asked for each connection: whether it gets tickets of TLS 1.3, and its ticket is taken.
  /// Default: never.
  std::function<bool()> resumes;
  /// Chooses one of what the client offers; empty: none is agreed on. Default: none. nullopt: the
  /// handshake fails with no_application_protocol.
  std::function<std::optional<std::string>(const std::vector<std::string>& offered)> choose_alpn;
  /// The name may be empty. False: the handshake fails with unrecognized_name.
  std::function<bool(const std::string& server_name)> accept_name;
};

struct TlsClientOptions {
  std::string ca_file;
  std::string chain_file;  ///< Both or none.
  std::string key_file;
  std::string server_name;  ///< Verified, and sent when it is no address.
  std::string alpn;         ///< One, or empty.
};

class TlsStream : public Stream {
 public:
  /// First of all, once. A failure is StreamError::tls, or that of the stream below.
  virtual void handshake(OnWrite done) = 0;
  [[nodiscard]] virtual const TlsFacts& facts() const = 0;
};

class TlsContext;

/// Makes the server's end of TLS of a stream.
class TlsServer {
 public:
  /// Errors: invalid_argument, with the file or setting that is wrong and OpenSSL's words.
  [[nodiscard]] static Result<TlsServer> make(TlsServerOptions options);
  [[nodiscard]] std::shared_ptr<TlsStream> wrap(posix::EventLoop& loop,
                                                std::shared_ptr<Stream> below) const;

 private:
  explicit TlsServer(std::shared_ptr<const TlsContext> context) : context_(std::move(context)) {}
  std::shared_ptr<const TlsContext> context_;
};

/// The same for the client's end.
class TlsClient {
 public:
  [[nodiscard]] static Result<TlsClient> make(TlsClientOptions options);
  [[nodiscard]] std::shared_ptr<TlsStream> wrap(posix::EventLoop& loop,
                                                std::shared_ptr<Stream> below) const;

 private:
  explicit TlsClient(std::shared_ptr<const TlsContext> context) : context_(std::move(context)) {}
  std::shared_ptr<const TlsContext> context_;
};

}  // namespace holdfast::lab::net
