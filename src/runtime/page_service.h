// The page to look at: the device's state, in a browser of this machine.
//
// Purpose:  [page] of the configuration. The page is static and has no secret; what it shows it
//           fetches, with the token, from /state: the answers of the local API, of which it is an
//           ordinary client. So there is nothing to be seen here that is not to be seen there.
// Threads:  opened before the loop runs; all else on the loop's. Blocks only in open().
// Bounds:   one connection to the local API, for as long as somebody looks; all who ask meanwhile
//           share an answer. Questions to the disk are asked again only after they were answered;
//           an answer waits kPagePatience for them, and then has those of before.
// Errors:   open() names the key.
// Sources:  Content Security Policy Level 3; RFC 6750 (the token's header).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "env/random.h"
#include "holdfast/config.h"
#include "holdfast/log.h"
#include "holdfast/result.h"
#include "posix/event_loop.h"
#include "runtime/config_file.h"

namespace holdfast::runtime {

inline constexpr Duration kPagePatience = std::chrono::seconds(2);
/// The connection to the local API is closed when nobody has looked for so long.
inline constexpr Duration kPageIdle = std::chrono::seconds(20);

class PageService {
 public:
  struct Sources {
    posix::EventLoop& loop;
    env::Random& random;
    std::function<std::shared_ptr<const Config>()> config;
    LogHandler log;
  };
  [[nodiscard]] static Result<std::unique_ptr<PageService>> open(Sources sources);
  ~PageService();
  PageService(const PageService&) = delete;
  PageService& operator=(const PageService&) = delete;

  /// What to open in a browser, with the token. Of a Unix socket: what follows the proxy's address.
  [[nodiscard]] const std::string& url() const;

 private:
  class Impl;
  explicit PageService(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Adds what is wrong with [page].
void check_page(const Config& config, std::vector<ConfigProblem>& problems);

/// The token in a file: `content` without the white space around it. Errors: invalid_argument says
/// what a token is.
[[nodiscard]] Result<std::string> parse_page_token(std::string_view content);

}  // namespace holdfast::runtime
