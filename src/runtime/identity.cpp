// See identity.h.
#include "runtime/identity.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "identity/store.h"
#include "posix/system.h"
#include "transport/identity_check.h"
#include "transport/tls_errors.h"

namespace holdfast::runtime {

namespace {

namespace fs = std::filesystem;
using identity::Rotation;
using identity::Store;
using Slot = IdentitySlot;

/// Everything that the storage thread needs; it may be left behind with a disk that hangs.
struct Writes {
  fs::path directory;
  bool keep = false;
  std::string tried;             ///< The content that was proven.
  std::optional<Slot> fallback;  ///< What becomes `previous`.
  fs::path certificate;          ///< ... if it is in these files.
  fs::path key;
  std::optional<identity::Record> record;
};

Status carry_out_keep(const Writes& writes, Store& store) {
  const auto next = store.read(Slot::next);
  if (!next) return next.error();
  if (transport::content_id(next->text()) != writes.tried) {
    return Error{Errc::not_found, "another certificate has come meanwhile", 0};
  }
  std::optional<Secret> before;
  if (!writes.certificate.empty()) {
    auto pair = bundle(writes.certificate, writes.key, "");
    if (pair) before = std::move(pair).value();
  } else if (writes.fallback) {
    auto content = store.read(*writes.fallback);
    if (content) before = std::move(content).value();
  }
  return store.keep(*next, before ? &*before : nullptr);
}

Status carry_out_writes(const Writes& writes) {
  auto disk = posix::open_existing_disk(writes.directory);
  if (!disk) return std::move(disk).error();
  if (Status locked = (*disk)->lock(); !locked) return locked;
  Store store(**disk);
  if (writes.keep) {
    if (Status kept = carry_out_keep(writes, store); !kept) return kept;
  }
  return writes.record ? store.write_record(*writes.record) : Status();
}

std::int64_t seconds_of(WallTime time) { return time.ms / 1000; }

}  // namespace

/// Where the storage thread's answers go, as long as there is somebody to hear them.
struct Identity::Answers {
  std::mutex mutex;
  std::function<void(std::function<void()>)> post;  // empty: nobody
};

std::optional<std::int32_t> certificate_days_left(const IdentityState& state, WallTime clock) {
  const SlotState& mine = state.slots[static_cast<std::size_t>(state.in_use)];
  WallTime now = std::max(clock, transport::build_time());
  // Whoever is let in with a certificate knows that its time has begun.
  if (mine.not_after != 0) now = std::max(now, WallTime{mine.not_before * 1000});
  return identity::days_left(mine, now);
}

Identity::Identity(posix::EventLoop& loop, const env::Clock& clock, Storage& storage,
                   const Config& config, Hooks hooks)
    : loop_(loop),
      clock_(clock),
      storage_(storage),
      hooks_(std::move(hooks)),
      directory_(config.identity.directory),
      reader_(config),
      rotation_(config.timing.stable_after),
      timer_(loop),
      answers_(std::make_shared<Answers>()) {
  answers_->post = [&loop](std::function<void()> work) { loop.post(std::move(work)); };
  open_directory();
  slots_ = reader_.read();
  rotation_.look(slots_);
}

Identity::~Identity() {
  const std::lock_guard lock(answers_->mutex);
  answers_->post = nullptr;
}

// Made if it is missing, so that it can be watched.
void Identity::open_directory() {
  if (directory_.empty()) return;
  auto disk = posix::open_disk(directory_);
  if (!disk) {
    warn("identity.directory: " + disk.error().message);
    return;
  }
  const auto record = Store(**disk).read_record();
  if (!record) {
    warn("how the last change of the certificate ended is not known: " + record.error().message);
  } else if (*record) {
    rotation_.remember(**record);
  }
  // Somebody who installs at this moment has the lock, and cleans up behind himself.
  if ((*disk)->lock()) static_cast<void>(Store(**disk).tidy());
}

void Identity::reconfigure(const Config& config) {
  rotation_.set_proof(config.timing.stable_after);
  reader_ = SlotReader(config);
  if (directory_ != config.identity.directory) {
    directory_ = config.identity.directory;
    rotation_ = Rotation(config.timing.stable_after);
    open_directory();
  }
  look();
}

identity::KnownTime Identity::time() const {
  identity::KnownTime time{clock_.wall(), std::max(transport::build_time(), hooks_.floor())};
  for (const Slot slot : {Slot::active, Slot::previous}) {
    if (slots_[slot].usable()) {
      time.floor = std::max(time.floor, WallTime{slots_[slot].state.not_before * 1000});
    }
  }
  return time;
}

const SlotState& Identity::slot_in_use() const { return slots_[rotation_.in_use()].state; }

void Identity::look() {
  slots_ = reader_.read();
  rotation_.look(slots_);
  serve(true);
}

void Identity::service() { serve(true); }

void Identity::serve(bool may_renew) {
  carry_out(rotation_.service(clock_.now(), time()), may_renew);
  const auto warning = expiry_.service(slot_in_use(), time().best());
  if (warning) warn(*warning);
  hooks_.changed(state(), warning.has_value());
  BootTime wake = rotation_.next_wake();
  if (expiry_.next_in()) wake = std::min(wake, clock_.now() + *expiry_.next_in());
  timer_.arm_at(wake, [this] { serve(true); });
}

void Identity::warn(std::string text) {
  hooks_.log({LogLevel::warning, LogArea::identity, std::move(text)});
}

void Identity::carry_out(Rotation::Orders orders, bool may_renew) {
  for (const LogLine& line : orders.log) hooks_.log(line);
  if (orders.keep || orders.record) post_writes(orders);
  if (orders.renew && may_renew) hooks_.renew();
}

void Identity::post_writes(const Rotation::Orders& orders) {
  Writes writes;
  writes.directory = directory_;
  writes.record = orders.record;
  if (orders.keep) {
    writes.keep = true;
    writes.tried = slots_[Slot::next].id;
    writes.fallback = rotation_.fallback();
    writes.record = rotation_.record();  // also where an earlier attempt could not write it
    if (reader_.pair_is_active() && writes.fallback == Slot::active) {
      writes.certificate = reader_.certificate_file();
      writes.key = reader_.key_file();
    }
  }
  storage_.look([this, writes = std::move(writes), answers = answers_](outbox::Outbox&) {
    const Status status = carry_out_writes(writes);
    const std::lock_guard lock(answers->mutex);
    if (answers->post) {
      answers->post([this, kept = writes.keep, status] { written(kept, status); });
    }
    return true;
  });
}

void Identity::written(bool kept, const Status& status) {
  if (kept) {
    rotation_.kept(clock_.now(), status);
    look();
  } else if (!status) {
    warn(
        "how the change of the certificate ended was not written down, so it is tried again after "
        "a restart: " +
        status.error().message);
  }
}

// ---- the connection -----------------------------------------------------------------------------

void Identity::fill_in(env::ConnectRequest& request) {
  if (directory_.empty() && request.tls.cert_file.empty()) return;
  slots_ = reader_.read();
  rotation_.look(slots_);
  serve(false);  // what it chooses now is what is used
  attempt_ = request.attempt;
  rotation_.began();
  lend(request);
}

void Identity::lend(env::ConnectRequest& request) const {
  const bool pair = reader_.pair_is_active() && rotation_.in_use() == Slot::active;
  if (directory_.empty() || pair) return;
  request.tls.cert_file = directory_ / identity::file_of(rotation_.in_use());
  request.tls.key_file = request.tls.cert_file;
}

void Identity::up(env::AttemptId attempt) {
  if (attempt != attempt_) return;
  rotation_.up(clock_.now());
  serve(true);
}

void Identity::ended(env::AttemptId attempt, const env::Failure& failure) {
  if (attempt != attempt_) return;
  attempt_ = 0;
  rotation_.ended(clock_.now(), failure.verdict, failure.detail);
  serve(true);
}

void Identity::aborted() { ended(attempt_, {Verdict::engine_failed, 0, "no result"}); }

std::vector<fs::path> Identity::files() const {
  if (directory_.empty()) return {};
  std::vector<fs::path> files;
  for (const Slot slot : {Slot::active, Slot::next, Slot::previous}) {
    files.push_back(directory_ / identity::file_of(slot));
  }
  return files;
}

IdentityState Identity::state() const {
  IdentityState state;
  state.directory = directory_;
  for (std::size_t i = 0; i < kIdentitySlots; ++i) state.slots[i] = slots_.views[i].state;
  state.in_use = rotation_.in_use();
  state.phase = rotation_.phase();
  state.phase_reason = rotation_.reason();
  const identity::Record& record = rotation_.record();
  state.last = record.result;
  state.last_reason = record.reason;
  state.last_fingerprint = record.fingerprint;
  state.last_at = seconds_of(record.at);
  state.kept = rotation_.kept_count();
  state.rolled_back = rotation_.rolled_back_count();
  state.clock_suspect = time().suspect();
  return state;
}

}  // namespace holdfast::runtime
