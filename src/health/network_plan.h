// The plan of uplinks that NetworkManager's profiles make: which one traffic takes, which one it
// falls back to, and what would keep it from doing so.
//
// Purpose:  the pure half of `holdfast network plan`: the text of keyfiles goes in; the order of
//           uplinks and findings come out; and examples of keyfiles.
// Threads:  pure functions.
// Secrets:  passwords and PINs of a keyfile are not taken over.
// Source:   nm-settings-keyfile(5), nm-settings(5): autoconnect, autoconnect-priority,
//           autoconnect-retries, route-metric, metered, never-default.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "health/doctor.h"

namespace holdfast::health {

enum class UplinkKind : std::uint8_t { ethernet, wifi, cellular, other };
[[nodiscard]] std::string_view to_string(UplinkKind kind) noexcept;

/// One profile, as far as it says whether and when traffic goes that way.
struct Profile {
  std::string file;
  std::string id;
  UplinkKind kind = UplinkKind::other;
  std::string interface;  ///< Empty: any of its kind.
  bool autoconnect = true;
  std::int64_t priority = 0;  ///< Of the profiles that fit a device the highest is taken.
  std::int64_t retries = -1;  ///< 0: for ever; -1: NetworkManager's default, 4.
  /// As given, or what NetworkManager takes for this kind; the lowest is preferred.
  std::int64_t metric4 = 0;
  std::int64_t metric6 = 0;
  bool ipv4 = true;  ///< It may have a default route …
  bool ipv6 = true;  ///< … of this kind.
  std::optional<bool> metered;

  [[nodiscard]] bool is_uplink() const { return kind != UplinkKind::other && (ipv4 || ipv6); }
};

/// A file of the directory, as far as it could be read.
struct ProfileFile {
  std::string name;
  std::string text;
  std::string problem;    ///< Why it could not be read; empty: it could.
  bool too_open = false;  ///< Others than its owner, root, may read or write it.
};

struct PlanFacts {
  std::vector<ProfileFile> files;
  /// net.ipv4.conf.all.ignore_routes_with_linkdown of this machine; none: not looked at.
  std::optional<bool> passes_over_dead_links;
};

struct PlanFinding {
  std::string about;  ///< The profile's id, the file, or empty: all.
  Finding finding;
};

struct Plan {
  std::vector<Profile> uplinks;  ///< In the order in which traffic prefers them.
  std::vector<PlanFinding> findings;

  [[nodiscard]] bool failed() const;
};

/// What a keyfile says; nothing where it is none.
[[nodiscard]] std::optional<Profile> read_profile(const std::string& file, std::string_view text);

[[nodiscard]] Plan judge_plan(const PlanFacts& facts);

struct ExampleFile {
  std::string name;
  std::string text;
};
/// Keyfiles for Ethernet, then Wi-Fi, then cellular, which make a plan without findings.
[[nodiscard]] std::array<ExampleFile, 3> example_profiles(const std::string& ssid,
                                                          const std::string& apn);

}  // namespace holdfast::health
