// File delivery: descriptions, blocks by count and by bitmap, refusals, and blocks that go astray.
#include "lab/iot/streams.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/base64.h"
#include "lab/iot/cbor.h"
#include "lab/iot/service_fixture.h"

namespace holdfast::lab::iot {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class TestFiles final : public FileSource {
 public:
  [[nodiscard]] std::optional<Facts> look(const FileLocation& file) const override {
    const auto found = content.find(file.key);
    if (found == content.end()) return std::nullopt;
    return Facts{found->second.size(), etag};
  }
  [[nodiscard]] Result<std::string> read(const FileLocation& file, std::uint64_t offset,
                                         std::size_t length) const override {
    if (broken) return Error{Errc::io, "broken"};
    return content.at(file.key).substr(offset, length);
  }
  std::map<std::string, std::string> content;
  std::string etag = "1";
  bool broken = false;
};

class LabStreams : public ServiceFixture {
 protected:
  LabStreams() {
    for (int i = 0; i < 100 * 256 + 10; ++i) files_.content["app"] += static_cast<char>(i * 7);
    files_.content["empty"] = "";
    files_.content["huge"] = std::string(Streams::kFileBytes + 1, 'x');
    done("CreateStream", stream_input("s1"));
  }
  Service& service() override { return streams_; }

  static Json file_input(int id, const std::string& key) {
    return {{"fileId", id}, {"s3Location", {{"bucket", "b"}, {"key", key}}}};
  }
  static Json stream_input(const std::string& id) {
    return {{"streamId", id},
            {"description", "text"},
            {"files", Json::array({file_input(0, "app"), file_input(3, "empty")})}};
  }
  void ask(const std::string& rest, const std::string& payload) {
    publish({1, "c", "p"}, message_to("$aws/things/pump/streams/" + rest, payload));
    for (const Answer& a : out_.all) EXPECT_EQ(a.to, Answer::To::requester);
  }
  /// The indices of the blocks that a get brought; each is checked against the file.
  std::vector<std::int64_t> blocks(const std::string& request) {
    ask("s1/get/json", request);
    std::vector<std::int64_t> all;
    for (const Answer& a : out_.all) {
      EXPECT_EQ(a.topic, "$aws/things/pump/streams/s1/data/json") << a.payload;
      const Json block = *parse_json(a.payload);
      if (!block.contains("i")) continue;
      const std::int64_t size = (*parse_json(request))["l"];
      const std::string bytes = *text_from_base64(block["p"].get<std::string>());
      const auto begin = static_cast<std::size_t>(block["i"].get<std::int64_t>() * size);
      EXPECT_EQ(bytes, files_.content["app"].substr(begin, static_cast<std::size_t>(size)));
      EXPECT_EQ(block["l"], bytes.size());
      all.push_back(block["i"]);
    }
    return all;
  }
  /// The code of a refusal.
  std::string code(const std::string& rest, const std::string& payload) {
    ask(rest, payload);
    if (out_.all.size() != 1 || out_.all[0].topic.find("/rejected/") == std::string::npos)
      return "";
    return (*parse_json(out_.all[0].payload))["o"];
  }

