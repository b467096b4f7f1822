// How the commands of `holdfast` end; the same table is in docs/holdfast.1.md.
#pragma once

namespace holdfast::cli {

using ExitCode = int;

inline constexpr ExitCode kOk = 0;
/// Refused, dropped or not delivered; the message says what and why.
inline constexpr ExitCode kFailed = 1;
/// Command line or configuration file.
inline constexpr ExitCode kUsage = 2;
/// No agent at the socket, or it ended the connection.
inline constexpr ExitCode kUnreachable = 3;
/// No answer within --timeout.
inline constexpr ExitCode kTimedOut = 4;

}  // namespace holdfast::cli
