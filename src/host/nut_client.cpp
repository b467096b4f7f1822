// See nut_client.h.
#include "host/nut_client.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <utility>
#include <vector>

#include "env/resolver.h"
#include "posix/system.h"

namespace holdfast::host {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::array<std::string_view, 3> kVariables{"ups.status", "battery.charge",
                                                     "battery.runtime"};

/// Takes a word, or what stands in quotes, with '\' before what is meant as itself.
std::string take_word(std::string_view& text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  const bool quoted = text.starts_with('"');
  if (quoted) text.remove_prefix(1);
  std::string word;
  while (!text.empty()) {
    char c = text.front();
    text.remove_prefix(1);
    if (c == (quoted ? '"' : ' ')) break;
    if (c == '\\' && quoted && !text.empty()) {
      c = text.front();
      text.remove_prefix(1);
    }
    word += c;
  }
  return word;
}

std::string advice_for(const std::string& error, const std::string& ups) {
  if (error == "UNKNOWN-UPS") return "; is [" + ups + "] in upsd's ups.conf?";
  if (error == "DATA-STALE") return "; its driver gets nothing from the UPS: check the cable";
  if (error == "DRIVER-NOT-CONNECTED") return "; start the UPS's driver";
  if (error == "ACCESS-DENIED") return "; let this machine ask in upsd's configuration";
  return {};
}

/// Whole numbers; a fraction is left out.
std::optional<unsigned> number_of(const std::optional<std::string>& text) {
  unsigned number = 0;
  if (!text) return std::nullopt;
  const auto [end, problem] = std::from_chars(text->data(), text->data() + text->size(), number);
  const bool whole = end == text->data() + text->size() || *end == '.';
  return problem == std::errc() && whole ? std::optional(number) : std::nullopt;
}

}  // namespace

Result<NutPlace> parse_nut_place(std::string_view text) {
  NutPlace place;
  const std::size_t at = text.find('@');
  place.ups = text.substr(0, at);
  const bool good_name =
      !place.ups.empty() && place.ups.find_first_of(" \"\\") == std::string::npos;
  if (at == std::string_view::npos || !good_name) {
    return Error{Errc::invalid_argument, "is no UPS@HOST; give such as \"ups1@localhost\""};
  }
  std::string_view rest = text.substr(at + 1);
  const bool bracket = rest.starts_with('[');
  const std::size_t end = bracket ? rest.find(']') : rest.find(':');
  place.host = rest.substr(bracket ? 1 : 0, bracket ? end - 1 : end);
  rest = end == std::string_view::npos ? "" : rest.substr(end + (bracket ? 1 : 0));
  if (!rest.empty()) {
    const std::string_view digits = rest.substr(1);
    const auto [stop, problem] =
        std::from_chars(digits.data(), digits.data() + digits.size(), place.port);
    const bool good = rest.front() == ':' && problem == std::errc() && !digits.empty() &&
                      stop == digits.data() + digits.size() && place.port != 0;
    if (!good) place.host.clear();
  }
  if (place.host.empty() || (bracket && end == std::string_view::npos)) {
    return Error{Errc::invalid_argument,
                 "has no host with a port that can be; give such as \"ups1@localhost:3493\""};
  }
  return place;
}

bool NutAnswer::has(std::string_view word) const {
  std::string_view rest = status;
  while (!rest.empty()) {
    if (take_word(rest) == word) return true;
  }
  return false;
}

Result<std::optional<std::string>> parse_nut_line(std::string_view line, const std::string& ups,
                                                  std::string_view variable) {
  const std::string kind = take_word(line);
  if (kind == "ERR") {
    const std::string error = take_word(line);
    if (error == "VAR-NOT-SUPPORTED") return std::optional<std::string>();
    return Error{Errc::io, "upsd says " + error + advice_for(error, ups)};
  }
  if (kind != "VAR" || take_word(line) != ups || take_word(line) != variable) {
    return Error{Errc::protocol, "what answers is no NUT server; check host and port"};
  }
  return std::optional(take_word(line));
}

