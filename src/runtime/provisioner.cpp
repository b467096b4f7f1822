// See provisioner.h.
#include "runtime/provisioner.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "base/limits.h"
#include "identity/expiry.h"
#include "identity/provisioning.h"
#include "identity/store.h"
#include "identity/whole_file.h"
#include "link/supervisor.h"
#include "posix/event_loop.h"
#include "posix/system.h"
#include "runtime/identity_install.h"
#include "runtime/identity_slots.h"
#include "runtime/logins.h"
#include "runtime/provisioning_words.h"
#include "runtime/question_line.h"
#include "transport/identity_check.h"
#include "transport/key_request.h"

namespace holdfast::runtime {

namespace {

namespace fs = std::filesystem;
using identity::ProvisionJournal;
using identity::ProvisionOrder;
using identity::ProvisionOutcome;
using identity::ProvisionPhase;
using identity::ProvisionTrouble;
using Kind = ProvisionTrouble::Kind;
using Slot = IdentitySlot;

constexpr std::string_view kJournal = "journal";
constexpr std::string_view kRenewal = "renewal";
constexpr std::string_view kClaim = "claim.pem";
constexpr std::size_t kParameterFileMax = 4096;
constexpr std::size_t kClaimFileMax = 64 * limits::kKiB;
/// A pre-provisioning hook may take five seconds, and the service its own time.
constexpr Duration kAnswerTime = std::chrono::seconds(30);
/// How soon a claim that has come is noticed.
constexpr Duration kLookEvery = std::chrono::seconds(1);
/// After a successor that was not kept.
constexpr Milliseconds kRenewAgain = std::chrono::hours(24);
constexpr std::uint8_t kNotAuthorized = 0x87;

ProvisionOutcome trouble(Kind kind, std::string words) {
  ProvisionOutcome outcome;
  outcome.done = false;
  outcome.trouble = {kind, std::move(words)};
  return outcome;
}

ProvisionOutcome outcome_of(const Status& status) {
  return status ? ProvisionOutcome{} : trouble(Kind::passing, status.error().message);
}

fs::path folder_of(const Config& config) { return config.identity.directory / kProvisioningFolder; }

Result<ProvisionJournal> read_journal(env::Disk& disk, std::string_view name) {
  auto text = identity::read_whole_durable(disk, name, identity::kProvisionJournalMax);
  if (!text && text.error().code == Errc::not_found) return ProvisionJournal{};
  if (!text) return std::move(text).error();
  auto journal = identity::parse_provision_journal(text->text());
  if (!journal) return std::move(journal).error().with("provisioning journal");
  return journal;
}

bool any_usable(const identity::Slots& slots) {
  return std::any_of(slots.views.begin(), slots.views.end(),
                     [](const identity::View& view) { return view.usable(); });
}

/// "@FILE" stands for the first line of the file.
Result<Parameters> filled_in(const Parameters& parameters) {
  Parameters filled = parameters;
  for (auto& [name, value] : filled) {
    if (!value.starts_with('@')) continue;
    auto text = posix::read_file(value.substr(1), kParameterFileMax);
    if (!text) return std::move(text).error().with("provisioning.parameters: " + name);
    // The device tree's texts end with a NUL.
    value = text->substr(0, text->find_first_of(std::string_view("\n\r\0", 3)));
  }
  return filled;
}

std::vector<fs::path> claim_files(const Config::Provisioning& wanted) {
  std::vector<fs::path> files;
  for (const fs::path& file : {wanted.claim_certificate, wanted.claim_key, wanted.claim_file}) {
    if (!file.empty()) files.push_back(file);
  }
  return files;
}

/// What changes when a file does.
std::string mark_of(const fs::path& file) {
  std::error_code failure;
  const auto time = fs::last_write_time(file, failure);
  if (failure) return "-";
  return std::to_string(time.time_since_epoch().count()) + ' ' +
         std::to_string(fs::file_size(file, failure));
}

}  // namespace

class Provisioner::Work {
 public:
  Work(ProvisionWish wish, ProvisionListener listener, std::unique_ptr<env::Disk> disk)
      : wish_(std::move(wish)),
        config_(wish_.config),
        listener_(std::move(listener)),
        disk_(std::move(disk)) {}

