// See identities.h.
#include "runtime/identities.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "link/endpoint_config.h"

namespace holdfast::runtime {
namespace {

/// Of the files that make a device known, so that equal ones are read, tried and moved once.
std::string key_of(const Config& config) {
  std::string key = config.identity.directory.string();
  for (const auto* part : {&config.tls.cert_file, &config.tls.key_file, &config.tls.pin_file}) {
    key += '\n' + part->string();
  }
  return key + '\n' + config.tls.key_uri;
}

}  // namespace

Identities::Identities(posix::EventLoop& loop, const env::Clock& clock, Storage& storage,
                       const Config& config, Identity::Hooks hooks)
    : loop_(loop), clock_(clock), storage_(storage), hooks_(std::move(hooks)) {
  arrange(config);
}

void Identities::reconfigure(const Config& config) {
  arrange(config);
  look();  // those that were made anew, too
}

void Identities::arrange(const Config& config) {
  std::vector<One> before = std::move(all_);
  all_.clear();
  of_.clear();
  for (std::size_t i = 0; i < link::endpoint_count(config); ++i) {
    const Config own = link::config_of(config, i);
    const std::string key = key_of(own);
    auto there = std::find_if(all_.begin(), all_.end(), [&](const One& o) { return o.key == key; });
    if (there == all_.end()) there = all_.insert(all_.end(), take(before, own, key, i == 0));
    of_.push_back(static_cast<std::size_t>(there - all_.begin()));
  }
  const auto used =
      std::find_if(all_.begin(), all_.end(), [&](const One& one) { return one.id == id_in_use_; });
  in_use_ = used == all_.end() ? 0 : static_cast<std::size_t>(used - all_.begin());
  id_in_use_ = all_[in_use_].id;
}

/// One of those there were, if it fits; the first endpoint's is changed rather than made anew.
Identities::One Identities::take(std::vector<One>& before, const Config& own, std::string key,
                                 bool first) {
  auto kept = std::find_if(before.begin(), before.end(),
                           [&](const One& one) { return one.identity && one.key == key; });
  if (first && kept == before.end()) kept = before.begin();
  if (kept != before.end()) {
    One one = std::move(*kept);
    one.key = std::move(key);
    one.identity->reconfigure(own);
    return one;
  }
  const unsigned id = ++last_id_;
  auto hooks = hooks_of(id, first ? std::string() : own.name);
  return {id, std::move(key),
          std::make_unique<Identity>(loop_, clock_, storage_, own, std::move(hooks))};
}

Identity::Hooks Identities::hooks_of(unsigned id, const std::string& name) {
  const std::string prefix = name.empty() ? "" : name + ": ";
  return {[this, prefix](const LogLine& line) {
            LogLine said = line;
            said.text.insert(0, prefix);
            hooks_.log(said);
          },
          [this, id] {
            if (id == id_in_use_) hooks_.renew();
          },
          [this, id](IdentityState state, bool warned) {
            if (id == id_in_use_) hooks_.changed(std::move(state), warned);
          },
          hooks_.floor};
}

void Identities::look() {
  for (const One& one : all_) one.identity->look();
}

void Identities::service() {
  for (const One& one : all_) one.identity->service();
}

void Identities::fill_in(env::ConnectRequest& request) {
  HF_CHECK(request.endpoint < of_.size());
  in_use_ = of_[request.endpoint];
  const bool other = std::exchange(id_in_use_, all_[in_use_].id) != all_[in_use_].id;
  all_[in_use_].identity->fill_in(request);
  if (other) all_[in_use_].identity->service();  // whoever is shown an identity is shown this one
}

void Identities::lend(env::ConnectRequest& request) const {
  HF_CHECK(request.endpoint < of_.size());
  all_[of_[request.endpoint]].identity->lend(request);
}

std::vector<std::filesystem::path> Identities::files() const {
  std::vector<std::filesystem::path> files;
  for (const One& one : all_) {
    for (std::filesystem::path& file : one.identity->files()) files.push_back(std::move(file));
  }
  return files;
}

}  // namespace holdfast::runtime
