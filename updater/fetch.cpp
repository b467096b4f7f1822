// See fetch.h.
#include "fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "base/hex.h"
#include "http.h"
#include "posix/unique_fd.h"
#include "transport/sha256.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kReserve = 1 << 20;           // bytes of the disk that stay free
constexpr std::uint64_t kSyncEvery = 4 * (1U << 20);  // a cut costs so much at most

class Fetch {
 public:
  Fetch(const FetchOrder& order, std::string& words) : order_(order), words_(words) {}

  FetchEnd run() {
    if (!order_.sha256.empty() && digest_of(order_.to) == order_.sha256) return FetchEnd::done;
    if (const FetchEnd opened = open(); opened != FetchEnd::done) return opened;
    if (order_.url.empty() && have_ < order_.size) return no(FetchEnd::later, "it is not whole");
    if (order_.size == 0 || have_ < order_.size) {
      if (const FetchEnd got = get(); got != FetchEnd::done) return got;
    }
    return keep();
  }

 private:
  FetchEnd no(FetchEnd end, std::string words) {
    words_ = std::move(words);
    return end;
  }
  FetchEnd disk(const std::string& what) {
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT;
    return no(full ? FetchEnd::no_space : FetchEnd::later, what + ": " + std::strerror(number));
  }
  [[nodiscard]] fs::path part() const { return order_.to.string() + ".part"; }

  FetchEnd open() {
    const int begin_anew = order_.size == 0 ? O_TRUNC : 0;
    file_.reset(
        ::open(part().c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | begin_anew, 0600));
    struct stat info {};
    if (!file_ || ::fstat(file_.get(), &info) != 0) return disk("cannot open " + part().string());
    have_ = static_cast<std::uint64_t>(info.st_size);
    if (order_.size > 0 && have_ > order_.size && !restart())
      return disk("cannot shorten the file");
    resumed_ = have_ > 0 && !order_.in_one_piece;
    if (order_.size > have_) {
      const std::string problem = problem_of_space(file_.get(), order_.size - have_);
      if (!problem.empty()) return no(FetchEnd::no_space, problem);
    }
    return FetchEnd::done;
  }

  bool restart() {
    have_ = 0;
    return ::ftruncate(file_.get(), 0) == 0;
  }

  static std::size_t take(char* bytes, std::size_t one, std::size_t count, void* self) {
    return static_cast<Fetch*>(self)->write(std::span(bytes, one * count));
  }