  Status begin() {
    // What cut writes have left may hold keys.
    for (const std::string_view name : {kJournal, kRenewal, kClaim}) {
      static_cast<void>(disk_->remove(std::string(name) + std::string(identity::kUnfinished)));
    }
    auto journal = read_journal(*disk_, journal_name());
    if (!journal && journal.error().code == Errc::corrupt) journal = set_aside(journal.error());
    if (!journal) return std::move(journal).error();
    SlotReader reader(config_);
    const identity::Slots slots = reader.read();
    identity::ProvisionStart start;
    start.has_active = any_usable(slots);
    const identity::View& active = slots[Slot::active];
    if (wish_.renewal) {
      if (Status may = may_renew(slots, *journal); !may) return may;
    }
    const bool over = journal->phase == ProvisionPhase::done && !start.has_active;
    if ((over || wish_.anew) && !wish_.renewal && !journal->certificate_id.empty()) {
      warn("it begins anew; certificate " + journal->certificate_id +
           ", which it had before, may still be in force: delete it in the cloud");
    }
    if (wish_.anew) journal = ProvisionJournal{};
    start.active_is_journals =
        start.has_active && (journal->phase == ProvisionPhase::done ||
                             active.id == transport::content_id(journal->credential().text()));
    start.journal = std::move(journal).value();
    random_ = posix::make_random();
    saga_.emplace(identity::ProvisionPlan{config_.provisioning.csr, wish_.renewal,
                                          config_.provisioning.retire_claim},
                  std::move(start), *random_);
    return {};
  }

  ProvisionEnd run() {
    const BootTime begun = clock_->now();
    if (wish_.timeout) deadline_ = begun + *wish_.timeout;
    bool worked = false;
    for (;;) {
      show();
      const auto order = saga_->next(clock_->now());
      if (order.what == ProvisionOrder::end) break;
      if (order.what == ProvisionOrder::wait) {
        if (wish_.give_up_when_blocked && saga_->state().blocked) return ProvisionEnd::blocked;
        if (!wait_until(order.until)) return over();
        continue;
      }
      worked = true;
      show();
      ProvisionOutcome outcome = carry_out(order.what);
      if (stopped_) return over();
      saga_->done(clock_->now(), clock_->wall(), std::move(outcome));
    }
    line_.leave();
    show();
    static_cast<void>(disk_->remove(kClaim));
    return worked ? ProvisionEnd::done : ProvisionEnd::nothing_to_do;
  }

  void stop() {
    stopped_ = true;
    loop_.stop();
  }

  [[nodiscard]] const identity::Provisioning& saga() const { return *saga_; }

 private:
  [[nodiscard]] std::string_view journal_name() const {
    return wish_.renewal ? kRenewal : kJournal;
  }

  void warn(const std::string& line) {
    if (listener_.warn) listener_.warn(line);
  }

  /// Nobody can mend it from afar, and a device without a certificate helps nobody.
  Result<ProvisionJournal> set_aside(const Error& damage) {
    auto moved = posix::move_aside(folder_of(config_), std::string(journal_name()), "damaged");
    if (!moved) return std::move(moved).error();
    warn(damage.message + "; it is set aside as " + *moved +
         ", and a certificate that it knew may be in force");
    return ProvisionJournal{};
  }

  /// One successor at a time: each is a certificate in force.
  Status may_renew(const identity::Slots& slots, const ProvisionJournal& journal) {
    if (!slots[Slot::active].usable()) {
      return Error{Errc::not_found, "there is no active certificate that could be renewed", 0};
    }
    const bool begun =
        journal.phase != ProvisionPhase::none && journal.phase != ProvisionPhase::done;
    const identity::View& next = slots[Slot::next];
    if (begun || wish_.anew || !next.usable()) return {};
    auto disk = posix::open_existing_disk(config_.identity.directory);
    if (!disk) return std::move(disk).error();
    const auto record = identity::Store(**disk).read_record();
    const bool over = record && *record && (*record)->id == next.id;
    if (over) return {};  // kept, and soon moved; or rolled back
    return Error{Errc::in_use,
                 "a certificate waits in the slot next already; see holdfast identity, or take it "
                 "away by holdfast identity rollback",
                 0};
  }

  ProvisionEnd over() {
    line_.leave();
    return stopped_ ? ProvisionEnd::stopped : ProvisionEnd::timed_out;
  }

  void show() {
    if (shown_ && *shown_ == saga_->state()) return;
    shown_ = saga_->state();
    if (listener_.changed) listener_.changed(*shown_);
  }

  /// False: the run is over.
  bool wait_until(BootTime until) {
    line_.leave();
    const std::string before = claim_mark();
    while (!stopped_) {
      const BootTime now = clock_->now();
      if (now >= deadline_) return false;
      if (now >= until) return true;
      line_.pause(std::min({Duration(until - now), Duration(deadline_ - now), kLookEvery}));
      if (claim_mark() == before) continue;
      saga_->nudge();
      return true;
    }
    return false;
  }

