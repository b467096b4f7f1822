// The lab's fault relay as a program of its own between an engine and a broker. Test code only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engines/real_process.h"

namespace holdfast::engines::test {

class RealRelay {
 public:
  /// The program, which the build puts beside the tests; empty: not built.
  [[nodiscard]] static std::string program();

  /// Between 127.0.0.1:`upstream` and its own port, with these faults (docs/relay.md) as JSON.
  RealRelay(std::uint16_t upstream, const std::string& faults);
  ~RealRelay();
  RealRelay(const RealRelay&) = delete;
  RealRelay& operator=(const RealRelay&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Other faults, from now on.
  void set_faults(const std::string& faults);

 private:
  std::filesystem::path directory_;
  RealProcess process_;
  std::uint16_t port_ = 0;
};

}  // namespace holdfast::engines::test
