// The outbox of a directory, looked at from outside; answers are those of the local API.
//
// Purpose:  `holdfast outbox … DIR`: works without an agent, and beside one.
// Threads:  one.
// Errors:   a sentence with the path: not_found, permission, io, unsupported (another version of
//           the format), in_use (changes faster than it can be read).
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "env/disk.h"
#include "holdfast/result.h"
#include "outbox/inspect.h"
#include "outbox/verify.h"
#include "runtime/outbox_look.h"

namespace holdfast::runtime {

class OutboxFiles {
 public:
  /// `key_file` opens messages that are sealed; empty: they are shown as locked.
  [[nodiscard]] static Result<OutboxFiles> open(const std::filesystem::path& directory,
                                                const std::filesystem::path& key_file = {});

  /// As outbox_stat, and `files`: every slot file with its state; and `recovery`: what opening
  /// would find.
  [[nodiscard]] nlohmann::ordered_json stat() const;
  /// As outbox_list.
  [[nodiscard]] Result<nlohmann::ordered_json> list(const OutboxListRequest& request);
  /// As outbox_message. Errors: not_found.
  [[nodiscard]] Result<nlohmann::ordered_json> message(MessageId id);
  /// {"clean":…,"lost":…,"damages":…,"torn":…,"findings":[…],"segments":[…]}
  [[nodiscard]] nlohmann::ordered_json verify();

  [[nodiscard]] const outbox::Inspector& inspector() const { return *inspector_; }

 private:
  OutboxFiles(std::unique_ptr<env::Disk> disk, std::unique_ptr<env::KeyRing> keys,
              std::unique_ptr<outbox::Inspector> inspector)
      : disk_(std::move(disk)), keys_(std::move(keys)), inspector_(std::move(inspector)) {}

  std::unique_ptr<env::Disk> disk_;
  std::unique_ptr<env::KeyRing> keys_;
  std::unique_ptr<outbox::Inspector> inspector_;
};

[[nodiscard]] nlohmann::ordered_json verification_json(const outbox::Verification& result);

/// What repairing would do, or, with `apply`, does and has done:
/// {"applied":…,"moved":[{"file":…,"to":…,"why":…}],"given_up":n,"torn":n,"report":…,
///  "before":{…},"after":{…}} with verifications. Takes the store's lock to apply; in_use while an
/// agent runs. Nothing is deleted: files that are not ours go to the folder quarantine/.
[[nodiscard]] Result<nlohmann::ordered_json> repair_outbox(const std::filesystem::path& directory,
                                                           bool apply);

}  // namespace holdfast::runtime
