// The keys that seal and open an outbox, as its configuration names them.
//
// Threads:  any; the ring then belongs to whoever uses the outbox.
// Errors:   a sentence with the file; see transport/key_ring.h.
#pragma once

#include <filesystem>
#include <memory>

#include "env/key_ring.h"
#include "holdfast/config.h"

namespace holdfast::runtime {

/// A device that does not encrypt, but may have, gets a ring that reads the key of its identity
/// only when it is asked for one.
[[nodiscard]] Result<std::unique_ptr<env::KeyRing>> load_outbox_keys(const Config& config);

/// One key, only for reading.
[[nodiscard]] Result<std::unique_ptr<env::KeyRing>> load_outbox_key(
    const std::filesystem::path& file);

}  // namespace holdfast::runtime
