#include "sim/device_context.h"

#include <cstdio>
#include <string>

namespace holdfast::sim {

void DeviceTrace::mix_text(std::string_view text) {
  for (const char c : text) mix(static_cast<unsigned char>(c));
}

void DeviceTrace::note(SimTime at, std::string_view words,
                       std::initializer_list<std::uint64_t> numbers) {
  mix(static_cast<std::uint64_t>(at.count()));
  mix_text(words);
  for (const std::uint64_t number : numbers) mix(number);
  if (!print_) return;
  std::string text;
  const std::uint64_t* number = numbers.begin();
  bool first = true;
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    text += ' ';
    text += words.substr(0, end);
    if (!std::exchange(first, false) && number != numbers.end()) {
      text += '=' + std::to_string(*number++);
    }
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  for (; number != numbers.end(); ++number) text += ' ' + std::to_string(*number);
  std::printf("%14.6f%s\n", static_cast<double>(at.count()) / 1e9, text.c_str());
}

void DeviceTrace::fault(SimTime at, std::string_view name) {
  mix(static_cast<std::uint64_t>(at.count()));
  mix_text(name);
  if (!print_) return;
  std::printf("%14.6f ! %.*s\n", static_cast<double>(at.count()) / 1e9,
              static_cast<int>(name.size()), name.data());
}

void DeviceTrace::line(SimTime at, std::string_view text) {
  mix(static_cast<std::uint64_t>(at.count()));
  mix_text(text);
  if (!print_) return;
  std::printf("%14.6f   | %.*s\n", static_cast<double>(at.count()) / 1e9,
              static_cast<int>(text.size()), text.data());
}

}  // namespace holdfast::sim
