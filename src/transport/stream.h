// An established stream: a socket, a layer on it, one read and one write at a time.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "transport/layer.h"
#include "transport/transport.h"

namespace holdfast::transport {

/// Takes over a connected, non-blocking socket and the layer whose handshake is complete.
[[nodiscard]] std::unique_ptr<Stream> make_stream(boost::asio::ip::tcp::socket socket,
                                                  std::unique_ptr<Layer> layer,
                                                  std::string description);

}  // namespace holdfast::transport
