// See report.h.
#include "report.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "http.h"
#include "posix/child.h"
#include "posix/system.h"
#include "posix/unique_fd.h"
#include "runtime/local_client.h"

namespace holdfast::updater {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kParts{"status", "history", "log", "doctor"};
constexpr Milliseconds kAnswer{20'000};
constexpr Duration kDoctorTimeout = std::chrono::minutes(2);
constexpr int kLookMs = 50;
constexpr std::size_t kDoctorMax = 256 * std::size_t{1024};
constexpr long kHttpForbidden = 403;
constexpr long kHttpMissing = 404;

class Report {
 public:
  Report(const ReportOrder& order, std::string& words) : order_(order), words_(words) {}

  FetchEnd run() {
    auto client = runtime::LocalClient::connect(order_.socket);
    if (!client) return no(FetchEnd::later, client.error().message);
    json all = json::object();
    for (const std::string& part : order_.parts) all[part] = part_of(*client, part);
    const std::string text = bounded(std::move(all));
    const FetchEnd end = order_.url.empty() ? publish(*client, text) : put(text);
    if (end == FetchEnd::done) {
      words_ = "a report of " + std::to_string(text.size()) + " bytes " +
               (order_.url.empty() ? "to " + order_.topic : "to its URL");
    }
    return end;
  }

 private:
  FetchEnd no(FetchEnd end, std::string words) {
    words_ = std::move(words);
    return end;
  }

  json part_of(runtime::LocalClient& client, const std::string& part) {
    if (part == "doctor") return doctor();
    if (part == "log") {
      return ask(client, {{"op", "logs"}, {"limit", order_.lines}}).value("lines", json());
    }
    const json answer = ask(client, {{"op", part}});
    const auto found = answer.find(part);
    return found == answer.end() ? answer : *found;
  }

  /// The answer, or an object with the error.
  json ask(runtime::LocalClient& client, json request) {
    request["id"] = ++id_;
    client.send(request.dump() + "\n");
    for (;;) {
      const auto line = client.receive(kAnswer);
      if (!line) return {{"error", line.error().message}};
      json answer = json::parse(*line, nullptr, false);
      if (answer.is_object() && answer.value("id", json()) == id_) return answer;
    }
  }

  json doctor() {
    const posix::UniqueFd output(::memfd_create("doctor", MFD_CLOEXEC));
    const posix::UniqueFd errors(::memfd_create("errors", MFD_CLOEXEC));
    posix::ChildPlan plan;
    plan.command = order_.doctor;
    plan.output = output.get();
    plan.errors = errors.get();
    const auto child =
        output && errors ? posix::start_child(plan) : Error{Errc::io, "no memory", 0};
    if (!child) return {{"error", child.error().message}};
    const auto clock = posix::make_clock();
    const BootTime deadline = clock->now() + kDoctorTimeout;
    while (!posix::reap(*child)) {
      if (clock->now() >= deadline) ::kill(-*child, SIGKILL);
      ::usleep(kLookMs * 1000);
    }
    while (!posix::kill_left_behind(*child)) ::usleep(kLookMs * 1000);
    std::string text(kDoctorMax, '\0');
    const ssize_t got = ::pread(output.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    json said = json::parse(text, nullptr, false);
    if (!said.is_discarded()) return said;
    text.resize(1024);
    const ssize_t why = ::pread(errors.get(), text.data(), text.size(), 0);
    text.resize(why > 0 ? static_cast<std::size_t>(why) : 0);
    return {{"error", text}};
  }

  /// What is too much of it is left out: lines of the log first.
  static std::string bounded(json all) {
    const auto written = [&] { return all.dump(-1, ' ', false, json::error_handler_t::replace); };
    std::string text = written();
    while (text.size() > kReportMax && all.contains("log") && all["log"].is_array() &&
           !all["log"].empty()) {
      json& log = all["log"];
      log.erase(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(log.size() / 4 + 1));
      text = written();
    }
    for (const char* const part : {"doctor", "history", "status"}) {
      if (text.size() <= kReportMax) break;
      if (!all.contains(part)) continue;
      all[part] = {{"error", "is too long for this report; ask for it alone"}};
      text = written();
    }
    return text;
  }

  FetchEnd publish(runtime::LocalClient& client, const std::string& text) {
    const json answer = ask(client, {{"op", "publish"},
                                     {"topic", order_.topic},
                                     {"lane", order_.lane},
                                     {"payload", text},
                                     {"content_type", "application/json"},
                                     {"receipt", "accepted"}});
    if (answer.value("ok", false)) return FetchEnd::done;
    return no(FetchEnd::later, "the agent does not take it: " + answer.value("error", ""));
  }

  static std::size_t give(char* to, std::size_t one, std::size_t count, void* rest) {
    auto& left = *static_cast<std::string_view*>(rest);
    const std::size_t size = std::min(one * count, left.size());
    std::memcpy(to, left.data(), size);
    left.remove_prefix(size);
    return size;
  }
  static std::size_t ignore(char* /*from*/, std::size_t one, std::size_t count, void* /*none*/) {
    return one * count;
  }

  FetchEnd put(const std::string& text) {
    const HttpOrder order{order_.url, order_.ca_file, order_.allow_http};
    HttpWords said{};
    const Curl curl = begin_http(order, said);
    if (!curl) return no(FetchEnd::later, "libcurl cannot be used");
    CURL* const c = curl.get();
    std::string_view rest = text;
    ::curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    ::curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    ::curl_easy_setopt(c, CURLOPT_READFUNCTION, &Report::give);
    ::curl_easy_setopt(c, CURLOPT_READDATA, &rest);
    ::curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, &Report::ignore);
    ::curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(text.size()));
    const CURLcode code = ::curl_easy_perform(c);
    if (code == CURLE_OK) return FetchEnd::done;
    long status = 0;
    ::curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_HTTP_RETURNED_ERROR) {
      return no(FetchEnd::later, said.front() != '\0' ? said.data() : ::curl_easy_strerror(code));
    }
    const std::string words = "the server says " + std::to_string(status);
    if (status == kHttpForbidden) return no(FetchEnd::stale, words);
    return no(status == kHttpMissing ? FetchEnd::missing : FetchEnd::later, words);
  }

