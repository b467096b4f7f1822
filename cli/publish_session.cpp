// See publish_session.h.
#include "publish_session.h"

#include <cstring>
#include <nlohmann/json.hpp>

namespace holdfast::cli {

using nlohmann::json;

bool PublishSession::has_room() const noexcept {
  if (has_repeats()) return false;  // first those that came first
  return open_.empty() || (open_.size() < kWindow && open_bytes_ < kWindowBytes);
}

std::string PublishSession::request(const std::string& payload) {
  message_.payload.resize(payload.size());
  if (!payload.empty()) std::memcpy(message_.payload.data(), payload.data(), payload.size());
  const std::uint64_t id = ++last_id_;
  return keep(id, runtime::publish_line(id, message_, receipt_));
}

std::string PublishSession::repeat_request(std::string_view line) {
  const std::uint64_t id = ++last_id_;
  const auto parsed = runtime::parse_request(line);
  if (const auto* refusal = std::get_if<runtime::LocalRefusal>(&parsed)) {
    count_failure(refusal->error, id);
    return {};
  }
  const auto* publish =
      std::get_if<runtime::PublishRequest>(&std::get<runtime::LocalRequest>(parsed).what);
  if (publish == nullptr) {
    count_failure("not a publish request; see holdfast outbox export", id);
    return {};
  }
  return keep(id, runtime::publish_line(id, publish->message, receipt_));
}

std::string PublishSession::keep(std::uint64_t id, std::string line) {
  open_bytes_ += line.size();
  return open_.emplace(id, std::move(line)).first->second;
}

void PublishSession::count_failure(const std::string& reason, std::uint64_t id) {
  ++failed_;
  Failure& failure = failures_[reason];
  if (failure.count++ == 0) failure.first = id;
}

bool PublishSession::take(std::string_view line) {
  const json answer = json::parse(line, nullptr, false);
  if (!answer.is_object()) return false;
  const auto id = answer.find("id");
  if (id == answer.end() || !id->is_number_unsigned()) return false;
  const auto found = open_.find(id->get<std::uint64_t>());
  if (found == open_.end()) return false;
  const bool ok = answer.value("ok", false);
  if (!ok && answer.value("retry", false)) {
    refused_for_now_.push_back(found->first);
    return true;
  }
  if (ok) {
    ++done_;
  } else {
    count_failure(answer.value("error", "no reason given"), found->first);
  }
  open_bytes_ -= found->second.size();
  open_.erase(found);
  return true;
}

std::string PublishSession::repeat() {
  std::string lines;
  for (const std::uint64_t id : refused_for_now_) lines += open_.at(id);
  refused_for_now_.clear();
  return lines;
}

void LineSplitter::feed(std::string_view bytes) {
  buffer_.erase(0, taken_);
  taken_ = 0;
  buffer_ += bytes;
  while (skipping_ || buffer_.size() > limit_) {
    const std::size_t end = buffer_.find('\n');
    if (skipping_ && end != std::string::npos) {
      buffer_.erase(0, end + 1);
      skipping_ = false;
    } else if (skipping_) {
      return buffer_.clear();
    } else if (end == std::string::npos) {
      ++skipped_;
      skipping_ = true;
    } else {
      return;  // the first line has an end; next() judges it
    }
  }
}

void LineSplitter::finish() {
  if (!skipping_ && taken_ < buffer_.size()) buffer_ += '\n';
}

bool LineSplitter::next(std::string& line) {
  while (true) {
    const std::size_t end = buffer_.find('\n', taken_);
    if (end == std::string::npos) return false;
    line.assign(buffer_, taken_, end - taken_);
    taken_ = end + 1;
    if (line.size() <= limit_) return true;
    ++skipped_;
  }
}

}  // namespace holdfast::cli