  TestFiles files_;
  Streams streams_{{}, [](std::string_view name) { return name == "pump"; }, files_, random_};
};

TEST_F(LabStreams, ClaimOnlyTheirTopics) {
  EXPECT_EQ(streams_.claims("$aws/things/pump/streams/s/get/json"), Claim::only);
  EXPECT_EQ(streams_.claims("$aws/things/pump/jobs/get"), Claim::none);
  EXPECT_EQ(streams_.claims("a/streams/b"), Claim::none);
}

TEST_F(LabStreams, DescribeNamesVersionAndSizes) {
  ask("s1/describe/json", R"({"c":"t"})");
  ASSERT_EQ(out_.all.size(), 1U);
  EXPECT_EQ(out_.all[0].topic, "$aws/things/pump/streams/s1/description/json");
  EXPECT_EQ(out_.all[0].payload,
            R"({"c":"t","s":1,"d":"text","r":[{"f":0,"z":25610},{"f":3,"z":0}]})");
}

TEST_F(LabStreams, GetBringsAsManyBlocksAsAskedFor) {
  EXPECT_THAT(blocks(R"({"f":0,"l":256,"n":3})"), ElementsAre(0, 1, 2));
  EXPECT_THAT(blocks(R"({"f":0,"l":256,"o":98,"n":9})"), ElementsAre(98, 99, 100));
  EXPECT_THAT(blocks(R"({"f":0,"l":256,"n":0})"), IsEmpty());
  EXPECT_EQ(blocks(R"({"f":0,"l":256})").size(), 101U);
  EXPECT_THAT(blocks(R"({"f":0,"l":131072})"), ElementsAre(0));
  EXPECT_THAT(blocks(R"({"f":3,"l":256})"), IsEmpty());
}

TEST_F(LabStreams, BitmapAsInTheExampleOfTheDocumentation) {
  EXPECT_THAT(blocks(R"({"f":0,"l":256,"o":20,"b":"130080"})"), ElementsAre(20, 21, 24, 43));
  EXPECT_THAT(blocks(R"({"f":0,"l":256,"o":20,"b":"130080","n":2})"), ElementsAre(20, 21));
  EXPECT_THAT(blocks(R"({"f":0,"l":256,"o":100,"b":"ffff"})"), ElementsAre(100));
}

TEST_F(LabStreams, OneRequestBringsAtMost128Kilobytes) {
  files_.content["app"] = std::string(600 * 1024, 'y');
  done("UpdateStream", {{"streamId", "s1"}, {"files", Json::array({file_input(0, "app")})}});
  EXPECT_EQ(blocks(R"({"f":0,"l":65536,"n":100})").size(), 2U);
  EXPECT_EQ(blocks(R"({"f":0,"l":90000,"b":"ff"})").size(), 1U);
}

TEST_F(LabStreams, SpeakCborWithBytesAsBytes) {
  const Json request = {{"c", "t"}, {"f", 0}, {"l", 256}, {"b", Json::binary({0x05})}};
  ask("s1/get/cbor", to_cbor(request));
  ASSERT_EQ(out_.all.size(), 2U);
  EXPECT_EQ(out_.all[1].topic, "$aws/things/pump/streams/s1/data/cbor");
  const Json block = *parse_cbor(out_.all[1].payload, {}, true);
  EXPECT_EQ(block["i"], 2);
  EXPECT_EQ(block["c"], "t");
  EXPECT_EQ(block["p"].get_binary().size(), 256U);
  ask("s1/describe/cbor", to_cbor(Json::object()));
  EXPECT_EQ((*parse_cbor(out_.all[0].payload))["s"], 1);
  ask("s1/describe/cbor", "\xff");
  EXPECT_EQ((*parse_cbor(out_.all[0].payload))["o"], "InvalidCbor");
}

TEST_F(LabStreams, RefuseWithTheCodesOfTheService) {
  EXPECT_EQ(code("s1/create/json", "{}"), "InvalidTopic");
  EXPECT_EQ(code("s1/get/xml", "{}"), "InvalidTopic");
  EXPECT_EQ(code("s1", "{}"), "InvalidTopic");
  EXPECT_EQ(code("s1/get/json", ""), "InvalidJson");
  EXPECT_EQ(code("s1/get/json", "[]"), "InvalidRequest");
  EXPECT_EQ(code("s1/get/json", "{}"), "InvalidRequest");
  EXPECT_EQ(code("s1/get/json", R"({"c":1})"), "InvalidRequest");
  EXPECT_EQ(code("s1/get/json", R"({"c":")" + std::string(65, 'x') + "\"}"), "InvalidRequest");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"b":"0"})"), "InvalidRequest");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"b":"0g"})"), "InvalidRequest");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"b":7})"), "InvalidRequest");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":255})"), "BlockSizeOutOfBounds");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":131073})"), "BlockSizeOutOfBounds");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"o":-1})"), "OffsetOutOfBounds");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"o":101})"), "OffsetOutOfBounds");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"n":98305})"), "BlockCountLimitExceeded");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"b":")" + std::string(24'576, '0') + "\"}"),
            "BlockBitmapLimitExceeded");
  EXPECT_EQ(code("s1/get/json", R"({"f":1,"l":256})"), "ResourceNotFound");
  EXPECT_EQ(code("s2/get/json", R"({"f":0,"l":256})"), "ResourceNotFound");
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"s":2})"), "VersionMismatch");
  files_.broken = true;
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"n":1})"), "InternalError");
  files_.etag = "2";
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256})"), "ETagMismatch");
  files_.content.clear();
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256})"), "ResourceNotFound");
}

TEST_F(LabStreams, RefusalsEchoTheTokenAndMayHaveLongNames) {
  ask("s2/describe/json", R"({"c":"t"})");
  EXPECT_EQ(out_.all[0].payload,
            R"({"o":"ResourceNotFound","m":"there is no such stream","c":"t"})");
  StreamsSettings settings;
  settings.long_names = true;
  streams_.configure(settings);
  ask("s2/describe/json", R"({"c":"t"})");
  EXPECT_EQ(out_.all[0].payload,
            R"({"code":"ResourceNotFound","message":"there is no such stream","clientToken":"t"})");
}

TEST_F(LabStreams, UnknownThingsAreNotAuthorized) {
  publish({}, message_to("$aws/things/other/streams/s1/describe/json", "{}"));
  ASSERT_EQ(out_.all.size(), 1U);
  EXPECT_THAT(out_.all[0].payload, HasSubstr("Unauthorized"));
}

TEST_F(LabStreams, ATopicWithoutStreamIsNotAnswered) {
  ask("", "{}");
  EXPECT_TRUE(out_.all.empty());
}

