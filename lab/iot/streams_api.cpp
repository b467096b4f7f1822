// The operations of file delivery streams, and their saved state.
#include <algorithm>
#include <array>
#include <utility>

#include "lab/iot/jobs_book.h"
#include "lab/iot/jobs_document.h"
#include "lab/iot/page.h"
#include "lab/iot/streams.h"

namespace holdfast::lab::iot {
namespace {

constexpr std::array<std::string_view, 5> kOperations = {
    "CreateStream", "UpdateStream", "DescribeStream", "ListStreams", "DeleteStream"};
/// Numbers and times in saved state; the bound leaves room to count on.
constexpr std::int64_t kLargestSaved = 1'000'000'000'000'000;

double seconds(WallTime time) { return static_cast<double>(time.ms) / 1000; }

ApiError invalid(const std::string& complaint) {
  return {"InvalidRequestException", 400, complaint};
}
ApiError not_found(const std::string& id) {
  return {"ResourceNotFoundException", 404, "there is no stream " + id};
}

FileLocation read_location(Fields in) {
  return {in.text("bucket"), in.text("key"), in.text_or("version", "")};
}

Json location_json(const FileLocation& location) {
  Json j = {{"bucket", location.bucket}, {"key", location.key}};
  if (!location.version.empty()) j["version"] = location.version;
  return j;
}

std::int64_t bounded(Fields& in, std::string_view key, std::int64_t least, std::int64_t most) {
  const std::int64_t value = in.number(key);
  if (value < least || value > most) in.complain(key, "is out of range");
  return value;
}

}  // namespace

bool Streams::has_operation(std::string_view operation) const {
  return std::find(kOperations.begin(), kOperations.end(), operation) != kOperations.end();
}

ApiResult Streams::call(WallTime now, std::string_view operation, const Json& input,
                        Answers& /*out*/) {
  if (operation == "CreateStream") return put_stream(now, input, true);
  if (operation == "UpdateStream") return put_stream(now, input, false);
  if (operation == "DescribeStream") return describe_stream(input);
  if (operation == "ListStreams") return list_streams(input);
  return delete_stream(input);
}

std::string Streams::arn(std::string_view id) const {
  return "arn:aws:iot:" + settings_.region + ':' + settings_.account + ":stream/" + std::string(id);
}

std::map<std::int64_t, Streams::File> Streams::read_files(Fields& in) const {
  std::map<std::int64_t, File> files;
  in.each_item("files", [&](Fields one) {
    const std::int64_t id = bounded(one, "fileId", 0, kLargestFileId);
    File file;
    file.location = read_location(one.object("s3Location"));
    const auto facts = files_.look(file.location);
    if (!facts) {
      one.complain("s3Location", "cannot be read");
    } else if (facts->size > kFileBytes) {
      one.complain("s3Location", "is over 24 MB");
    } else {
      file.facts = *facts;
    }
    if (!files.emplace(id, std::move(file)).second) one.complain("fileId", "comes twice");
  });
  if (files.empty() || files.size() > kFilesPerStream) in.complain("files", "must be 1 to 10");
  return files;
}

ApiResult Streams::put_stream(WallTime now, const Json& input, bool create) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string id = in.text("streamId");
  if (!is_plain_id(id, kStreamIdLength)) in.complain("streamId", "must be [a-zA-Z0-9_-]{1,128}");
  const std::string description = in.text_or("description", "");
  if (length_of(description) > kDescriptionLength) in.complain("description", "is too long");
  std::map<std::int64_t, File> files;
  if (create || in.has("files")) files = read_files(in);
  if (!complaint.empty()) return invalid(complaint);

