// See status_watch.h.
#include "status_watch.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "commands.h"
#include "runtime/local_client.h"
#include "runtime/local_protocol.h"

namespace holdfast::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kKept = 300;
constexpr std::size_t kLabel = 24;  // columns before a curve
constexpr Milliseconds kAnswerTime{5000};
// ECMA-48, and xterm's private modes: another screen, no cursor, no wrapping; and back.
constexpr std::string_view kEnter = "\033[?1049h\033[?25l\033[?7l";
constexpr std::string_view kLeave = "\033[?7h\033[?25h\033[?1049l";
constexpr std::string_view kHome = "\033[H";
constexpr std::string_view kEndOfLine = "\033[K\n";
constexpr std::string_view kEndOfScreen = "\033[J";

Milliseconds steady_now() {
  return std::chrono::duration_cast<Milliseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

void keep(std::deque<double>& values, double value) {
  values.push_back(value);
  if (values.size() > kKept) values.pop_front();
}

std::string curve(std::string_view name, const std::deque<double>& values,
                  const WatchStyle& style) {
  std::array<char, 64> label{};
  const double now = values.empty() ? 0 : values.back();
  std::snprintf(label.data(), label.size(), "%-12.12s %9.*f  ", std::string(name).c_str(),
                now == static_cast<double>(static_cast<long long>(now)) ? 0 : 1, now);
  const std::size_t room = style.columns > kLabel ? style.columns - kLabel : 0;
  return label.data() + sparkline(values, room, style.unicode) + "\n";
}

bool put(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

WatchStyle style_of_terminal() {
  WatchStyle style;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
    style.columns = size.ws_col;
    style.rows = size.ws_row;
  }
  style.unicode = std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
  return style;
}

/// Asks one agent after the other: after a restart it is another.
class Asker {
 public:
  Asker(const std::filesystem::path& socket, int signals) : socket_(socket), signals_(signals) {}

  /// The state; empty: `trouble` says why, or a signal has come.
  std::optional<json> ask(std::string& trouble) {
    trouble.clear();
    if (!client_) {
      auto client = runtime::LocalClient::connect(socket_);
      if (!client) return failed(trouble, client.error().message);
      client_.emplace(std::move(client).value());
    }
    client_->send(runtime::op_line(1, "status"));
    const Milliseconds end = steady_now() + kAnswerTime;
    for (;;) {
      const auto signal = client_->pump(std::max(end - steady_now(), Milliseconds(0)), signals_);
      if (auto line = client_->next_line()) return understood(*line, trouble);
      if (!signal) return failed(trouble, signal.error().message);
      if (*signal) return std::nullopt;
      if (steady_now() >= end) return failed(trouble, "the agent does not answer");
    }
  }

 private:
  std::optional<json> understood(const std::string& line, std::string& trouble) {
    json answer = json::parse(line, nullptr, false);
    if (answer.is_object() && answer.contains("status")) return std::move(answer["status"]);
    return failed(trouble, "the agent's answer is no state; is it holdfastd?");
  }
  std::optional<json> failed(std::string& trouble, const std::string& why) {
    client_.reset();
    trouble = why;
    return std::nullopt;
  }

  const std::filesystem::path socket_;
  const int signals_;
  std::optional<runtime::LocalClient> client_;
};

/// True when a signal has come.
bool wait(int signals, Milliseconds time) {
  pollfd ready{signals, POLLIN, 0};
  return ::poll(&ready, 1, static_cast<int>(time.count())) > 0;
}

std::string on_screen(const std::string& picture) {
  std::string out(kHome);
  for (const char c : picture) {
    if (c == '\n') {
      out += kEndOfLine;
    } else {
      out += c;
    }
  }
  return out + std::string(kEndOfScreen);
}

}  // namespace

std::string sparkline(const std::deque<double>& values, std::size_t width, bool unicode) {
  constexpr std::array<const char*, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  constexpr std::array<const char*, 8> kSigns{"_", ".", ":", "-", "=", "+", "*", "#"};
  const std::size_t count = std::min(width, values.size());
  const auto first = values.end() - static_cast<std::ptrdiff_t>(count);
  const double most = count == 0 ? 0 : *std::max_element(first, values.end());
  std::string out;
  for (auto value = first; value != values.end(); ++value) {
    const double part = most > 0 ? std::max(*value, 0.0) / most : 0;
    const auto step = static_cast<std::size_t>(part * 7 + 0.5);
    out += (unicode ? kBlocks : kSigns)[std::min<std::size_t>(step, 7)];
  }
  return out;
}

void WatchedState::add(const json& status, Milliseconds at) {
  text_ = render_status(status);
  const json ledger = status.value("ledger", json::object());
  const Counts now{at, static_cast<double>(count_of(ledger, "accepted")),
                   static_cast<double>(count_of(ledger, "delivered"))};
  if (before_ && at > before_->at) {
    const double seconds = static_cast<double>((at - before_->at).count()) / 1000;
    keep(accepted_, std::max(0.0, now.accepted - before_->accepted) / seconds);
    keep(delivered_, std::max(0.0, now.delivered - before_->delivered) / seconds);
  }
  before_ = now;
  keep(waiting_, static_cast<double>(count_of(status, "backlog")));
}

std::string WatchedState::picture(const WatchStyle& style, const std::string& trouble) const {
  std::string foot = "\n" + curve("accepted/s", accepted_, style) +
                     curve("delivered/s", delivered_, style) + curve("waiting", waiting_, style);
  if (!trouble.empty()) foot += "not current: " + trouble + "; asking again\n";
  const auto lines = [](const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  };
  // The curves are what one watches: what does not fit above them is left out.
  std::string head = text_;
  const std::size_t room = style.rows > lines(foot) + 1 ? style.rows - lines(foot) - 1 : 0;
  while (lines(head) > room) {
    head.pop_back();
    head.resize(head.rfind('\n') == std::string::npos ? 0 : head.rfind('\n') + 1);
  }
  return head + foot;
}

ExitCode run_status_watch(const std::filesystem::path& socket, Milliseconds every, bool as_json) {
  sigset_t ends;
  sigemptyset(&ends);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ends, signal);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  const int signals = ::signalfd(-1, &ends, SFD_CLOEXEC);  // the process ends with it
  if (signals < 0) return fail(kFailed, "no descriptor is left; raise the limit (ulimit -n)");
  ::setlocale(LC_CTYPE, "");
  const bool screen = !as_json && ::isatty(STDOUT_FILENO) == 1;
  WatchedState state;
  Asker asker(socket, signals);
  bool good = !screen || put(kEnter);
  do {
    std::string trouble;
    const std::optional<json> status = asker.ask(trouble);
    if (status) state.add(*status, steady_now());
    if (screen) {
      good = put(on_screen(state.picture(style_of_terminal(), trouble)));
    } else if (status) {
      good = put(as_json ? status->dump() + "\n" : render_status(*status) + "\n");
    } else if (!trouble.empty()) {
      std::fprintf(stderr, "holdfast: %s; asking again\n", trouble.c_str());
    }
  } while (good && !wait(signals, every));
  if (screen) good = put(kLeave) && good;
  return good ? kOk : fail(kFailed, "cannot write to standard output; check where it leads");
}

}  // namespace holdfast::cli
