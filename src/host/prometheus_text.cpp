// See prometheus_text.h.
#include "host/prometheus_text.h"

#include <dlfcn.h>

#include <array>
#include <filesystem>
#include <system_error>

namespace holdfast::host {

#ifdef HOLDFAST_WITH_PROMETHEUS

namespace {

constexpr const char* kFile = "holdfast_prometheus.so";

/// Beside the program, as in a build or a container; else the place of `make install`.
std::filesystem::path module_path() {
  std::error_code failure;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failure);
  for (const auto& folder : {program.parent_path(), program.parent_path() / "../lib/holdfast"}) {
    if (std::filesystem::exists(folder / kFile, failure)) return folder / kFile;
  }
  return std::filesystem::path(HOLDFAST_MODULE_DIRECTORY) / kFile;
}

}  // namespace

bool has_prometheus() noexcept { return true; }

Result<PrometheusText> PrometheusText::load() {
  const std::filesystem::path path = module_path();
  std::error_code failure;
  if (!std::filesystem::exists(path, failure)) {
    return Error{Errc::not_found, path.string() + " is not there; install it with the program"};
  }
  void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const symbol = module == nullptr ? nullptr : ::dlsym(module, kSymbol);
  if (symbol == nullptr) {
    const char* const why = ::dlerror();
    return Error{Errc::io, "cannot load " + path.string() + ": " +
                               (why == nullptr ? "no reason given" : why) +
                               "; install prometheus-cpp's library"};
  }
  return PrometheusText(reinterpret_cast<Serialize>(symbol));
}

#else

bool has_prometheus() noexcept { return false; }

Result<PrometheusText> PrometheusText::load() {
  return Error{Errc::unsupported, "this build has no prometheus-cpp"};
}

#endif

std::string PrometheusText::text(const MetricFamilies& families) const {
  std::string text;
  const Write write = [](void* to, const char* bytes, std::size_t size) {
    static_cast<std::string*>(to)->append(bytes, size);
  };
  static_cast<void>(serialize_(&families, write, &text));
  return text;
}

}  // namespace holdfast::host
