#include "lab/net/tls_context.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "lab/net/x509.h"

namespace holdfast::lab::net {

namespace {

constexpr std::size_t kTickets = 2;  // OpenSSL's own default.
constexpr int kOwn = 0;              // OpenSSL's slot for the application's own pointer.

TlsRecord* record_of(const SSL* ssl) {
  return static_cast<TlsRecord*>(::SSL_get_ex_data(ssl, kOwn));
}

Error refused(const std::string& what) {
  return {Errc::invalid_argument, what + ": " + openssl_words()};
}

int number_of(TlsVersion version) { return TLS1_VERSION + static_cast<int>(version); }

PeerCertificate read_certificate(const X509& certificate) {
  PeerCertificate out;
  out.fingerprint = fingerprint_of(certificate);
  if (auto pem = pem_of(certificate)) out.pem = std::move(*pem);
  out.subject = one_line(::X509_get_subject_name(&certificate));
  return out;
}

// ---- callbacks

int error_of(ClientVerdict verdict) {
  switch (verdict) {
    case ClientVerdict::accept:
      return X509_V_OK;
    case ClientVerdict::unknown_ca:
      return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case ClientVerdict::revoked:
      return X509_V_ERR_CERT_REVOKED;
    case ClientVerdict::expired:
      return X509_V_ERR_CERT_HAS_EXPIRED;
    case ClientVerdict::unknown:
      return X509_V_ERR_PERMITTED_VIOLATION;  // One that OpenSSL has no alert of its own for.
    case ClientVerdict::failure:
      return X509_V_ERR_APPLICATION_VERIFICATION;
    case ClientVerdict::silent:
    case ClientVerdict::bad:
      break;
  }
  return X509_V_ERR_CERT_REJECTED;
}

// Replaces OpenSSL's verification of the peer's chain at the server's side.
int verify_client(X509_STORE_CTX* store, void*) {
  const auto* ssl = static_cast<const SSL*>(
      ::X509_STORE_CTX_get_ex_data(store, ::SSL_get_ex_data_X509_STORE_CTX_idx()));
  TlsRecord& record = *record_of(ssl);
  PeerCertificate peer = read_certificate(*::X509_STORE_CTX_get0_cert(store));
  peer.chain_valid = ::X509_verify_cert(store) == 1;
  const int chain_error = ::X509_STORE_CTX_get_error(store);
  if (!peer.chain_valid) peer.chain_problem = ::X509_verify_cert_error_string(chain_error);
  const auto& judge = record.context->server.judge;
  int error = peer.chain_valid ? X509_V_OK : chain_error;
  if (judge != nullptr) {
    const ClientVerdict verdict = judge(peer);
    error = error_of(verdict);
    record.silent = verdict == ClientVerdict::silent;
  }
  record.facts.peer = std::move(peer);
  ::X509_STORE_CTX_set_error(store, error);
  return error == X509_V_OK ? 1 : 0;
}

int take_server_name(SSL* ssl, int* alert, void*) {
  TlsRecord& record = *record_of(ssl);
  // The version has been chosen by now, and no ticket been made.
  if (::SSL_version(ssl) < TLS1_3_VERSION) ::SSL_set_options(ssl, SSL_OP_NO_TICKET);
  const char* name = ::SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  record.facts.server_name = name == nullptr ? "" : name;
  const auto& accept = record.context->server.accept_name;
  if (accept == nullptr || accept(record.facts.server_name)) {
    return name == nullptr ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
  }
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                const unsigned char* in, unsigned in_size, void*) {
  TlsRecord& record = *record_of(ssl);
  for (unsigned at = 0; at < in_size && at + 1 + in[at] <= in_size; at += 1U + in[at]) {
    record.facts.alpn_offered.emplace_back(
        static_cast<const char*>(static_cast<const void*>(in + at + 1)), in[at]);
  }
  const auto& choose = record.context->server.choose_alpn;
  if (choose == nullptr) return SSL_TLSEXT_ERR_NOACK;
  const auto chosen = choose(record.facts.alpn_offered);
  if (!chosen) return SSL_TLSEXT_ERR_ALERT_FATAL;
  if (chosen->empty()) return SSL_TLSEXT_ERR_NOACK;
  record.facts.alpn = *chosen;
  *out = static_cast<const unsigned char*>(static_cast<const void*>(record.facts.alpn.data()));
  *out_size = static_cast<unsigned char>(record.facts.alpn.size());
  return SSL_TLSEXT_ERR_OK;
}

// OpenSSL 3.0 has no words for some of RFC 8446's alerts.
const char* alert_name(int number) {
  constexpr int kCertificateRequired = 116;
  constexpr int kNoApplicationProtocol = 120;
  if (number == kCertificateRequired) return "certificate required";
  if (number == kNoApplicationProtocol) return "no application protocol";
  return ::SSL_alert_desc_string_long(number);
}

void note_alert(const SSL* ssl, int where, int value) {
  if ((where & SSL_CB_ALERT) == 0) return;
  constexpr int kFatal = 2;
  record_of(ssl)->facts.alerts.push_back(
      {(where & SSL_CB_READ) != 0, value >> 8 == kFatal, value & 0xff, alert_name(value & 0xff)});
}

void note_message(int sent, int, int content, const void* bytes, std::size_t size, SSL* ssl,
                  void*) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  TlsFacts& facts = record_of(ssl)->facts;
  if (sent == 0 && content == SSL3_RT_HANDSHAKE && size > 0 && at[0] == SSL3_MT_NEWSESSION_TICKET) {
    facts.ticket_received = true;
  }
  if (sent == 1 && content == SSL3_RT_HEADER && size == SSL3_RT_HEADER_LENGTH) {
    const std::size_t length = std::size_t{at[3]} << 8 | at[4];
    facts.largest_record_sent = std::max(facts.largest_record_sent, length);
  }
}

// ---- settings

Status load_identity(SSL_CTX& ssl, const std::string& chain, const std::string& key) {
  if (::SSL_CTX_use_certificate_chain_file(&ssl, chain.c_str()) != 1) return refused(chain);
  if (::SSL_CTX_use_PrivateKey_file(&ssl, key.c_str(), SSL_FILETYPE_PEM) != 1) return refused(key);
  if (::SSL_CTX_check_private_key(&ssl) != 1) return refused(key + " and " + chain);
  return {};
}

Status set_versions(SSL_CTX& ssl, const TlsServerOptions& options) {
  std::string suites = options.suites_1_2;
  // OpenSSL speaks what is this old only when it is told that it need not be secure.
  if (options.lowest < TlsVersion::tls12 || !suites.empty()) {
    suites = (suites.empty() ? std::string("DEFAULT") : suites) + ":@SECLEVEL=0";
  }
  if (::SSL_CTX_set_min_proto_version(&ssl, number_of(options.lowest)) != 1 ||
      ::SSL_CTX_set_max_proto_version(&ssl, number_of(options.highest)) != 1) {
    return refused("TLS versions");
  }
  if (!suites.empty() && ::SSL_CTX_set_cipher_list(&ssl, suites.c_str()) != 1) {
    return refused("cipher list " + suites);
  }
  if (!options.suites_1_3.empty() &&
      ::SSL_CTX_set_ciphersuites(&ssl, options.suites_1_3.c_str()) != 1) {
    return refused("suites of TLS 1.3 " + options.suites_1_3);
  }
  if (options.record_size == 0 || options.record_size > SSL3_RT_MAX_PLAIN_LENGTH) {
    return Error{Errc::invalid_argument,
                 "record size " + std::to_string(options.record_size) + ": not from 1 to 16384"};
  }
  return {};
}

Status set_client_certificates(SSL_CTX& ssl, const TlsServerOptions& options) {
  using Client = TlsServerOptions::Client;
  if (options.client == Client::none) return {};
  int mode = SSL_VERIFY_PEER;
  if (options.client == Client::required) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  ::SSL_CTX_set_verify(&ssl, mode, nullptr);
  ::SSL_CTX_set_cert_verify_callback(&ssl, verify_client, nullptr);
  const char* file = options.client_ca_file.empty() ? nullptr : options.client_ca_file.c_str();
  if (file != nullptr && ::SSL_CTX_load_verify_locations(&ssl, file, nullptr) != 1) {
    return refused(file);
  }
  return {};
}

bool expect_server(SSL& ssl, const TlsClientOptions& options) {
  const std::string& name = options.server_name;
  if (name.empty()) return true;
  if (is_address(name)) {
    return ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(&ssl), name.c_str()) == 1;
  }
  return ::SSL_set1_host(&ssl, name.c_str()) == 1 &&
         ::SSL_ctrl(&ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    const_cast<char*>(name.c_str())) == 1;  // NOLINT: it only reads
}

