// Role aliases: the names under which devices ask for the credentials of an IAM role.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lab/iot/service.h"

namespace holdfast::lab::iot {

struct RoleAlias {
  std::string role_arn;
  std::int64_t seconds = 3600;  ///< How long its credentials are good.
  WallTime created;
  WallTime modified;
};

class RoleAliases final : public Service {
 public:
  static constexpr std::size_t kNameLength = 128;
  static constexpr std::size_t kArnLeast = 20;
  static constexpr std::size_t kArnMost = 2048;
  static constexpr std::int64_t kShortest = 900;  ///< Of credentials, in seconds.
  static constexpr std::int64_t kLongest = 43'200;

  RoleAliases(std::string region, std::string account)
      : region_(std::move(region)), account_(std::move(account)) {}

  /// nullptr: there is none.
  [[nodiscard]] const RoleAlias* role_alias(std::string_view name) const;

  [[nodiscard]] std::string_view name() const override { return "role_aliases"; }
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
  struct Operation;
  static const Operation* named(std::string_view operation);

  ApiResult create(WallTime now, const Json& input);
  ApiResult describe(WallTime now, const Json& input);
  ApiResult list(WallTime now, const Json& input);
  ApiResult update(WallTime now, const Json& input);
  ApiResult remove(WallTime now, const Json& input);
  [[nodiscard]] Json reference(const std::string& name) const;

  std::string region_, account_;
  std::map<std::string, RoleAlias, std::less<>> aliases_;
  std::uint64_t revision_ = 0;
};

}  // namespace holdfast::lab::iot
