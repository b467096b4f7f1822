#include "update/plan.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"

namespace holdfast::update {
namespace {

constexpr std::array<std::string_view, kJobStatuses> kStatuses{"IN_PROGRESS", "SUCCEEDED", "FAILED",
                                                               "REJECTED"};

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

/// C0, DEL, and C1 (U+0080 to U+009F), which begin with 0xC2: how many bytes of it; 0: it is none.
std::size_t control(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x20 || first == 0x7F) return 1;
  const bool c1 = first == 0xC2 && text.size() > 1 && static_cast<unsigned char>(text[1]) < 0xA0;
  return c1 ? 2 : 0;
}

}  // namespace

std::string_view name_of(JobStatus status) {
  return kStatuses.at(static_cast<std::size_t>(status));
}

std::string clean_detail(std::string_view text) {
  std::string clean;
  if (text.size() > limits::kJobDetailMax) {
    text.remove_prefix(text.size() - limits::kJobDetailMax);
    while (!text.empty() && continues(text.front())) text.remove_prefix(1);
  }
  while (!text.empty()) {
    const std::size_t bytes = control(text);
    clean += bytes == 0 ? text.front() : ' ';
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  if (!valid_utf8(clean)) {
    const auto foreign = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
    std::replace_if(clean.begin(), clean.end(), foreign, '?');
  }
  clean.erase(clean.find_last_not_of(' ') + 1);
  return clean.empty() ? "-" : clean;
}

std::string problem_of(const Plan& plan) {
  if (plan.steps.empty()) return "it has no steps";
  if (plan.steps.size() > limits::kJobSteps) {
    return "it has more than " + std::to_string(limits::kJobSteps) + " steps";
  }
  // Between an activation and its commit there is its proof.
  StepKind open = StepKind::commit;
  for (const Step& step : plan.steps) {
    switch (step.kind) {
      case StepKind::activate:
        if (open != StepKind::commit) return "it activates twice without a commit";
        open = StepKind::activate;
        break;
      case StepKind::prove:
        if (open != StepKind::activate) return "there is nothing to prove";
        open = StepKind::prove;
        break;
      case StepKind::commit:
        if (open != StepKind::prove) return "it commits what is not proven";
        open = StepKind::commit;
        break;
      default:
        break;
    }
  }
  return open == StepKind::commit ? "" : "it activates without a proof and a commit";
}

}  // namespace holdfast::update
