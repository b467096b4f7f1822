#include "lab/net/trace.h"

#include <array>
#include <cerrno>
#include <ctime>
#include <utility>
#include <vector>

#include "posix/os_error.h"

namespace holdfast::lab::net {

namespace {

// ISO 8601 in UTC, with milliseconds.
std::string iso(WallTime when) {
  const std::time_t seconds = when.ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 24> day{};
  std::strftime(day.data(), day.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::array<char, 40> whole{};
  std::snprintf(whole.data(), whole.size(), "%s.%03dZ", day.data(),
                static_cast<int>(when.ms % 1000));
  return whole.data();
}

}  // namespace

std::string line_of(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Status Trace::open(const std::string& path) {
  file_.reset(std::fopen(path.c_str(), "ae"));
  if (file_ == nullptr) return posix::make_os_error(errno, path);
  return {};
}

double Trace::in_seconds(Duration time) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return static_cast<double>(us) / 1e6;
}

void Trace::event(std::string_view name, std::uint64_t conn, const Json& members) {
  Json whole;
  whole["t"] = since_start(clock_.now());
  whole["wall"] = iso(clock_.wall());
  if (conn != 0) whole["conn"] = conn;
  whole["ev"] = name;
  for (const auto& [key, value] : members.items()) whole[key] = value;
  const std::string line = line_of(whole) + "\n";
  if (file_ != nullptr && !failed_) {
    failed_ = std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
              std::fflush(file_.get()) != 0;
  }
  // A listener may go, or come, while it is told.
  std::vector<std::shared_ptr<Listener>> alive;
  for (auto at = listeners_.begin(); at != listeners_.end();) {
    if (auto listener = at->lock()) {
      alive.push_back(std::move(listener));
      ++at;
    } else {
      at = listeners_.erase(at);
    }
  }
  for (const auto& listener : alive) (*listener)(line);
}

std::shared_ptr<void> Trace::listen(Listener listener) {
  auto kept = std::make_shared<Listener>(std::move(listener));
  listeners_.push_back(kept);
  return kept;
}

}  // namespace holdfast::lab::net