  [[nodiscard]] std::string claim_mark() const {
    std::string marks;
    for (const fs::path& file : claim_files(config_.provisioning)) marks += mark_of(file) + ',';
    return marks;
  }

  ProvisionOutcome carry_out(ProvisionOrder order) {
    switch (order) {
      case ProvisionOrder::make_key:
        return make_key();
      case ProvisionOrder::write:
        return outcome_of(identity::replace_whole(*disk_, journal_name(),
                                                  identity::to_text(saga_->journal()).text()));
      case ProvisionOrder::connect:
        return connect();
      case ProvisionOrder::subscribe:
        return subscribe();
      case ProvisionOrder::ask:
        return ask_certificate();
      case ProvisionOrder::register_thing:
        return register_thing();
      case ProvisionOrder::leave:
        line_.leave();
        return {};
      case ProvisionOrder::verify:
        return verify();
      case ProvisionOrder::install:
        return outcome_of(install());
      default:
        return outcome_of(retire_claim());
    }
  }

  static ProvisionOutcome make_key() {
    auto key = transport::make_key();
    if (!key) return trouble(Kind::passing, key.error().message);
    ProvisionOutcome outcome;
    outcome.key = std::move(key).value();
    return outcome;
  }

  // ---- connections ------------------------------------------------------------------------------

  /// What every connection of ours has: nothing that others would notice, or that stays.
  Result<env::ConnectRequest> request(const TlsConfig& tls, const std::string& client_id) {
    env::ConnectRequest request = link::request_from(config_);
    request.tls = tls;
    request.client_id = client_id;
    request.will.reset();
    request.clean_start = true;
    request.session_expiry = Seconds(0);
    request.id_property.clear();
    request.topic_aliases = 0;
    if (Status filled = fill_in_logins(request, clock_->wall()); !filled) {
      return std::move(filled).error();
    }
    return request;
  }

  [[nodiscard]] TlsConfig tls_with(const fs::path& certificate, const fs::path& key) const {
    TlsConfig tls = config_.tls;
    tls.key_uri.clear();
    tls.pin_file.clear();
    tls.cert_file = certificate;
    tls.key_file = key;
    return tls;
  }

  std::string claims_id() {
    const std::string& own = config_.provisioning.client_id;
    if (!own.empty()) return own;
    if (!config_.client_id.empty()) {
      const std::string suffix = wish_.renewal ? "-renewal" : "-claim";
      return config_.client_id.substr(0, limits::kClientIdMax - suffix.size()) + suffix;
    }
    if (random_id_.empty()) random_id_ = "claim-" + std::to_string(random_->next());
    return random_id_;
  }

  [[nodiscard]] const char* whose() const {
    return wish_.renewal ? "the active certificate" : "the claim certificate";
  }

  /// The files that we come with.
  Result<TlsConfig> claims_tls() {
    const Config::Provisioning& wanted = config_.provisioning;
    if (wish_.renewal) {
      Config active = config_;
      use_active_slot(active);
      return active.tls;
    }
    if (wanted.claim_file.empty()) return tls_with(wanted.claim_certificate, wanted.claim_key);
    auto text = posix::read_file(wanted.claim_file, kClaimFileMax);
    if (!text) return std::move(text).error();
    const Secret whole(std::move(text).value());
    auto claim = read_claim(whole.text());
    if (!claim) return std::move(claim).error().with("claim " + wanted.claim_file.string());
    if (Status kept = identity::replace_whole(*disk_, kClaim, claim->text()); !kept) {
      return std::move(kept).error();
    }
    const fs::path file = folder_of(config_) / kClaim;
    return tls_with(file, file);
  }

  ProvisionOutcome connect() {
    auto tls = claims_tls();
    if (!tls) return trouble(Kind::passing, "no claim: " + tls.error().message);
    auto asked = request(*tls, claims_id());
    if (!asked) return trouble(Kind::passing, asked.error().message);
    const auto failure = line_.connect(std::move(asked).value());
    if (!failure) return {};
    ProvisionOutcome outcome;
    outcome.done = false;
    outcome.trouble = trouble_of(*failure, whose());
    return outcome;
  }

