// Questions to an outbox, and its answers as JSON: the same for the store that an agent has open
// and for a directory that is only looked at. docs/local-api.md describes the fields.
//
// Threads:  a Look runs on the thread that owns the outbox (storage), a slice at a time; the
//           functions are pure.
// Bounds:   a slice looks at kLookScan bytes of the log; an answer holds a page of kLookBytes, or
//           one message.
// Errors:   answers say {"ok":false,"error":…}; nothing is thrown.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "outbox/outbox.h"
#include "outbox/view.h"
#include "runtime/local_protocol.h"

namespace holdfast::runtime {

inline constexpr std::uint32_t kLookScan = 256 * 1024;
inline constexpr std::size_t kLookBytes = 64 * 1024;

/// One slice of an answer; true when there is no more to do.
using Look = std::function<bool(outbox::Outbox& outbox)>;
/// Takes the answer's line, with its newline.
using LookAnswer = std::function<void(std::string line)>;

[[nodiscard]] Look make_look(const OutboxStatRequest& request, std::string id, LookAnswer answer);
[[nodiscard]] Look make_look(const OutboxListRequest& request, std::string id, LookAnswer answer);
[[nodiscard]] Look make_look(const OutboxMessageRequest& request, std::string id,
                             LookAnswer answer);
[[nodiscard]] Look make_look(const FateRequest& request, std::string id, LookAnswer answer);

/// A HistoryRequest, and the directory that has the answer. Asked of the outbox's thread because it
/// is the one that may wait for the disk.
struct HistoryLook {
  std::filesystem::path directory;
  std::size_t limit = 0;
};
[[nodiscard]] Look make_look(const HistoryLook& request, std::string id, LookAnswer answer);

// --- the parts of answers ---

[[nodiscard]] nlohmann::ordered_json store_json(const outbox::StoreView& view);
/// {"messages":[…],"next":"…"}; without `next` there are no more.
[[nodiscard]] nlohmann::ordered_json page_json(const outbox::Page& page,
                                               const std::vector<std::string>& lanes, bool payload);
/// All fields.
[[nodiscard]] nlohmann::ordered_json message_json(const outbox::ListedMessage& message,
                                                  const std::vector<std::string>& lanes);
/// The query of a request, or what is wrong with it.
[[nodiscard]] Result<outbox::ListQuery> list_query(const OutboxListRequest& request,
                                                   const std::vector<std::string>& lanes);
/// As page_json() writes it.
[[nodiscard]] Result<outbox::ListCursor> parse_cursor(std::string_view text);

}  // namespace holdfast::runtime
