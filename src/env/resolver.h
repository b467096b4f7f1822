// Names to addresses, without ever blocking the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"

namespace holdfast::env {

struct Address {
  std::string numeric;  ///< "192.0.2.1" or "2001:db8::1" (with "%scope" where needed).
  bool v6 = false;
  /// What the name that was asked for leads to (the end of its CNAMEs); empty: not known.
  std::string canonical = {};
};

/// Thread rule: loop thread only. Destroying the resolver, or cancelling, never waits for a
/// look-up under way.
class Resolver {
 public:
  /// Addresses in the order of preference, never empty on success.
  /// Errors: not_found (the name does not exist), timeout, io (with the resolver's words),
  /// full (too many abandoned look-ups still running).
  using Done = std::function<void(Result<std::vector<Address>>)>;
  virtual ~Resolver() = default;
  /// One look-up at a time; a new one, or cancel(), silently drops the old one's answer.
  virtual void resolve(const std::string& host, Duration timeout, Done done) = 0;
  virtual void cancel() = 0;
};

}  // namespace holdfast::env
