// Goal:   every form in which a link to S3 is written leads to the same object; nothing else does.
// Method: a table of links.
#include "lab/iot/s3_location.h"

#include <gtest/gtest.h>

namespace holdfast::lab::iot {
namespace {

TEST(LabS3Location, EveryFormOfALinkNamesTheObject) {
  for (const char* url :
       {"s3://photos/a/b%20c.json", "https://photos.s3.amazonaws.com/a/b%20c.json",
        "https://photos.s3.eu-central-1.amazonaws.com/a/b%20c.json",
        "https://photos.s3-eu-west-1.amazonaws.com/a/b%20c.json",
        "https://s3.eu-central-1.amazonaws.com/photos/a/b%20c.json",
        "https://s3.amazonaws.com/photos/a/b%20c.json",
        "https://localhost:8443/photos/a/b%20c.json"}) {
    const auto file = s3_location(url);
    ASSERT_TRUE(file) << url;
    EXPECT_EQ(file->bucket, "photos") << url;
    EXPECT_EQ(file->key, "a/b c.json") << url;
    EXPECT_EQ(file->version, "") << url;
  }
  EXPECT_EQ(s3_location("https://s3.amazonaws.com/b/k?versionId=v7")->version, "v7");
}

TEST(LabS3Location, WhatNamesNoObjectIsRefused) {
  for (const char* url : {"", "photos/a", "ftp://photos/a", "s3://photos", "s3://photos/",
                          "s3:///a", "https://localhost/photos", "https://photos.s3.amazonaws.com/",
                          "https://s3.amazonaws.com//a", "s3://photos/%zz"}) {
    EXPECT_FALSE(s3_location(url)) << url;
  }
}

}  // namespace
}  // namespace holdfast::lab::iot
