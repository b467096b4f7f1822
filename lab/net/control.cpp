#include "lab/net/control.h"

#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>

#include "base/check.h"
#include "lab/net/endpoint.h"
#include "lab/net/stream.h"

namespace holdfast::lab::net {

struct Control::State : std::enable_shared_from_this<Control::State> {
  class Session;

  explicit State(posix::EventLoop& owner) : loop(owner) {}

  void serve(std::shared_ptr<Stream> stream);
  [[nodiscard]] Json answer(std::string_view line, ControlSession& session) const;

  posix::EventLoop& loop;
  std::unique_ptr<Listener> listener;
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

void Control::State::serve(std::shared_ptr<Stream> stream) {
  const auto session = std::make_shared<Session>(weak_from_this(), std::move(stream));
  sessions.insert(session);
  session->read();
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
  state_->listener.reset();
  for (const auto& session : std::set(state_->sessions)) session->end();
}

void Control::add(std::string_view name, Operation operation) {
  const bool added = state_->operations.emplace(name, std::move(operation)).second;
  HF_CHECK(added);
}

Status Control::listen(const std::string& path) {
  const auto at = parse_endpoint("unix:" + path);
  if (!at) return at.error();
  using Local = boost::asio::local::stream_protocol;
  ErrorCode error;
  Local::socket probe(state_->loop.context());
  probe.connect(path, error);
  if (!error) {
    return Error{Errc::in_use, path + ": another program serves it"};
  }
  if (error == boost::asio::error::connection_refused) ::unlink(path.c_str());
  State& s = *state_;
  s.listener = std::make_unique<Listener>(
      s.loop, Listener::Handlers{[&s](const std::string&) {
                                   return s.sessions.size() < kMostSessions ? Reception::serve
                                                                            : Reception::refuse;
                                 },
                                 [&s](std::shared_ptr<Stream> stream, const std::string&) {
                                   s.serve(std::move(stream));
                                 }});
  const mode_t before = ::umask(0177);
  Status listening = s.listener->listen(*at);
  ::umask(before);
  return listening;
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
