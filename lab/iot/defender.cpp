#include "lab/iot/defender.h"

#include <utility>

#include "lab/iot/cbor.h"
#include "lab/iot/defender_report.h"
#include "lab/iot/fields.h"

namespace holdfast::lab::iot {
namespace {

struct Topic {
  std::string_view thing;
  bool cbor = false;
};

// "$aws/things/T/defender/metrics/json" or "…/cbor".
std::optional<Topic> topic_of(std::string_view topic) {
  constexpr std::string_view kPrefix = "$aws/things/";
  if (!topic.starts_with(kPrefix)) return std::nullopt;
  topic.remove_prefix(kPrefix.size());
  const std::size_t slash = topic.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash > Defender::kThingNameLength) {
    return std::nullopt;
  }
  const std::string_view rest = topic.substr(slash);
  const bool cbor = rest == "/defender/metrics/cbor";
  if (!cbor && rest != "/defender/metrics/json") return std::nullopt;
  return Topic{topic.substr(0, slash), cbor};
}

}  // namespace

Claim Defender::claims(std::string_view topic) const {
  return topic_of(topic) ? Claim::only : Claim::none;
}

void Defender::on_request(WallTime now, const Requester& /*from*/, const mqtt::Publish& message,
                          Answers& out) {
  const auto topic = topic_of(message.topic);
  if (!topic) return;
  const auto answer = [&](std::string_view end, const Json& body) {
    out.all.push_back({Answer::To::broker,
                       {},
                       message.topic + std::string(end),
                       topic->cbor ? to_cbor(body) : dump(body),
                       1,
                       false,
                       {}});
  };
  Device& device = devices_[std::string(topic->thing)];
  ++revision_;
  const auto reject = [&](const std::string& code, const std::string& words, std::string reason) {
    device.rejection = Rejection{now, std::move(reason)};
    answer("/rejected", {{"thingName", topic->thing},
                         {"status", "REJECTED"},
                         {"statusDetails", {{"ErrorCode", code}, {"ErrorMessage", words}}},
                         {"timestamp", now.ms}});
  };
  const auto parsed = topic->cbor ? parse_cbor(message.payload) : parse_json(message.payload);
  auto report = parsed ? read_defender_report(*parsed) : Result<DefenderReport>(parsed.error());
  if (!report) {
    return reject("InvalidPayload", "Malformed metrics report", report.error().message);
  }
  const std::int64_t shortest = std::chrono::milliseconds(options_.shortest_interval).count();
  if (!device.reports.empty() && now.ms - device.reports.back().at.ms < shortest) {
    const std::string words =
        "Reports come faster than every " + std::to_string(shortest / 1000) + " seconds";
    return reject(options_.throttled_code, words, words);
  }
  device.reports.push_back({now, std::move(report->long_form)});
  if (device.reports.size() > kReportsKept) device.reports.pop_front();
  Json body = {{"thingName", topic->thing}};
  body[options_.id_as_key ? std::to_string(report->id) : "reportId"] =
      options_.id_as_key ? now.ms / 1000 : report->id;
  body["status"] = "ACCEPTED";
  body["timestamp"] = now.ms;
  answer("/accepted", body);
}

bool Defender::has_operation(std::string_view operation) const {
  return operation == "ListDeviceMetricReports";
}

ApiResult Defender::call(WallTime /*now*/, std::string_view operation, const Json& input,
                         Answers& /*out*/) {
  if (!has_operation(operation)) {
    return ApiError{"UnknownOperationException", 404, "no operation " + std::string(operation)};
  }
  std::string complaint;
  Fields in(input, complaint);
  const std::string thing = in.text("thingName");
  in.no_others();
  if (!complaint.empty()) return ApiError{"InvalidRequestException", 400, complaint};
  const auto found = devices_.find(thing);
  const Device none;
  const Device& device = found == devices_.end() ? none : found->second;
  Json reports = Json::array();
  for (const Kept& kept : device.reports) {
    reports.push_back({{"timestamp", kept.at.ms}, {"report", kept.report}});
  }
  Json output = {{"reports", std::move(reports)}};
  if (device.rejection) {
    output["lastRejection"] = {{"timestamp", device.rejection->at.ms},
                               {"reason", device.rejection->reason}};
  }
  return output;
}

Json Defender::save() const {
  Json things = Json::object();
  for (const auto& [thing, device] : devices_) {
    Json reports = Json::array();
    for (const Kept& kept : device.reports) {
      reports.push_back({{"at", kept.at.ms}, {"report", kept.report}});
    }
    Json& one = things[thing] = {{"reports", std::move(reports)}};
    if (device.rejection) {
      one["rejection"] = {{"at", device.rejection->at.ms}, {"reason", device.rejection->reason}};
    }
  }
  Json state;
  state["things"] = std::move(things);
  return state;
}

Status Defender::load(const Json& state) {
  std::string complaint;
  Fields all(state, complaint);
  std::map<std::string, Device, std::less<>> devices;
  all.object("things").each([&](const std::string& thing, Fields one) {
    Device& device = devices[thing];
    one.each_item("reports", [&](Fields item) {
      auto report = read_defender_report(item.any("report"));
      if (!report) item.complain("report", "is none: " + report.error().message);
      device.reports.push_back(
          {{item.number("at")}, report ? std::move(report->long_form) : Json()});
      item.no_others();
    });
    if (device.reports.size() > kReportsKept) one.complain("reports", "are more than are kept");
    if (one.has("rejection")) {
      Fields rejection = one.object("rejection");
      device.rejection = Rejection{{rejection.number("at")}, rejection.text("reason")};
      rejection.no_others();
    }
    one.no_others();
  });
  all.no_others();
  if (Status status = state_status(complaint); !status) return status;
  devices_ = std::move(devices);
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
