// How the last change of the certificate ended: kept across restarts, beside the slots.
//
// Purpose:  what was refused once is not tried at each start; status can tell what happened.
// Format:   text, a line a field: "holdfast-identity 1", "result", "id", "fingerprint", "at"
//           (milliseconds since 1970), "reason" (the rest of the line). docs/configuration.md.
// Errors:   corrupt, with what is wrong. A record that cannot be read is as good as none: the worst
//           is that a refused credential is tried once more.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "holdfast/result.h"
#include "holdfast/types.h"

namespace holdfast::identity {

inline constexpr std::size_t kRecordMax = 2048;  ///< Bytes of its file.

struct Record {
  RotationResult result = RotationResult::none;
  std::string id;           ///< Of the content that was tried (View::id).
  std::string fingerprint;  ///< Of its certificate, for people.
  WallTime at;              ///< By this device's clock.
  std::string reason;       ///< Why it was rolled back; one line.

  friend bool operator==(const Record&, const Record&) = default;
};

[[nodiscard]] std::string to_text(const Record& record);
[[nodiscard]] Result<Record> parse_record(std::string_view text);

}  // namespace holdfast::identity
