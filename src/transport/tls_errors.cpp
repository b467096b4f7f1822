#include "transport/tls_errors.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>

#include "posix/os_error.h"
#include "transport/layer.h"

namespace holdfast::transport {

namespace {

std::string words_of(unsigned long error) {
  const char* words = ::ERR_reason_error_string(error);
  return words != nullptr ? words : "OpenSSL error " + std::to_string(error);
}

env::Failure make(Verdict verdict, std::string detail) {
  return env::Failure{verdict, 0, std::move(detail)};
}

Verdict verify_verdict(const TlsTrouble& trouble) {
  switch (trouble.verify_result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Verdict::tls_server_name;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Verdict::tls_clock;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return trouble.now < build_time() ? Verdict::tls_clock : Verdict::tls_server_expired;
    default:
      return Verdict::tls_server_untrusted;
  }
}

env::Failure verify_failure(const TlsTrouble& trouble) {
  const Verdict verdict = verify_verdict(trouble);
  std::string detail = ::X509_verify_cert_error_string(trouble.verify_result);
  if (verdict == Verdict::tls_server_name) detail += ", expected " + trouble.expected_name;
  if (!trouble.certificate.empty()) detail += "; " + trouble.certificate;
  return make(verdict, std::move(detail));
}

// An alert of RFC 8446 section 6.2 that the peer sent, if the error is one; else -1.
int received_alert(unsigned long error) {
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET) return -1;
  return reason - SSL_AD_REASON_OFFSET;
}

bool refuses_certificate(int alert, bool client_asked) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    case SSL_AD_HANDSHAKE_FAILURE:  // TLS 1.2's way to say that a certificate is required.
      return client_asked;
    default:
      return false;
  }
}

env::Failure alert_failure(int alert, const TlsTrouble& trouble) {
  std::string detail = "the server sent the TLS alert \"";
  detail += ::SSL_alert_desc_string_long(alert);
  detail += '"';
  if (refuses_certificate(alert, trouble.client_asked)) {
    return make(Verdict::tls_client_refused, std::move(detail));
  }
  return make(Verdict::tls_failed, std::move(detail));
}

constexpr const char* kHungUp =
    "the server hung up during the TLS handshake; often the client certificate is not registered "
    "or not active there";

env::Failure socket_failure(const TlsTrouble& trouble) {
  const int why = trouble.os_error;
  if (!trouble.handshaking) return established_failure(why);
  if (why == ECONNRESET || why == EPIPE || why == ECONNABORTED) {
    return make(Verdict::tls_failed, std::string(kHungUp) + " (" + posix::os_words(why) + ")");
  }
  env::Failure failure = established_failure(why);
  if (failure.verdict == Verdict::silent_peer) failure.verdict = Verdict::tls_timeout;
  if (failure.verdict == Verdict::server_gone) failure.verdict = Verdict::tls_failed;
  return failure;
}

bool speaks_no_tls(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return false;
  switch (ERR_GET_REASON(error)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_ENCRYPTED_LENGTH_TOO_LONG:
    case SSL_R_UNEXPECTED_MESSAGE:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::string openssl_words() {
  const unsigned long error = ::ERR_get_error();
  ::ERR_clear_error();
  return error == 0 ? "unknown error" : words_of(error);
}

WallTime build_time() noexcept { return WallTime{std::int64_t{HOLDFAST_BUILD_EPOCH} * 1000}; }

env::Failure tls_failure(const TlsTrouble& trouble) {
  const int alert = received_alert(trouble.error);
  if (alert >= 0) return alert_failure(alert, trouble);
  if (trouble.handshaking && trouble.verify_result != X509_V_OK) return verify_failure(trouble);
  if (trouble.os_error != 0) return socket_failure(trouble);
  if (trouble.ended) {
    return trouble.handshaking
               ? make(Verdict::tls_failed, kHungUp)
               : make(Verdict::server_gone, "the server closed the connection without a word");
  }
  std::string detail =
      trouble.error == 0 ? std::string("TLS failed without a reason") : words_of(trouble.error);
  if (trouble.handshaking && speaks_no_tls(trouble.error)) {
    detail += "; this port does not seem to speak TLS";
  }
  return make(Verdict::tls_failed, std::move(detail));
}

}  // namespace holdfast::transport
