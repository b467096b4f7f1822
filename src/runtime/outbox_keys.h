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

/// Null when nothing is, or was, encrypted as far as the configuration tells and the key of the
/// identity cannot be read.
[[nodiscard]] Result<std::unique_ptr<env::KeyRing>> load_outbox_keys(const Config& config);

/// One key, only for reading.
[[nodiscard]] Result<std::unique_ptr<env::KeyRing>> load_outbox_key(
    const std::filesystem::path& file);

}  // namespace holdfast::runtime
