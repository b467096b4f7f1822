#include "lab/net/relay.h"

#include <optional>
#include <utility>

#include "lab/net/http.h"
#include "posix/event_loop.h"

namespace holdfast::lab::net {

namespace {

// One device on its way to the broker.
struct Connection {
  std::string peer;
  BootTime since{};
  const char* state = "accepted";  // Then "handshake", "upgrade", "connecting", "open".
  std::shared_ptr<Stream> device;  // As far as it has come; the conversation's once there is one.
  std::shared_ptr<TlsStream> tls;
  std::shared_ptr<Conversation> conversation;
  std::optional<HttpQuestion> upgrade;
};

// What a "kick" request wants. Errors: invalid_argument, naming the member.
Result<Kick> read_kick(const Json& request) {
  Kick kick;
  const Json how = request.value("how", Json("fin"));
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

  /// Null when it has ended meanwhile, as by a kick.
  Connection* find(std::uint64_t id) {
    const auto found = connections.find(id);
    return found == connections.end() ? nullptr : &found->second;
  }

  void serve(std::shared_ptr<Stream> stream, const std::string& peer) {
    const std::uint64_t id = ++last;
    trace.event("accept", id, {{"peer", peer}});
    Connection& connection = connections[id];
    connection.peer = peer;
    connection.since = trace.now();
    connection.device = stream;
    if (!server) {
      came_in(id, std::move(stream));
      return;
    }
    connection.state = "handshake";
    open_tls(loop, trace, id, *server, std::move(stream),
             [self = shared_from_this(), id](std::shared_ptr<TlsStream> tls) {
               self->greeted(id, std::move(tls));
             });
  }

  void greeted(std::uint64_t id, std::shared_ptr<TlsStream> tls) {
    Connection* connection = find(id);
    if (connection == nullptr) return;
    if (tls == nullptr) {
      over(id);
      return;
    }
    connection->tls = tls;
    connection->device = tls;
    came_in(id, std::move(tls));
  }

  // What comes next is HTTP or MQTT.
  void came_in(std::uint64_t id, std::shared_ptr<Stream> stream) {
    Connection& connection = connections.at(id);
    const bool mqtt = connection.tls != nullptr && options.speaks_mqtt != nullptr &&
                      options.speaks_mqtt(connection.tls->facts());
    if (!options.websocket || mqtt) {
      to_broker(id);
      return;
    }
    connection.state = "upgrade";
    HttpServer http;
    http.answer = options.http;
    http.refuse_upgrade = options.refuse_upgrade;
    http.upgraded = [self = shared_from_this(), id](auto upgraded, const HttpQuestion& question) {
      if (Connection* found = self->find(id)) {
        found->device = std::move(upgraded);
        found->upgrade = question;
        self->to_broker(id);
      }
    };
    http.answered = [this, id](const HttpQuestion& question, int status, std::uint64_t) {
      trace.event("http", id,
                  {{"method", question.method}, {"path", question.path()}, {"status", status}});
    };
    http.over = [self = shared_from_this(), id](std::string_view how) {
      if (how == "upgraded") return;
      self->trace.event("end", id, {{"side", "device"}, {"by", "peer"}, {"how", how}});
      self->over(id);
    };
    const TlsFacts* facts = connection.tls == nullptr ? nullptr : &connection.tls->facts();
    serve_http(loop, std::move(stream), facts, connection.peer, std::move(http));
  }

  void to_broker(std::uint64_t id) {
    connections.at(id).state = "connecting";
    open_upstream(loop, options.upstream, [self = shared_from_this(), id](auto broker) {
      self->connected(id, std::move(broker));
    });
  }

  void connected(std::uint64_t id, Result<std::shared_ptr<Stream>> broker) {
    Connection* connection = find(id);
    if (connection == nullptr) {
      if (broker) (*broker)->reset();
      return;
    }
    if (!broker) {
      trace.event("upstream_failed", id, {{"words", broker.error().message}});
      connection->device->reset();
      over(id);
      return;
    }
    Conversation::Options talk;
    talk.id = id;
    talk.packets = options.tls != RelayOptions::Tls::pass;
    talk.over = [self = weak_from_this(), id] {
      if (const auto alive = self.lock()) alive->over(id);
    };
    if (options.stages != nullptr) {
      talk.stages = options.stages(
          {id, connection->peer, connection->tls != nullptr ? &connection->tls->facts() : nullptr,
           connection->upgrade ? &*connection->upgrade : nullptr});
    }
    connection->conversation =
        std::make_shared<Conversation>(loop, trace, connection->device, *broker, std::move(talk));
    connection->state = "open";
    connection->conversation->start();
  }

  void over(std::uint64_t id) {
    const Connection* connection = find(id);
    if (connection == nullptr) return;
    Json line = facts_of(*connection);
    line["seconds"] = Trace::in_seconds(trace.now() - connection->since);
    trace.event("close", id, line);
    connections.erase(id);
  }

  static Json facts_of(const Connection& connection) {
    Json out = Json::object();
    if (connection.conversation != nullptr) {
      const Conversation::Facts& facts = connection.conversation->facts();
      out["client"] = facts.client_id;
      out["up"] = facts.up;
      out["down"] = facts.down;
      out["packets"] = facts.packets;
    }
    if (connection.tls != nullptr) out["tls"] = lab::net::describe(connection.tls->facts());
    return out;
  }

  Json describe(std::uint64_t id, const Connection& connection) const {
    Json out{{"conn", id},
             {"peer", connection.peer},
             {"since", trace.since_start(connection.since)},
             {"state", connection.state}};
    out.update(facts_of(connection));
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
      const bool wanted =
          client == request.end() ||
          (each.conversation != nullptr && *client == each.conversation->facts().client_id);
      if (wanted) chosen.push_back(id);
    }
    for (const std::uint64_t id : chosen) {
      trace.event("kick", id, {{"how", request.value("how", "fin")}});
      const Connection& each = connections.at(id);
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
  std::optional<TlsServer> server;
  std::unique_ptr<Listener> listener;
  std::map<std::uint64_t, Connection> connections;
  std::uint64_t last = 0;
};

Relay::Relay(posix::EventLoop& loop, Trace& trace, RelayOptions options)
    : state_(std::make_shared<State>(loop, trace, std::move(options))) {}

Relay::~Relay() {
  state_->listener.reset();
  for (auto& [id, each] : state_->connections) {
    if (each.conversation != nullptr) {
      each.conversation->kick({Kick::How::reset});
    } else {
      each.device->reset();
    }
  }
  state_->connections.clear();
}

Status Relay::start() {
  State& s = *state_;
  if (s.options.tls == RelayOptions::Tls::terminate) {
    auto server = TlsServer::make(s.options.server);
    if (!server) return std::move(server).error();
    s.server = std::move(server).value();
  }
  s.listener = std::make_unique<Listener>(
      s.loop, Listener::Handlers{[](const std::string&) { return Reception::serve; },
                                 [&s](std::shared_ptr<Stream> stream, const std::string& peer) {
                                   s.serve(std::move(stream), peer);
                                 }});
  return s.listener->listen(s.options.listen);
}

void Relay::wake(std::uint64_t id) {
  const Connection* connection = state_->find(id);
  if (connection == nullptr || connection->conversation == nullptr) return;
  const auto conversation = connection->conversation;  // it may end by what it does
  conversation->wake();
}

std::uint16_t Relay::port() const noexcept { return state_->listener->port(); }

void Relay::add_operations(Control& control) {
  const std::weak_ptr<State> weak = state_;
  const auto add = [&control, weak](std::string_view name, auto operation) {
    control.add(name, [weak, operation](const Json& request, ControlSession&) -> Result<Json> {
      const auto state = weak.lock();
      if (state == nullptr) return Error{Errc::closed, "the relay has ended"};
      return operation(*state, request);
    });
  };
  add("connections", [](State& state, const Json&) -> Result<Json> {
    Json out = Json::array();
    for (const auto& [id, each] : state.connections) out.push_back(state.describe(id, each));
    return out;
  });
  add("kick", [](State& state, const Json& request) { return state.kick(request); });
  add("stats", [](State& state, const Json&) -> Result<Json> {
    return Json{{"accepted", state.last},
                {"open", state.connections.size()},
                {"seconds", state.trace.since_start(state.trace.now())}};
  });
}

}  // namespace holdfast::lab::net
