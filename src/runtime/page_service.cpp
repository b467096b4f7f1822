// See page_service.h.
#include "runtime/page_service.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "base/hex.h"
#include "host/http_server.h"
#include "host/page_files.h"
#include "posix/system.h"
#include "runtime/config_keys.h"
#include "runtime/http_place.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::runtime {
namespace {

constexpr std::size_t kTokenBytes = 16;  // of those that are made here
constexpr std::size_t kTokenMin = 16;
constexpr std::size_t kTokenMax = 128;
constexpr std::string_view kBearer = "Bearer ";
/// Nothing but what comes from here is loaded, asked, or put around the page.
constexpr std::string_view kPageHeaders =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n";

/// What the local API is asked; the id of each is its place here.
struct Question {
  const char* op;
  const char* fields;
  bool of_disk;
};
constexpr std::array<Question, 5> kQuestions{{{"status", "{}", false},
                                              {"ping", "{}", false},
                                              {"logs", R"({"limit":60})", false},
                                              {"outbox_stat", "{}", true},
                                              {"history", R"({"limit":100})", true}}};

/// The place of the question whose answer this is.
std::optional<std::size_t> question_of(std::string_view line) {
  constexpr std::string_view kBegin = "{\"id\":";
  if (!line.starts_with(kBegin) || line.size() < kBegin.size() + 2) return std::nullopt;
  const auto id = static_cast<std::size_t>(line[kBegin.size()] - '0');
  if (id >= kQuestions.size() || line[kBegin.size() + 1] != ',') return std::nullopt;
  return id;
}

/// Takes as long whatever differs.
bool same(std::string_view one, std::string_view other) {
  if (one.size() != other.size()) return false;
  unsigned differ = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    differ |= static_cast<unsigned char>(one[i] ^ other[i]);
  }
  return differ == 0;
}

/// The given one, or one that is made once and kept beside the outbox.
Result<std::string> token_of(const Config& config, env::Random& random) {
  const bool given = !config.page.token_file.empty();
  const auto path = given ? config.page.token_file : config.outbox.directory / "page-token";
  auto content = posix::read_file(path, 4 * kTokenMax);
  if (!content && (given || content.error().code != Errc::not_found)) {
    return std::move(content).error();
  }
  if (content) {
    auto token = parse_page_token(*content);
    if (token) return token;
    return std::move(token).error().with(path.string());
  }
  std::string bytes(kTokenBytes, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next() & 0xFFU);
  std::string token = text_to_hex(bytes);
  if (Status kept = posix::replace_file(path, token + "\n"); !kept) return std::move(kept).error();
  return token;
}

}  // namespace

Result<std::string> parse_page_token(std::string_view content) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = std::min(content.find_first_not_of(kSpace), content.size());
  content.remove_prefix(first);
  content = content.substr(0, content.find_last_not_of(kSpace) + 1);
  const bool legible = std::all_of(content.begin(), content.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
  });
  if (legible && content.size() >= kTokenMin && content.size() <= kTokenMax) {
    return std::string(content);
  }
  return Error{Errc::invalid_argument,
               "holds no token: 16 to 128 letters, digits and -._~, such as openssl rand -hex 16 "
               "makes",
               0};
}

void check_page(const Config& config, std::vector<ConfigProblem>& problems) {
  const Config::Page& page = config.page;
  if (page.listen.empty()) return;
  const auto wrong = [&](std::string what) {
    problems.push_back({"page.listen", "is " + in_quotes(page.listen) + std::move(what)});
  };
  const auto place = parse_http_place(page.listen);
  if (!place) return wrong(", which " + place.error().message);
  if (place->socket.empty() && !place->tcp.loopback) {
    wrong(
        ", which other machines reach, and the page has no encryption; give a loopback address, "
        "and reach it through ssh -L or a proxy with TLS");
  }
  if (config.local_socket.empty()) {
    problems.push_back(
        {"page.listen", "needs local.socket, through which the page sees the state"});
  }
}

