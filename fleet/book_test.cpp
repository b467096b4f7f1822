// Goal: what a fleet and its broker say ends up in figures; what is wrong in it, or too much, in
// counts. Method: messages by hand. A real broker and thousands of devices: lab/fleet_test.py.
#include "book.h"

#include <gtest/gtest.h>

namespace holdfast::fleet {
namespace {

constexpr WallTime kNow{1'700'000'000'000};

/// Of the family, the sample with this value of its (first or second) label; -1: none.
double value(const Book& book, const std::string& name, const std::string& label) {
  for (const MetricFamily& family : book.families()) {
    if (family.name != name) continue;
    for (const MetricSample& sample : family.samples) {
      if (sample.labels.back().second == label) return sample.value;
    }
  }
  return -1;
}

double ignored(const Book& book, const char* why) {
  return value(book, "holdfast_fleet_ignored_total", why);
}

TEST(FleetBook, TheDeviceStandsAtTheFirstPlus) {
  EXPECT_EQ(device_of("plant/+/status", "plant/pump-7/status"), "pump-7");
  EXPECT_EQ(device_of("+/metrics", "pump-7/metrics"), "pump-7");
  EXPECT_EQ(device_of("a/+/+/b/#", "a/one/two/b/c"), "one");
  EXPECT_EQ(device_of("plant/+", "plant/"), "");
  EXPECT_EQ(device_of("plant/+/status", "plant"), "");
  EXPECT_EQ(device_of("plant/#", "plant/pump-7"), "");
}

TEST(FleetBook, BirthAndWillTellWhoIsThere) {
  Book book({});
  book.presence("a", "online", true, kNow);
  book.presence("b", R"({"state": "offline"})", true, kNow);
  book.presence("c", R"({"connected": true})", false, kNow);
  EXPECT_EQ(value(book, "holdfast_fleet_devices", "online"), 2);
  EXPECT_EQ(value(book, "holdfast_fleet_devices", "offline"), 1);
  EXPECT_EQ(value(book, "holdfast_fleet_device_online", "b"), 0);
  // How long a retained word has been true is not known; from a change on it is.
  EXPECT_EQ(value(book, "holdfast_fleet_device_changed_timestamp_seconds", "a"), -1);
  book.presence("a", "gone", false, {kNow.ms + 5000});
  EXPECT_EQ(value(book, "holdfast_fleet_device_changed_timestamp_seconds", "a"), 1'700'000'005);
  EXPECT_EQ(value(book, "holdfast_fleet_presence_changes_total", "offline"), 1);
  EXPECT_EQ(value(book, "holdfast_fleet_presence_changes_total", "online"), 1);
  book.presence("a", "gone", false, {kNow.ms + 9000});  // said again: no change
  EXPECT_EQ(value(book, "holdfast_fleet_presence_changes_total", "offline"), 1);
  book.presence("a", "", false, kNow);
  EXPECT_EQ(value(book, "holdfast_fleet_device_online", "a"), -1);
  EXPECT_EQ(book.size(), 2U);
}

TEST(FleetBook, LifecycleEventsMayComeTwiceAndOutOfOrder) {
  Book book({});
  const auto event = [&](const char* type, int version, const char* reason = "CONNECTION_LOST") {
    book.lifecycle(R"({"clientId":"a","eventType":")" + std::string(type) +
                       R"(","versionNumber":)" + std::to_string(version) +
                       R"(,"disconnectReason":")" + reason + R"("})",
                   kNow);
    return value(book, "holdfast_fleet_device_online", "a");
  };
  EXPECT_EQ(event("connected", 3), 1);
  EXPECT_EQ(event("connected", 4), 1);     // taken over: connected before the other's end
  EXPECT_EQ(event("disconnected", 3), 1);  // which is of the connection before
  EXPECT_EQ(ignored(book, "stale"), 1);
  EXPECT_EQ(event("disconnected", 4), 0);
  EXPECT_EQ(event("disconnected", 4), 0);  // twice
  EXPECT_EQ(event("connected", 4), 0);     // late
  EXPECT_EQ(ignored(book, "stale"), 3);
  EXPECT_EQ(value(book, "holdfast_fleet_disconnects_total", "CONNECTION_LOST"), 1);
  EXPECT_EQ(event("connected", 0), 1);  // after an hour it counts anew
  EXPECT_EQ(event("disconnected", 0, "NEW_REASON"), 0);
  EXPECT_EQ(value(book, "holdfast_fleet_disconnects_total", "other"), 1);
}

TEST(FleetBook, OutagesAreAddedUpOnceEach) {
  Book book({});
  const std::string one =
      R"({"event":"outage","over":true,"began_ms":1000,"lasted_ms":2500,"verdict":"tcp_refused"})";
  book.outage("a", one, kNow);
  book.outage("a", one, kNow);  // delivered at least once
  book.outage("b", one, kNow);
  book.outage("a", R"({"event":"outage","began_ms":9000,"lasted_ms":500,"verdict":"link_down"})",
              kNow);
  EXPECT_EQ(value(book, "holdfast_fleet_device_outages_total", "a"), 2);
  EXPECT_EQ(value(book, "holdfast_fleet_device_offline_seconds_total", "a"), 3);
  EXPECT_EQ(value(book, "holdfast_fleet_outages_total", "tcp_refused"), 2);
  EXPECT_EQ(value(book, "holdfast_fleet_device_verdict", "link_down"), 1);
  EXPECT_EQ(ignored(book, "stale"), 1);
}

TEST(FleetBook, ReportsTellWhatWaits) {
  Book book({});
  book.report("a",
              R"({"metrics":{"holdfast_messages_pending":7,
                 "holdfast_messages_dropped_total":{"expired":2,"evicted":3}}})",
              kNow);
  EXPECT_EQ(value(book, "holdfast_fleet_device_pending", "a"), 7);
  EXPECT_EQ(value(book, "holdfast_fleet_device_dropped", "a"), 5);
  EXPECT_EQ(value(book, "holdfast_fleet_device_online", "a"), -1);  // nobody has said so
  EXPECT_EQ(value(book, "holdfast_fleet_devices", "unknown"), 1);
}

