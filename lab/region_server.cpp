// See region_server.h.
#include "lab/region_server.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "lab/iot/json.h"
#include "posix/system.h"

namespace holdfast::lab {
namespace {

constexpr std::size_t kStateMost = std::size_t{256} * 1024 * 1024;
constexpr Duration kRetry = std::chrono::milliseconds(500);

constexpr const char* kMqtt = "mqtt";
constexpr const char* kMixed = "mixed";
constexpr const char* kHttps = "https";

/// What clients offer on the port of all protocols (Developer Guide, "Device communication
/// protocols").
constexpr const char* kAlpnMqtt = "x-amzn-mqtt-ca";
constexpr const char* kAlpnCustom = "mqtt";
constexpr const char* kAlpnHttp = "x-amzn-http-ca";
constexpr const char* kAlpnPlainHttp = "http/1.1";

std::optional<std::string> choose_alpn(const std::vector<std::string>& offered) {
  for (const char* known : {kAlpnMqtt, kAlpnCustom, kAlpnHttp, kAlpnPlainHttp}) {
    if (std::find(offered.begin(), offered.end(), known) != offered.end()) return known;
  }
  return std::nullopt;
}

}  // namespace

/// Keeps the Region's own connection to the broker, and hands it what the publisher has.
class RegionServer::Upstream {
 public:
  Upstream(posix::EventLoop& loop, net::Endpoint broker, std::string password)
      : publisher(std::move(password)), loop_(loop), broker_(std::move(broker)), retry_(loop) {}
  ~Upstream() {
    *alive_ = false;
    if (stream_ != nullptr) stream_->reset();
  }
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  iot::Publisher publisher;

  /// Sends what can be sent; connects first where that is needed.
  void work() {
    if (stream_ != nullptr) return flush();
    if (connecting_ || !publisher.wants_connection()) return;
    connecting_ = true;
    net::connect(loop_, broker_, [this, alive = alive_](auto stream) {
      if (!*alive) return;
      connecting_ = false;
      if (!stream) return lost();
      stream_ = std::move(stream).value();
      framer_ = mqtt::Framer();
      out_ = publisher.opened();
      read();
      flush();
    });
  }

 private:
  void read() {
    stream_->read([this, alive = alive_, stream = stream_](const net::ErrorCode& error,
                                                           std::string_view bytes) {
      if (!*alive || stream != stream_) return;
      if (error) return lost();
      framer_.feed(bytes);
      for (;;) {
        const auto frame = framer_.next();
        if (!frame) return lost();
        if (!*frame) break;
        if (!publisher.on_frame(**frame)) return lost();
      }
      if (publisher.done()) return lost();
      flush();
      read();
    });
  }

  void flush() {
    if (publisher.must_reopen()) return lost();
    out_ += publisher.take();
    if (writing_ || out_.empty()) return;
    writing_ = true;
    stream_->write(std::exchange(out_, {}),
                   [this, alive = alive_, stream = stream_](const net::ErrorCode& error) {
                     if (!*alive || stream != stream_) return;
                     writing_ = false;
                     if (error) return lost();
                     flush();
                   });
  }

  void lost() {
    const bool done = publisher.done() || publisher.must_reopen();
    publisher.closed();
    writing_ = false;
    out_.clear();
    if (const auto stream = std::exchange(stream_, nullptr)) stream->reset();
    retry_.arm_after(done ? Duration(0) : kRetry, [this] { work(); });
  }

  posix::EventLoop& loop_;
  net::Endpoint broker_;
  posix::Timer retry_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::shared_ptr<net::Stream> stream_;
  mqtt::Framer framer_;
  std::string out_;
  bool connecting_ = false;
  bool writing_ = false;
};

/// A door; after whatever happens at it, the Region's affairs are settled.
class RegionServer::Watched : public iot::Door {
 public:
  Watched(RegionServer& server, iot::Arrival arrival)
      : Door(server.parts_.region, std::move(arrival), server.parts_.world.clock.now()),
        server_(server) {}
  ~Watched() override { server_.settle_soon(); }

