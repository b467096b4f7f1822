// A BIO over a non-blocking socket. OpenSSL's own writes with write(), which raises SIGPIPE when
// the peer is gone; a library must not depend on the application ignoring that signal.
#pragma once

#include "transport/openssl_ptr.h"

namespace holdfast::transport {

/// Shared between the BIO and its user; must outlive the BIO.
struct SocketBioState {
  int fd = -1;         ///< Not owned.
  int os_error = 0;    ///< errno of the last failure that was not "try again".
  bool ended = false;  ///< The peer's FIN has been read.
};

[[nodiscard]] BioPtr make_socket_bio(SocketBioState& state);

}  // namespace holdfast::transport
