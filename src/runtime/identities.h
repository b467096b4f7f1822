// Who the device is at each endpoint: one Identity for each set of certificates.
//
// Purpose:  an endpoint in another Region may know the device by another certificate; each set has
//           its slots, trials and roll-back. Endpoints with the same files share one.
// Threads:  loop thread (constructed before the loop runs).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "runtime/identity.h"

namespace holdfast::runtime {

class Identities {
 public:
  /// As Identity. `hooks.changed` tells of the one whose endpoint is in use.
  Identities(posix::EventLoop& loop, const env::Clock& clock, Storage& storage,
             const Config& config, Identity::Hooks hooks);

  void reconfigure(const Config& config);
  void look();
  void service();

  /// Puts the certificate's files into `request`, whose attempt begins now.
  void fill_in(env::ConnectRequest& request);
  /// The same for a probe, which proves nothing about a certificate.
  void lend(env::ConnectRequest& request) const;
  void up(env::AttemptId attempt) { all_[in_use_].identity->up(attempt); }
  void ended(env::AttemptId attempt, const env::Failure& failure) {
    all_[in_use_].identity->ended(attempt, failure);
  }
  void aborted() { all_[in_use_].identity->aborted(); }

  [[nodiscard]] std::vector<std::filesystem::path> files() const;

 private:
  struct One {
    unsigned id = 0;  ///< For its hooks.
    std::string key;  ///< What makes it another one.
    std::unique_ptr<Identity> identity;
  };

  void arrange(const Config& config);
  [[nodiscard]] One take(std::vector<One>& before, const Config& own, std::string key, bool first);
  [[nodiscard]] Identity::Hooks hooks_of(unsigned id, const std::string& name);

  posix::EventLoop& loop_;
  const env::Clock& clock_;
  Storage& storage_;
  Identity::Hooks hooks_;
  std::vector<One> all_;         // never empty; the first endpoint's is the first
  std::vector<std::size_t> of_;  // by endpoint: which of all_
  std::size_t in_use_ = 0;       // of all_
  unsigned id_in_use_ = 0;
  unsigned last_id_ = 0;
};

}  // namespace holdfast::runtime
