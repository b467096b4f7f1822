#include "lab/net/http.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "lab/iot/http.h"
#include "lab/net/websocket.h"

namespace holdfast::lab::net {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr std::size_t kChunk = std::size_t{64} * 1024;

/// `word` is in lower case.
bool lists(std::string_view header, std::string_view word) {
  while (!header.empty()) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view each = header.substr(0, comma);
    while (!each.empty() && each.front() == ' ') each.remove_prefix(1);
    while (!each.empty() && each.back() == ' ') each.remove_suffix(1);
    if (iot::lower_case(each) == word) return true;
    header.remove_prefix(std::min(comma + 1, header.size()));
  }
  return false;
}

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return out;
}

int status_of(const ErrorCode& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::bad_transfer_encoding) return 501;
  return 400;
}

std::string_view view(boost::beast::string_view field) { return {field.data(), field.size()}; }

// Where the bytes of an answer's body come from, and the part of it that is sent.
struct Body {
  struct Close {
    void operator()(std::FILE* open) const noexcept { std::fclose(open); }
  };
  std::unique_ptr<std::FILE, Close> file;
  std::string text;
  std::uint64_t size = 0;  // Of the whole.
  std::uint64_t at = 0;    // The next byte to send.
  std::uint64_t end = 0;

  [[nodiscard]] std::string next(std::uint64_t until) {
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(until - at, kChunk));
    std::string out;
    if (file == nullptr) {
      out = text.substr(static_cast<std::size_t>(at), count);
    } else {
      out.resize(count);
      out.resize(std::fread(out.data(), 1, count, file.get()));
    }
    at += out.size();
    return out;
  }
};

