// What turns bytes of the application into bytes on a non-blocking socket: nothing (plain) or TLS.
//
// A layer never waits: each call does what can be done now and says what to wait for.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "env/engine.h"

namespace holdfast::transport {

struct Secured;  // transport.h

struct Step {
  enum class Kind : std::uint8_t {
    done,        ///< `bytes` were transferred; or the handshake, or the end, is complete.
    end,         ///< Reading: the peer's orderly end.
    want_read,   ///< Call again when the socket is readable.
    want_write,  ///< Call again when the socket is writable.
    failed,      ///< `failure` says why; nothing more will work.
  };
  Kind kind = Kind::done;
  std::size_t bytes = 0;
  env::Failure failure;

  [[nodiscard]] static Step failing(Verdict verdict, std::string detail);
};

class Layer {
 public:
  virtual ~Layer() = default;
  [[nodiscard]] virtual Step handshake() = 0;
  [[nodiscard]] virtual Step read(std::span<std::byte> into) = 0;
  [[nodiscard]] virtual Step write(std::span<const std::byte> bytes) = 0;
  /// Says farewell, as far as the protocol has a way to; the FIN is the caller's.
  [[nodiscard]] virtual Step farewell() = 0;
  /// "TLSv1.3", or "plain".
  [[nodiscard]] virtual std::string name() const = 0;
  /// What was agreed; false where there is nothing to agree.
  [[nodiscard]] virtual bool look(Secured&) const { return false; }
};

/// Plain TCP on a socket owned by the caller.
[[nodiscard]] std::unique_ptr<Layer> make_plain_layer(int fd);

/// What a failed read or write means once a connection stood: the peer went silent (ETIMEDOUT), the
/// way is gone, or the server is.
[[nodiscard]] env::Failure established_failure(int os_error);

}  // namespace holdfast::transport
