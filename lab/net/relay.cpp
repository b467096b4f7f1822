#include "lab/net/relay.h"

#include <optional>
#include <utility>

#include "lab/fault/client_hello.h"
#include "lab/net/http.h"
#include "lab/net/shaped_stream.h"
#include "lab/net/tls_faults.h"
#include "posix/event_loop.h"

namespace holdfast::lab::net {

namespace {

// One device on its way to the broker.
struct Connection {
  std::string peer;
  BootTime since{};
  // Then "handshake", "upgrade", "connecting", "open"; or "unanswered" under a fault.
  const char* state = "accepted";
  std::shared_ptr<ShapedStream> shaped;  // On the socket.
  std::shared_ptr<Stream> device;        // As far as it has come.
  std::shared_ptr<TlsStream> tls;
  std::shared_ptr<Conversation> conversation;
  std::optional<HttpQuestion> upgrade;
  fault::MqttFaults* rules = nullptr;  // Of the conversation.
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
  } else if (how == "silence") {
    kick.how = Kick::How::silence;
  } else {
    return Error{Errc::invalid_argument, "how is none of fin, reset, disconnect, silence"};
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
  State(const World& given, RelayOptions wanted)
      : world(given),
        loop(given.loop),
        trace(given.trace),
        options(std::move(wanted)),
        servers(options.server, options.certificates) {}

  /// Null when it has ended meanwhile, as by a kick.
  Connection* find(std::uint64_t id) {
    const auto found = connections.find(id);
    return found == connections.end() ? nullptr : &found->second;
  }

  Reception receive(const std::string& peer) {
    switch (world.faults.now(options.name).accept) {
      case fault::Accept::normal:
        break;
      case fault::Accept::refuse:
        trace.event("refused", 0, {{"peer", peer}, {"port", listener->port()}});
        return Reception::refuse;
      case fault::Accept::ignore:
        trace.event("ignored", 0, {{"peer", peer}, {"port", listener->port()}});
        return Reception::ignore;
    }
    return Reception::serve;
  }

  void serve(std::shared_ptr<Stream> stream, const std::string& peer) {
    const std::uint64_t id = trace.next_connection();
    ++accepted;
    trace.event("accept", id, {{"peer", peer}, {"port", listener->port()}});
    ShapedOptions shape;
    if (options.tls != RelayOptions::Tls::none) shape.tap = hello_tap(id);
    shape.end_held = [this, id](std::string_view how) {
      trace.event("end_held", id, {{"side", "device"}, {"how", how}});
    };
    const fault::Faults& faults = world.faults.now(options.name);
    Connection& connection = connections[id];
    connection.peer = peer;
    connection.since = trace.now();
    connection.shaped =
        make_shaped_stream(loop, world.clock, world.random, std::move(stream), std::move(shape));
    connection.shaped->set(faults.up, faults.down);
    connection.device = connection.shaped;
    if (options.tls == RelayOptions::Tls::terminate) {
      handshake(id, connection, faults.tls);
    } else {
      came_in(id, connection.device);
    }
  }

  // Reads the ClientHello from what a device sends first.
  std::function<bool(std::string_view)> hello_tap(std::uint64_t id) {
    auto seen = std::make_shared<std::string>();
    return [this, id, seen](std::string_view bytes) {
      *seen += bytes;
      const auto hello = fault::parse_client_hello(*seen);
      if (hello && !*hello) return seen->size() < fault::kHelloMax;
      trace.event("client_hello", id,
                  hello ? fault::to_json(**hello) : Json{{"malformed", hello.error().message}});
      return false;
    };
  }

  void handshake(std::uint64_t id, Connection& connection, const fault::TlsSettings& settings) {
    connection.state = "handshake";
    if (settings.fault == fault::TlsFault::no_handshake) {
      connection.state = "unanswered";
      wait_for_end(id, connection.device);
      return;
    }
    const auto server = servers.server(settings);
    if (!server) {  // Its files have changed since they were checked.
      trace.event("tls", id, {{"established", false}, {"problem", server.error().message}});
      connection.device->reset();
      over(id);
      return;
    }
    open_tls(loop, trace, id, *server, connection.device,
             [self = shared_from_this(), id](std::shared_ptr<TlsStream> tls) {
               self->greeted(id, std::move(tls));
             });
  }

  // Reads and never answers.
  void wait_for_end(std::uint64_t id, const std::shared_ptr<Stream>& stream) {
    stream->read([self = shared_from_this(), id, stream](const ErrorCode& error, std::string_view) {
      if (!error) {
        self->wait_for_end(id, stream);
        return;
      }
      if (self->find(id) == nullptr) return;
      self->trace.event("end", id, {{"side", "device"}, {"by", "peer"}, {"how", words_of(error)}});
      stream->reset();
      self->over(id);
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
    const auto words = options.turn_away ? options.turn_away(tls->facts()) : std::nullopt;
    if (!words) {
      came_in(id, std::move(tls));
      return;
    }
    trace.event("note", id, {{"words", *words}});
    trace.event("end", id, {{"side", "device"}, {"by", "lab"}, {"how", "fin"}});
    tls->close([] {});
    over(id);
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
    Connection& connection = connections.at(id);
    connection.state = "connecting";
    switch (world.faults.now(options.name).upstream) {
      case fault::Upstream::normal:
        break;
      case fault::Upstream::refuse:
        connected(id, Error{Errc::io, "refused by a fault"});
        return;
      case fault::Upstream::ignore:
        connection.state = "unanswered";
        wait_for_end(id, connection.device);
        return;
    }
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
    if (talk.packets) {
      auto rules = std::make_unique<fault::MqttFaults>(world.random, world.faults.counters());
      rules->set(trace.now(), world.faults.now(options.name).rules);
      connection->rules = rules.get();
      talk.stages.push_back(std::move(rules));
    }
    talk.over = [self = weak_from_this(), id] {
      if (const auto alive = self.lock()) alive->over(id);
    };
    if (options.stages != nullptr) {
      for (auto& stage :
           options.stages({id, connection->peer,
                           connection->tls != nullptr ? &connection->tls->facts() : nullptr,
                           connection->upgrade ? &*connection->upgrade : nullptr})) {
        talk.stages.push_back(std::move(stage));
      }
    }
    connection->conversation =
        std::make_shared<Conversation>(loop, trace, connection->device, *broker, std::move(talk));
    connection->state = "open";
    connection->conversation->start();
  }

  Status check(const fault::Faults& faults) {
    if (options.tls == RelayOptions::Tls::terminate) {
      const auto server = servers.server(faults.tls);
      return server ? Status() : server.error();
    }
    if (faults.tls != fault::TlsSettings()) {
      return Error{Errc::unsupported, "tls: TLS does not end at this relay"};
    }
    if (options.tls == RelayOptions::Tls::pass && !faults.rules.empty()) {
      return Error{Errc::unsupported, "rules: MQTT cannot be seen in TLS that passes through"};
    }
    return {};
  }

  void changed(const fault::Faults& faults) {
    for (auto& [id, each] : connections) {
      each.shaped->set(faults.up, faults.down);
      if (each.rules == nullptr) continue;
      each.rules->set(trace.now(), faults.rules);
      each.conversation->stages_changed();
    }
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
    return Json{{"kicked",
                 kick(*how, client == request.end() ? std::string() : client->get<std::string>())}};
  }

  // Those of `client`, or all. Gives their number.
  std::size_t kick(const Kick& how, const std::string& client) {
    std::vector<std::uint64_t> chosen;
    for (const auto& [id, each] : connections) {
      const bool wanted = client.empty() || (each.conversation != nullptr &&
                                             client == each.conversation->facts().client_id);
      if (wanted) chosen.push_back(id);
    }
    for (const std::uint64_t id : chosen) {
      static constexpr const char* kHow[] = {"fin", "reset", "disconnect", "silence"};
      trace.event("kick", id, {{"how", kHow[static_cast<std::size_t>(how.how)]}});
      const Connection& each = connections.at(id);
      if (each.conversation != nullptr) {
        each.conversation->kick(how);
      } else if (how.how != Kick::How::silence) {
        each.device->reset();
        over(id);
      }
    }
    return chosen.size();
  }

  void kick_all(mqtt::Ending ending) {
    switch (ending) {
      case mqtt::Ending::after_sending:
        kick({Kick::How::fin}, {});
        break;
      case mqtt::Ending::reset:
        kick({Kick::How::reset}, {});
        break;
      case mqtt::Ending::silence:
        kick({Kick::How::silence}, {});
        break;
    }
  }

  World world;
  posix::EventLoop& loop;
  Trace& trace;
  RelayOptions options;
  TlsServers servers;
  std::unique_ptr<Listener> listener;
  std::shared_ptr<void> on_faults;  // What keeps us under the switch.
  std::map<std::uint64_t, Connection> connections;
  std::uint64_t accepted = 0;
};

Relay::Relay(const World& world, RelayOptions options)
    : state_(std::make_shared<State>(world, std::move(options))) {
  State& s = *state_;
  s.on_faults = world.faults.connect(s.options.name,
                                     {[&s](const fault::Faults& faults) { return s.check(faults); },
                                      [&s](const fault::Faults& faults) { s.changed(faults); },
                                      [&s](mqtt::Ending ending) { s.kick_all(ending); }});
}

Relay::~Relay() {
  state_->on_faults.reset();
  state_->listener.reset();
  for (auto& [id, each] : state_->connections) {
    if (each.conversation != nullptr) {
      each.conversation->abandon();
    } else {
      each.device->reset();
    }
  }
  state_->connections.clear();
}

Status Relay::start() {
  State& s = *state_;
  if (Status possible = s.check(s.world.faults.now(s.options.name)); !possible) return possible;
  s.listener = std::make_unique<Listener>(
      s.loop, Listener::Handlers{[&s](const std::string& peer) { return s.receive(peer); },
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

void Relay::add_operations(Control& control, const std::string& prefix) {
  const std::weak_ptr<State> weak = state_;
  const auto add = [&control, weak, &prefix](std::string_view name, auto operation) {
    control.add(prefix + std::string(name),
                [weak, operation](const Json& request, ControlSession&) -> Result<Json> {
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
    return Json{{"accepted", state.accepted},
                {"open", state.connections.size()},
                {"seconds", state.trace.since_start(state.trace.now())}};
  });
}

}  // namespace holdfast::lab::net
