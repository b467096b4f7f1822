// What reads PEM files has in common: one certificate after the other, words for what is wrong.
//
// Threads: any.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/secret.h"
#include "holdfast/result.h"
#include "transport/openssl_ptr.h"

namespace holdfast::transport {

/// "key /etc/x.key: the file is empty".
[[nodiscard]] Error unfit(Errc code, const char* what, const std::filesystem::path& file,
                          std::string_view problem);
/// To read from; valid while the text lives.
[[nodiscard]] BioPtr view_of(const Secret& text);
/// Passes over what is no certificate. None: see ended_well().
[[nodiscard]] X509Ptr next_certificate(const BioPtr& from);
/// What was read last was the end; else a block is damaged. Wants an empty queue of errors before.
[[nodiscard]] bool ended_well();

}  // namespace holdfast::transport
