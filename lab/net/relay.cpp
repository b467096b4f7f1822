#include "lab/net/relay.h"

#include <utility>

#include "posix/event_loop.h"

namespace holdfast::lab::net {

namespace {

// One device on its way to the broker.
struct Connection {
  std::string peer;
  BootTime since{};
  const char* state = "connecting";
  std::shared_ptr<Stream> device;  // Until the conversation has it.
  std::shared_ptr<Conversation> conversation;
};

// What a "kick" request wants. Errors: invalid_argument, naming the member.
Result<Kick> read_kick(const Json& request) {
  Kick kick;
  const std::string how = request.value("how", Json("fin")).is_string()
                              ? request.value("how", std::string("fin"))
                              : std::string();
  if (how == "fin") {
    kick.how = Kick::How::fin;
  } else if (how == "reset") {
    kick.how = Kick::How::reset;
  } else if (how == "disconnect") {
    kick.how = Kick::How::disconnect;
  } else {
    return Error{Errc::invalid_argument, "how is none of fin, reset, disconnect"};
  }
  if (const auto reason = request.find("reason"); reason != request.end()) {
    if (!reason->is_number_unsigned() || reason->get<std::uint64_t>() > 255) {
      return Error{Errc::invalid_argument, "reason is no number from 0 to 255"};
    }
    kick.reason = reason->get<std::uint8_t>();
  }
  return kick;
}

}  // namespace

struct Relay::State : std::enable_shared_from_this<Relay::State> {
  State(posix::EventLoop& owner, Trace& told, RelayOptions given)
      : loop(owner), trace(told), options(std::move(given)) {}

  void serve(std::shared_ptr<Stream> stream, const std::string& peer) {
    const std::uint64_t id = ++last;
    trace.event("accept", id, {{"peer", peer}});
    Connection& connection = connections[id];
    connection.peer = peer;
    connection.since = trace.now();
    connection.device = std::move(stream);
    connect(loop, options.upstream, [self = shared_from_this(), id](auto broker) {
      self->connected(id, std::move(broker));
    });
  }

  void connected(std::uint64_t id, Result<std::shared_ptr<Stream>> broker) {
    const auto found = connections.find(id);
    if (found == connections.end()) {  // Kicked meanwhile.
      if (broker) (*broker)->reset();
      return;
    }
    Connection& connection = found->second;
    if (!broker) {
      trace.event("upstream_failed", id, {{"words", broker.error().message}});
      connection.device->reset();
      over(id);
      return;
    }
    Conversation::Options talk;
    talk.id = id;
    talk.over = [self = weak_from_this(), id] {
      if (const auto alive = self.lock()) alive->over(id);
    };
    connection.conversation = std::make_shared<Conversation>(
        loop, trace, std::exchange(connection.device, nullptr), *broker, std::move(talk));
    connection.state = "open";
    connection.conversation->start();
  }

  void over(std::uint64_t id) {
    const auto found = connections.find(id);
    if (found == connections.end()) return;
    const Connection& connection = found->second;
    Json line;
    if (connection.conversation != nullptr) {
      const Conversation::Facts& facts = connection.conversation->facts();
      line = {{"client", facts.client_id},
              {"up", facts.up},
              {"down", facts.down},
              {"packets", facts.packets}};
    }
    line["seconds"] = Trace::in_seconds(trace.now() - connection.since);
    trace.event("close", id, line);
    connections.erase(found);
  }

  Json describe(std::uint64_t id, const Connection& connection) const {
    Json out{{"conn", id},
             {"peer", connection.peer},
             {"since", trace.since_start(connection.since)},
             {"state", connection.state}};
    if (connection.conversation != nullptr) {
      const Conversation::Facts& facts = connection.conversation->facts();
      out["client"] = facts.client_id;
      out["up"] = facts.up;
      out["down"] = facts.down;
      out["packets"] = facts.packets;
    }
    return out;
  }

  Result<Json> kick(const Json& request) {
    const auto how = read_kick(request);
    if (!how) return how.error();
    const auto client = request.find("client");
    if (client != request.end() && !client->is_string()) {
      return Error{Errc::invalid_argument, "client is no string"};
    }
    std::vector<std::uint64_t> chosen;
    for (const auto& [id, each] : connections) {
      const bool wanted = client == request.end() ||
                          (each.conversation != nullptr &&
                           each.conversation->facts().client_id == client->get<std::string>());
      if (wanted) chosen.push_back(id);
    }
    for (const std::uint64_t id : chosen) {
      Connection& each = connections.at(id);
      trace.event("kick", id, {{"how", request.value("how", "fin")}});
      if (each.conversation != nullptr) {
        each.conversation->kick(*how);
      } else {
        each.device->reset();
        over(id);
      }
    }
    return Json{{"kicked", chosen.size()}};
  }

  posix::EventLoop& loop;
  Trace& trace;
  RelayOptions options;
  std::unique_ptr<Listener> listener;
  std::map<std::uint64_t, Connection> connections;
  std::uint64_t last = 0;
};

Relay::Relay(posix::EventLoop& loop, Trace& trace, RelayOptions options)
    : state_(std::make_shared<State>(loop, trace, std::move(options))) {}

Relay::~Relay() {
  state_->listener.reset();
  for (auto& [id, each] : state_->connections) {
    if (each.conversation != nullptr) each.conversation->kick({Kick::How::reset});
    if (each.device != nullptr) each.device->reset();
  }
  state_->connections.clear();
}

Status Relay::start() {
  State& s = *state_;
  s.listener = std::make_unique<Listener>(
      s.loop, Listener::Handlers{[](const std::string&) { return Reception::serve; },
                                 [&s](std::shared_ptr<Stream> stream, const std::string& peer) {
                                   s.serve(std::move(stream), peer);
                                 }});
  return s.listener->listen(s.options.listen);
}

std::uint16_t Relay::port() const noexcept { return state_->listener->port(); }

void Relay::add_operations(Control& control) {
  const std::weak_ptr<State> weak = state_;
  control.add("connections", [weak](const Json&, ControlSession&) -> Result<Json> {
    Json out = Json::array();
    if (const auto state = weak.lock()) {
      for (const auto& [id, each] : state->connections) out.push_back(state->describe(id, each));
    }
    return out;
  });
  control.add("kick", [weak](const Json& request, ControlSession&) -> Result<Json> {
    const auto state = weak.lock();
    return state != nullptr ? state->kick(request) : Error{Errc::closed, "the relay has ended"};
  });
  control.add("stats", [weak](const Json&, ControlSession&) -> Result<Json> {
    const auto state = weak.lock();
    if (state == nullptr) return Error{Errc::closed, "the relay has ended"};
    return Json{{"accepted", state->last},
                {"open", state->connections.size()},
                {"seconds", state->trace.since_start(state->trace.now())}};
  });
}

}  // namespace holdfast::lab::net
