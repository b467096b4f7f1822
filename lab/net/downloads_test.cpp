// Links that end, with real cryptography: made, used, changed, too late, and with faults.
#include "lab/iot/downloads.h"

#include <gtest/gtest.h>

#include <string>

#include "lab/net/crypto.h"

namespace holdfast::lab::net {
namespace {

constexpr WallTime kNow{1'700'000'000'000};
const std::string base = "https://localhost:8443";

class LabDownloads : public ::testing::Test {
 protected:
  std::string link(const std::string& key = "app-1.bin") {
    return downloads_.presign(kNow, "https://s3.eu-central-1.amazonaws.com/firmware/" + key, 60);
  }
  iot::Download open(const std::string& link, WallTime now = kNow,
                     const std::string& method = "GET") {
    EXPECT_TRUE(link.starts_with(base)) << link;
    iot::HttpQuestion question;
    question.method = method;
    question.target = link.substr(base.size());
    return downloads_.open(now, question);
  }
  static void expect_refused(const iot::Download& download, const std::string& code) {
    EXPECT_EQ(download.path, "");
    EXPECT_EQ(download.refusal.status, code == "MethodNotAllowed" ? 405 : 403);
    EXPECT_NE(download.refusal.body.find("<Code>" + code + "</Code>"), std::string::npos)
        << download.refusal.body;
  }

  OpenSslCrypto crypto_;
  iot::Downloads downloads_{base, "secret", crypto_};
};

TEST_F(LabDownloads, ALinkOpensItsFileUntilItEnds) {
  EXPECT_EQ(open(link()).path, "firmware/app-1.bin");
  EXPECT_EQ(open(link("a%20b/c")).path, "firmware/a b/c");
  EXPECT_EQ(open(link(), kNow, "HEAD").path, "firmware/app-1.bin");
  EXPECT_EQ(open(link(), {kNow.ms + 59'999}).path, "firmware/app-1.bin");
  expect_refused(open(link(), {kNow.ms + 60'000}), "AccessDenied");
  expect_refused(open(link(), kNow, "PUT"), "MethodNotAllowed");
}

TEST_F(LabDownloads, ALinkThatWasNeverMadeIsRefused) {
  std::string other = link();
  other.replace(other.find("app-1"), 5, "app-2");
  expect_refused(open(other), "SignatureDoesNotMatch");
  std::string longer = link();
  longer.replace(longer.find("Expires=17"), 10, "Expires=18");
  expect_refused(open(longer), "SignatureDoesNotMatch");
  expect_refused(open(base + "/firmware/app-1.bin"), "AccessDenied");
  expect_refused(open(base + "/firmware/app-1.bin?Expires=x&Signature=%"), "AccessDenied");
  expect_refused(open(base), "AccessDenied");
  iot::Downloads stranger(base, "another secret", crypto_);
  expect_refused(open(stranger.presign(kNow, "https://s3/firmware/a", 60)),
                 "SignatureDoesNotMatch");
}

TEST_F(LabDownloads, NoLinkLeadsOutOfTheFiles) {
  for (const char* key : {"../../etc/passwd", "%2e%2e/x", "a//b", "a/./b", "a%00b", "%"}) {
    expect_refused(open(link(key)), "SignatureDoesNotMatch");
  }
}

TEST_F(LabDownloads, FaultsGoWithTheirFile) {
  iot::DownloadFault fault;
  fault.cut_at = 1000;
  downloads_.set_fault("firmware/app-1.bin", fault);
  EXPECT_EQ(open(link()).fault, fault);
  EXPECT_EQ(open(link("other")).fault, iot::DownloadFault());
  fault.expired = true;
  downloads_.set_fault("firmware/app-1.bin", fault);
  expect_refused(open(link()), "AccessDenied");
  downloads_.set_fault("firmware/app-1.bin", {});
  EXPECT_EQ(open(link()).fault, iot::DownloadFault());
}

}  // namespace
}  // namespace holdfast::lab::net
