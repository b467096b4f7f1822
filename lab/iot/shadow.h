// The Device Shadow service: what a thing should be and what it says that it is.
//
// Requests are seen by subscribers, too, and so are answers, which go through the broker. A will on
// a shadow topic is no request: the front door never hands one in. Operations of the API work on
// the same shadows, and publish what an update or a deletion by a device would.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lab/iot/registry.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

class Fields;

struct ShadowOptions {
  /// Levels within desired and reported. The error text of AWS says 6, its page of quotas 8.
  std::size_t depth = 6;
  std::size_t document_bytes = 8192;  ///< Of the state; metadata does not count.
  /// How long a deleted shadow's version lives on in a new one. Elsewhere AWS names no time.
  std::chrono::hours tombstone{48};
  /// Requests to one shadow; over it they are rejected with 429. 0: no limit. AWS: 20.
  std::int64_t requests_per_second = 0;
  /// Whether a thing must be in the registry.
  bool only_known_things = true;
};

class Shadows final : public Service {
 public:
  static constexpr std::size_t kThingNameLength = 128;
  static constexpr std::size_t kShadowNameLength = 64;
  static constexpr std::size_t kClientTokenLength = 64;

  /// `things` must outlive it.
  Shadows(ShadowOptions options, const ThingBook& things);
  void on_switches(const Switches& switches) override {
    options_.depth = static_cast<std::size_t>(switches.shadow_depth);
    options_.tombstone = std::chrono::hours(switches.shadow_tombstone_hours);
    options_.requests_per_second = switches.shadow_requests_per_second;
    options_.only_known_things = switches.shadow_known_things_only;
  }

  [[nodiscard]] std::string_view name() const override { return "shadows"; }
  [[nodiscard]] Claim claims(std::string_view topic) const override;
  /// Publishes exactly one answer, accepted or rejected, and after an update what follows from it.
  void on_request(WallTime now, const Requester& from, const mqtt::Publish& message,
                  Answers& out) override;
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  /// GetThingShadow, UpdateThingShadow, DeleteThingShadow and ListNamedShadowsForThing. "payload"
  /// is JSON, in the output as a value, in the input as a value or as its text.
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  /// Thing, and name of the shadow: empty for the classic one.
  using Key = std::pair<std::string, std::string>;
  /// Desired or reported. The metadata has the shape of the state.
  struct Section {
    Json state = Json::object();
    Json metadata = Json::object();
  };
  struct Shadow {
    std::int64_t version = 0;
    std::optional<WallTime> deleted;  ///< A tombstone: only the version is left.
    Section desired;
    Section reported;
  };
  enum class Verb : std::uint8_t { get, update, remove };
  struct Request {
    Key key;
    Verb verb = Verb::get;
  };
  struct Refusal {
    int code = 0;
    std::string message;
  };
  /// What an update asks for, checked.
  struct Update {
    Json state;  ///< An object with desired or reported or both, or null.
    std::optional<std::int64_t> version;
  };
  /// What comes of a request.
  struct Outcome {
    std::optional<Refusal> refusal;
    Json accepted;
    Json delta;      ///< Null: desired and reported are the same.
    Json documents;  ///< Null but for updates.
  };

  [[nodiscard]] static std::optional<Request> request_of(std::string_view topic);
  [[nodiscard]] static std::string topic_of(const Request& request);
  Outcome handle(WallTime now, const Request& request, std::string_view payload);
  Outcome get(WallTime now, const Key& key);
  Outcome remove(WallTime now, const Key& key);
  Outcome update(WallTime now, const Key& key, const Json& body);
  [[nodiscard]] std::optional<Refusal> read_update(const Json& body, Update& into) const;
  [[nodiscard]] std::optional<Refusal> check_section(const Json& section,
                                                     std::string_view name) const;
  [[nodiscard]] bool too_fast(WallTime now, const Key& key);
  Shadow* find(WallTime now, const Key& key);
  static void publish(const Request& request, const Outcome& outcome, Answers& out);
  /// State, metadata and version.
  [[nodiscard]] static Json document_of(const Shadow& shadow);
  static void load_section(Fields from, Section& section);

  ShadowOptions options_;
  const ThingBook& things_;
  std::map<Key, Shadow> shadows_;
  std::int64_t second_ = 0;  ///< That `requests_` counts in.
  std::map<Key, std::int64_t> requests_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
