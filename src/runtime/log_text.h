// The forms of a log line: for people, as JSON, and as journald's fields.
//
// Rules:   whatever a line holds, a form is one line of valid UTF-8: control characters become
//          blanks, other bytes that are no text U+FFFD, and what is over limits::kLogText is cut.
// Threads: pure functions.
// Sources: RFC 8259 (JSON), RFC 3339 (time), RFC 5424 section 6.2.1 (severities), systemd's
//          "Native Journal Protocol".
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "holdfast/log.h"

namespace holdfast::runtime {

/// "2026-11-22T23:59:59.123Z".
[[nodiscard]] std::string utc_stamp(WallTime time);

/// Fit for a line, as above; at most `most` bytes and a "…".
[[nodiscard]] std::string one_line(std::string_view text, std::size_t most);

/// "STAMP LEVEL AREA: TEXT". For journald's stream "<6>AREA: TEXT", as it stamps by itself.
[[nodiscard]] std::string text_line(const LogLine& line, WallTime time, bool journal_stream);

/// {"time":…,"level":…,"area":…,"verdict":…,"message":…,"fields":{…}}; without a verdict or fields
/// these are left out. The text is cut at `most` bytes.
[[nodiscard]] std::string json_line(const LogLine& line, WallTime time, std::size_t most);

/// What a datagram to journald holds: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, HOLDFAST_AREA,
/// HOLDFAST_VERDICT and HOLDFAST_NAME for each field.
[[nodiscard]] std::string journal_datagram(const LogLine& line);

}  // namespace holdfast::runtime
