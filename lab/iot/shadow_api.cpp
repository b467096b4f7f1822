// Shadows as operations of the AWS API, and their state, to JSON and back.
#include <utility>

#include "lab/iot/fields.h"
#include "lab/iot/shadow.h"
#include "lab/iot/shadow_json.h"

namespace holdfast::lab::iot {
namespace {

/// The type of the API for a code of the service.
std::string type_of(int code) {
  switch (code) {
    case 404:
      return "ResourceNotFoundException";
    case 409:
      return "ConflictException";
    case 413:
      return "RequestEntityTooLargeException";
    case 415:
      return "UnsupportedDocumentEncodingException";
    case 429:
      return "ThrottlingException";
    default:
      return "InvalidRequestException";
  }
}

}  // namespace

bool Shadows::has_operation(std::string_view operation) const {
  return operation == "GetThingShadow" || operation == "UpdateThingShadow" ||
         operation == "DeleteThingShadow" || operation == "ListNamedShadowsForThing";
}

ApiResult Shadows::call(WallTime now, std::string_view operation, const Json& input, Answers& out) {
  if (!has_operation(operation)) {
    return ApiError{"UnknownOperationException", 404, "no operation " + std::string(operation)};
  }
  std::string complaint;
  Fields in(input, complaint);
  Request request;
  request.key.first = in.text("thingName");
  const bool list = operation == "ListNamedShadowsForThing";
  if (!list) request.key.second = in.text_or("shadowName", "");
  std::string payload;
  if (operation == "UpdateThingShadow") {
    request.verb = Verb::update;
    const Json& given = in.any("payload");
    payload = given.is_string() ? given.get<std::string>() : dump(given);
  } else if (operation == "DeleteThingShadow") {
    request.verb = Verb::remove;
  }
  in.no_others();
  if (complaint.empty() && !list && !request_of(topic_of(request))) {
    complaint = "thingName or shadowName has wrong characters or is too long";
  }
  if (!complaint.empty()) return ApiError{"InvalidRequestException", 400, complaint};
  if (list) {
    Json names = Json::array();
    for (const auto& [key, shadow] : shadows_) {
      if (key.first == request.key.first && !key.second.empty() && !shadow.deleted) {
        names.push_back(key.second);
      }
    }
    return Json{{"results", std::move(names)}, {"timestamp", now.ms / 1000}};
  }
  const Outcome outcome = handle(now, request, payload);
  if (outcome.refusal) {
    return ApiError{type_of(outcome.refusal->code), outcome.refusal->code,
                    outcome.refusal->message};
  }
  if (request.verb != Verb::get) publish(request, outcome, out);
  return Json{{"payload", outcome.accepted}};
}

Json Shadows::save() const {
  Json list = Json::array();
  for (const auto& [key, shadow] : shadows_) {
    Json one = {{"thing", key.first}, {"name", key.second}, {"version", shadow.version}};
    if (shadow.deleted) one["deleted"] = shadow.deleted->ms;
    for (const auto& [name, section] :
         {std::pair{"desired", &shadow.desired}, std::pair{"reported", &shadow.reported}}) {
      one[name] = {{"state", section->state}, {"metadata", section->metadata}};
    }
    list.push_back(std::move(one));
  }
  Json state;
  state["shadows"] = std::move(list);
  return state;
}

void Shadows::load_section(Fields from, Section& section) {
  section.state = from.any("state");
  section.metadata = from.any("metadata");
  from.no_others();
  if (!section.state.is_object()) {
    from.complain("state", "must be an object");
  } else if (!mirrors(section.state, section.metadata)) {
    from.complain("metadata", "has another shape than the state");
  }
}

Status Shadows::load(const Json& state) {
  std::string complaint;
  Fields all(state, complaint);
  std::map<Key, Shadow> shadows;
  all.each_item("shadows", [&](Fields one) {
    Request request;
    request.key = {one.text("thing"), one.text("name")};
    if (!request_of(topic_of(request))) one.complain("name", "is no name of a shadow");
    Shadow shadow;
    shadow.version = one.number("version");
    if (shadow.version < 1) one.complain("version", "must be at least 1");
    if (const auto deleted = one.number_if("deleted")) shadow.deleted = WallTime{*deleted};
    load_section(one.object("desired"), shadow.desired);
    load_section(one.object("reported"), shadow.reported);
    one.no_others();
    if (!shadows.try_emplace(request.key, std::move(shadow)).second) {
      one.complain("name", "comes twice");
    }
  });
  all.no_others();
  if (Status status = state_status(complaint); !status) return status;
  shadows_ = std::move(shadows);
  ++revision_;
  return {};
}

}  // namespace holdfast::lab::iot
