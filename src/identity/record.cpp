#include "identity/record.h"

#include <algorithm>
#include <charconv>

namespace holdfast::identity {
namespace {

constexpr std::string_view kHead = "holdfast-identity 1";
constexpr std::size_t kReasonMax = 1000;
constexpr std::size_t kWordMax = 128;

Error corrupt(std::string text) { return Error{Errc::corrupt, std::move(text), 0}; }

/// One line of a file that people may look at: no control bytes, and not endless.
std::string one_line(std::string_view text) {
  std::string out(text.substr(0, kReasonMax));
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';
  }
  return out;
}

/// The rest of the line "name value", which is taken from the text.
Result<std::string> take(std::string_view& text, std::string_view name, std::size_t most) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  if (end == std::string_view::npos || !line.starts_with(name) || line.size() <= name.size() ||
      line[name.size()] != ' ') {
    return corrupt("no line '" + std::string(name) + "'");
  }
  text.remove_prefix(end + 1);
  const std::string_view value = line.substr(name.size() + 1);
  if (value.size() > most) return corrupt("the line '" + std::string(name) + "' is too long");
  return std::string(value);
}

}  // namespace

std::string to_text(const Record& record) {
  return std::string(kHead) + "\nresult " + std::string(to_string(record.result)) + "\nid " +
         record.id + "\nfingerprint " + record.fingerprint + "\nat " +
         std::to_string(record.at.ms) + "\nreason " + one_line(record.reason) + "\n";
}

Result<Record> parse_record(std::string_view text) {
  if (text.size() > kRecordMax) return corrupt("too long");
  if (!text.starts_with(kHead) || text.substr(kHead.size(), 1) != "\n") {
    return corrupt("it does not begin with '" + std::string(kHead) + "'");
  }
  text.remove_prefix(kHead.size() + 1);
  Record record;
  auto result = take(text, "result", kWordMax);
  if (!result) return std::move(result).error();
  if (*result == to_string(RotationResult::kept)) {
    record.result = RotationResult::kept;
  } else if (*result == to_string(RotationResult::rolled_back)) {
    record.result = RotationResult::rolled_back;
  } else if (*result != to_string(RotationResult::none)) {
    return corrupt("an unknown result");
  }
  auto id = take(text, "id", kWordMax);
  if (!id) return std::move(id).error();
  record.id = std::move(id).value();
  auto fingerprint = take(text, "fingerprint", kWordMax);
  if (!fingerprint) return std::move(fingerprint).error();
  record.fingerprint = std::move(fingerprint).value();
  auto at = take(text, "at", kWordMax);
  if (!at) return std::move(at).error();
  const char* const end = at->data() + at->size();
  const auto [stop, error] = std::from_chars(at->data(), end, record.at.ms);
  if (error != std::errc() || stop != end) return corrupt("the line 'at' is no number");
  auto reason = take(text, "reason", kReasonMax);
  if (!reason) return std::move(reason).error();
  record.reason = one_line(*reason);
  if (!text.empty()) return corrupt("more than a record in it");
  return record;
}

}  // namespace holdfast::identity