// One connection. It reads until a request is whole, answers it, and reads again; `held_` is what
// was read and not yet understood.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(posix::EventLoop& loop, std::shared_ptr<Stream> stream, std::string peer,
             HttpServer server)
      : loop_(loop),
        stream_(std::move(stream)),
        server_(std::move(server)),
        peer_(std::move(peer)),
        patience_(loop) {}

  void start(const TlsFacts* tls) {
    if (tls != nullptr) {
      if (tls->peer) certificate_ = tls->peer->fingerprint;
      alpn_ = tls->alpn;
      server_name_ = tls->server_name;
    }
    expect();
  }

 private:
  using Parser = http::request_parser<http::string_body>;

  // A new request.
  void expect() {
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(kHeaderMost);
    parser_->body_limit(server_.body_most);
    whole_ = held_;
    patience_.arm_after(kHttpIdle, [self = shared_from_this()] { self->cut("idle"); });
    if (held_.empty()) {
      read();
    } else {
      parse();
    }
  }

  void read() {
    stream_->read([self = shared_from_this()](const ErrorCode& error, std::string_view bytes) {
      if (self->over_) return;
      if (error) {
        self->finish(words_of(error));
        return;
      }
      self->held_ += bytes;
      self->whole_ += bytes;
      self->parse();
    });
  }

  void parse() {
    ErrorCode error;
    while (!held_.empty() && !parser_->is_done() && !error) {
      const std::size_t used = parser_->put(asio::buffer(held_), error);
      held_.erase(0, used);
      if (used == 0) break;
    }
    if (error == http::error::need_more) error = {};
    if (error) {
      keep_alive_ = false;
      question_ = {};
      send({status_of(error), {}, error.message() + "\n", {}, {}, {}});
    } else if (parser_->is_done()) {
      take();
    } else {
      read();
    }
  }

  void take() {
    patience_.cancel();
    Parser::value_type message = parser_->release();
    keep_alive_ = message.keep_alive();
    question_ = {};
    question_.method = view(message.method_string());
    question_.target = view(message.target());
    for (const auto& field : message) {
      question_.headers.emplace_back(view(field.name_string()), view(field.value()));
    }
    question_.body = std::move(message.body());
    question_.certificate = certificate_;
    question_.alpn = alpn_;
    question_.server_name = server_name_;
    question_.peer = peer_;
    if (server_.upgraded != nullptr && question_.path() == "/mqtt" &&
        boost::beast::websocket::is_upgrade(message)) {
      upgrade();
      return;
    }
    HttpAnswer answer{404, {}, "Not Found\n", {}, {}, {}};
    if (server_.answer != nullptr) answer = server_.answer(question_);
    send_later(std::move(answer));
  }

  void upgrade() {
    if (!lists(question_.header("Sec-WebSocket-Protocol"), "mqtt")) {
      send({400, {}, "sub-protocol mqtt is not offered\n", {}, {}, {}});
      return;
    }
    if (server_.refuse_upgrade != nullptr) {
      if (auto refusal = server_.refuse_upgrade(question_)) {
        send_later(std::move(*refusal));
        return;
      }
    }
    accept_websocket(loop_, stream_, std::move(whole_),
                     [self = shared_from_this()](const ErrorCode& error, auto stream) {
                       if (error) {
                         self->stream_->reset();
                         self->finish(words_of(error));
                         return;
                       }
                       if (self->server_.answered) self->server_.answered(self->question_, 101, 0);
                       self->server_.upgraded(std::move(stream), self->question_);
                       self->finish("upgraded");
                     });
  }

  void send_later(HttpAnswer answer) {
    if (answer.delay <= Duration::zero()) {
      send(std::move(answer));
      return;
    }
    const Duration delay = answer.delay;
    patience_.arm_after(
        delay, [self = shared_from_this(), answer = std::move(answer)] { self->send(answer); });
  }

  // Opens the body and picks the range; may change the status.
  void prepare(HttpAnswer& answer) {
    body_ = {};
    body_.text = std::move(answer.body);
    body_.size = body_.text.size();
    if (!answer.file.empty()) {
      body_.file.reset(std::fopen(answer.file.c_str(), "rbe"));
      struct stat facts {};
      if (body_.file == nullptr || ::fstat(::fileno(body_.file.get()), &facts) != 0 ||
          !S_ISREG(facts.st_mode)) {
        body_ = {};
        answer.status = 404;
        return;
      }
      body_.size = static_cast<std::uint64_t>(facts.st_size);
      answer.headers.emplace_back("Accept-Ranges", "bytes");
      pick_range(answer);
    }
    if (answer.status != 206 && answer.status != 416) body_.end = body_.size;
  }

  void pick_range(HttpAnswer& answer) {
    const std::string_view wanted = question_.header("Range");
    if (answer.status != 200 || question_.method != "GET" || wanted.empty()) return;
    const HttpRange range = parse_range(wanted, body_.size);
    if (!range.understood) return;
    const std::string total = "/" + std::to_string(body_.size);
    if (!range.met) {
      answer.status = 416;
      answer.headers.emplace_back("Content-Range", "bytes *" + total);
      return;
    }
    answer.status = 206;
    body_.at = range.first;
    body_.end = range.first + range.count;
    answer.headers.emplace_back("Content-Range", "bytes " + std::to_string(body_.at) + "-" +
                                                     std::to_string(body_.end - 1) + total);
    if (::fseeko(body_.file.get(), static_cast<off_t>(range.first), SEEK_SET) != 0) {
      body_.end = body_.at;
    }
  }

  void send(HttpAnswer answer) {
    if (over_) return;
    prepare(answer);
    damage_ = answer.damage;
    status_ = answer.status;
    sent_ = 0;
    const auto reason = http::obsolete_reason(http::int_to_status(unsigned(answer.status)));
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " ";
    head += view(reason);
    for (const auto& [name, value] : answer.headers) {
      if (value.find_first_of("\r\n") != std::string::npos) continue;  // Would be two headers.
      head += "\r\n" + name + ": " + value;
    }
    head += "\r\nContent-Length: " + std::to_string(body_.end - body_.at);
    head += keep_alive_ ? "\r\nConnection: keep-alive\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
    if (question_.method == "HEAD") body_.at = body_.end;
    patience_.arm_after(kHttpIdle, [self = shared_from_this()] { self->cut("idle"); });
    stream_->write(std::move(head),
                   [self = shared_from_this()](const ErrorCode& error) { self->go_on(error); });
  }

  void go_on(const ErrorCode& error) {
    if (over_) return;
    if (error) {
      stream_->reset();
      finish(words_of(error));
      return;
    }
    if (body_.at == body_.end) {
      answered();
      return;
    }
    std::uint64_t until = body_.end;
    for (const auto& limit : {damage_.cut_at, damage_.stall_at}) {
      if (limit && *limit >= body_.at) until = std::min(until, *limit);
    }
    if (until == body_.at) {
      stop_short(damage_.cut_at == body_.at);
      return;
    }
    const std::uint64_t from = body_.at;
    std::string bytes = body_.next(until);
    if (bytes.empty()) {  // The file has become shorter.
      cut("file");
      return;
    }
    if (damage_.corrupt_at && *damage_.corrupt_at >= from && *damage_.corrupt_at < body_.at) {
      char& byte = bytes[static_cast<std::size_t>(*damage_.corrupt_at - from)];
      byte = static_cast<char>(~byte);
    }
    sent_ += bytes.size();
    patience_.arm_after(kHttpIdle, [self = shared_from_this()] { self->cut("idle"); });
    stream_->write(std::move(bytes),
                   [self = shared_from_this()](const ErrorCode& failed) { self->go_on(failed); });
  }

  // A fault: the rest never comes. A stalled connection lasts until its peer has enough.
  void stop_short(bool reset) {
    if (server_.answered) server_.answered(question_, status_, sent_);
    if (reset) {
      cut("fault");
      return;
    }
    patience_.cancel();
    keep_alive_ = false;
    wait_for_end();
  }

  void wait_for_end() {
    stream_->read([self = shared_from_this()](const ErrorCode& error, std::string_view) {
      if (self->over_) return;
      if (error) {
        self->stream_->reset();
        self->finish(words_of(error));
      } else {
        self->wait_for_end();
      }
    });
  }

  void answered() {
    if (server_.answered) server_.answered(question_, status_, sent_);
    if (keep_alive_) {
      expect();
      return;
    }
    patience_.cancel();
    stream_->close([self = shared_from_this()] { self->finish("answered"); });
  }

  void cut(std::string_view how) {
    stream_->reset();
    finish(how);
  }

  void finish(std::string_view how) {
    if (std::exchange(over_, true)) return;
    const auto self = shared_from_this();  // The handler of the timer may be the last to know us.
    patience_.cancel();
    if (how == "fin") stream_->close([] {});
    if (server_.over) server_.over(how);
    server_ = {};
  }

  posix::EventLoop& loop_;
  std::shared_ptr<Stream> stream_;
  HttpServer server_;
  std::string peer_;
  std::string certificate_;
  std::string alpn_;
  std::string server_name_;
  posix::Timer patience_;
  std::optional<Parser> parser_;
  std::string held_;
  std::string whole_;  // Since the request began, as it came: an upgrade reads it again.
  HttpQuestion question_;
  Body body_;
  HttpDamage damage_;
  int status_ = 0;
  std::uint64_t sent_ = 0;
  bool keep_alive_ = true;
  bool over_ = false;
};

}  // namespace

