// SHA-256 (FIPS 180-4), of what is at hand or comes piece by piece.
//
// Threads: any.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::transport {

constexpr std::size_t kSha256Size = 32;

/// kSha256Size bytes, not their hexadecimal form.
[[nodiscard]] std::string sha256(std::string_view bytes);

/// The same of what comes piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void add(std::span<const std::byte> bytes);
  /// Once, at the end.
  [[nodiscard]] std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast::transport
