// What the files of logins say, for one attempt to connect: passwords, and keys of AWS (IAM).
//
// Files are read anew for each attempt, so whoever renews one need not tell the device.
// Errors: name the file and the configuration's key; never what stands in the file.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "env/engine.h"
#include "holdfast/result.h"
#include "transport/sigv4.h"

namespace holdfast::runtime {

/// Reads the files that `request` names into it, and signs its path if `sigv4` names a file of
/// keys; those of a role alias are RoleKeys' affair (runtime/role_keys.h).
/// Errors: what is missing, unreadable, damaged or expired.
[[nodiscard]] Status fill_in_logins(env::ConnectRequest& request, WallTime now);

/// Signs the path of `request`.
void sign_request(env::ConnectRequest& request, const transport::AwsKeys& keys, WallTime now);

/// The files that decide whether the broker lets the device in: certificates, keys, passwords.
[[nodiscard]] std::vector<std::filesystem::path> login_files(const Config& config);

/// Keys in the content of a file: a section `profile` as the AWS command line has it, or, if it
/// begins with {, JSON as the credential provider of AWS IoT Core or a `credential_process` gives.
/// Errors: corrupt (names the field), not_found (there is no such section).
[[nodiscard]] Result<transport::AwsKeys> parse_aws_keys(std::string_view text,
                                                        std::string_view profile);
/// The second kind alone.
[[nodiscard]] Result<transport::AwsKeys> parse_aws_json(std::string_view text);

/// Where requests signed for `host` belong: `region`, or the one in the host's name; empty if
/// neither is there.
[[nodiscard]] std::string signing_region(const SigV4Config& sigv4, std::string_view host);

}  // namespace holdfast::runtime
