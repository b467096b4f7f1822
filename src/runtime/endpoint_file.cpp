// See endpoint_file.h.
#include "runtime/endpoint_file.h"

#include <utility>

#include "base/limits.h"
#include "posix/system.h"
#include "runtime/config_file.h"

namespace holdfast::runtime {
namespace {

constexpr std::string_view kHead = "holdfast-endpoint 1\n";

}  // namespace

EndpointFile::EndpointFile(Storage& storage, const std::filesystem::path& directory, LogHandler log)
    : path_(directory / kName),
      log_(std::move(log)),
      writes_(storage, LogArea::connection, "the endpoint in use was not kept", log_) {}

std::string EndpointFile::read() const {
  const Result<std::string> text = posix::read_file(path_, limits::kEndpointFileMax);
  Result<std::string> name = text ? parse_endpoint_file(*text) : Result<std::string>(text.error());
  if (name) return std::move(name).value();
  if (name.error().code != Errc::not_found) {
    const std::string where = text ? path_.string() + ": " : "";
    log_({LogLevel::warning, LogArea::connection,
          "the endpoint that was good before is not known: " + where + name.error().message});
  }
  return {};
}

void EndpointFile::write(const std::string& name) {
  writes_.post(
      [path = path_, text = endpoint_file_text(name)] { return posix::replace_file(path, text); });
}

std::string endpoint_file_text(std::string_view name) {
  return std::string(kHead) + std::string(name) + '\n';
}

Result<std::string> parse_endpoint_file(std::string_view text) {
  if (!text.starts_with(kHead)) return Error{Errc::corrupt, "it has another first line"};
  text.remove_prefix(kHead.size());
  const std::size_t end = text.find('\n');
  if (end != text.size() - 1 || text.empty()) return Error{Errc::corrupt, "it was cut"};
  if (!is_endpoint_name(text.substr(0, end))) {
    return Error{Errc::corrupt, "its name is no name of an endpoint"};
  }
  return std::string(text.substr(0, end));
}

}  // namespace holdfast::runtime
