#include "sim/device_scenarios.h"

namespace holdfast::sim {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kKiB = 1024;
constexpr hours kYear(24 * 365);

DeviceScenario field() {
  DeviceScenario s;
  s.name = "field";
  s.what = "a day in which everything happens by chance";
  s.duration = hours(24);
  s.publish_gap = seconds(15);
  s.incident_gap = minutes(15);
  s.longest_outage = hours(1);
  s.outbox_bytes = 512 * kKiB;
  return s;
}

DeviceScenario flapping() {
  DeviceScenario s = field();
  s.name = "flapping";
  s.what = "a link that comes and goes by the minute";
  s.duration = hours(6);
  s.incident_gap = seconds(40);
  s.longest_outage = seconds(30);
  s.link.attempt_fails = 3;
  s.link.kick = 4;
  s.link.kick_within_s = 120;
  s.always = {Fault::reset, Fault::stall, Fault::black_hole, Fault::kick, Fault::link_down};
  return s;
}

DeviceScenario kick() {
  DeviceScenario s = field();
  s.name = "kick";
  s.what = "a broker that accepts each connection and drops it a moment later";
  s.duration = hours(12);
  s.incident_gap = hours(1);
  s.link.attempt_fails = 50;
  s.link.kick = 1;
  s.always = {Fault::kick};
  return s;
}

DeviceScenario never_acks() {
  DeviceScenario s = field();
  s.name = "never-acks";
  s.what = "a broker that takes messages and never sends a PUBACK";
  s.duration = hours(3);
  s.incident_gap = minutes(30);
  s.broker.acks_none = 1;
  s.always = {Fault::puback_withheld};
  return s;
}

DeviceScenario session_lost() {
  DeviceScenario s = field();
  s.name = "session-lost";
  s.what = "a broker that forgets the session at every point, and a device that is cut often";
  s.duration = hours(6);
  s.incident_gap = minutes(2);
  s.longest_outage = minutes(1);
  s.link.kick = 3;
  s.link.kick_within_s = 300;
  s.broker.session_lost = 1;
  s.broker.per_message = 300;
  s.always = {Fault::session_lost, Fault::kick, Fault::kill, Fault::power_cut, Fault::cut_in_turn};
  return s;
}

DeviceScenario offline_weeks() {
  DeviceScenario s = field();
  s.name = "offline-weeks";
  s.what = "three weeks, most of them offline, and storms of messages";
  s.duration = hours(24 * 21);
  s.publish_gap = minutes(20);
  s.burst_one_in = 8;
  s.burst = 400;
  s.incident_gap = hours(3);
  s.longest_outage = hours(24 * 7);
  s.outbox_bytes = 4096 * kKiB;
  s.always = {Fault::dns_fails, Fault::tcp_refused, Fault::link_down, Fault::connack_refused};
  return s;
}

DeviceScenario take_over() {
  DeviceScenario s = field();
  s.name = "take-over";
  s.what = "a second device with the same client id, which comes back whenever it is thrown out";
  s.duration = hours(12);
  s.incident_gap = hours(1);
  s.longest_outage = minutes(5);
  s.link.attempt_fails = 50;
  s.link.rival = true;
  s.always = {Fault::take_over};
  return s;
}

DeviceScenario ten_years() {
  DeviceScenario s = field();
  s.name = "ten-years";
  s.what = "ten years with few messages: 2038, certificates that expire, a disk full for weeks";
  s.duration = kYear * 10;
  s.publish_gap = hours(6);
  s.command_gap = hours(12);
  s.incident_gap = hours(48);
  s.longest_outage = hours(24 * 7);
  s.longest_disk_trouble = hours(24 * 21);
  s.link.attempt_fails = 20;
  s.sparse = true;
  s.begins = WallTime{1'838'160'000'000};  // spring 2028, so that 2038-01-19 is always within
  s.begins_within = hours(24 * 365 * 9);
  s.certificate_life = kYear;
  s.always = {Fault::certificate_expired, Fault::disk_full};
  return s;
}

DeviceScenario region_loss() {
  DeviceScenario s = field();
  s.name = "region-loss";
  s.what = "an endpoint that is gone for hours, and comes back without sessions and with quotas";
  s.duration = hours(24 * 4);
  s.publish_gap = minutes(2);
  s.incident_gap = hours(2);
  s.longest_outage = minutes(5);
  s.region_gap = hours(12);
  s.link.attempt_fails = 50;
  s.outbox_bytes = 1024 * kKiB;
  s.always = {Fault::region_lost, Fault::quota_refused};
  return s;
}

DeviceScenario two_regions() {
  DeviceScenario s = region_loss();
  s.name = "two-regions";
  s.what = "two endpoints that are lost in turn, sometimes both, each with sessions of its own";
  s.duration = hours(24 * 2);
  s.incident_gap = hours(1);
  s.region_gap = hours(3);
  s.regions = 2;
  s.always = {Fault::region_lost, Fault::black_hole, Fault::half_open};
  return s;
}

DeviceScenario policy() {
  DeviceScenario s = field();
  s.name = "policy";
  s.what = "a policy that denies one topic or filter after the other, for hours";
  s.duration = hours(36);
  s.incident_gap = minutes(20);
  s.longest_outage = minutes(2);
  s.longest_denial = hours(12);
  s.longest_disk_trouble = minutes(2);
  s.policy = true;
  s.link.attempt_fails = 50;
  s.broker.per_message = 30000;
  s.always = {Fault::policy_hangs_up, Fault::policy_answers};
  return s;
}

}  // namespace

const std::vector<DeviceScenario>& device_scenarios() {
  static const std::vector<DeviceScenario> all{
      field(),     flapping(),  kick(),        never_acks(),  session_lost(), offline_weeks(),
      take_over(), ten_years(), region_loss(), two_regions(), policy()};
  return all;
}

}  // namespace holdfast::sim
