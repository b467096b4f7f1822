#include "lab/region_http.h"

#include <chrono>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/calendar.h"

namespace holdfast::lab {
namespace {

/// Where presigned links lead: the port's https://HOST:PORT/files/BUCKET/KEY.
constexpr std::string_view kFiles = "/files/";

/// Whom a signature of the WebSocket upgrade is for.
constexpr const char* kDeviceGateway = "iotdevicegateway";

iot::HttpQuestion question_of(const net::HttpQuestion& from) {
  return {from.method, from.target, from.headers, from.body, from.certificate};
}

net::HttpAnswer answer_of(iot::HttpAnswer from) {
  net::HttpAnswer answer;
  answer.status = from.status;
  answer.headers = std::move(from.headers);
  answer.body = std::move(from.body);
  return answer;
}

net::HttpAnswer forbidden() {
  return {403,
          {{"Content-Type", "application/json"}, {"x-amzn-ErrorType", "ForbiddenException"}},
          R"({"message":"Forbidden"})",
          {},
          {},
          {}};
}

/// A whole number, if `request` has it.
Result<std::optional<std::uint64_t>> number(const net::Json& request, const std::string& name) {
  const auto found = request.find(name);
  if (found == request.end() || found->is_null()) return std::optional<std::uint64_t>();
  if (!found->is_number_unsigned()) {
    return Error{Errc::invalid_argument, name + " is no whole number"};
  }
  return std::optional(found->get<std::uint64_t>());
}

}  // namespace

RegionHttp::RegionHttp(World world)
    : world_(std::move(world)),
      data_plane_(
          {[&region = world_.region](std::string_view operation, const iot::Json& input) {
             return region.call(operation, input);
           },
           [&access = world_.services.access](const iot::HttpQuestion& question,
                                              std::string_view action, std::string_view resource) {
             iot::Requester who;
             who.principal = question.principal;
             who.access_key = question.access_key;
             return access.allows(who, action, resource, {});
           }}),
      credentials_({world_.services.registry, world_.services.access, world_.services.role_aliases,
                    world_.services.iam, world_.region.switches}) {}

net::HttpAnswer RegionHttp::answer(const net::HttpQuestion& question) {
  iot::HttpQuestion asked = question_of(question);
  // Links of downloads are signed in their own way, and need no certificate.
  if (asked.target.starts_with(kFiles)) return download(asked);
  if (iot::CredentialProvider::claims(asked.target)) {
    return credentials(asked);
  }
  if (asked.principal.empty() && iot::is_signed(asked)) {
    const auto key = verify(question, iot::DataPlane::signing_name(asked.target));
    if (!key) return forbidden();
    asked.principal = key->principal;
    asked.access_key = key->id;
  }
  return answer_of(data_plane_.answer(asked));
}

std::optional<iot::AccessKey> RegionHttp::verify(const net::HttpQuestion& question,
                                                 std::string service) const {
  const iot::SignatureScope scope{world_.name, std::move(service),
                                  world_.region.switches.signature_seconds * 1000};
  auto verdict = iot::verify_sigv4(keys_time(), question_of(question), scope, world_.services.iam,
                                   world_.crypto);
  if (auto* key = std::get_if<iot::AccessKey>(&verdict)) return std::move(*key);
  world_.trace.event("signature_refused", 0,
                     {{"peer", question.peer}, {"words", std::get<std::string>(verdict)}});
  return std::nullopt;
}

std::optional<net::HttpAnswer> RegionHttp::refuse_upgrade(const net::HttpQuestion& question) const {
  if (!iot::is_signed(question_of(question)) || verify(question, kDeviceGateway)) {
    return std::nullopt;
  }
  return forbidden();
}

void RegionHttp::recognize(const net::HttpQuestion& upgrade, iot::Arrival& arrival) const {
  const iot::HttpQuestion asked = question_of(upgrade);
  if (!iot::is_signed(asked)) {
    arrival.by = iot::Arrival::By::custom;
    arrival.authorizer_parameters = iot::authorizer_parameters(asked);
    return;
  }
  arrival.by = iot::Arrival::By::sigv4;
  // Refused before, when it was not right. Should time have run out since, it is as a key that is
  // unknown, to which nothing is allowed.
  const iot::AccessKey key =
      verify(upgrade, kDeviceGateway).value_or(iot::AccessKey{"expired", {}, {}, {}, {}});
  arrival.principal = key.principal;
  arrival.access_key = key.id;
  const std::int64_t ahead = keys_time().ms - world_.clock.wall().ms;
  arrival.expires = WallTime{key.expires.ms - ahead};
}

net::HttpAnswer RegionHttp::download(iot::HttpQuestion question) {
  question.target.erase(0, kFiles.size() - 1);
  iot::Download found = world_.services.downloads.open(world_.clock.wall(), question);
  if (found.path.empty()) return answer_of(std::move(found.refusal));
  const std::filesystem::path file = world_.files / found.path;
  std::error_code failure;
  if (!std::filesystem::is_regular_file(file, failure)) {
    return {
        404, {{"Content-Type", "application/xml"}}, "<Error><Code>NoSuchKey</Code></Error>", {}, {},
        {}};
  }
  net::HttpAnswer answer;
  answer.file = file;
  answer.damage = {found.fault.cut_at, found.fault.corrupt_at, found.fault.stall_at};
  return answer;
}

WallTime RegionHttp::keys_time() const {
  return WallTime{world_.clock.wall().ms + world_.region.switches.keys_clock_ahead * 1000};
}

net::HttpAnswer RegionHttp::credentials(const iot::HttpQuestion& question) {
  const WallTime wall = keys_time();
  net::HttpAnswer answer = answer_of(credentials_.answer(world_.clock.now(), wall, question));
  answer.headers.emplace_back("Date", http_date(wall));
  answer.status = credentials_fault_.status.value_or(answer.status);
  if (credentials_fault_.body) answer.body = *credentials_fault_.body;
  answer.damage.cut_at = credentials_fault_.cut_at;
  answer.delay = credentials_fault_.delay;
  return answer;
}

void RegionHttp::set_port(std::uint16_t port) {
  world_.services.downloads.set_base("https://localhost:" + std::to_string(port) + "/files");
}

void RegionHttp::add_operations(net::Control& control) {
  control.add("download.fault",
              [this](const net::Json& request, net::ControlSession&) -> Result<net::Json> {
                const std::string* path = iot::string_in(request, "path");
                if (path == nullptr) return Error{Errc::invalid_argument, "path is missing"};
                iot::DownloadFault fault;
                fault.expired = request.value("expired", net::Json(false)) == net::Json(true);
                for (const auto& [name, member] : {std::pair{"cut_at", &fault.cut_at},
                                                   {"corrupt_at", &fault.corrupt_at},
                                                   {"stall_at", &fault.stall_at}}) {
                  auto at = number(request, name);
                  if (!at) return at.error();
                  *member = *at;
                }
                world_.services.downloads.set_fault(*path, fault);
                return net::Json::object();
              });
  control.add("credentials.fault",
              [this](const net::Json& request, net::ControlSession&) -> Result<net::Json> {
                const auto status = number(request, "status");
                const auto cut_at = number(request, "cut_at");
                const auto delay = number(request, "delay_ms");
                for (const auto* one : {&status, &cut_at, &delay}) {
                  if (!*one) return one->error();
                }
                const std::string* body = iot::string_in(request, "body");
                credentials_fault_ = {
                    *status ? std::optional(static_cast<int>(**status)) : std::nullopt,
                    body != nullptr ? std::optional(*body) : std::nullopt, *cut_at,
                    std::chrono::milliseconds(delay->value_or(0))};
                return net::Json::object();
              });
}

}  // namespace holdfast::lab
