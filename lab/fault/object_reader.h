// Reads one JSON object strictly: every key known, every value of its kind and in its range.
//
// The first thing that is wrong is kept in a Problem, with the path of its key; after that nothing
// more is said. finish() finds the keys that nobody asked for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "holdfast/result.h"
#include "lab/fault/faults.h"

namespace holdfast::lab::fault {

/// What is wrong first, and at which key.
class Problem {
 public:
  void at(std::string_view path, std::string_view words);
  [[nodiscard]] explicit operator bool() const noexcept { return found_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// "rules[2].topic: is no text".
  [[nodiscard]] Error error() const;

 private:
  bool found_ = false;
  std::string path_;
  std::string words_;
};

template <class E>
struct Named {
  std::string_view name;
  E value;
};

template <class E, std::size_t N>
[[nodiscard]] std::string_view name_of(const std::array<Named<E>, N>& names, E value) noexcept {
  for (const Named<E>& one : names) {
    if (one.value == value) return one.name;
  }
  return {};
}

class ObjectReader {
 public:
  /// `json` and `problem` outlive this. Something other than an object is a problem.
  ObjectReader(const Json& json, std::string path, Problem& problem);

  /// The member, from now on known; nullptr: there is none.
  [[nodiscard]] const Json* find(std::string_view key);
  /// Of the object itself for "".
  [[nodiscard]] std::string path_of(std::string_view key) const;
  void wrong(std::string_view key, std::string_view words) { problem_.at(path_of(key), words); }
  [[nodiscard]] Problem& problem() noexcept { return problem_; }

  // Each leaves `into` as it is when there is no such key.
  void read(std::string_view key, bool& into);
  void read(std::string_view key, std::string& into);
  void read(std::string_view key, Duration& into);
  /// A number of bytes, or a text with a unit.
  void read_size(std::string_view key, std::uint64_t least, std::uint64_t most,
                 std::uint64_t& into);
  /// A number, or a text such as "0x97".
  void read_number(std::string_view key, std::uint64_t least, std::uint64_t most,
                   std::uint64_t& into);
  void read_fraction(std::string_view key, double over, double most, double& into);

  template <class Number>
  void read_number(std::string_view key, std::uint64_t least, std::uint64_t most, Number& into) {
    std::uint64_t number = static_cast<std::uint64_t>(into);
    read_number(key, least, most, number);
    into = static_cast<Number>(number);
  }
  template <class T>
  void read(std::string_view key, std::optional<T>& into) {
    T value{};
    if (!has(key)) return;
    read(key, value);
    into = std::move(value);
  }
  template <class Number>
  void read_number(std::string_view key, std::uint64_t least, std::uint64_t most,
                   std::optional<Number>& into) {
    std::uint64_t value = least;
    if (!has(key)) return;
    read_number(key, least, most, value);
    into = static_cast<Number>(value);
  }
  template <class E, std::size_t N>
  void read_choice(std::string_view key, const std::array<Named<E>, N>& names, E& into) {
    std::vector<std::string_view> allowed;
    for (const Named<E>& one : names) allowed.push_back(one.name);
    if (const auto index = choice(key, allowed)) into = names.at(*index).value;
  }

  /// A problem when there is a key that was not asked for.
  void finish();

 private:
  [[nodiscard]] bool has(std::string_view key) const;
  std::optional<std::size_t> choice(std::string_view key,
                                    const std::vector<std::string_view>& allowed);

  const Json& json_;
  std::string path_;
  Problem& problem_;
  std::vector<std::string_view> known_;
};

}  // namespace holdfast::lab::fault
