// Carries out identity::Provisioning: files, keys, and connections of its own.
//
// Purpose:  one run from whatever the journal says to a certificate in its slot; the same for the
//           agent, on a thread of its own, and for the command line.
// Files:    in the folder `provisioning` of identity.directory: journal and renewal
//           (identity/provision_journal.h), claim.pem (of provisioning.claim_file), and the lock of
//           whoever works on it.
// Threads:  run() blocks the one that calls it; stop() may be called from any other.
// Errors:   each is a reason in ProvisioningState. Keys and tokens are in no line and no message.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/time.h"
#include "holdfast/config.h"
#include "holdfast/device.h"
#include "holdfast/result.h"

namespace holdfast::runtime {

struct ProvisionWish {
  Config config;         ///< With provisioning.template and identity.directory.
  bool renewal = false;  ///< A successor of the active certificate, for the slot `next`.
  bool anew = false;  ///< Forgets what an earlier run has reached; its certificate may be in force.
  bool give_up_when_blocked = false;
  std::optional<Milliseconds> timeout;  ///< Of run(). None: as long as it takes.
};

enum class ProvisionEnd : std::uint8_t {
  done,
  nothing_to_do,  ///< There is a credential already.
  blocked,        ///< Only somebody else can help; ProvisioningState::reason.
  timed_out,
  stopped,
};

struct ProvisionListener {
  /// At each change.
  std::function<void(const ProvisioningState& state)> changed;
  /// What somebody should know besides: a certificate that may be in force without use.
  std::function<void(const std::string& line)> warn;
};

/// Where the runs keep their journals, below identity.directory.
inline constexpr const char* kProvisioningFolder = "provisioning";

class Provisioner {
 public:
  /// Takes the folder's lock. A damaged journal is set aside, in the folder `damaged`.
  /// Errors: in_use (another run is under way, or a successor waits), not_found (a renewal of
  /// nothing), permission, io.
  [[nodiscard]] static Result<std::unique_ptr<Provisioner>> open(ProvisionWish wish,
                                                                 ProvisionListener listener);
  ~Provisioner();
  Provisioner(const Provisioner&) = delete;
  Provisioner& operator=(const Provisioner&) = delete;

  [[nodiscard]] ProvisionEnd run();
  /// Ends run() soon. Any thread.
  void stop();

  [[nodiscard]] const ProvisioningState& state() const;
  /// JSON of the template's DeviceConfiguration, once registered; or empty.
  [[nodiscard]] const std::string& configuration() const;
  /// Certificates that were never registered; the service deletes them.
  [[nodiscard]] const std::vector<std::string>& given_up() const;

 private:
  class Work;
  explicit Provisioner(std::unique_ptr<Work> work);
  std::unique_ptr<Work> work_;
};

/// Provisioning is configured, and there is no credential that could be used; or the claim is still
/// to be retired.
[[nodiscard]] bool has_provisioning_work(const Config& config);

/// A successor of each certificate is to be asked for (provisioning.renew_every).
[[nodiscard]] bool renews_by_itself(const Config& config);

/// How long until that of the active certificate is due. None: none is to be asked for.
[[nodiscard]] std::optional<Milliseconds> until_renewal(const Config& config, WallTime now);

/// The name that provisioning gave to this device's thing; empty: none that is known.
[[nodiscard]] std::string provisioned_thing(const Config& config);

/// Where connection.client_id is not given: the thing's name, if it is known.
void use_provisioned_name(Config& config);

}  // namespace holdfast::runtime
