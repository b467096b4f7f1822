#include "lab/region_http.h"

#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

namespace holdfast::lab {
namespace {

/// Where presigned links lead: the port's https://HOST:PORT/files/BUCKET/KEY.
constexpr std::string_view kFiles = "/files/";

net::HttpAnswer answer_of(iot::HttpAnswer from) {
  net::HttpAnswer answer;
  answer.status = from.status;
  answer.headers = std::move(from.headers);
  answer.body = std::move(from.body);
  return answer;
}

/// A number of bytes, if `request` has it.
Result<std::optional<std::uint64_t>> position(const net::Json& request, const std::string& name) {
  const auto found = request.find(name);
  if (found == request.end() || found->is_null()) return std::optional<std::uint64_t>();
  if (!found->is_number_unsigned()) {
    return Error{Errc::invalid_argument, name + " is no whole number of bytes"};
  }
  return std::optional(found->get<std::uint64_t>());
}

}  // namespace

RegionHttp::RegionHttp(const env::Clock& clock, iot::Region& region, iot::Access& access,
                       iot::Downloads& downloads, std::filesystem::path files)
    : clock_(clock),
      downloads_(downloads),
      files_(std::move(files)),
      data_plane_({[&region](std::string_view operation, const iot::Json& input) {
                     return region.call(operation, input);
                   },
                   [&access](std::string_view principal, std::string_view action,
                             std::string_view resource) {
                     iot::Requester who;
                     who.principal = principal;
                     return access.allows(who, action, resource, {});
                   }}) {}

net::HttpAnswer RegionHttp::answer(const net::HttpQuestion& question) {
  const iot::HttpQuestion asked{question.method, question.target, question.headers, question.body,
                                question.certificate};
  // Links of downloads are signed, and need no certificate.
  if (asked.target.starts_with(kFiles)) return download(asked);
  return answer_of(data_plane_.answer(asked));
}

net::HttpAnswer RegionHttp::download(iot::HttpQuestion question) {
  question.target.erase(0, kFiles.size() - 1);
  iot::Download found = downloads_.open(clock_.wall(), question);
  if (found.path.empty()) return answer_of(std::move(found.refusal));
  const std::filesystem::path file = files_ / found.path;
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

void RegionHttp::set_port(std::uint16_t port) {
  downloads_.set_base("https://localhost:" + std::to_string(port) + "/files");
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
                  auto at = position(request, name);
                  if (!at) return at.error();
                  *member = *at;
                }
                downloads_.set_fault(*path, fault);
                return net::Json::object();
              });
}

}  // namespace holdfast::lab
