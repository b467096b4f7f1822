// A file from an HTTPS server, as a program of its own: goes on where it was cut, is bounded, and
// is what its digest says.
//
// Purpose:  behind the step "download". What comes over the network is read in a process that can
// be
//           ended and that does nothing else.
// Files:    TO.part while it is not whole; TO once its digest is right and it is durable.
// Threads:  one; blocks.
// Source:   RFC 9110, range requests; libcurl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace holdfast::updater {

/// Exit codes of the program.
enum class FetchEnd : int {
  done = 0,
  wrong = 65,    ///< It is not what it should be, whole and from the beginning.
  missing = 66,  ///< The server does not have it.
  no_space = 73,
  stale = 70,  ///< The server does not let us have it any more: a presigned URL is over.
  later = 75,  ///< Anything that may pass.
};

struct FetchOrder {
  std::string url;  ///< Holds a secret, perhaps. Empty: TO.part is whole, and is only judged.
  std::filesystem::path to;
  std::uint64_t size = 0;              ///< 0: not known; it begins anew each time.
  std::uint64_t most = 0;              ///< Bytes, where the size is not known.
  std::string sha256;                  ///< Hexadecimal; empty: not known.
  std::uint64_t bytes_per_second = 0;  ///< 0: as fast as it goes.
  std::filesystem::path ca_file;       ///< Empty: the system's.
  bool allow_http = false;
  bool in_one_piece = false;  ///< Without a URL: TO.part was written from its beginning.
};

/// For the environment of the program, where only its user and root can see it.
inline constexpr const char* kFetchVariable = "HOLDFAST_FETCH";
[[nodiscard]] std::string to_text(const FetchOrder& order);
[[nodiscard]] std::optional<FetchOrder> parse_fetch_order(const std::string& text);

/// Empty: the file's disk has room for so many more bytes, and some besides.
[[nodiscard]] std::string problem_of_space(int file, std::uint64_t bytes);

/// `words`: why not, without the URL.
[[nodiscard]] FetchEnd fetch(const FetchOrder& order, std::string& words);

}  // namespace holdfast::updater
