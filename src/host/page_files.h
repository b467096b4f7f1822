// The files of the page to look at, from src/host/page, compiled in.
//
// Threads: pure functions.
#pragma once

#include <optional>
#include <string_view>

namespace holdfast::host {

struct PageFile {
  std::string_view type;
  std::string_view content;
};
/// By its path on the server: "/", "/page.css", "/page.js".
[[nodiscard]] std::optional<PageFile> page_file(std::string_view path);

}  // namespace holdfast::host