/// Kept alive by its pending operations; `told_` is empty once it has been closed.
class NutClient::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(posix::EventLoop& loop, NutPlace place, Told told)
      : place_(std::move(place)),
        told_(std::move(told)),
        loop_(loop),
        resolver_(posix::make_resolver(loop)),
        timer_(loop) {}

  void begin() {
    resolver_->resolve(place_.host, kNutTimeout,
                       [weak = weak_from_this()](Result<std::vector<env::Address>> found) {
                         const auto self = weak.lock();
                         if (!self || !self->told_) return;
                         if (!found) return self->failed(found.error().message);
                         self->addresses_ = std::move(found).value();
                         self->connect(0);
                       });
  }

  void close() {
    told_ = nullptr;
    resolver_->cancel();
    timer_.cancel();
    drop();
  }

 private:
  void drop() {
    if (!socket_) return;
    error_code ignored;
    socket_->close(ignored);
    socket_.reset();
  }

  /// From now on the step under way fails when its time is over.
  void limit() {
    timer_.arm_after(kNutTimeout, [this] { failed("no answer within 5 s"); });
  }

  void connect(std::size_t index) {
    error_code problem;
    const auto address = asio::ip::make_address(addresses_[index].numeric, problem);
    if (problem) return failed(problem.message());
    socket_ = std::make_shared<asio::ip::tcp::socket>(loop_.context());
    limit();
    socket_->async_connect({address, place_.port}, [self = shared_from_this(), socket = socket_,
                                                    index](const error_code& error) {
      if (self->socket_ != socket) return;
      if (!error) return self->ask();
      if (index + 1 < self->addresses_.size()) return self->connect(index + 1);
      self->failed(error.message());
    });
  }

  void ask() {
    answers_.clear();
    ask_next();
  }

  void ask_next() {
    if (answers_.size() == kVariables.size()) return done();
    question_ = "GET VAR " + place_.ups + " " + std::string(kVariables[answers_.size()]) + "\n";
    limit();
    asio::async_write(
        *socket_, asio::buffer(question_),
        [self = shared_from_this(), socket = socket_](const error_code& error, std::size_t) {
          if (self->socket_ != socket) return;
          if (error) return self->failed(error.message());
          self->hear();
        });
  }

  void hear() {
    asio::async_read_until(
        *socket_, asio::dynamic_buffer(input_, kNutLine), '\n',
        [self = shared_from_this(), socket = socket_](const error_code& error, std::size_t size) {
          if (self->socket_ != socket) return;
          if (error == asio::error::eof) {
            return self->failed("the server has closed the connection");
          }
          if (error) return self->failed(error.message());
          self->heard(size);
        });
  }

  void heard(std::size_t size) {
    std::string_view line(input_.data(), size - 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto value = parse_nut_line(line, place_.ups, kVariables[answers_.size()]);
    input_.erase(0, size);
    if (!value) {
      // upsd is there; only the UPS is not.
      const bool stays = value.error().code == Errc::io;
      return failed(value.error().message, stays);
    }
    answers_.push_back(std::move(value).value());
    ask_next();
  }

  void done() {
    retry_ = kNutRetryFirst;
    if (!answers_[0]) return failed("the UPS has no ups.status");
    NutAnswer answer{*answers_[0], number_of(answers_[1]), {}};
    if (const auto seconds = number_of(answers_[2])) answer.runtime = Seconds(*seconds);
    timer_.arm_after(kNutPoll, [this] { ask(); });
    told_(answer);
  }

  void failed(const std::string& why, bool stays = false) {
    if (!told_) return;
    if (!stays) drop();
    input_.clear();
    if (stays) {
      timer_.arm_after(kNutPoll, [this] { ask(); });
    } else {
      timer_.arm_after(retry_, [this] { begin(); });
      retry_ = std::min(retry_ * 2, kNutRetryCap);
    }
    told_(Error{Errc::io,
                place_.ups + "@" + place_.host + ":" + std::to_string(place_.port) + ": " + why});
  }

  const NutPlace place_;
  Told told_;
  posix::EventLoop& loop_;
  std::unique_ptr<env::Resolver> resolver_;
  posix::Timer timer_;
  std::vector<env::Address> addresses_;
  std::shared_ptr<asio::ip::tcp::socket> socket_;
  std::string question_;
  std::string input_;
  std::vector<std::optional<std::string>> answers_;
  Duration retry_ = kNutRetryFirst;
};

NutClient::NutClient(posix::EventLoop& loop, NutPlace place, Told told)
    : session_(std::make_shared<Session>(loop, std::move(place), std::move(told))) {
  session_->begin();
}

NutClient::~NutClient() { session_->close(); }

}  // namespace holdfast::host
