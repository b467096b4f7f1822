// How the lab's own connections make themselves known to the broker's plugin, which lets in no
// others.
#pragma once

namespace holdfast::lab::iot {

inline constexpr const char* kBrokerUser = "front-door";
inline constexpr const char* kPublisherId = "$lab/publisher";

}  // namespace holdfast::lab::iot
