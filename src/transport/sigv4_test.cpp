// Goal:   requests for WebSocket are signed as AWS IoT Core verifies them.
// Method: whole targets, compared with what an independent program (Python's hmac and hashlib) made
//         of the same keys and times. That AWS's own clients and the lab agree is shown by
//         lab/sdk_test.py, that the lab takes ours by lab/login_test.py.
#include "transport/sigv4.h"

#include <gtest/gtest.h>

namespace holdfast::transport {
namespace {

constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

TEST(SigV4, KeysForGoodSignPathHostAndTime) {
  const AwsKeys keys{"AKIDEXAMPLE", kSecret, "", {}};
  EXPECT_EQ(
      sign_upgrade(keys, {"a1b2-ats.iot.eu-west-1.amazonaws.com", 443, true, "/mqtt", "eu-west-1"},
                   WallTime{1440938160LL * 1000}),
      "/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
      "&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Feu-west-1%2Fiotdevicegateway%2Faws4_request"
      "&X-Amz-Date=20150830T123600Z&X-Amz-SignedHeaders=host"
      "&X-Amz-Signature="
      "37b813f1b9cbb6ef95ee70956e08717be9d70f6ea30723c7b0a3ba918ef4d453");
}

TEST(SigV4, ASessionTokenStandsBehindTheSignatureAndThePortInTheHost) {
  const AwsKeys keys{"ASIDEXAMPLE", kSecret, "to+ken/=", {}};
  EXPECT_EQ(sign_upgrade(keys, {"localhost", 8443, true, "/mqtt", "us-east-1"},
                         WallTime{1795767330LL * 1000}),
            "/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=ASIDEXAMPLE%2F20261127%2Fus-east-1%2Fiotdevicegateway%2Faws4_request"
            "&X-Amz-Date=20261127T081530Z&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature="
            "1be4926aea2d723fc59ea8273a6c9da88064f792d10656a28936560bd3e9cc87"
            "&X-Amz-Security-Token=to%2Bken%2F%3D");
}

TEST(SigV4, TheRegionIsFoundInNamesOfEndpoints) {
  EXPECT_EQ(region_of("a1b2-ats.iot.eu-west-1.amazonaws.com"), "eu-west-1");
  EXPECT_EQ(region_of("a1b2.ats.iot.cn-north-1.amazonaws.com.cn"), "cn-north-1");
  EXPECT_EQ(region_of("data.iot-fips.us-gov-west-1.amazonaws.com"), "us-gov-west-1");
  EXPECT_EQ(region_of("iot.example.com"), "");
  EXPECT_EQ(region_of("x.iot.eu-west-1.amazonaws.com.example.org"), "");
}

TEST(SigV4, OnlyPathsThatNeedNoEncodingAreSigned) {
  EXPECT_TRUE(plain_path("/mqtt"));
  EXPECT_TRUE(plain_path("/a/b-c.d_e~f"));
  for (const char* const path : {"", "mqtt", "/mqtt?x=1", "/a b", "/%41"}) {
    EXPECT_FALSE(plain_path(path)) << path;
  }
}

}  // namespace
}  // namespace holdfast::transport
