#include "transport/socket_bio.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/check.h"

namespace holdfast::transport {

namespace {

SocketBioState& state_of(BIO* bio) { return *static_cast<SocketBioState*>(::BIO_get_data(bio)); }

int write(BIO* bio, const char* data, int size) {
  SocketBioState& state = state_of(bio);
  ::BIO_clear_retry_flags(bio);
  const ssize_t put = ::send(state.fd, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (put >= 0) return static_cast<int>(put);
  if (errno == EAGAIN || errno == EINTR) {
    ::BIO_set_retry_write(bio);
  } else {
    state.os_error = errno;
  }
  return -1;
}

int read(BIO* bio, char* data, int size) {
  SocketBioState& state = state_of(bio);
  ::BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(state.fd, data, static_cast<std::size_t>(size), 0);
  if (got > 0) return static_cast<int>(got);
  if (got == 0) {
    state.ended = true;
    return 0;
  }
  if (errno == EAGAIN || errno == EINTR) {
    ::BIO_set_retry_read(bio);
  } else {
    state.os_error = errno;
  }
  return -1;
}

// OpenSSL flushes after each flight and asks for the end of the file; the rest is not for sockets.
long control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return state_of(bio).ended ? 1 : 0;
  return 0;
}

// Made once and kept for the life of the process.
const BIO_METHOD* method() {
  static BIO_METHOD* const kept = [] {
    BIO_METHOD* made = ::BIO_meth_new(::BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    HF_CHECK(made != nullptr);
    ::BIO_meth_set_write(made, write);
    ::BIO_meth_set_read(made, read);
    ::BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return kept;
}

}  // namespace

BioPtr make_socket_bio(SocketBioState& state) {
  BioPtr bio(::BIO_new(method()));
  HF_CHECK(bio != nullptr);
  ::BIO_set_data(bio.get(), &state);
  ::BIO_set_init(bio.get(), 1);
  return bio;
}

}  // namespace holdfast::transport
