// For tests of pages: a folder of the test's own, and a client of HTTP on a Unix socket in it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "holdfast/config.h"
#include "runtime/local_socket.h"

namespace holdfast::runtime {

class PageFixture : public testing::Test {
 protected:
  PageFixture() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hf-page-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~PageFixture() override { std::filesystem::remove_all(folder_); }

  /// Of a device that never gets a connection.
  [[nodiscard]] Config offline_config() const {
    Config config;
    config.host = "127.0.0.1";
    config.port = 1;  // nothing listens there
    config.tls.enabled = false;
    config.client_id = "page-test";
    config.outbox.directory = folder_ / "outbox";
    return config;
  }
  [[nodiscard]] std::filesystem::path socket() const { return folder_ / "page.sock"; }

  /// All that comes for `request`, or what went wrong.
  [[nodiscard]] std::string ask(const std::string& request) const {
    const auto fd = connect_to(socket());
    if (!fd) return fd.error().message;
    static_cast<void>(::send(fd->get(), request.data(), request.size(), MSG_NOSIGNAL));
    std::string all;
    std::array<char, 65536> bytes{};
    for (;;) {
      pollfd ready{fd->get(), POLLIN, 0};
      if (::poll(&ready, 1, 20000) <= 0) return "TIMEOUT";
      const ssize_t got = ::recv(fd->get(), bytes.data(), bytes.size(), 0);
      if (got <= 0) return all;
      all.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }

  std::filesystem::path folder_;
};

}  // namespace holdfast::runtime
