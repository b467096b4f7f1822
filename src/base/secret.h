// Bytes that may hold a private key: wiped when they go, never printed, copied only on request.
//
// Threads: as a std::string. Nothing prevents a caller from copying text() elsewhere; don't.
#pragma once

#include <string>
#include <utility>

namespace holdfast {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  ~Secret() { wipe(); }
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    wipe();
    text_ = std::move(other.text_);
    other.wipe();
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] Secret copy() const { return Secret(text_); }

 private:
  // Volatile, or the compiler would leave out writes that nobody reads.
  void wipe() noexcept {
    text_.resize(text_.capacity());  // also what was longer before; allocates nothing
    volatile char* at = text_.data();
    for (std::size_t i = 0; i < text_.size(); ++i) at[i] = 0;
    text_.clear();
  }

  std::string text_;
};

}  // namespace holdfast
