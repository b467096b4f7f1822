// The bytes of a simulated file, in pages that copies share until one of them writes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace holdfast::sim {

class PagedBytes {
 public:
  static constexpr std::size_t kPage = 4096;

  [[nodiscard]] std::size_t size() const { return size_; }

  /// Grows only. New bytes are zero.
  void grow(std::size_t size) {
    size_ = std::max(size_, size);
    pages_.resize((size_ + kPage - 1) / kPage);
  }

  /// All bytes lie inside size().
  void read(std::size_t offset, std::span<std::byte> out) const {
    for (std::size_t n = 0; !out.empty(); offset += n, out = out.subspan(n)) {
      n = std::min(out.size(), kPage - offset % kPage);
      const auto& page = pages_[offset / kPage];
      if (page) {
        std::copy_n(page->begin() + static_cast<std::ptrdiff_t>(offset % kPage), n, out.begin());
      } else {
        std::fill_n(out.begin(), n, std::byte{0});
      }
    }
  }

  void write(std::size_t offset, std::span<const std::byte> in) {
    grow(offset + in.size());
    for (std::size_t n = 0; !in.empty(); offset += n, in = in.subspan(n)) {
      n = std::min(in.size(), kPage - offset % kPage);
      auto& page = own(offset / kPage);
      std::copy_n(in.begin(), n, page.begin() + static_cast<std::ptrdiff_t>(offset % kPage));
    }
  }

  /// Takes over bytes of the same place of another file; whole pages are shared.
  void take(const PagedBytes& from, std::size_t offset, std::size_t count) {
    grow(offset + count);
    for (std::size_t n = 0; count > 0; offset += n, count -= n) {
      n = std::min(count, kPage - offset % kPage);
      const auto& page = from.pages_[offset / kPage];
      if (n == kPage) {
        pages_[offset / kPage] = page;
      } else if (page || pages_[offset / kPage]) {
        std::array<std::byte, kPage> part;
        from.read(offset, std::span(part).first(n));
        write(offset, std::span<const std::byte>(part).first(n));
      }
    }
  }

  [[nodiscard]] std::vector<std::byte> all() const {
    std::vector<std::byte> out(size_);
    read(0, out);
    return out;
  }

 private:
  using Page = std::array<std::byte, kPage>;

  Page& own(std::size_t at) {
    std::shared_ptr<Page>& page = pages_[at];
    if (!page) {
      page = std::make_shared<Page>();
    } else if (page.use_count() > 1) {
      page = std::make_shared<Page>(*page);
    }
    return *page;
  }

  std::vector<std::shared_ptr<Page>> pages_;  // null: zeros
  std::size_t size_ = 0;
};

}  // namespace holdfast::sim
