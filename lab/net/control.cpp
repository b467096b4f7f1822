#include "lab/net/control.h"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>

#include "base/check.h"
#include "lab/net/stream.h"
#include "posix/os_error.h"

namespace holdfast::lab::net {

namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;

}  // namespace

struct Control::State : std::enable_shared_from_this<Control::State> {
  class Session;

  explicit State(posix::EventLoop& owner) : loop(owner), acceptor(owner.context()) {}

  void accept();
  [[nodiscard]] Json answer(std::string_view line, ControlSession& session) const;

  posix::EventLoop& loop;
  Local::acceptor acceptor;
  std::string path;
  std::map<std::string, Operation, std::less<>> operations;
  std::set<std::shared_ptr<Session>> sessions;
};

class Control::State::Session final : public ControlSession,
                                      public std::enable_shared_from_this<Session> {
 public:
  Session(std::weak_ptr<State> owner, std::shared_ptr<Stream> stream)
      : owner_(std::move(owner)), stream_(std::move(stream)) {}

  void read() {
    stream_->read([self = shared_from_this()](const ErrorCode& error, std::string_view bytes) {
      if (error) {
        self->end();
      } else {
        self->take(bytes);
      }
    });
  }

  bool tell(const std::string& line) override {
    if (ended_) return false;
    out_ += line;
    if (out_.size() > kUnread) {
      end();
      return false;
    }
    write();
    return true;
  }

  void keep(std::shared_ptr<void> thing) override { kept_.push_back(std::move(thing)); }

  void end() {
    if (std::exchange(ended_, true)) return;
    kept_.clear();
    stream_->reset();
    if (const auto owner = owner_.lock()) owner->sessions.erase(shared_from_this());
  }

 private:
  void take(std::string_view bytes) {
    in_ += bytes;
    for (std::size_t end = 0; !ended_ && (end = in_.find('\n')) != std::string::npos;) {
      const std::string line = in_.substr(0, end);
      in_.erase(0, end + 1);
      const auto owner = owner_.lock();
      if (owner == nullptr) return;
      tell(line_of(owner->answer(line, *this)) + "\n");
    }
    if (in_.size() > kLongestLine) {
      end();
    } else if (!ended_) {
      read();
    }
  }

  void write() {
    if (writing_ || out_.empty()) return;
    writing_ = true;
    stream_->write(std::exchange(out_, {}), [self = shared_from_this()](const ErrorCode& error) {
      self->writing_ = false;
      if (error) {
        self->end();
      } else {
        self->write();
      }
    });
  }

  std::weak_ptr<State> owner_;
  std::shared_ptr<Stream> stream_;
  std::string in_;
  std::string out_;
  std::vector<std::shared_ptr<void>> kept_;
  bool writing_ = false;
  bool ended_ = false;
};

void Control::State::accept() {
  acceptor.async_accept([self = shared_from_this()](const ErrorCode& error, Local::socket socket) {
    if (!self->acceptor.is_open()) return;
    if (!error && self->sessions.size() < kMostSessions) {
      auto session =
          std::make_shared<Session>(self, make_socket_stream(self->loop, std::move(socket)));
      self->sessions.insert(session);
      session->read();
    }
    self->accept();
  });
}

Json Control::State::answer(std::string_view line, ControlSession& session) const {
  Json out = Json::object();
  const Json request = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!request.is_object()) {
    out["error"] = "a request is one JSON object on one line";
    return out;
  }
  if (const auto id = request.find("id"); id != request.end() && !id->is_structured()) {
    out["id"] = *id;
  }
  const auto op = request.find("op");
  if (op == request.end() || !op->is_string()) {
    out["error"] = "op is missing, or no string";
    return out;
  }
  const auto operation = operations.find(op->get_ref<const std::string&>());
  if (operation == operations.end()) {
    out["error"] = "op is none of those that are known here";
    Json& known = out["known"] = Json::array();
    for (const auto& [name, _] : operations) known.push_back(name);
    return out;
  }
  Result<Json> result = operation->second(request, session);
  if (result) {
    out["ok"] = std::move(result).value();
  } else {
    out["error"] = result.error().message;
  }
  return out;
}

Control::Control(posix::EventLoop& loop) : state_(std::make_shared<State>(loop)) {}

Control::~Control() {
  ErrorCode ignored;
  state_->acceptor.close(ignored);
  for (const auto& session : std::set(state_->sessions)) session->end();
  if (!state_->path.empty()) ::unlink(state_->path.c_str());
}

void Control::add(std::string_view name, Operation operation) {
  const bool added = state_->operations.emplace(name, std::move(operation)).second;
  HF_CHECK(added);
}

Status Control::listen(const std::string& path) {
  if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Error{Errc::invalid_argument, path + ": too long for a Unix socket"};
  }
  ErrorCode error;
  Local::socket probe(state_->loop.context());
  probe.connect(Local::endpoint(path), error);
  if (!error) {
    return Error{Errc::in_use, path + ": another program serves it"};
  }
  if (error == asio::error::connection_refused) ::unlink(path.c_str());
  const mode_t before = ::umask(0177);
  state_->acceptor.open(Local(), error);
  if (!error) state_->acceptor.bind(Local::endpoint(path), error);
  ::umask(before);
  if (!error) state_->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return posix::make_os_error(error.value(), path);
  state_->path = path;
  state_->accept();
  return {};
}

Json Control::answer(std::string_view line, ControlSession& session) const {
  return state_->answer(line, session);
}

void add_trace_operation(Control& control, Trace& trace) {
  control.add("trace", [&trace](const Json&, ControlSession& session) -> Result<Json> {
    session.keep(trace.listen([&session](const std::string& line) { session.tell(line); }));
    return Json::object();
  });
}

}  // namespace holdfast::lab::net