bool offer_alpn(SSL& ssl, const std::string& alpn) {
  if (alpn.empty()) return true;
  const std::string wire = static_cast<char>(alpn.size()) + alpn;
  return ::SSL_set_alpn_protos(
             &ssl, static_cast<const unsigned char*>(static_cast<const void*>(wire.data())),
             static_cast<unsigned>(wire.size())) == 0;
}

}  // namespace

void note_established(SSL& ssl, TlsRecord& record) {
  TlsFacts& facts = record.facts;
  facts.established = true;
  facts.version = ::SSL_get_version(&ssl);
  facts.suite = ::SSL_get_cipher_name(&ssl);
  facts.resumed = ::SSL_session_reused(&ssl) == 1;
  if (!facts.resumed || facts.peer) return;
  // The certificate that was judged when the ticket was made.
  if (const X509* const shown = ::SSL_get0_peer_certificate(&ssl)) {
    facts.peer = read_certificate(*shown);
    facts.peer->chain_valid = ::SSL_get_verify_result(&ssl) == X509_V_OK;
  }
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(TlsServerOptions options) {
  ::ERR_clear_error();
  auto out = std::make_shared<TlsContext>();
  out->is_server = true;
  out->ssl.reset(::SSL_CTX_new(::TLS_server_method()));
  if (out->ssl == nullptr) return refused("OpenSSL");
  SSL_CTX& ssl = *out->ssl;
  for (const auto& step : {load_identity(ssl, options.chain_file, options.key_file),
                           set_versions(ssl, options), set_client_certificates(ssl, options)}) {
    if (!step) return step.error();
  }
  SSL_CTX_set_dh_auto(&ssl, 1);
  constexpr unsigned char kContext[] = "lab";  // Of sessions with client certificates.
  ::SSL_CTX_set_session_id_context(&ssl, kContext, sizeof kContext);
  ::SSL_CTX_set_options(&ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  ::SSL_CTX_set_num_tickets(&ssl, 0);
  ::SSL_CTX_set_session_cache_mode(&ssl, SSL_SESS_CACHE_OFF);
  ::SSL_CTX_callback_ctrl(&ssl, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                          reinterpret_cast<void (*)()>(take_server_name));  // NOLINT: its type
  ::SSL_CTX_set_alpn_select_cb(&ssl, select_alpn, nullptr);
  out->server = std::move(options);
  return std::shared_ptr<const TlsContext>(std::move(out));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::make(TlsClientOptions options) {
  ::ERR_clear_error();
  auto out = std::make_shared<TlsContext>();
  out->ssl.reset(::SSL_CTX_new(::TLS_client_method()));
  if (out->ssl == nullptr) return refused("OpenSSL");
  SSL_CTX& ssl = *out->ssl;
  if (::SSL_CTX_load_verify_locations(&ssl, options.ca_file.c_str(), nullptr) != 1) {
    return refused(options.ca_file);
  }
  ::SSL_CTX_set_verify(&ssl, SSL_VERIFY_PEER, nullptr);
  if (!options.chain_file.empty()) {
    if (const Status loaded = load_identity(ssl, options.chain_file, options.key_file); !loaded) {
      return loaded.error();
    }
  }
  constexpr std::size_t kAlpnMost = 255;  // RFC 7301: one byte of length.
  if (options.alpn.size() > kAlpnMost) {
    return Error{Errc::invalid_argument, "ALPN " + options.alpn + ": too long"};
  }
  out->client = std::move(options);
  return std::shared_ptr<const TlsContext>(std::move(out));
}

OpenSslPtr<SSL> TlsContext::open(TlsRecord& record) const {
  OpenSslPtr<SSL> made(::SSL_new(ssl.get()));
  if (made == nullptr) return nullptr;
  record.context = this;
  ::SSL_set_ex_data(made.get(), kOwn, &record);
  ::SSL_set_info_callback(made.get(), note_alert);
  ::SSL_set_msg_callback(made.get(), note_message);
  if (is_server) {
    ::SSL_set_accept_state(made.get());
    if (server.resumes != nullptr && server.resumes()) {
      ::SSL_clear_options(made.get(), SSL_OP_NO_TICKET);
      ::SSL_set_num_tickets(made.get(), kTickets);
    }
  } else {
    ::SSL_set_connect_state(made.get());
    if (!expect_server(*made, client) || !offer_alpn(*made, client.alpn)) return nullptr;
  }
  return made;
}

}  // namespace holdfast::lab::net
