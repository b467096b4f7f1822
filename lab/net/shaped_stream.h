// A stream whose bytes meet the byte faults of both directions: latency, silence, corruption,
// resets. It stands directly on the device's socket, below TLS.
//
// What is read from the device goes through `up`, what is written to it through `down`. A write is
// done when `down` has taken it and wants more; an end is told when what came before it has
// arrived, and never under half_open. While an end is held back, the peer is watched.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "env/random.h"
#include "lab/fault/byte_faults.h"
#include "lab/net/stream.h"
#include "lab/net/trace.h"

namespace holdfast::lab::net {

class ShapedStream : public Stream {
 public:
  /// At any time.
  virtual void set(const fault::ByteSettings& up, const fault::ByteSettings& down) = 0;
};

struct ShapedOptions {
  /// Sees what the device sent, before any fault, until it returns false.
  std::function<bool(std::string_view bytes)> tap;
  /// Told when the device has ended the connection, although that is not passed on yet.
  std::function<void(std::string_view how)> end_held;
};

/// `clock` and `random` outlive it.
[[nodiscard]] std::shared_ptr<ShapedStream> make_shaped_stream(posix::EventLoop& loop,
                                                               const env::Clock& clock,
                                                               env::Random& random,
                                                               std::shared_ptr<Stream> below,
                                                               ShapedOptions options);

}  // namespace holdfast::lab::net
