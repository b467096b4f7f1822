// See sayings.h.
#include "device/sayings.h"

#include <cstdio>
#include <string>
#include <utility>

namespace holdfast::device {
namespace {

std::string hex(std::uint8_t code) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02X", unsigned{code});
  return text;
}

LogLine line_of(LogLevel level, LogArea area, std::string text) {
  return {level, area, std::move(text)};
}

}  // namespace

LogLine storage_is(StorageHealth health, OnFault on_fault) {
  const bool well = health == StorageHealth::ok;
  const bool in_memory = on_fault == OnFault::memory;
  LogLine line = line_of(
      well ? LogLevel::info : LogLevel::warning, LogArea::outbox,
      "storage: " + std::string(to_string(health)) +
          (well        ? "; durable messages are accepted again"
           : in_memory ? "; new durable messages are kept in RAM, the backlog is kept and sent"
                       : "; new durable messages are rejected, the backlog is kept and sent"));
  line.fields = {{"state", std::string(to_string(health))}};
  return line;
}

LogLine disk_answers(bool again) {
  LogLine line = again ? line_of(LogLevel::info, LogArea::outbox, "storage: the disk answers again")
                       : line_of(LogLevel::warning, LogArea::outbox,
                                 "storage: slow; the disk has not answered for 2 s, messages wait "
                                 "for it");
  line.fields = {{"state", again ? "ok" : "slow"}};
  return line;
}

LogLine birth_refused(std::uint8_t code) {
  LogLine line =
      line_of(LogLevel::warning, LogArea::flow, "birth message refused (" + hex(code) + ")");
  line.fields = {{"reason_code", code}};
  return line;
}

LogLine filter_refused(const flow::Subscriptions::Notice& notice, bool denied) {
  const std::int64_t delay = std::chrono::duration_cast<Seconds>(notice.retry_in).count();
  LogLine line = line_of(LogLevel::warning, LogArea::flow,
                         "subscription '" + notice.filter + "' refused (" + hex(notice.code) +
                             "); asked for again in " + std::to_string(delay) + " s");
  if (denied) line.verdict = Verdict::subscribe_denied;
  line.fields = {{"filter", notice.filter}, {"reason_code", notice.code}};
  return line;
}

LogLine operation_denied(const flow::Operation& operation, std::uint8_t code) {
  const Verdict verdict = operation.verdict();
  LogLine line = line_of(LogLevel::warning, LogArea::flow,
                         std::string(to_string(verdict)) + ": " + std::string(explain(verdict)) +
                             " ('" + operation.name + "', reason " + hex(code) + ")");
  line.verdict = verdict;
  line.fields = {{"topic", operation.name}, {"reason_code", code}};
  return line;
}

LogLine message_dropped(const flow::Settlement& end) {
  LogLine line = line_of(LogLevel::warning, LogArea::flow,
                         "message " + std::to_string(end.id) + " on '" + end.message->topic +
                             "' dropped: " + std::string(to_string(end.reason)) + " (reason " +
                             hex(end.code) + ")");
  line.fields = {{"message_id", static_cast<std::int64_t>(end.id)},
                 {"topic", end.message->topic},
                 {"dropped", std::string(to_string(end.reason))},
                 {"reason_code", end.code}};
  return line;
}

LogLine stopped_early() {
  return line_of(LogLevel::warning, LogArea::outbox,
                 "stopped at the deadline, before the store answered");
}

std::vector<LogLine> set_aside(flow::Operation::Kind kind, const flow::Names& before,
                               const flow::Names& after) {
  const bool topic = kind == flow::Operation::Kind::publish;
  std::vector<LogLine> lines;
  const auto say = [&](const std::string& name, const char* what) {
    LogLine line = line_of(LogLevel::info, LogArea::flow,
                           std::string(topic ? "topic '" : "subscription '") + name + what);
    line.fields = {{topic ? "topic" : "filter", name}};
    lines.push_back(std::move(line));
  };
  for (const std::string& name : after) {
    if (!before.contains(name)) say(name, "' is set aside, and tried alone later");
  }
  for (const std::string& name : before) {
    if (!after.contains(name)) say(name, "' is no longer set aside");
  }
  return lines;
}

}  // namespace holdfast::device
