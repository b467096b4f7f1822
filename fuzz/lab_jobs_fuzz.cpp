// Devices and operators that ask anything of Jobs, in any order, while time goes on.
//
// Every request is answered once; each accepted update raises the version by one; who only listens
// to notify and notify-next knows what who asks is told; state comes back as it was saved.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "lab/iot/jobs.h"

using namespace holdfast;            // NOLINT: a fuzz target's only file
using namespace holdfast::lab::iot;  // NOLINT

namespace {

/// The input, used up byte by byte; zeroes after its end.
class Bytes final : public env::Random {
 public:
  explicit Bytes(std::string_view data) : data_(data) {}
  std::uint8_t byte() {
    if (data_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(data_.front());
    data_.remove_prefix(1);
    return value;
  }
  template <std::size_t N>
  std::string pick(const std::array<std::string_view, N>& from) {
    return std::string(from.at(byte() % N));
  }
  std::string some(std::size_t most) {
    const auto text = data_.substr(0, std::min<std::size_t>(most, byte()));
    data_.remove_prefix(text.size());
    return std::string(text);
  }
  std::uint64_t next() override { return count_++; }
  [[nodiscard]] bool empty() const { return data_.empty(); }

 private:
  std::string_view data_;
  std::uint64_t count_ = 0;
};

class World final : public JobsWorld, public Presigner {
 public:
  [[nodiscard]] bool has_thing(std::string_view name) const override {
    return name == "pump" || name == "valve";
  }
  [[nodiscard]] std::optional<std::vector<std::string>> things_in(
      std::string_view group) const override {
    if (group != "floor") return std::nullopt;
    return valve_inside ? std::vector<std::string>{"pump", "valve"}
                        : std::vector<std::string>{"pump"};
  }
  [[nodiscard]] std::optional<std::string> read_document(std::string_view url) const override {
    return std::string(url);
  }
  std::string presign(WallTime /*now*/, std::string_view url, std::int64_t /*seconds*/) override {
    return std::string(url);
  }
  bool valve_inside = false;
};

using Key = std::pair<std::string, std::int64_t>;
Key key_of(const Json& execution) {
  return {execution.at("jobId").get<std::string>(),
          execution.at("executionNumber").get<std::int64_t>()};
}

constexpr std::array<std::string_view, 3> kThings = {"pump", "valve", "none"};
constexpr std::array<std::string_view, 6> kIds = {"a", "b", "c", "d", "$next", "bad.id"};
constexpr std::array<std::string_view, 5> kStatuses = {"IN_PROGRESS", "SUCCEEDED", "FAILED",
                                                       "REJECTED", "QUEUED"};
constexpr std::array<std::string_view, 5> kDocuments = {
    "{}", R"({"u":"${aws:iot:s3-presigned-url:x}"})", R"({"p":["${aws:iot:parameter:x}"]})", "[",
    "7"};
constexpr std::string_view kArn = "arn:aws:iot:eu-central-1:123456789012:thing";

class Play {
 public:
  explicit Play(std::string_view data) : in_(data) {
    if (in_.byte() % 2 == 0) {
      Answers none;
      const Json on = {{"Enabled", true}};
      HF_CHECK(std::holds_alternative<Json>(
          events_.call({0}, "UpdateEventConfigurations",
                       {{"eventConfigurations", {{"JOB", on}, {"JOB_EXECUTION", on}}}}, none)));
    }
    jobs_.set_events(&events_);
    leaf_ = std::size_t{in_.byte()} * 256 + in_.byte();
    settings_.reads_per_second = settings_.writes_per_second = 1'000'000;
    jobs_.configure(settings_);
  }

  void run() {
    while (!in_.empty()) {
      out_ = {};
      switch (in_.byte() % 8) {
        case 0:
        case 1:
        case 2:
          request();
          break;
        case 3:
          create();
          break;
        case 4:
        case 5:
          operation();
          break;
        case 6:
          now_.ms += std::int64_t{in_.byte()} * 10'000;
          jobs_.on_time(now_, out_);
          HF_CHECK(jobs_.wake() > now_);
          break;
        default:
          world_.valve_inside = !world_.valve_inside;
          jobs_.on_groups_changed(now_, "valve", out_);
      }
      listen();
      compare("pump");
      compare("valve");
    }
    reload();
    break_state();
  }