  /// With the journal itself, which has both as PEM. Nothing is asked; to be let in is enough.
  ProvisionOutcome verify() {
    const ProvisionJournal& journal = saga_->journal();
    std::string id = config_.client_id;
    if (id.empty()) id = journal.thing;
    const bool nameless = id.empty();
    const fs::path file = folder_of(config_) / journal_name();
    auto asked = request(tls_with(file, file), nameless ? claims_id() : id);
    if (!asked) return trouble(Kind::passing, asked.error().message);
    const auto failure = line_.connect(std::move(asked).value());
    line_.leave();
    ProvisionOutcome outcome;
    if (failure) {
      outcome.done = false;
      outcome.trouble = trouble_of(*failure, "certificate " + journal.certificate_id);
    }
    const bool known = !failure || outcome.trouble.kind == Kind::denied;
    if (!nameless || !known) return outcome;
    return trouble(Kind::denied, "certificate " + journal.certificate_id +
                                     " is registered, but the answer that named its thing was "
                                     "lost; set connection.client_id, or delete the certificate "
                                     "in the cloud and provision anew");
  }

  // ---- questions --------------------------------------------------------------------------------

  [[nodiscard]] bool registering() const {
    return saga_->journal().phase == ProvisionPhase::certificate;
  }
  [[nodiscard]] std::string topic() const {
    if (registering()) return topic_register(config_.provisioning.template_name);
    return std::string(config_.provisioning.csr ? kTopicCreateFromCsr : kTopicCreate);
  }

  ProvisionOutcome subscribe() {
    for (const char* end : {"/accepted", "/rejected"}) {
      const std::string filter = topic() + end;
      const QuestionLine::End over = line_.subscribe({filter, Qos::at_least_once, false});
      if (over.answered && over.code < kFirstRefusal) continue;
      if (over.answered) return policy_trouble("subscribe to", filter);
      if (over.failure) return ended("subscribing to", filter, *over.failure);
      return trouble(Kind::passing, "no answer to the subscription to " + filter);
    }
    return {};
  }

  [[nodiscard]] ProvisionOutcome policy_trouble(const char* what, const std::string& topic) const {
    return trouble(Kind::final, std::string("the policy of ") + whose() + " does not allow to " +
                                    what + ' ' + topic);
  }

  /// 3.1.1, and some brokers always, refuse by hanging up.
  ProvisionOutcome ended(const char* what, const std::string& topic,
                         const env::Failure& failure) const {
    ProvisionOutcome outcome;
    outcome.done = false;
    outcome.trouble = trouble_of(failure, whose());
    outcome.trouble.kind =
        outcome.trouble.kind == Kind::throttled ? Kind::throttled : Kind::hung_up;
    outcome.trouble.words = std::string("the connection ended while ") + what + ' ' + topic + " (" +
                            outcome.trouble.words + "); does the policy of " + whose() +
                            " allow it?";
    return outcome;
  }

  template <class Read>
  ProvisionOutcome ask(const std::string& payload, Read read) {
    const std::string to = topic();
    const QuestionLine::Answer answer =
        line_.ask(to, payload, to + "/accepted", to + "/rejected", kAnswerTime);
    if (answer.answered && answer.topic.ends_with("/accepted")) return read(answer.payload);
    if (answer.answered) {
      ProvisionOutcome outcome;
      outcome.done = false;
      outcome.trouble = read_rejection(answer.payload);
      return outcome;
    }
    if (answer.failure) return ended("asking", to, *answer.failure);
    if (answer.code == kNotAuthorized) return policy_trouble("publish to", to);
    if (answer.code >= kFirstRefusal) {
      return trouble(Kind::passing,
                     "the broker refused the question with " + std::to_string(answer.code));
    }
    return trouble(Kind::unanswered, "no answer came on " + to +
                                         "/accepted or /rejected; does the policy of " + whose() +
                                         " allow to receive them?");
  }

  ProvisionOutcome ask_certificate() {
    const ProvisionJournal& journal = saga_->journal();
    std::string payload;
    if (config_.provisioning.csr) {
      const std::string name = config_.client_id.empty() ? "holdfast" : config_.client_id;
      auto made = transport::make_certificate_request(journal.key, name);
      if (!made) return trouble(Kind::final, made.error().message);
      payload = csr_payload(*made);
    }
    return ask(payload, [&](const std::string& answer) {
      ProvisionOutcome outcome = read_certificate(answer);
      if (!outcome.done) return outcome;
      if (config_.provisioning.csr) outcome.key = journal.key.copy();
      const Secret certificate(outcome.certificate);
      const auto fits = transport::inspect_identity(
          {certificate, "in the service's answer", &outcome.key, "of this device"});
      return fits ? std::move(outcome) : trouble(Kind::unanswered, fits.error().message);
    });
  }

  ProvisionOutcome register_thing() {
    auto parameters = filled_in(config_.provisioning.parameters);
    if (!parameters) return trouble(Kind::final, parameters.error().message);
    return ask(register_payload(saga_->journal().token.text(), *parameters), read_registration);
  }

  // ---- files ------------------------------------------------------------------------------------