class PageService::Impl {
 public:
  explicit Impl(Sources sources) : s_(std::move(sources)), patience_(s_.loop), idle_(s_.loop) {}
  ~Impl() {
    server_.reset();
    remove_socket_file(socket_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status open() {
    const std::shared_ptr<const Config> config = s_.config();
    auto token = token_of(*config, s_.random);
    if (!token) return std::move(token).error().with("page.token_file");
    token_ = std::move(token).value();
    auto listening = listen_http(config->page.listen);
    if (!listening) return std::move(listening).error().with("page.listen");
    socket_ = std::move(listening).value();
    url_ = (socket_.path.empty() ? "http://" + config->page.listen : std::string()) + "/#" + token_;
    server_ = std::make_unique<host::HttpServer>(
        s_.loop, std::move(socket_.fd),
        [this](const host::HttpRequest& request, const host::HttpServer::Answer& answer) {
          serve(request, answer);
        });
    return {};
  }

  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  void serve(const host::HttpRequest& request, const host::HttpServer::Answer& answer) {
    if (request.path != "/state") return answer(file(request.path));
    std::string_view token = request.authorization;
    if (token.starts_with(kBearer)) token.remove_prefix(kBearer.size());
    if (!same(token, token_)) {
      if (!token.empty()) {
        s_.log({LogLevel::warning, LogArea::local_api,
                "page: a request with a wrong token was refused"});
      }
      return answer({.status = 401,
                     .body = "This takes the token; holdfast page tells the whole address.\n",
                     .headers = "WWW-Authenticate: Bearer\r\n" + std::string(kPageHeaders)});
    }
    waiting_.push_back(answer);
    if (waiting_.size() == 1) ask();
  }

  static host::HttpAnswer file(std::string_view path) {
    const auto found = host::page_file(path);
    if (!found) return {.status = 404, .body = "The page is at /.\n"};
    return {.type = std::string(found->type),
            .body = std::string(found->content),
            .headers = std::string(kPageHeaders)};
  }

  void ask() {
    if (!client_) {
      auto client = LocalClient::connect(s_.config()->local_socket);
      if (!client) return fail(client.error().message);
      client_.emplace(std::move(client).value());
      watch_.emplace(s_.loop, client_->fd());
      owed_ = {};
    }
    for (std::size_t i = 0; i < kQuestions.size(); ++i) {
      if (owed_[i]) continue;  // of the disk; it hangs
      owed_[i] = true;
      client_->send(op_line(i, kQuestions[i].op, kQuestions[i].fields));
    }
    patience_.arm_after(kPagePatience, [this] { answer(); });
    idle_.arm_after(kPageIdle, [this] { hang_up(); });
    move();
  }

  /// Sends and receives what goes at once.
  void move() {
    const auto moved = client_->pump(Milliseconds(0));
    while (auto line = client_->next_line()) heard(std::move(*line));
    if (!moved) {
      const std::string why = moved.error().message;
      hang_up();
      if (!waiting_.empty()) fail(why);
      return;
    }
    watch_->want(true, client_->unsent() > 0, [this](bool, bool) { move(); });
    if (!waiting_.empty() && owed_ == decltype(owed_){}) answer();
  }

  void heard(std::string line) {
    const auto question = question_of(line);
    if (!question) return;  // a farewell without an id
    owed_[*question] = false;
    answers_[*question] = std::move(line);
  }

  void answer() {
    patience_.cancel();
    const std::shared_ptr<const Config> config = s_.config();
    nlohmann::ordered_json about;
    about["version"] = HOLDFAST_VERSION;
    about["endpoint"] = config->host + ":" + std::to_string(config->port);
    about["outbox_limit"] = config->outbox.max_bytes;
    about["late"] = owed_ != decltype(owed_){};
    std::string body = R"({"about":)" + about.dump();
    for (std::size_t i = 0; i < kQuestions.size(); ++i) {
      body += ",\"" + std::string(kQuestions[i].op) +
              "\":" + (answers_[i].empty() ? "null" : answers_[i]);
    }
    give({.type = "application/json", .body = body + "}\n", .headers = std::string(kPageHeaders)});
  }

  void fail(const std::string& why) {
    give({.status = 503,
          .body = "The local API does not answer: " + why + "\n",
          .headers = std::string(kPageHeaders)});
  }

  void give(const host::HttpAnswer& answer) {
    for (const auto& each : std::exchange(waiting_, {})) each(answer);
  }

  void hang_up() {
    patience_.cancel();
    idle_.cancel();
    watch_.reset();
    client_.reset();
    answers_ = {};
  }

  Sources s_;
  std::string token_;
  std::string url_;
  ListeningSocket socket_;
  std::unique_ptr<host::HttpServer> server_;
  std::vector<host::HttpServer::Answer> waiting_;  // for what is being asked
  std::optional<LocalClient> client_;
  std::optional<posix::FdWatch> watch_;
  std::array<bool, kQuestions.size()> owed_{};  // asked, not answered yet
  std::array<std::string, kQuestions.size()> answers_{};
  posix::Timer patience_;
  posix::Timer idle_;
};

Result<std::unique_ptr<PageService>> PageService::open(Sources sources) {
  auto impl = std::make_unique<Impl>(std::move(sources));
  if (Status opened = impl->open(); !opened) return std::move(opened).error();
  return std::unique_ptr<PageService>(new PageService(std::move(impl)));
}

PageService::PageService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PageService::~PageService() = default;
const std::string& PageService::url() const { return impl_->url(); }

}  // namespace holdfast::runtime
