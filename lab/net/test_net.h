// What the tests of this room share: a loop that is turned until something has happened, streams
// over real loopback sockets, and certificates.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lab/net/endpoint.h"
#include "lab/net/stream.h"
#include "lab/net/tls.h"
#include "lab/net/trace.h"
#include "posix/event_loop.h"
#include "posix/system.h"

namespace holdfast::lab::net {

/// What is read from a stream, and how it ended.
struct Reader {
  std::shared_ptr<Stream> stream;
  std::string bytes;
  std::optional<std::string> end;  ///< words_of() it.
};

class NetTest : public ::testing::Test {
 protected:
  NetTest();
  ~NetTest() override;

  /// Turns the loop until `done`; false after ten seconds.
  bool until(const std::function<bool()>& done);
  /// Turns it for a while in which nothing should happen.
  void turn_for(Duration time);

  /// Both ends of a TCP connection.
  struct Pair {
    std::shared_ptr<Stream> client;
    std::shared_ptr<Stream> server;
  };
  Pair make_pair();
  /// Reads all that comes.
  std::shared_ptr<Reader> read_all(const std::shared_ptr<Stream>& stream);
  /// Writes and waits until it has gone.
  void write(const std::shared_ptr<Stream>& stream, std::string bytes);
  std::shared_ptr<Stream> dial(std::uint16_t port);

  /// Certificates, made when first asked for: of "server" (localhost, 127.0.0.1), "client", "other"
  /// (a client's that a foreign CA has signed), "expired" (a server's).
  std::string chain(const std::string& name) { return file(name + ".crt"); }
  std::string key(const std::string& name) { return file(name + ".key"); }
  std::string ca() { return file("ca.crt"); }
  std::string file(const std::string& name);
  std::string write_file(const std::string& name, const std::string& content);
  TlsServerOptions server_options();
  TlsClientOptions client_options();

  /// The events of the trace so far.
  std::vector<Json> events;
  std::vector<Json> events_named(const std::string& name) const;

  posix::EventLoop loop;
  std::unique_ptr<env::Clock> clock = posix::make_clock();
  Trace trace{*clock};

 private:
  void make_certificates();

  std::filesystem::path folder_;
  bool certified_ = false;
  std::shared_ptr<void> listening_;
};

}  // namespace holdfast::lab::net