 private:
  Json input() {
    Json j = Json::object();
    const std::uint8_t members = in_.byte();
    if ((members & 1) != 0) j["statusDetails"] = {{in_.some(3), in_.some(3)}};
    if ((members & 2) != 0) j["stepTimeoutInMinutes"] = static_cast<std::int8_t>(in_.byte());
    if ((members & 4) != 0) j["expectedVersion"] = std::to_string(in_.byte() % 4);
    if ((members & 8) != 0) j["executionNumber"] = in_.byte() % 4;
    if ((members & 32) != 0) j["includeJobDocument"] = (members & 64) != 0;
    j["status"] = in_.pick(kStatuses);
    return j;
  }

  std::optional<std::int64_t> version(const std::string& thing, const std::string& id,
                                      const Json& asked) {
    Json input = {{"thingName", thing}, {"jobId", id}};
    if (asked.contains("executionNumber")) input["executionNumber"] = asked["executionNumber"];
    Answers quiet;
    const ApiResult result = jobs_.call(now_, "DescribeJobExecution", input, quiet);
    const auto* found = std::get_if<Json>(&result);
    if (found == nullptr) return std::nullopt;
    return found->at("execution").at("versionNumber").get<std::int64_t>();
  }

  void request() {
    constexpr std::array<std::string_view, 5> kOperations = {"get", "start-next", "J/get",
                                                             "J/update", "?"};
    const std::string thing = in_.pick(kThings);
    const std::string id = in_.pick(kIds);
    std::string operation = in_.pick(kOperations);
    const bool update = operation == "J/update";
    if (operation == "?") operation = in_.some(20);
    if (operation.starts_with("J/")) operation.replace(0, 1, id);
    holdfast::lab::mqtt::Publish message;
    message.topic = "$aws/things/" + thing + "/jobs/" + operation;
    Json asked;
    if (in_.byte() % 4 == 0) {
      message.payload = in_.some(40);
    } else {
      asked = input();
      asked["includeJobExecutionState"] = true;
      message.payload = dump(asked);
    }
    HF_CHECK(jobs_.claims(message.topic) == Claim::only);
    const auto before = version(thing, id, asked);
    jobs_.on_request(now_, {1, "c", "p"}, message, out_);
    const auto replies = std::count_if(out_.all.begin(), out_.all.end(), [](const Answer& a) {
      return a.to == Answer::To::requester;
    });
    HF_CHECK(replies == 1);
    const Answer& reply = out_.all.front();
    HF_CHECK(reply.to == Answer::To::requester);
    const bool accepted = reply.topic == message.topic + "/accepted";
    HF_CHECK(accepted || reply.topic == message.topic + "/rejected");
    const auto payload = parse_json(reply.payload);
    HF_CHECK(payload.ok());
    HF_CHECK(payload->contains("timestamp"));
    HF_CHECK(payload->contains("code") != accepted);
    if (update && accepted && !asked.is_null()) {
      HF_CHECK(before.has_value());
      HF_CHECK(payload->at("executionState").at("versionNumber") == *before + 1);
    }
  }

  void create() {
    Json job = {{"jobId", in_.pick(kIds)}, {"document", in_.pick(kDocuments)}};
    const std::uint8_t kind = in_.byte();
    job["targets"] = Json::array();
    if ((kind & 1) != 0) job["targets"].push_back(std::string(kArn) + "/pump");
    if ((kind & 2) != 0) job["targets"].push_back(std::string(kArn) + "/valve");
    if ((kind & 4) != 0) job["targets"].push_back(std::string(kArn) + "group/floor");
    if ((kind & 8) != 0) job["targetSelection"] = "CONTINUOUS";
    if ((kind & 16) != 0) job["timeoutConfig"]["inProgressTimeoutInMinutes"] = in_.byte();
    if ((kind & 32) != 0) {
      job["jobExecutionsRetryConfig"]["criteriaList"] =
          Json::array({Json{{"failureType", "ALL"}, {"numberOfRetries", in_.byte() % 12}}});
    }
    if ((kind & 64) != 0) job["documentParameters"] = {{"x", in_.some(4)}};
    (void)jobs_.call(now_, "CreateJob", job, out_);
  }

  void operation() {
    constexpr std::array<std::string_view, 14> kOperations = {"DescribeJob",
                                                              "ListJobs",
                                                              "CancelJob",
                                                              "DeleteJob",
                                                              "GetJobDocument",
                                                              "DescribeJobExecution",
                                                              "CancelJobExecution",
                                                              "DeleteJobExecution",
                                                              "ListJobExecutionsForJob",
                                                              "ListJobExecutionsForThing",
                                                              "GetPendingJobExecutions",
                                                              "StartNextPendingJobExecution",
                                                              "jobs-data:DescribeJobExecution",
                                                              "UpdateJobExecution"};
    const std::string name = in_.pick(kOperations);
    Json asked = input();
    if (in_.byte() % 4 == 0) asked = parse_json(in_.some(40)).ok() ? asked : Json(7);
    if (asked.is_object()) {
      asked["thingName"] = in_.pick(kThings);
      asked["jobId"] = in_.pick(kIds);
      asked["force"] = in_.byte() % 2 == 0;
      if (name == "ListJobs") asked.erase("status");
    }
    HF_CHECK(jobs_.has_operation(name));
    (void)jobs_.call(now_, name, asked, out_);
  }