  Status install() {
    auto disk = open_slots(config_.identity.directory);
    if (!disk) return std::move(disk).error();
    identity::Store store(**disk);
    const Secret credential = saga_->journal().credential();
    return wish_.renewal ? store.install(credential) : store.keep(credential, nullptr);
  }

  Status retire_claim() {
    for (const fs::path& file : claim_files(config_.provisioning)) {
      std::error_code failure;
      fs::remove(file, failure);
      if (failure) {
        return Error{Errc::io,
                     "the claim " + file.string() + " could not be removed: " + failure.message(),
                     failure.value()};
      }
    }
    return {};
  }

  ProvisionWish wish_;
  const Config& config_;
  ProvisionListener listener_;
  std::unique_ptr<env::Disk> disk_;
  std::unique_ptr<env::Random> random_;
  std::string random_id_;
  std::optional<identity::Provisioning> saga_;
  std::optional<ProvisioningState> shown_;
  BootTime deadline_ = kNever;
  std::atomic<bool> stopped_ = false;
  std::unique_ptr<env::Clock> clock_ = posix::make_clock();
  posix::EventLoop loop_;
  std::unique_ptr<env::Resolver> resolver_ = posix::make_resolver(loop_);
  QuestionLine line_{loop_, *resolver_, *clock_, config_.engine};
};

Provisioner::Provisioner(std::unique_ptr<Work> work) : work_(std::move(work)) {}
Provisioner::~Provisioner() = default;

Result<std::unique_ptr<Provisioner>> Provisioner::open(ProvisionWish wish,
                                                       ProvisionListener listener) {
  auto disk = posix::open_disk(folder_of(wish.config));
  if (!disk) return std::move(disk).error().with("identity.directory");
  if (Status locked = (*disk)->lock(); !locked) return std::move(locked).error();
  auto work = std::make_unique<Work>(std::move(wish), std::move(listener), std::move(disk).value());
  if (Status begun = work->begin(); !begun) return std::move(begun).error();
  return std::unique_ptr<Provisioner>(new Provisioner(std::move(work)));
}

ProvisionEnd Provisioner::run() { return work_->run(); }
void Provisioner::stop() { work_->stop(); }
const ProvisioningState& Provisioner::state() const { return work_->saga().state(); }
const std::string& Provisioner::configuration() const {
  return work_->saga().journal().configuration;
}
const std::vector<std::string>& Provisioner::given_up() const {
  return work_->saga().journal().given_up;
}

bool has_provisioning_work(const Config& config) {
  const Config::Provisioning& wanted = config.provisioning;
  if (!wanted.wanted()) return false;
  if (!any_usable(SlotReader(config).read())) return true;
  if (!wanted.retire_claim) return false;
  const auto files = claim_files(wanted);
  if (std::none_of(files.begin(), files.end(), [](const fs::path& file) {
        std::error_code failure;
        return fs::exists(file, failure);
      })) {
    return false;
  }
  const auto disk = posix::open_existing_disk(folder_of(config));
  const auto journal =
      disk ? read_journal(**disk, kJournal) : Result<ProvisionJournal>(ProvisionJournal{});
  return journal && journal->phase == ProvisionPhase::done;
}

bool renews_by_itself(const Config& config) {
  return config.provisioning.wanted() && config.provisioning.renew_every > Seconds(0);
}

std::optional<Milliseconds> until_renewal(const Config& config, WallTime now) {
  if (!renews_by_itself(config)) return std::nullopt;
  const identity::View active = SlotReader(config).read()[Slot::active];
  if (!active.usable()) return std::nullopt;
  std::int64_t due = identity::renewal_due(active.state, config.provisioning.renew_every).ms;
  const auto disk = posix::open_existing_disk(folder_of(config));
  const auto journal =
      disk ? read_journal(**disk, kRenewal) : Result<ProvisionJournal>(ProvisionJournal{});
  // One that came to nothing is a certificate in force: not another one each hour.
  if (journal && journal->phase == ProvisionPhase::done) {
    due = std::max(due, journal->received.ms + kRenewAgain.count());
  }
  return Milliseconds(std::max<std::int64_t>(due - now.ms, 0));
}

std::string provisioned_thing(const Config& config) {
  if (!config.provisioning.wanted()) return {};
  const auto disk = posix::open_existing_disk(folder_of(config));
  if (!disk) return {};
  auto journal = read_journal(**disk, kJournal);
  return journal ? journal->thing : std::string();
}

void use_provisioned_name(Config& config) {
  if (!config.client_id.empty() || config.assigned_client_id) return;
  config.client_id = provisioned_thing(config);
}

}  // namespace holdfast::runtime