  void on_frame(BootTime now, mqtt::Side from, std::string_view frame, mqtt::Wishes& out) override {
    Door::on_frame(now, from, frame, out);
    server_.settle_soon();
  }
  void on_closed(BootTime now, mqtt::Side side, mqtt::Wishes& out) override {
    Door::on_closed(now, side, out);
    server_.settle_soon();
  }
  void on_wake(BootTime now, mqtt::Wishes& out) override {
    Door::on_wake(now, out);
    server_.settle_soon();
  }

 private:
  RegionServer& server_;
};

RegionServer::RegionServer(Parts parts, Options options)
    : parts_(std::move(parts)), options_(std::move(options)), timer_(parts_.world.loop) {
  net::Endpoint broker;
  broker.path = options_.broker_socket;
  upstream_ = std::make_unique<Upstream>(parts_.world.loop, broker, options_.broker_password);
}

RegionServer::~RegionServer() {
  settling_ = true;  // nothing more is posted
  relays_.clear();
}

net::RelayOptions RegionServer::relay_options(Port port, std::uint16_t number) {
  net::RelayOptions options;
  options.listen.host = options_.listen;
  options.listen.port = number;
  options.upstream.at.path = options_.broker_socket;
  options.tls = net::RelayOptions::Tls::terminate;
  net::TlsServerOptions& tls = options.server;
  tls.chain_file = options_.chain_file;
  tls.key_file = options_.key_file;
  tls.client_ca_file = options_.client_ca_file;
  options.certificates = options_.fault_certificates;
  using Client = net::TlsServerOptions::Client;
  tls.client = port == Port::mixed ? Client::optional : Client::required;
  tls.judge = parts_.judge;
  tls.accept_name = [this](const std::string& name) {
    return !name.empty() || !parts_.region.switches.require_sni;
  };
  tls.resumes = [this] { return parts_.region.switches.tls13_resumption; };
  options.turn_away = [this](const net::TlsFacts& facts) {
    auto words = parts_.turn_away(facts);
    settle_soon();
    return words;
  };
  options.websocket = port != Port::mqtt;
  if (port == Port::mixed) {
    tls.choose_alpn = choose_alpn;
    options.speaks_mqtt = [](const net::TlsFacts& facts) {
      return facts.alpn == kAlpnMqtt || facts.alpn == kAlpnCustom;
    };
  }
  options.http = [this](const net::HttpQuestion& question) {
    net::HttpAnswer answer =
        parts_.http != nullptr ? parts_.http(question) : net::HttpAnswer{404, {}, {}, {}, {}, {}};
    settle_soon();
    return answer;
  };
  options.refuse_upgrade = parts_.refuse_upgrade;
  if (port == Port::https) {  // no WebSocket there, as on AWS's 8443
    options.refuse_upgrade = [](const net::HttpQuestion&) {
      return net::HttpAnswer{404, {}, {}, {}, {}, {}};
    };
  }
  return options;
}

Status RegionServer::start() {
  if (Status loaded = load(); !loaded) return loaded;
  const struct {
    std::string name;
    Port port;
    std::uint16_t number;
  } all[] = {{kMqtt, Port::mqtt, options_.ports.mqtt},
             {kMixed, Port::mixed, options_.ports.mixed},
             {kHttps, Port::https, options_.ports.https}};
  for (const auto& one : all) {
    net::RelayOptions options = relay_options(one.port, one.number);
    options.name = one.name;
    options.stages = [this, name = one.name](const net::Visitor& visitor) {
      return stages(name, visitor);
    };
    auto relay = std::make_unique<net::Relay>(parts_.world, std::move(options));
    if (Status started = relay->start(); !started) {
      Error error = started.error();
      return std::move(error).with("port " + one.name);
    }
    relays_[one.name] = std::move(relay);
  }
  settle_soon();
  return {};
}

RegionPorts RegionServer::ports() const {
  return {relays_.at(kMqtt)->port(), relays_.at(kMixed)->port(), relays_.at(kHttps)->port()};
}

std::vector<std::unique_ptr<mqtt::Stage>> RegionServer::stages(const std::string& relay,
                                                               const net::Visitor& visitor) {
  auto door = std::make_unique<Watched>(*this, parts_.arrival(visitor));
  std::erase_if(homes_, [this](const auto& home) { return !parts_.region.knows(home.first); });
  homes_[door->who().connection] = {relays_.at(relay).get(), visitor.id};
  std::vector<std::unique_ptr<mqtt::Stage>> all;
  all.push_back(std::move(door));
  return all;
}

void RegionServer::settle_soon() {
  if (std::exchange(settling_, true)) return;
  parts_.world.loop.post([this] {
    settling_ = false;
    settle();
  });
}

void RegionServer::settle() {
  iot::Region& region = parts_.region;
  if (region.wake() <= parts_.world.clock.wall()) region.on_time();
  for (const std::uint64_t door : region.take_woken()) {
    const auto home = homes_.find(door);
    if (home != homes_.end()) home->second.relay->wake(home->second.id);
  }
  for (std::string& client_id : region.take_forgotten()) {
    upstream_->publisher.forget(std::move(client_id));
  }
  for (iot::Answer& message : region.take_published()) {
    if (!upstream_->publisher.add(std::move(message), parts_.world.clock.wall())) {
      parts_.world.trace.event("publisher_full", 0);
    }
  }
  upstream_->work();
  if (const Status saved = save(); !saved) {
    parts_.world.trace.event("state_not_saved", 0, {{"words", saved.error().message}});
  }
  const WallTime next = region.wake();
  if (next.ms == iot::Service::kNoTime) return timer_.cancel();
  const std::int64_t wait = std::max<std::int64_t>(0, next.ms - parts_.world.clock.wall().ms);
  timer_.arm_after(std::chrono::milliseconds(std::min<std::int64_t>(wait, 3'600'000)),
                   [this] { settle(); });
}

Status RegionServer::load() {
  const auto text = posix::read_file(options_.state_file, kStateMost);
  if (!text) {
    if (text.error().code == Errc::not_found) return {};
    return text.error();
  }
  const auto state = iot::parse_json(*text, {kStateMost, 64});
  Status loaded = state ? parts_.region.load(*state) : Status(state.error());
  if (!loaded) {
    Error error = loaded.error();
    return std::move(error).with(options_.state_file.string());
  }
  saved_ = parts_.region.revision();
  return {};
}

Status RegionServer::save() {
  const std::uint64_t revision = parts_.region.revision();
  if (revision == saved_) return {};
  Status saved = posix::replace_file(options_.state_file, iot::dump(parts_.region.save()));
  if (saved) saved_ = revision;
  return saved;
}

void RegionServer::add_operations(net::Control& control) {
  control.add("aws", [this](const net::Json& request, net::ControlSession&) -> Result<net::Json> {
    const std::string* operation = iot::string_in(request, "operation");
    if (operation == nullptr) return Error{Errc::invalid_argument, "operation is missing"};
    const net::Json input = request.value("input", net::Json::object());
    auto result = parts_.region.call(*operation, input);
    settle_soon();
    if (const auto* error = std::get_if<iot::ApiError>(&result)) {
      return net::Json{
          {"failure",
           {{"type", error->type}, {"status", error->status}, {"message", error->message}}}};
    }
    return net::Json{{"output", std::get<iot::Json>(std::move(result))}};
  });
  control.add("ports", [this](const net::Json&, net::ControlSession&) -> Result<net::Json> {
    const RegionPorts now = ports();
    return net::Json{{kMqtt, now.mqtt}, {kMixed, now.mixed}, {kHttps, now.https}};
  });
  for (const auto& [name, relay] : relays_) relay->add_operations(control, name + ".");
}

}  // namespace holdfast::lab