  const auto found = streams_.find(id);
  if (create && found != streams_.end()) {
    return ApiError{"ResourceAlreadyExistsException", 409, "there is a stream " + id};
  }
  if (!create && found == streams_.end()) return not_found(id);
  Stream& stream = create ? streams_[id] : found->second;
  if (create) {
    stream.created = now;
  } else {
    ++stream.version;
  }
  stream.updated = now;
  if (!files.empty()) stream.files = std::move(files);
  if (in.has("description")) stream.description = description;
  ++revision_;
  return Json{{"streamId", id},
              {"streamArn", arn(id)},
              {"description", stream.description},
              {"streamVersion", stream.version}};
}

ApiResult Streams::describe_stream(const Json& input) const {
  std::string complaint;
  Fields in(input, complaint);
  const std::string id = in.text("streamId");
  if (!complaint.empty()) return invalid(complaint);
  const auto found = streams_.find(id);
  if (found == streams_.end()) return not_found(id);
  const Stream& stream = found->second;
  Json files = Json::array();
  for (const auto& [file_id, file] : stream.files) {
    files.push_back({{"fileId", file_id}, {"s3Location", location_json(file.location)}});
  }
  return Json{{"streamInfo",
               {{"streamId", id},
                {"streamArn", arn(id)},
                {"streamVersion", stream.version},
                {"description", stream.description},
                {"files", std::move(files)},
                {"createdAt", seconds(stream.created)},
                {"lastUpdatedAt", seconds(stream.updated)}}}};
}

ApiResult Streams::list_streams(const Json& input) const {
  std::string complaint;
  Fields in(input, complaint);
  std::vector<Json> items;
  for (const auto& [id, stream] : streams_) {
    items.push_back({{"streamId", id},
                     {"streamArn", arn(id)},
                     {"streamVersion", stream.version},
                     {"description", stream.description}});
  }
  Json result = page_of(in, "streams", std::move(items));
  if (!complaint.empty()) return invalid(complaint);
  return result;
}

ApiResult Streams::delete_stream(const Json& input) {
  std::string complaint;
  Fields in(input, complaint);
  const std::string id = in.text("streamId");
  if (!complaint.empty()) return invalid(complaint);
  if (streams_.erase(id) == 0) return not_found(id);
  ++revision_;
  return Json::object();
}

// ---- state ----

Json Streams::save() const {
  Json streams = Json::object();
  for (const auto& [id, stream] : streams_) {
    Json files = Json::array();
    for (const auto& [file_id, file] : stream.files) {
      files.push_back({{"id", file_id},
                       {"location", location_json(file.location)},
                       {"size", file.facts.size},
                       {"etag", file.facts.etag}});
    }
    streams[id] = {{"description", stream.description},
                   {"version", stream.version},
                   {"files", std::move(files)},
                   {"created", stream.created.ms},
                   {"updated", stream.updated.ms}};
  }
  return {{"streams", std::move(streams)}};
}

Status Streams::load(const Json& state) {
  std::string complaint;
  Fields in(state, complaint);
  std::map<std::string, Stream, std::less<>> streams;
  in.object("streams").each([&](const std::string& id, Fields one) {
    Stream& stream = streams[id];
    stream.description = one.text("description");
    stream.version = bounded(one, "version", 1, kLargestSaved);
    stream.created = {bounded(one, "created", 0, kLargestSaved)};
    stream.updated = {bounded(one, "updated", 0, kLargestSaved)};
    one.each_item("files", [&](Fields of_file) {
      File file;
      const std::int64_t file_id = bounded(of_file, "id", 0, kLargestFileId);
      file.location = read_location(of_file.object("location"));
      file.facts.size = static_cast<std::uint64_t>(
          bounded(of_file, "size", 0, static_cast<std::int64_t>(kFileBytes)));
      file.facts.etag = of_file.text("etag");
      if (!stream.files.emplace(file_id, std::move(file)).second) {
        of_file.complain("id", "comes twice");
      }
      of_file.no_others();
    });
    one.no_others();
  });
  in.no_others();
  if (auto status = state_status(complaint); !status) return status;
  streams_ = std::move(streams);
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
