#include "health/boot_record.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/fields.h"

namespace holdfast::health {

namespace {

constexpr std::string_view kFirstLine = "holdfast boots 1";
constexpr std::size_t kIdMax = 64;
static_assert(kBootTextMax >= 512 + 2 * (kBootDetailMax + 32) + kPanicsMax * (kPanicNameMax + 8) +
                                  kBootReasons * 48,
              "each part has a line");

/// One line of it, fit to stand in another.
std::string in_one_line(std::string_view text, std::size_t most) {
  std::string line(text.substr(0, most));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return line;
}

/// What follows the word and a blank, if the line begins with it.
std::optional<std::string_view> after(std::string_view word, std::string_view line) {
  if (!line.starts_with(word) || line.size() <= word.size() || line[word.size()] != ' ') {
    return std::nullopt;
  }
  return line.substr(word.size() + 1);
}

/// "watchdog i6300ESB": the reason, and what follows the first blank.
std::optional<BootReason> reason_in(std::string_view text, std::string& rest) {
  const std::size_t blank = std::min(text.find(' '), text.size());
  rest = in_one_line(text.substr(std::min(blank + 1, text.size())), kBootDetailMax);
  return boot_reason_of(text.substr(0, blank));
}

}  // namespace

BootRecord::BootRecord(std::string_view text, const BootEvidence& evidence) {
  Before before;
  bool known = !text.empty();
  if (known && !read(text, before)) {
    damaged_ = true;
    known = false;
    before = {};
    state_.boots = {};
  }
  state_.id = in_one_line(evidence.boot_id, kIdMax);
  for (const PanicRecord& one : evidence.panics) {
    if (panics_.size() < kPanicsMax) panics_.push_back(in_one_line(one.name, kPanicNameMax));
  }
  if (known && before.boot_id == state_.id) {
    state_.reason = before.reason;
    state_.detail = before.detail;
    return;
  }
  state_.first_run = true;
  judge(before, evidence, known);
  state_.detail = in_one_line(state_.detail, kBootDetailMax);
  ++state_.boots.at(static_cast<std::size_t>(state_.reason));
}

void BootRecord::judge(const Before& before, const BootEvidence& evidence, bool known) {
  const auto decide = [this](BootReason reason, std::string detail) {
    state_.reason = reason;
    state_.detail = std::move(detail);
  };
  const auto fresh =
      std::find_if(evidence.panics.begin(), evidence.panics.end(), [&](const PanicRecord& one) {
        const std::string name = in_one_line(one.name, kPanicNameMax);
        return std::find(before.panics.begin(), before.panics.end(), name) == before.panics.end();
      });
  if (known && fresh != evidence.panics.end()) {
    return decide(BootReason::kernel_panic,
                  fresh->words.empty() ? "the kernel has left " + fresh->name : fresh->words);
  }
  if (before.note.reason != BootReason::unknown) {
    return decide(before.note.reason, before.note.detail);
  }
  const std::string said = "said by " + evidence.watchdog;
  if (evidence.overheat_reset) return decide(BootReason::overheat, said);
  if (evidence.watchdog_reset) return decide(BootReason::watchdog, said);
  if (!known) return decide(BootReason::unknown, "there is no record of earlier boots");
  if (evidence.power_bad) return decide(BootReason::power_loss, said);
  if (before.open) {
    return decide(BootReason::power_loss,
                  "the machine went down while the agent ran, without a word");
  }
  decide(BootReason::command, "the agent had been ended in order before; nobody said why");
}

bool BootRecord::read(std::string_view text, Before& before) {
  if (text.size() > kBootTextMax) return false;
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (std::exchange(first, false) ? line != kFirstLine : !read_line(line, before)) return false;
  }
  return !before.boot_id.empty();
}

bool BootRecord::read_line(std::string_view line, Before& before) {
  if (const auto id = after("boot", line)) {
    before.boot_id = in_one_line(*id, kIdMax);
  } else if (const auto run = after("run", line)) {
    before.open = run == "open";
    return before.open || run == "ended";
  } else if (const auto why = after("reason", line)) {
    const auto reason = reason_in(*why, before.detail);
    before.reason = reason.value_or(BootReason::unknown);
    return reason.has_value();
  } else if (const auto note = after("note", line)) {
    const auto reason = reason_in(*note, before.note.detail);
    before.note.reason = reason.value_or(BootReason::unknown);
    return reason.has_value();
  } else if (const auto panic = after("panic", line)) {
    before.panics.push_back(in_one_line(*panic, kPanicNameMax));
    return before.panics.size() <= kPanicsMax;
  } else if (const auto count = after("count", line)) {
    std::string number;
    const auto reason = reason_in(*count, number);
    std::uint64_t boots = 0;
    if (!reason || !to_number(number, boots)) return false;
    state_.boots.at(static_cast<std::size_t>(*reason)) = boots;
  } else {
    return false;
  }
  return true;
}

void BootRecord::note(BootReason reason, std::string_view detail) {
  if (reason == BootReason::unknown) return;
  const bool better = note_.reason == BootReason::unknown || note_.reason == BootReason::command;
  if (better) note_ = {reason, in_one_line(detail, kBootDetailMax)};
}

std::string BootRecord::text() const {
  const auto put = [](std::string& text, std::string_view word, std::string_view value) {
    text += '\n';
    text += word;
    text += ' ';
    text += value;
  };
  std::string text(kFirstLine);
  put(text, "boot", state_.id);
  put(text, "run", open_ ? "open" : "ended");
  put(text, "reason", std::string(to_string(state_.reason)) + " " + state_.detail);
  if (note_.reason != BootReason::unknown) {
    put(text, "note", std::string(to_string(note_.reason)) + " " + note_.detail);
  }
  for (const std::string& name : panics_) put(text, "panic", name);
  for (std::size_t i = 0; i < kBootReasons; ++i) {
    if (state_.boots.at(i) == 0) continue;
    put(text, "count",
        std::string(to_string(static_cast<BootReason>(i))) + " " +
            std::to_string(state_.boots.at(i)));
  }
  return text + "\n";
}

}  // namespace holdfast::health