  const ReportOrder& order_;
  std::string& words_;
  std::uint64_t id_ = 0;
};

}  // namespace

bool is_report_part(const std::string& name) {
  return std::find(kParts.begin(), kParts.end(), name) != kParts.end();
}

std::string to_text(const ReportOrder& order) {
  return json{
      {"parts", order.parts},           {"lines", order.lines}, {"socket", order.socket.string()},
      {"doctor", order.doctor},         {"url", order.url},     {"ca_file", order.ca_file.string()},
      {"allow_http", order.allow_http}, {"topic", order.topic}, {"lane", order.lane}}
      .dump();
}

std::optional<ReportOrder> parse_report_order(const std::string& text) {
  try {
    const json o = json::parse(text);
    ReportOrder order;
    order.parts = o.at("parts").get<std::vector<std::string>>();
    order.lines = o.at("lines").get<std::uint64_t>();
    order.socket = o.at("socket").get<std::string>();
    order.doctor = o.at("doctor").get<std::vector<std::string>>();
    order.url = o.at("url").get<std::string>();
    order.ca_file = o.at("ca_file").get<std::string>();
    order.allow_http = o.at("allow_http").get<bool>();
    order.topic = o.at("topic").get<std::string>();
    order.lane = o.at("lane").get<std::string>();
    return order;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

FetchEnd report(const ReportOrder& order, std::string& words) {
  posix::adopt_orphans();
  return Report(order, words).run();
}

}  // namespace holdfast::updater
