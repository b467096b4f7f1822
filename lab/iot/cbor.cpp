#include "lab/iot/cbor.h"

#include <cstdint>
#include <vector>

#include "flow/topic.h"

namespace holdfast::lab::iot {
namespace {

/// Looks at what is read and stops the reader where it is not wanted; builds nothing.
class Watch final : public nlohmann::json_sax<Json> {
 public:
  explicit Watch(const JsonLimits& limits) : limits_(limits) {}

  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return value - value == 0;  // neither infinite nor NaN
  }
  bool string(string_t& value) override { return is_text(value); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t members) override { return deeper(members); }
  bool key(string_t& value) override { return is_text(value); }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t items) override { return deeper(items); }
  bool end_array() override { return --depth_ >= 0; }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*why*/) override {
    return false;
  }

  [[nodiscard]] bool too_deep() const noexcept { return too_deep_; }

 private:
  bool deeper(std::size_t announced) {
    too_deep_ = static_cast<std::size_t>(++depth_) > limits_.depth;
    const bool unknown = announced == static_cast<std::size_t>(-1);
    return !too_deep_ && (unknown || announced <= limits_.bytes);
  }
  static bool is_text(const std::string& value) { return flow::valid_utf8(value); }

  JsonLimits limits_;
  std::int64_t depth_ = 0;
  bool too_deep_ = false;
};

}  // namespace

Result<Json> parse_cbor(std::string_view bytes, const JsonLimits& limits) {
  if (bytes.size() > limits.bytes) {
    return Error{Errc::too_large, "CBOR of " + std::to_string(bytes.size()) + " bytes; at most " +
                                      std::to_string(limits.bytes) + " are allowed"};
  }
  Watch watch(limits);
  if (!Json::sax_parse(bytes, &watch, Json::input_format_t::cbor)) {
    if (!watch.too_deep()) return Error{Errc::corrupt, "no CBOR that JSON could hold"};
    return Error{Errc::too_large, "CBOR nested deeper than " + std::to_string(limits.depth)};
  }
  return Json::from_cbor(bytes, true, false);
}

std::string to_cbor(const Json& value) {
  std::string bytes;
  Json::to_cbor(value, bytes);
  return bytes;
}

}  // namespace holdfast::lab::iot