  /// Less than all ends the transfer.
  std::size_t write(std::span<const char> bytes) {
    const std::uint64_t most = order_.size > 0 ? order_.size : order_.most;
    if (bytes.size() > most - have_) {
      too_long_ = true;
      return 0;
    }
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t put = ::pwrite(file_.get(), bytes.data() + done, bytes.size() - done,
                                   static_cast<off_t>(have_));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) {
        write_error_ = errno;
        return 0;
      }
      done += static_cast<std::size_t>(put);
      have_ += static_cast<std::uint64_t>(put);
    }
    if (have_ - synced_ >= kSyncEvery) {
      if (::fdatasync(file_.get()) != 0) write_error_ = errno;
      synced_ = have_;
    }
    return write_error_ == 0 ? bytes.size() : 0;
  }

  FetchEnd get() {
    const HttpOrder http{order_.url, order_.ca_file, order_.allow_http};
    HttpWords said{};
    const Curl curl = begin_http(http, said);
    if (!curl) return no(FetchEnd::later, "libcurl cannot be used");
    CURL* const c = curl.get();
    ::curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &Fetch::take);
    ::curl_easy_setopt(c, CURLOPT_WRITEDATA, this);
    ::curl_easy_setopt(c, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(have_));
    if (order_.bytes_per_second > 0) {
      ::curl_easy_setopt(c, CURLOPT_MAX_RECV_SPEED_LARGE,
                         static_cast<curl_off_t>(order_.bytes_per_second));
    }
    const CURLcode code = ::curl_easy_perform(c);
    long status = 0;
    ::curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    return judge(code, status, said.data());
  }

  FetchEnd judge(CURLcode code, long status, const char* said) {
    if (too_long_) return wrong("it is longer than its size says");
    if (write_error_ != 0) {
      errno = write_error_;
      return disk("cannot write " + part().string());
    }
    if (code == CURLE_OK) {
      if (order_.size > 0 && have_ < order_.size && !resumed_) {
        return wrong("it is shorter than its size says");
      }
      return order_.size > 0 && have_ < order_.size ? again("it ended early") : FetchEnd::done;
    }
    // The server does not go on where we are: from the beginning, then.
    if (code == CURLE_RANGE_ERROR || status == 416) return again("the server begins anew");
    if (code == CURLE_HTTP_RETURNED_ERROR) {
      const std::string words = "the server says " + std::to_string(status);
      if (status == 404) return no(FetchEnd::missing, words);
      const bool refused = status == 400 || status == 401 || status == 403 || status == 410;
      return no(refused ? FetchEnd::stale : FetchEnd::later, words);
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL) {
      return no(FetchEnd::wrong, "the server leads away from https");
    }
    return no(FetchEnd::later, *said != '\0' ? said : ::curl_easy_strerror(code));
  }

  FetchEnd again(const std::string& words) {
    if (!restart()) return disk("cannot shorten " + part().string());
    return no(FetchEnd::later, words);
  }

  /// What was put together of pieces may be wrong by a cut; what came in one piece is wrong.
  FetchEnd wrong(const std::string& words) {
    if (resumed_) return again(words + "; it is fetched anew");
    static_cast<void>(restart());
    return no(FetchEnd::wrong, words);
  }

  FetchEnd keep() {
    if (!order_.sha256.empty() && digest_of(part()) != order_.sha256) {
      return wrong("its SHA-256 is another one");
    }
    if (::fsync(file_.get()) != 0) return disk("cannot sync " + part().string());
    if (::rename(part().c_str(), order_.to.c_str()) != 0) {
      return disk("cannot name " + order_.to.string());
    }
    const posix::UniqueFd directory(
        ::open(order_.to.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0) {
      return disk("cannot sync " + order_.to.parent_path().string());
    }
    return FetchEnd::done;
  }

  /// Empty: it cannot be read.
  static std::string digest_of(const fs::path& file) {
    const posix::UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return "";
    transport::Sha256 digest;
    std::string bytes(1U << 18U, '\0');
    for (;;) {
      const ssize_t got = ::read(fd.get(), bytes.data(), bytes.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return "";
      if (got == 0) return text_to_hex(digest.finish());
      digest.add(std::as_bytes(std::span(bytes.data(), static_cast<std::size_t>(got))));
    }
  }

  const FetchOrder& order_;
  std::string& words_;
  posix::UniqueFd file_;
  std::uint64_t have_ = 0;
  std::uint64_t synced_ = 0;
  bool resumed_ = false;
  bool too_long_ = false;
  int write_error_ = 0;
};

}  // namespace

std::string to_text(const FetchOrder& order) {
  return json{{"url", order.url},
              {"to", order.to.string()},
              {"size", order.size},
              {"most", order.most},
              {"sha256", order.sha256},
              {"bytes_per_second", order.bytes_per_second},
              {"ca_file", order.ca_file.string()},
              {"allow_http", order.allow_http},
              {"in_one_piece", order.in_one_piece}}
      .dump();
}

std::optional<FetchOrder> parse_fetch_order(const std::string& text) {
  try {
    const json o = json::parse(text);
    FetchOrder order;
    order.url = o.at("url").get<std::string>();
    order.to = o.at("to").get<std::string>();
    order.size = o.at("size").get<std::uint64_t>();
    order.most = o.at("most").get<std::uint64_t>();
    order.sha256 = o.at("sha256").get<std::string>();
    order.bytes_per_second = o.at("bytes_per_second").get<std::uint64_t>();
    order.ca_file = o.at("ca_file").get<std::string>();
    order.allow_http = o.at("allow_http").get<bool>();
    order.in_one_piece = o.at("in_one_piece").get<bool>();
    return order;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

std::string problem_of_space(int file, std::uint64_t bytes) {
  struct statvfs space {};
  if (::fstatvfs(file, &space) != 0) return "";
  const std::uint64_t free = std::uint64_t{space.f_bavail} * space.f_frsize;
  if (free >= bytes + kReserve) return "";
  return "it needs " + std::to_string(bytes) + " bytes, and the disk has " + std::to_string(free);
}

FetchEnd fetch(const FetchOrder& order, std::string& words) { return Fetch(order, words).run(); }

}  // namespace holdfast::updater
