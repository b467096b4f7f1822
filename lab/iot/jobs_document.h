// Job documents: placeholders, the templates that AWS manages, and the rules for status details.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/iot/json.h"

namespace holdfast::lab::iot {

/// What becomes of ${aws:iot:parameter:NAME} when no value is given for NAME. AWS does not document
/// it; a device should take all three for "absent".
enum class OmittedParameter : std::uint8_t {
  empty,    ///< An empty string in its place.
  removed,  ///< A member or item that is nothing else goes; within a longer text it is empty.
  literal,  ///< The placeholder stays.
};

/// The document with ${aws:iot:parameter:NAME} replaced in all its strings. `parameters` is an
/// object of strings.
[[nodiscard]] Json with_parameters(const Json& document, const Json& parameters,
                                   OmittedParameter omitted);

/// The document with ${aws:iot:s3-presigned-url:URL} replaced by what `presign` makes of URL.
[[nodiscard]] Json with_presigned_urls(
    const Json& document, const std::function<std::string(std::string_view url)>& presign);

/// A template that AWS manages.
struct ManagedTemplate {
  std::string name;  ///< "AWS-Reboot"
  Json document;
  std::vector<std::string> required;  ///< Names of parameters.
  std::vector<std::string> optional;
};
[[nodiscard]] const std::vector<ManagedTemplate>& managed_templates();
/// By its ARN, "arn:aws:iot:REGION::jobtemplate/AWS-Reboot:1.0"; nullptr: there is none.
[[nodiscard]] const ManagedTemplate* managed_template(std::string_view region,
                                                      std::string_view arn);

/// What is wrong with status details; empty: nothing. `strict`: control characters and empty values
/// are wrong, as the model of the service says; whether the service refuses them is not documented.
[[nodiscard]] std::string complaint_about_details(const Json& details, bool strict);

inline constexpr std::size_t kDetailPairs = 10;
inline constexpr std::size_t kDetailKeyLength = 128;
inline constexpr std::size_t kDetailValueLength = 1024;
inline constexpr std::size_t kDocumentBytes = 32'768;
inline constexpr std::size_t kHandlerParameterLength = 256;  ///< pathToHandler, runAsUser.

/// Code points of `text`, which is UTF-8.
[[nodiscard]] std::size_t length_of(std::string_view text) noexcept;
/// Whether `text`, which is UTF-8, has code points of the Unicode categories Cc, Cf, Co or Cs.
[[nodiscard]] bool has_control_characters(std::string_view text) noexcept;

}  // namespace holdfast::lab::iot