TEST_F(LabStreams, BlocksGoAstrayWhenToldTo) {
  StreamsSettings settings;
  settings.dropped_per_mille = 1000;
  streams_.configure(settings);
  EXPECT_THAT(blocks(R"({"f":0,"l":256})"), IsEmpty());
  settings.dropped_per_mille = 300;
  settings.duplicated_per_mille = 300;
  settings.shuffled = true;
  streams_.configure(settings);
  auto some = blocks(R"({"f":0,"l":256})");
  EXPECT_FALSE(std::is_sorted(some.begin(), some.end()));
  std::sort(some.begin(), some.end());
  EXPECT_NE(std::adjacent_find(some.begin(), some.end()), some.end());
  some.erase(std::unique(some.begin(), some.end()), some.end());
  EXPECT_GT(some.size(), 40U);
  EXPECT_LT(some.size(), 101U);
}

TEST_F(LabStreams, OperationsShowWhatWasGiven) {
  const Json info = done("DescribeStream", {{"streamId", "s1"}})["streamInfo"];
  EXPECT_EQ(info["streamArn"], "arn:aws:iot:eu-central-1:123456789012:stream/s1");
  EXPECT_EQ(info["files"], stream_input("s1")["files"]);
  EXPECT_EQ(done("ListStreams", Json::object())["streams"][0]["streamId"], "s1");
  EXPECT_EQ(done("UpdateStream", {{"streamId", "s1"}, {"description", "new"}})["streamVersion"], 2);
  EXPECT_EQ(code("s1/get/json", R"({"f":0,"l":256,"s":1})"), "VersionMismatch");
  done("DeleteStream", {{"streamId", "s1"}});
  EXPECT_THAT(refused("DeleteStream", {{"streamId", "s1"}}),
              StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(refused("DescribeStream", {{"streamId", "s1"}}),
              StartsWith("ResourceNotFoundException"));
  EXPECT_THAT(refused("UpdateStream", {{"streamId", "s1"}}),
              StartsWith("ResourceNotFoundException"));
}

TEST_F(LabStreams, RefuseStreamsThatMakeNoSense) {
  EXPECT_THAT(refused("CreateStream", stream_input("s1")),
              StartsWith("ResourceAlreadyExistsException"));
  const auto why = [&](const std::string& key, const Json& value) {
    Json input = stream_input("s2");
    input[key] = value;
    return refused("CreateStream", input);
  };
  const std::string invalid = "InvalidRequestException: ";
  EXPECT_EQ(why("streamId", "a b"), invalid + "streamId must be [a-zA-Z0-9_-]{1,128}");
  EXPECT_EQ(why("files", Json::array()), invalid + "files must be 1 to 10");
  EXPECT_EQ(why("files", 7), invalid + "files must be a list");
  EXPECT_EQ(why("files", Json::array({file_input(256, "app")})),
            invalid + "files[0].fileId is out of range");
  EXPECT_EQ(why("files", Json::array({file_input(0, "none")})),
            invalid + "files[0].s3Location cannot be read");
  EXPECT_EQ(why("files", Json::array({file_input(0, "huge")})),
            invalid + "files[0].s3Location is over 24 MB");
  EXPECT_EQ(why("files", Json::array({file_input(0, "app"), file_input(0, "app")})),
            invalid + "files[1].fileId comes twice");
  Json many = Json::array();
  for (int i = 0; i < 11; ++i) many.push_back(file_input(i, "app"));
  EXPECT_EQ(why("files", many), invalid + "files must be 1 to 10");
  EXPECT_EQ(why("description", std::string(2029, 'x')), invalid + "description is too long");
}

TEST_F(LabStreams, StateComesBackAsItWas) {
  const Json state = streams_.save();
  Streams other(
      {}, [](std::string_view) { return true; }, files_, random_);
  ASSERT_TRUE(other.load(*parse_json(dump(state))));
  EXPECT_EQ(dump(other.save()), dump(state));
}

TEST_F(LabStreams, BrokenStateIsRefusedByTheNameOfItsMember) {
  const Json good = streams_.save();
  const auto complaint = [&](const std::string& pointer, const Json& value) {
    return complaint_about(streams_, good, pointer, value);
  };
  EXPECT_EQ(complaint("/streams", 7), "streams must be an object");
  EXPECT_EQ(complaint("/other", 7), "other is no member here");
  EXPECT_EQ(complaint("/streams/s1/version", 0), "streams.s1.version is out of range");
  EXPECT_EQ(complaint("/streams/s1/files/0/size", -1), "streams.s1.files[0].size is out of range");
  EXPECT_EQ(complaint("/streams/s1/files/1/id", 0), "streams.s1.files[1].id comes twice");
  EXPECT_EQ(complaint("/streams/s1/files/0/etag", 0), "streams.s1.files[0].etag must be a string");
}

}  // namespace
}  // namespace holdfast::lab::iot
