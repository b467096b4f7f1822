// Metrics as Prometheus reads them: its text format, written by prometheus-cpp.
//
// Purpose:  the only place that names prometheus-cpp. Debian has it as a shared library only, and
// it
//           brings the shared libstdc++ along: 2 MB for an agent that has linked its own in. So the
//           library, and the few lines that call it, are a module (prometheus_module.cpp), which is
//           loaded when metrics are served and never else.
// Threads:  load() blocks on the disk; text() on one thread at a time.
// Errors:   not_found when the module is not there, io when the system's loader refuses it; the
//           message has the loader's words.
#pragma once

#include <cstddef>
#include <string>

#include "base/metric.h"
#include "holdfast/result.h"

namespace holdfast::host {

/// What a page in this format says that it is.
inline constexpr const char* kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

/// Whether this build has the module.
[[nodiscard]] bool has_prometheus() noexcept;

class PrometheusText {
 public:
  /// Looks beside the program, then where the module was installed to. It stays loaded.
  [[nodiscard]] static Result<PrometheusText> load();

  /// Empty only if memory ran out, or there is no metric.
  [[nodiscard]] std::string text(const MetricFamilies& families) const;

  /// The module's only function: gives the text to `write`, whole. False: memory ran out. Nothing
  /// of C++ crosses but what it reads; the two sides may have a standard library of their own each.
  using Write = void (*)(void* to, const char* text, std::size_t size);
  using Serialize = bool (*)(const MetricFamilies* families, Write write, void* to);
  static constexpr const char* kSymbol = "holdfast_prometheus_text";

 private:
  explicit PrometheusText(Serialize serialize) : serialize_(serialize) {}
  Serialize serialize_;
};

}  // namespace holdfast::host
