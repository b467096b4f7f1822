// Goal:   no bytes on disk make the reader that only looks (holdfast outbox ls, cat, verify) crash,
//         hang, change anything, or count what is not there.
// Method: the input is the content of up to three slot files (slot_files.h); its end is where a
//         listing begins, as a client may name it. Open, list by small pages, verify.

#include <cstdlib>

#include "fuzz/slot_files.h"
#include "outbox/bytes.h"
#include "outbox/verify.h"

namespace {

using namespace holdfast;
using namespace holdfast::outbox;

constexpr std::size_t kCursorSize = 28;
constexpr int kPagesMax = 100'000;

void require(bool holds) {
  if (!holds) std::abort();
}

ListCursor cursor_of(std::span<const std::byte> input) {
  ByteReader in(input.last(kCursorSize));
  ListCursor cursor;
  cursor.place = in.u64();
  cursor.sequence = in.u64();
  cursor.offset = in.u32();
  cursor.last = in.u64();
  return cursor;
}

std::uint64_t list(Inspector& inspector, ListCursor at) {
  ListQuery query;
  query.max_messages = 7;
  query.max_scan = 4096;
  std::uint64_t listed = 0;
  for (int pages = 0;; ++pages) {
    require(pages < kPagesMax);
    const auto page = inspector.list(at, query);
    require(page.ok() && page->messages.size() <= query.max_messages);
    listed += page->messages.size();
    if (!page->next) return listed;
    at = *page->next;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = std::as_bytes(std::span(data, size));
  fuzz::MemoryDisk disk;
  if (size < kCursorSize || !fuzz::plant_slots(input, disk)) return 0;
  const auto opened = Inspector::open(disk);
  if (!opened) {
    require(!opened.error().message.empty());
    return 0;
  }
  Inspector& inspector = **opened;
  require(inspector.state().balanced());
  const std::uint64_t pending = inspector.view().pending();
  require(list(inspector, {}) <= pending);
  require(list(inspector, cursor_of(input)) <= pending);
  const Verification found = verify(inspector);
  require(found.lost <= pending + inspector.report().corrupt);
  require(found.findings.size() <= kFindingsMax);
  return 0;
}
