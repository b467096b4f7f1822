// Custom authorizers: which one, whether the token is signed, and what its Lambda function would
// have answered, which is data here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lab/iot/crypto.h"
#include "lab/iot/fields.h"
#include "lab/iot/http.h"
#include "lab/iot/registry_access.h"
#include "lab/iot/service.h"

namespace holdfast::lab::iot {

/// The parameters of a custom authorizer as a user name carries them, from the headers and query
/// of an HTTP request: "?x-amz-customauthorizer-name=…". Headers count before the query.
[[nodiscard]] std::string authorizer_parameters(const HttpQuestion& question);

/// The operations of authorizers, and their verdict. Operations of the lab besides AWS's:
/// SetAuthorizerAnswers {"authorizerName", "answers": {TOKEN: ANSWER}, "otherwise": ANSWER}. An
/// ANSWER is what AWS's Lambda returns; null is one that fails.
class Authorizers final : public Service, public CustomAuthorizer {
 public:
  static constexpr std::size_t kNameLength = 128;
  static constexpr std::size_t kDocuments = 10;
  static constexpr std::int64_t kShortest = 300;  ///< Of both times, in seconds.
  static constexpr std::int64_t kLongest = 86'400;

  /// `crypto` outlives it.
  Authorizers(std::string region, std::string account, const Crypto& crypto);

  [[nodiscard]] std::variant<Answer, std::string> judge(WallTime now, std::string_view username,
                                                        std::string_view password) override;

  [[nodiscard]] std::string_view name() const override { return "authorizers"; }
  /// Devices have no topics here.
  [[nodiscard]] Claim claims(std::string_view /*topic*/) const override { return Claim::none; }
  void on_request(WallTime /*now*/, const Requester& /*from*/, const mqtt::Publish& /*message*/,
                  Answers& /*out*/) override {}
  [[nodiscard]] bool has_operation(std::string_view operation) const override;
  ApiResult call(WallTime now, std::string_view operation, const Json& input,
                 Answers& out) override;
  [[nodiscard]] Json save() const override;
  Status load(const Json& state) override;
  [[nodiscard]] std::uint64_t revision() const override { return revision_; }

 private:
  struct Authorizer {
    std::string function;
    std::string token_key;
    std::map<std::string, std::string> public_keys;  ///< PEM, by name.
    bool signing_disabled = false;
    bool active = true;
    std::map<std::string, Json> answers;  ///< By token.
    Json otherwise;
  };
  static Authorizer read(Fields& in);
  static void read_answers(Fields& in, Authorizer& into);
  static Json write(const Authorizer& one);
  [[nodiscard]] bool is_signed(const Authorizer& one, const std::string& token,
                               const std::string& signature) const;
  ApiResult create(const Json& input);
  ApiResult set_answers(const Json& input);
  ApiResult set_default(const Json& input);
  ApiResult describe(const Json& input) const;
  ApiResult list(const Json& input) const;
  ApiResult remove(const Json& input);
  [[nodiscard]] std::string arn(std::string_view name) const;

  std::string region_, account_;
  const Crypto& crypto_;
  std::map<std::string, Authorizer, std::less<>> authorizers_;
  std::string default_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
