// Any requests to shadows: each is answered by exactly one accepted or rejected, versions only
// grow, reporting a delta ends it, and state survives being saved.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "lab/iot/json.h"
#include "lab/iot/shadow.h"

using namespace holdfast::lab;       // NOLINT: a fuzz target's only file
using namespace holdfast::lab::iot;  // NOLINT

namespace {

class EvenThings final : public ThingBook {
 public:
  [[nodiscard]] bool has_thing(std::string_view name) const override { return name != "absent"; }
};

/// Takes the input byte by byte; zeros after its end.
class Input {
 public:
  explicit Input(std::string_view bytes) : left_(bytes) {}
  [[nodiscard]] bool empty() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }
  std::string text(std::size_t longest) {
    const std::string_view piece = left_.substr(0, longest);
    left_.remove_prefix(piece.size());
    return std::string(piece);
  }

 private:
  std::string_view left_;
};

/// A value of few keys, so that requests meet each other.
Json value(Input& in, int depth) {
  const std::uint8_t kind = in.byte();
  if (depth == 0 || kind % 8 < 4) {
    switch (kind % 4) {
      case 0:
        return nullptr;
      case 1:
        return kind / 8;
      case 2:
        return kind % 16 < 8;
      default:
        return std::string(kind % 5, 'x');
    }
  }
  Json result = kind % 8 == 4 ? Json::array() : Json::object();
  for (int i = kind / 64; i >= 0; --i) {
    if (result.is_array()) {
      result.push_back(value(in, depth - 1));
    } else {
      result[std::string(1, static_cast<char>('a' + in.byte() % 4))] = value(in, depth - 1);
    }
  }
  return result;
}

std::string payload(Input& in) {
  const std::uint8_t kind = in.byte();
  if (kind % 8 == 0) return in.text(kind);
  if (kind % 8 == 1) return "";
  Json body = Json::object();
  Json& state = body["state"] = Json::object();
  if (kind % 16 < 12) state["desired"] = value(in, 8);
  if (kind % 3 != 0) state["reported"] = value(in, 8);
  if (kind % 32 == 7) body["state"] = value(in, 2);
  if (kind >= 192) body["version"] = in.byte() % 8;
  if (kind % 7 == 0) body["clientToken"] = value(in, 1);
  return dump(body);
}

struct World {
  EvenThings things;
  Shadows shadows{{}, things};
  holdfast::WallTime now{1'700'000'000'000};
  std::map<std::string, std::int64_t> versions;  ///< By prefix; what was seen last.
};

/// Sends one request; gives the body of the delta, if there is one.
std::optional<Json> ask(World& world, const std::string& prefix, const std::string& verb,
                        const std::string& text) {
  mqtt::Publish message;
  message.topic = prefix + verb;
  message.payload = text;
  HF_CHECK(world.shadows.claims(message.topic) == Claim::also);
  Answers out;
  world.shadows.on_request(world.now, {}, message, out);
  std::optional<Json> delta;
  int answers = 0;
  for (const Answer& answer : out.all) {
    HF_CHECK(world.shadows.claims(answer.topic) == Claim::none);
    const auto body = parse_json(answer.payload);
    HF_CHECK(body.ok());
    if (answer.topic == message.topic + "/rejected") {
      ++answers;
      HF_CHECK(out.all.size() == 1 && number_in(*body, "code") && string_in(*body, "message"));
    } else if (answer.topic == message.topic + "/accepted") {
      ++answers;
      const auto version = number_in(*body, "version");
      HF_CHECK(version.has_value());
      std::int64_t& last = world.versions[prefix];
      HF_CHECK(verb == "update" ? *version == last + 1 : *version == last);
      last = *version;
    } else if (answer.topic == message.topic + "/delta") {
      delta = *body;
    }
  }
  HF_CHECK(answers == 1);
  return delta;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr std::string_view kPrefixes[] = {
      "$aws/things/pump/shadow/", "$aws/things/pump/shadow/name/setup/",
      "$aws/things/valve/shadow/", "$aws/things/absent/shadow/"};
  static constexpr std::string_view kVerbs[] = {"update", "update", "get", "delete"};
  World world;
  Input in(std::string_view(reinterpret_cast<const char*>(data), size));
  while (!in.empty()) {
    const std::uint8_t choice = in.byte();
    const std::string prefix(kPrefixes[choice % 4]);
    const std::string verb(kVerbs[choice / 4 % 4]);
    world.now.ms += choice;
    const auto delta = ask(world, prefix, verb, payload(in));
    if (delta && choice >= 128) {
      // Fails only when the document gets too large; else desired and reported are the same now.
      const auto before = world.versions[prefix];
      const auto more =
          ask(world, prefix, "update", dump({{"state", {{"reported", (*delta)["state"]}}}}));
      HF_CHECK(world.versions[prefix] == before || !more);
    }
    const Json saved = world.shadows.save();
    Shadows again({}, world.things);
    HF_CHECK(again.load(saved).ok());
    HF_CHECK(dump(again.save()) == dump(saved));
  }
  return 0;
}