std::string_view HttpQuestion::header(std::string_view name) const {
  const std::string* value = iot::header_of(headers, name);
  return value == nullptr ? std::string_view() : *value;
}

std::string_view HttpQuestion::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

HttpRange parse_range(std::string_view header, std::uint64_t size) {
  HttpRange out;
  constexpr std::string_view kUnit = "bytes=";
  if (header.substr(0, kUnit.size()) != kUnit) return out;
  header.remove_prefix(kUnit.size());
  const std::size_t dash = header.find('-');
  if (dash == std::string_view::npos) return out;
  const auto first = whole_number(header.substr(0, dash));
  const auto last = whole_number(header.substr(dash + 1));
  const bool open = header.substr(dash + 1).empty();
  if (dash == 0) {
    if (!last) return out;
    out.understood = true;
    out.count = std::min(*last, size);
    out.first = size - out.count;
    out.met = out.count > 0;
    return out;
  }
  if (!first || (!open && (!last || *last < *first))) return out;
  out.understood = true;
  out.met = *first < size;
  if (!out.met) return out;
  out.first = *first;
  out.count = (open ? size : std::min(*last, size - 1) + 1) - *first;
  return out;
}

void serve_http(posix::EventLoop& loop, std::shared_ptr<Stream> stream, const TlsFacts* tls,
                std::string peer, HttpServer server) {
  std::make_shared<Connection>(loop, std::move(stream), std::move(peer), std::move(server))
      ->start(tls);
}

}  // namespace holdfast::lab::net
