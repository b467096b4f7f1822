// The server's end of WebSocket as a stream: MQTT in binary frames (MQTT 5.0 section 6).
//
// Threads: the loop's thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lab/net/stream.h"

namespace holdfast::lab::net {

/// Answers the upgrade request that is at the front of `first`, which was read from `below` already
/// (bytes after it are frames), and gives the stream of what the binary frames carry. Sub-protocol
/// "mqtt". Text frames and broken frames are StreamError::web; a close frame is the end.
using OnWebSocket = std::function<void(const ErrorCode& error, std::shared_ptr<Stream> stream)>;
void accept_websocket(posix::EventLoop& loop, std::shared_ptr<Stream> below, std::string first,
                      OnWebSocket done);

inline constexpr std::size_t kLargestWebMessage = std::size_t{16} * 1024 * 1024;

}  // namespace holdfast::lab::net
