// How the commands of `holdfast` end; the same table is in docs/holdfast.1.md.
#pragma once

namespace holdfast::cli {

enum ExitCode : int {
  kOk = 0,
  kFailed = 1,       // refused, dropped or not delivered; the message says what and why
  kUsage = 2,        // command line or configuration file
  kUnreachable = 3,  // no agent at the socket, or it ended the connection
  kTimedOut = 4,     // no answer within --timeout
};

}  // namespace holdfast::cli