  /// What a device that only listens learns.
  void listen() {
    for (const Answer& a : out_.all) {
      if (a.to != Answer::To::broker || !a.topic.starts_with("$aws/things/")) continue;
      const std::string thing = a.topic.substr(12, a.topic.find('/', 12) - 12);
      const auto payload = parse_json(a.payload);
      HF_CHECK(payload.ok());
      if (a.topic.ends_with("/notify")) {
        auto& known = known_[thing];
        known.clear();
        for (const auto& [status, list] : payload->at("jobs").items()) {
          for (const Json& one : list) known.insert(key_of(one));
        }
      } else {
        head_[thing].reset();
        if (payload->contains("execution")) head_[thing] = key_of(payload->at("execution"));
      }
    }
  }

  void compare(const std::string& thing) {
    Answers quiet;
    const ApiResult pending =
        jobs_.call(now_, "GetPendingJobExecutions", {{"thingName", thing}}, quiet);
    std::set<Key> asked;
    for (const auto& [member, list] : std::get<Json>(pending).items()) {
      for (const Json& one : list) asked.insert(key_of(one));
    }
    if (asked.size() <= Jobs::kNotified) HF_CHECK(asked == known_[thing]);
    const ApiResult next = jobs_.call(now_, "jobs-data:DescribeJobExecution",
                                      {{"thingName", thing}, {"jobId", "$next"}}, quiet);
    const Json& answer = std::get<Json>(next);
    std::optional<Key> head;
    if (answer.contains("execution")) head = key_of(answer.at("execution"));
    HF_CHECK(head == head_[thing]);
    HF_CHECK(quiet.all.empty());
  }

  void reload() {
    const Json saved = jobs_.save();
    const auto read = parse_json(dump(saved), {std::size_t{1} << 24, 40});
    HF_CHECK(read.ok());
    Jobs other(settings_, world_, &world_, in_);
    HF_CHECK(other.load(*read).ok());
    HF_CHECK(dump(other.save()) == dump(saved));
    HF_CHECK(other.wake() == jobs_.wake());
  }

  /// One member of the state becomes something else: it is refused and nothing changes, or all
  /// goes on.
  void break_state() {
    Json state = jobs_.save();
    const Json flat = state.flatten();
    auto leaf = flat.begin();
    std::advance(leaf, static_cast<std::ptrdiff_t>(leaf_ % flat.size()));
    const Json others[] = {
        nullptr, -1, 7, "x", true, Json::array(), Json::object(), INT64_MAX, "IN_PROGRESS", ""};
    state[Json::json_pointer(leaf.key())] = others[leaf_ / 7 % std::size(others)];
    Jobs other(settings_, world_, &world_, in_);
    const std::string before = dump(other.save());
    if (!other.load(state)) {
      HF_CHECK(dump(other.save()) == before);
      return;
    }
    Answers out;
    (void)other.wake();
    for (const std::string_view id : kIds) {
      (void)other.call(now_, "DescribeJob", {{"jobId", id}}, out);
      (void)other.call(now_, "UpdateJobExecution",
                       {{"thingName", "pump"}, {"jobId", id}, {"status", "IN_PROGRESS"}}, out);
      (void)other.call(now_, "UpdateJobExecution",
                       {{"thingName", "pump"}, {"jobId", id}, {"status", "FAILED"}}, out);
    }
    other.on_time({now_.ms + Jobs::kRetentionMs}, out);
    Jobs third(settings_, world_, &world_, in_);
    HF_CHECK(third.load(other.save()).ok());
  }

  Bytes in_;
  World world_;
  JobsSettings settings_;
  EventConfigurations events_;
  Jobs jobs_{{}, world_, &world_, in_};
  WallTime now_{1'700'000'000'000};
  Answers out_;
  std::size_t leaf_ = 0;  ///< Which member breaks, and into what.
  std::map<std::string, std::set<Key>> known_;
  std::map<std::string, std::optional<Key>> head_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Play({reinterpret_cast<const char*>(data), size}).run();
  return 0;
}
