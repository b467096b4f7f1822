// See metrics_service.h.
#include "runtime/metrics_service.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "engines/engine_list.h"
#include "host/http_server.h"
#include "host/prometheus_text.h"
#include "runtime/http_place.h"
#include "runtime/metrics_config.h"
#include "runtime/store_aside.h"

namespace holdfast::runtime {
namespace {

constexpr std::size_t kWordsMax = 200;  // of Device Defender, in a line of our log

/// Brings answers of other threads to the loop, for as long as there is one.
class Wire {
 public:
  explicit Wire(posix::EventLoop& loop) : loop_(&loop) {}
  void post(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    if (loop_ != nullptr) loop_->post(std::move(work));
  }
  void cut() {
    const std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  posix::EventLoop* loop_;
};

/// Device Defender's answers, which come on the executor's thread.
struct Verdicts {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> rejected{0};
};

/// "InvalidPayload: Malformed metrics report"
std::string words_of(const InboundMessage& message) {
  const auto body = nlohmann::json::parse(message.payload, nullptr, false);
  const auto text = [&](const char* key) -> std::string {
    if (!body.is_object() || !body.contains("statusDetails")) return "?";
    const auto& details = body["statusDetails"];
    if (!details.is_object() || !details.contains(key) || !details[key].is_string()) return "?";
    return details[key].get<std::string>().substr(0, kWordsMax);
  };
  return text("ErrorCode") + ": " + text("ErrorMessage");
}

/// On the storage thread: a disk that hangs holds up nothing but the answer.
StoreFigures look_at(const outbox::Outbox& outbox, const std::filesystem::path& directory) {
  outbox::StoreView view = outbox.view();
  StoreFigures figures;
  figures.lanes = std::move(view.session.lanes);
  figures.messages = std::move(view.waiting);
  figures.bytes = std::move(view.waiting_bytes);
  figures.file_bytes = view.bytes;
  std::error_code failure;
  const auto space = std::filesystem::space(directory, failure);
  if (!failure) {
    figures.disk_free = space.available;
    figures.disk_size = space.capacity;
  }
  return figures;
}

}  // namespace

std::string report_topic(const Config& config) {
  if (!config.metrics.topic.empty()) return config.metrics.topic;
  if (config.client_id.empty()) return {};
  if (config.metrics.format == MetricsFormat::json) return config.client_id + "/metrics";
  return "$aws/things/" + config.client_id + "/defender/metrics/json";
}

class MetricsService::Impl {
 public:
  explicit Impl(Sources sources)
      : s_(std::move(sources)),
        wire_(std::make_shared<Wire>(s_.loop)),
        lost_at_(s_.clock.now()),
        patience_(s_.loop),
        report_timer_(s_.loop) {}
  ~Impl() {
    wire_->cut();
    page_.reset();
    remove_socket_file(socket_);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status open() {
    const std::shared_ptr<const Config> config = s_.config();
    set_aside_ = stores_aside(config->outbox.directory);
    if (!config->metrics.listen.empty()) {
      auto text = host::PrometheusText::load();
      if (!text) return std::move(text).error();
      auto listening = listen_http(config->metrics.listen);
      if (!listening) return std::move(listening).error();
      socket_ = std::move(listening).value();
      page_ = std::make_unique<host::HttpServer>(
          s_.loop, std::move(socket_.fd),
          [this, text = std::move(text).value()](const host::HttpRequest& request,
                                                 const host::HttpServer::Answer& answer) {
            serve(text, request, answer);
          });
    }
    if (config->metrics.publish_every.count() > 0) {
      network_ = posix::network_figures();
      arm_first_report();
    }
    return {};
  }

  void connection_changed(const ConnectionState& state) {
    const bool connected = state.state == LinkState::connected;
    if (connected_ && !connected) {
      ++outages_;
      lost_at_ = s_.clock.now();
    }
    connected_ = connected;
    if (connected && report_owed_) arm_first_report();
  }

 private:
  using Then = std::function<void(const MetricFamilies&)>;

  void serve(const host::PrometheusText& text, const host::HttpRequest& request,
             const host::HttpServer::Answer& answer) {
    if (request.path != "/metrics") {
      return answer({.status = 404, .body = "The metrics are at /metrics.\n"});
    }
    collect([text, answer](const MetricFamilies& all) {
      answer({.type = host::kPrometheusContentType, .body = text.text(all)});
    });
  }

  /// All who ask meanwhile share one.
  void collect(Then then) {
    waiting_.push_back(std::move(then));
    if (waiting_.size() > 1) return;
    patience_.arm_after(kLookPatience, [this] { collected(); });
    if (looking_) return;  // the disk hangs; what it says in the end is taken then
    looking_ = true;
    s_.look([this, wire = wire_, alive = std::weak_ptr<bool>(alive_),
             directory = s_.config()->outbox.directory](outbox::Outbox& outbox) {
      auto figures = std::make_shared<StoreFigures>(look_at(outbox, directory));
      wire->post([this, alive, figures] {
        if (!alive.expired()) looked(std::move(*figures));
      });
      return true;
    });
  }

  void looked(StoreFigures figures) {
    looking_ = false;
    store_ = std::move(figures);
    looked_at_ = s_.clock.now();
    if (!waiting_.empty()) collected();
  }

  void collected() {
    patience_.cancel();
    const MetricFamilies all = metric_families(this->figures());
    for (const Then& then : std::exchange(waiting_, {})) then(all);
  }

  Figures figures() {
    const BootTime now = s_.clock.now();
    Figures f;
    f.state = s_.device.state();
    f.identity = s_.device.identity();
    f.filters = s_.device.filters();
    f.heartbeats = s_.device.heartbeats();
    f.progress = s_.device.progress();
    f.store_known = looked_at_.has_value();
    f.store = store_;
    f.set_aside = set_aside_;
    if (looked_at_) f.store_age = now - *looked_at_;
    f.written_bytes = s_.disk->written_bytes;
    f.flushes = s_.disk->flushes;
    f.outages = outages_;
    if (!connected_) f.offline = now - lost_at_;
    f.log = s_.device.log_state();
    f.process = posix::process_figures();
    f.uptime = posix::process_age(now);
    f.wall = s_.clock.wall();
    f.use = use();
    const std::shared_ptr<const Config> config = s_.config();
    f.outbox_limit = config->outbox.max_bytes;
    f.version = HOLDFAST_VERSION;
    f.engine = engines::kind_of(config->engine).name;
    return f;
  }

  [[nodiscard]] MetricsUse use() const {
    const host::HttpServer::Counts page = page_ ? page_->counts() : host::HttpServer::Counts{};
    return {page.answered, page.refused,     page.timed_out,      page.displaced,     page.lost,
            published_,    reports_refused_, verdicts_->accepted, verdicts_->rejected};
  }

  // ---- reports ----

  /// A fleet that starts, or comes back, at one moment does not report at one moment.
  void arm_first_report() {
    const auto most = std::min<Milliseconds>(kFirstReport, s_.config()->metrics.publish_every);
    arm_report(Milliseconds(s_.random.below(static_cast<std::uint64_t>(most.count()))));
  }

  void arm_report(Milliseconds delay) {
    report_timer_.arm_after(delay, [this] {
      // Nobody wants to read afterwards, one by one, what an outage was like: there is a history.
      report_owed_ = !connected_;
      if (report_owed_) return;
      arm_report(s_.config()->metrics.publish_every);
      collect([this](const MetricFamilies& all) { report(all); });
    });
  }

  void report(const MetricFamilies& all) {
    const std::shared_ptr<const Config> config = s_.config();
    Message message;
    message.topic = report_topic(*config);
    if (message.topic.empty()) return;  // the device has no name yet
    std::string text;
    if (config->metrics.format == MetricsFormat::defender) {
      hear_answers(message.topic);
      const auto network = posix::network_figures();
      // Seconds since 1970, as AWS recommends, but growing also where the clock steps back.
      report_id_ = std::max(report_id_ + 1, s_.clock.wall().ms / 1000);
      text = defender_report(all, report_id_, network_, network);
      network_ = network;
    } else {
      text = metrics_json(all, s_.clock.wall(), config->client_id);
    }
    for (const char c : text) message.payload.push_back(static_cast<std::byte>(c));
    message.content_type = "application/json";
    message.durability = Durability::memory;
    message.lane = config->lanes.back();
    message.expiry = config->metrics.publish_every;
    ++(s_.device.publish(std::move(message)) ? published_ : reports_refused_);
  }

  void hear_answers(const std::string& topic) {
    if (topic == heard_) return;
    for (const SubscriptionId old : std::exchange(answers_, {})) {
      static_cast<void>(s_.device.unsubscribe(old));
    }
    heard_ = topic;
    hear(topic + "/accepted",
         [verdicts = verdicts_](const InboundMessage&) { ++verdicts->accepted; });
    hear(topic + "/rejected", [verdicts = verdicts_, log = s_.log](const InboundMessage& answer) {
      ++verdicts->rejected;
      log({LogLevel::warning, LogArea::agent,
           "Device Defender rejected the metrics: " + words_of(answer)});
    });
  }

  void hear(std::string topic, MessageHandler handler) {
    auto id = s_.device.subscribe(std::move(topic), Qos::at_least_once, std::move(handler));
    if (id) {
      answers_.push_back(*id);
    } else {
      s_.log({LogLevel::warning, LogArea::agent,
              "metrics: no answers will be heard: " + id.error().message});
    }
  }

  Sources s_;
  const std::shared_ptr<Wire> wire_;
  /// Gone with this object: what the wire has brought may be run later.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ListeningSocket socket_;
  std::unique_ptr<host::HttpServer> page_;

  bool connected_ = false;
  BootTime lost_at_;
  std::uint64_t outages_ = 0;

  std::vector<Then> waiting_;  // for what is being collected
  bool looking_ = false;
  std::size_t set_aside_ = 0;  // none is added while the program runs
  StoreFigures store_;
  std::optional<BootTime> looked_at_;
  posix::Timer patience_;

  posix::Timer report_timer_;
  std::uint64_t published_ = 0;
  std::uint64_t reports_refused_ = 0;
  std::int64_t report_id_ = 0;
  bool report_owed_ = false;                      // it was due while there was no connection
  std::optional<posix::NetworkFigures> network_;  // at the report before
  std::string heard_;                             // the topic whose answers are subscribed to
  std::vector<SubscriptionId> answers_;
  const std::shared_ptr<Verdicts> verdicts_ = std::make_shared<Verdicts>();
};

Result<std::unique_ptr<MetricsService>> MetricsService::open(Sources sources) {
  auto impl = std::make_unique<Impl>(std::move(sources));
  if (Status opened = impl->open(); !opened) {
    return std::move(opened).error().with("metrics.listen");
  }
  return std::unique_ptr<MetricsService>(new MetricsService(std::move(impl)));
}

MetricsService::MetricsService(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsService::~MetricsService() = default;

void MetricsService::connection_changed(const ConnectionState& state) {
  impl_->connection_changed(state);
}

}  // namespace holdfast::runtime
