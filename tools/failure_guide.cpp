// Writes the tables of docs/failures.md from the code, or says where the page differs from it:
// failure_guide [--update] PAGE
//
// The page has a block for each table, between "<!-- NAME:begin -->" and "<!-- NAME:end -->". What
// is outside of the blocks is written by hand.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "failure_advice.h"
#include "health/doctor_network.h"
#include "holdfast/types.h"
#include "link/policy.h"

namespace holdfast::tools {
namespace {

std::string seconds_of(Duration duration) {
  return std::to_string(std::chrono::duration_cast<Seconds>(duration).count()) + " s";
}

std::string delay_words(const link::Policy& policy) {
  const std::string least = seconds_of(policy.at_least);
  switch (policy.retry) {
    case link::Retry::ordinary:
      break;
    case link::Retry::slower:
      return "after a slower delay (its range begins at " + least + ")";
    case link::Retry::hold_off:
      return "after " + least + " and the ordinary delay";
    case link::Retry::paced:
      return "paced (" + least + " at least, then the longer the longer it is so)";
  }
  return "after the ordinary delay";
}

std::string mend_words(const link::Policy& policy) {
  std::vector<std::string_view> all;
  if (policy.mended_by(link::Mend::network)) all.emplace_back("the network changes");
  if (policy.mended_by(link::Mend::credentials)) all.emplace_back("one of its files changes");
  if (policy.mended_by(link::Mend::clock)) all.emplace_back("the clock is set");
  std::string words;
  for (const std::string_view one : all) (words += words.empty() ? "" : " or ") += one;
  return words.empty() ? words : "; at once when " + words;
}

std::string_view blame_words(link::Blame blame) {
  switch (blame) {
    case link::Blame::nobody:
      break;
    case link::Blame::unclear:
      return "With several endpoints: nobody knows whose fault it is, the others are tried.";
    case link::Blame::endpoint:
      return "With several endpoints: it speaks against this one.";
  }
  return "With several endpoints: no reason to leave this one.";
}

/// As the doctor says it, as a sentence; empty where it has nothing of its own to say.
std::string doctor_words(Verdict verdict) {
  std::string words = health::advice_for(verdict);
  if (words == health::advice_for(Verdict::none)) return {};
  constexpr char kCase = 'a' - 'A';
  if (words.front() >= 'a' && words.front() <= 'z') words.front() -= kCase;
  return words + ". ";
}

bool retried(Verdict verdict) {
  return verdict != Verdict::none && verdict != Verdict::not_started &&
         verdict != Verdict::publish_denied && verdict != Verdict::subscribe_denied;
}

void put_verdict(std::string& out, const VerdictAdvice& advice) {
  const link::Policy& policy = link::policy_of(advice.verdict);
  ((out += "\n#### ") += to_string(advice.verdict)) += "\n\n";
  ((out += "> ") += explain(advice.verdict)) += "\n\n";
  ((out += "- *Means:* ") += advice.means) += "\n";
  (((out += "- *What to do:* ") += doctor_words(advice.verdict)) += advice.remedy) += "\n";
  if (retried(advice.verdict)) {
    ((out += "- *Holdfast* tries again ") += delay_words(policy)) += mend_words(policy);
    ((out += ". ") += blame_words(policy.blame)) += "\n";
  }
  if (!advice.checks.empty()) ((out += "- *Checks of the doctor:* ") += advice.checks) += ".\n";
  if (!advice.preset.empty()) {
    ((out += "- *To see it on a desk:* `holdfast lab fault ") += advice.preset) += "`.\n";
  }
}

/// All of them at a glance, by place.
std::string overview() {
  std::string out = "\n| where | verdicts |\n|---|---|\n";
  for (std::size_t place = 0; place < kPlaces; ++place) {
    ((out += "| ") += heading_of(static_cast<Place>(place))) += " | ";
    std::string_view between;
    for (const VerdictAdvice& advice : verdict_advice()) {
      if (advice.place != static_cast<Place>(place)) continue;
      const std::string name(to_string(advice.verdict));
      (out += between) += "[" + name + "](#" + name + ")";
      between = ", ";
    }
    out += " |\n";
  }
  return out;
}

std::string verdicts_block() {
  std::string out = overview();
  Place last = Place::nothing;
  bool first = true;
  for (const VerdictAdvice& advice : verdict_advice()) {
    if (first || advice.place != last) ((out += "\n### ") += heading_of(advice.place)) += "\n";
    first = false;
    last = advice.place;
    put_verdict(out, advice);
  }
  return out + "\n";
}

/// A table by name. The names are the code's: a row of advice under another name is a mistake.
template <class Enum>
std::string table_block(std::span<const NamedAdvice> rows, int begin, std::string_view head) {
  std::string out = "\n| " + std::string(head) + " | means | what to do |\n|---|---|---|\n";
  int value = begin;
  for (const NamedAdvice& row : rows) {
    const std::string_view name = to_string(static_cast<Enum>(value++));
    if (name != row.name) {
      std::cerr << "tools/failure_advice.cpp: '" << row.name << "' stands where the code has '"
                << name << "'\n";
      std::exit(1);
    }
    (((((out += "| `") += name) += "` | ") += row.means) += " | ") += row.remedy;
    out += " |\n";
  }
  if (to_string(static_cast<Enum>(value)) != "?") {
    std::cerr << "tools/failure_advice.cpp: '" << to_string(static_cast<Enum>(value))
              << "' has no row\n";
    std::exit(1);
  }
  return out + "\n";
}

/// Puts `content` between the marks of `name`; false if the page does not have them.
bool fill(std::string& page, const std::string& name, const std::string& content) {
  const std::string begin = "<!-- " + name + ":begin -->\n";
  const std::size_t from = page.find(begin);
  const std::size_t to = page.find("<!-- " + name + ":end -->");
  if (from == std::string::npos || to == std::string::npos || to < from) return false;
  page.replace(from + begin.size(), to - from - begin.size(), content);
  return true;
}

int first_difference(const std::string& one, const std::string& other) {
  const auto [at, ignored] = std::mismatch(one.begin(), one.end(), other.begin(), other.end());
  return 1 + static_cast<int>(std::count(one.begin(), at, '\n'));
}

int run(bool update, const char* path) {
  std::string page;
  {
    std::ifstream file(path);
    page.assign(std::istreambuf_iterator<char>(file), {});
  }
  const std::string before = page;
  const std::pair<std::string, std::string> blocks[] = {
      {"verdicts", verdicts_block()},
      {"rejected", table_block<RejectReason>(reject_advice(), 1, "refused with")},
      {"dropped", table_block<DropReason>(drop_advice(), 0, "dropped as")},
      {"storage", table_block<StorageHealth>(storage_advice(), 0, "storage")},
  };
  for (const auto& [name, content] : blocks) {
    if (fill(page, name, content)) continue;
    std::cerr << path << ": has no block <!-- " << name << ":begin --> … <!-- " << name
              << ":end -->\n";
    return 1;
  }
  if (page == before) {
    std::cout << path << ": as the code says (" << kVerdicts << " verdicts)\n";
    return 0;
  }
  if (!update) {
    std::cerr << path << ":" << first_difference(before, page)
              << ": differs from the code; failure_guide --update " << path << " mends it\n";
    return 1;
  }
  std::ofstream file(path, std::ios::trunc);
  file << page;
  file.flush();
  if (!file) {
    std::cerr << path << ": cannot be written\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace holdfast::tools

int main(int argc, char** argv) {
  const bool update = argc == 3 && std::string_view(argv[1]) == "--update";
  if (argc != (update ? 3 : 2)) {
    std::cerr << "usage: failure_guide [--update] docs/failures.md\n";
    return 2;
  }
  return holdfast::tools::run(update, argv[argc - 1]);
}