TEST(FleetBook, WhatIsWrongIsCountedAndChangesNothing) {
  Book book({});
  for (const char* const bad :
       {"", "no", "[]", "{}", R"({"metrics":5})", R"({"event":"outage"})",
        R"({"event":"outage","began_ms":-1,"lasted_ms":1})",
        R"({"event":"outage","began_ms":1e300,"lasted_ms":1})",
        R"({"event":"outage","began_ms":"x","lasted_ms":1})", R"({"clientId":"a"})",
        R"({"clientId":7,"eventType":"started"})", "\xff\xfe", "{\"a\":\"\xff\"}"}) {
    book.outage("a", bad, kNow);
    book.report("a", bad, kNow);
    book.lifecycle(bad, kNow);
  }
  book.presence("a", R"({"temperature": 5})", false, kNow);
  EXPECT_EQ(ignored(book, "malformed"), 13 * 3 + 1);
  EXPECT_EQ(book.size(), 0U);
  book.presence("", "online", false, kNow);
  book.presence(std::string(kNameMost + 1, 'x'), "online", false, kNow);
  book.lifecycle(R"({"clientId":7,"eventType":"connected"})", kNow);
  EXPECT_EQ(ignored(book, "name"), 3);
  EXPECT_EQ(book.size(), 0U);
}

TEST(FleetBook, DevicesAreBoundedAndForgotten) {
  Book::Settings settings;
  settings.devices_most = 2;
  settings.forget = Seconds(10);
  Book book(settings);
  book.presence("a", "online", false, kNow);
  book.presence("b", "offline", false, kNow);
  book.presence("c", "online", false, kNow);
  EXPECT_EQ(book.size(), 2U);
  EXPECT_EQ(ignored(book, "too_many"), 1);
  book.forget_old({kNow.ms + 10'000});
  EXPECT_EQ(book.size(), 2U);
  book.forget_old({kNow.ms + 10'001});  // who is there is silent, and stays
  EXPECT_EQ(book.size(), 1U);
  EXPECT_EQ(value(book, "holdfast_fleet_device_online", "a"), 1);
}

}  // namespace
}  // namespace holdfast::fleet
