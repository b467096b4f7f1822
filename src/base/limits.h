// Every limit of Holdfast that is not a configuration key, in one place, related at compile time.
// Limits that users may change are in holdfast/config.h with their defaults.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast::limits {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

// Messages (MQTT 5.0 section 1.5.4 caps strings at 65,535 bytes).
inline constexpr std::size_t kMqttString = 65535;
inline constexpr std::size_t kPayloadMax = 256 * kKiB;       // ceiling of Config::Limits::payload
inline constexpr std::size_t kUserPropertiesMax = 8 * kKiB;  // sum of names and values, as AWS
inline constexpr std::size_t kContentTypeMax = 256;          // as AWS
inline constexpr std::size_t kTopicMax = 1024;               // ceiling of Config::Limits::topic
inline constexpr std::size_t kStatusPropertiesMax = 64;      // user properties of will and birth
inline constexpr std::size_t kCorrelationMax = 8 * kKiB;     // as AWS
inline constexpr std::size_t kMessageOverhead = 1 * kKiB;    // headers, lengths, padding
inline constexpr std::size_t kKeyMax = 256;                  // conflation keys
inline constexpr std::size_t kMessageMax = kPayloadMax + kUserPropertiesMax + kContentTypeMax +
                                           2 * kTopicMax + kCorrelationMax + kKeyMax +
                                           kMessageOverhead;

// Lanes.
inline constexpr std::size_t kLanesMax = 8;
inline constexpr std::size_t kLaneNameMax = 32;

// Outbox: known keys of conflating lanes. A message with a key beyond them is kept as it is.
inline constexpr std::size_t kConflationKeys = 16 * kKiB;

// Outbox segments.
inline constexpr std::size_t kSegmentMin = 1 * kMiB;
inline constexpr std::size_t kSegmentMax = 32 * kMiB;
inline constexpr std::size_t kSegmentsWanted = 64;  // segment = clamp(max_bytes / this)
inline constexpr std::uint64_t kOutboxMin = 4 * kMiB;
inline constexpr std::uint64_t kOutboxMax = 2048 * std::uint64_t{kMiB};  // 64 x kSegmentMax

// Connection.
inline constexpr std::uint16_t kInFlightMax = 1000;
inline constexpr std::size_t kSubscriptionsMax = 500;
inline constexpr std::size_t kQuarantineMax = 32;  // operations set aside; the oldest makes room
inline constexpr std::size_t kReceiptsMax = 1'000'000;
inline constexpr std::size_t kRequests = 256;            // that wait for their answers
inline constexpr std::size_t kRequestsRemembered = 256;  // that have ended
inline constexpr std::size_t kFiltersPerSubscribe = 8;   // AWS IoT Core quota
inline constexpr std::uint16_t kTopicAliasesMax = 64;
inline constexpr std::size_t kClientIdMax = 128;  // AWS IoT Core quota
inline constexpr std::size_t kEndpointsMax = 8;   // the first one included
inline constexpr std::size_t kEndpointNameMax = 32;
inline constexpr std::size_t kEndpointFileMax = 256;  // the file that keeps the last good one
inline constexpr std::size_t kTopicPrefixMax = 128;
inline constexpr std::size_t kProvisioningParametersMax = 64;  // of a template
inline constexpr std::size_t kLookupsAtOnce = 4;     // abandoned name look-ups still running
inline constexpr std::size_t kErrorDetailMax = 512;  // a failure's own words

// Inbound: ids of messages that came, to know repeats by; about 60 bytes each.
inline constexpr std::size_t kInboundIds = 4096;

// Addresses remembered (transport/address_book.h).
inline constexpr std::size_t kGoodAddresses = 4;           // of one name and port
inline constexpr std::size_t kPlaces = 8;                  // names with their port
inline constexpr std::size_t kFailedAddresses = 64;        // those to be tried last
inline constexpr std::size_t kAddressFileMax = 16 * kKiB;  // the file that keeps the good ones

// Threads and queues.
inline constexpr std::size_t kExecutorQueue = 4096;
inline constexpr std::size_t kIngressMessages = 8192;

// Local API.
inline constexpr std::size_t kLocalClients = 32;
inline constexpr std::size_t kClientSections = 32;    // [client.NAME]
inline constexpr std::size_t kClientFiltersMax = 64;  // of one of them, to publish and to subscribe
inline constexpr std::size_t kLocalLine = 512 * kKiB;   // one request; a payload may be in base64
inline constexpr std::size_t kLocalBacklog = 1 * kMiB;  // unread answers before a client is cut
// Messages that programs acknowledge (runtime/ack_groups.h).
inline constexpr std::size_t kLocalGroups = 64;
inline constexpr std::size_t kLocalGroupNameMax = 64;
inline constexpr std::size_t kLocalHeld = 8192;           // not acknowledged yet, in all
inline constexpr std::size_t kLocalHeldBytes = 4 * kMiB;  // of those, in RAM
inline constexpr std::size_t kLocalWindow = 16;           // given to one subscription at once
inline constexpr std::size_t kLocalWindowMax = 1024;      // if it wants more
inline constexpr std::uint64_t kLocalWithinMs = 10'000;   // for one message
inline constexpr std::uint64_t kLocalWithinMinMs = 100;
inline constexpr std::uint64_t kLocalWithinMaxMs = 3600'000;
inline constexpr std::uint64_t kLocalLingerMs = 300'000;  // a group without a program
inline constexpr std::uint64_t kLocalLingerMaxMs = 24 * 3600'000;
inline constexpr std::size_t kLocalAcknowledged = 1000;         // by one request
inline constexpr std::size_t kLocalGroupsFileMax = 256 * kKiB;  // that keeps the groups

// Jobs (AWS IoT Jobs: documents, ids and status details).
inline constexpr std::size_t kJobDocumentMax = 32 * kKiB;
inline constexpr std::size_t kJobIdMax = 64;
inline constexpr std::size_t kJobDetails = 10;         // pairs of status details
inline constexpr std::size_t kJobDetailNameMax = 128;  // bytes of a name,
inline constexpr std::size_t kJobDetailMax = 1024;     // and of a value
inline constexpr std::size_t kJobTokenMax = 64;        // of a question
inline constexpr std::size_t kJobSteps = 64;
inline constexpr std::size_t kJobsRemembered = 16;      // that are over
inline constexpr std::size_t kVersionsRemembered = 16;  // that had to be taken back
inline constexpr std::size_t kJobVersionMax = 200;      // application, a blank, version
inline constexpr std::size_t kJobJournalMax = 64 * kKiB;

// MQTT-based file delivery of AWS IoT ("Streams", and the quotas of the service).
inline constexpr std::size_t kStreamNameMax = 128;
inline constexpr std::uint64_t kStreamFileMax = 24 * 1024 * kKiB;
inline constexpr std::size_t kStreamBlock =
    16 * kKiB;  // of ours; the service takes 256 B to 128 KiB
inline constexpr std::size_t kStreamBlocksAtOnce = 8;     // asked for by one question
inline constexpr std::size_t kStreamAskMax = 128 * kKiB;  // of data, by one question
inline constexpr std::uint64_t kStreamOffsetMax = 98304;  // blocks

// Words of a command that the agent runs.
inline constexpr std::size_t kCommandWords = 32;

// Heartbeats of programs.
inline constexpr std::size_t kHeartbeats = 32;  // at once, configured ones included
inline constexpr std::size_t kHeartbeatNameMax = 64;
inline constexpr std::uint64_t kHeartbeatMinMs = 100;
inline constexpr std::uint64_t kHeartbeatMaxMs = 24 * 3600 * 1000;

// A page (metrics, status): connections at once, a request with its head, and the time for one from
// beginning to end. One over the number takes the place of the oldest.
inline constexpr std::size_t kHttpClients = 8;
inline constexpr std::size_t kHttpRequest = 8 * kKiB;
inline constexpr unsigned kHttpSeconds = 5;

// Logging.
inline constexpr unsigned kLogBurst = 50;     // lines of one kind in a window; then only counted
inline constexpr std::size_t kLogKinds = 64;  // kinds remembered at once
inline constexpr unsigned kLogReserve = 4;    // 1/this of lines_per_hour: warnings and errors only
inline constexpr unsigned kLogHourMin = 20;
inline constexpr unsigned kLogHourMax = 1'000'000;
inline constexpr std::size_t kLogText = 32 * kKiB;    // of one line; the rest is cut off
inline constexpr std::size_t kLogUnsent = 64 * kKiB;  // of a line that was begun, for stderr
inline constexpr std::size_t kLogQueue = 64 * kKiB;   // on its way to the file
inline constexpr std::size_t kLogFileMin = 4 * kKiB;
inline constexpr std::uint64_t kLogFileMax = 1024 * std::uint64_t{kMiB};
inline constexpr std::size_t kLogFilesMax = 20;  // older ones
inline constexpr std::size_t kLogLast = 200;     // lines kept in RAM, for `holdfast logs`
inline constexpr std::size_t kLogLastBytes = 64 * kKiB;
inline constexpr std::size_t kLogLastLine = 2 * kKiB;  // of the text of one of them

static_assert(kSegmentMin >= 2 * kMessageMax, "a segment holds at least two messages");
static_assert(kOutboxMin >= 4 * kSegmentMin, "the outbox needs active, spare and two more slots");
static_assert(kSegmentsWanted * std::uint64_t{kSegmentMax} >= kOutboxMax,
              "the largest outbox keeps the segment count, and so the opening time, small");
static_assert(kLocalLine >=
                  (kPayloadMax + kCorrelationMax) / 3 * 4 + kUserPropertiesMax + 2 * kTopicMax,
              "the largest payload fits a local line in base64");
static_assert(kLocalHeldBytes / 2 > kMessageMax, "any message fits what a dead group may use");
static_assert(kLocalGroupsFileMax > kLocalGroups * (3 * kTopicMax + kLocalGroupNameMax + 128),
              "a line has a filter, perhaps escaped, a name and three numbers");
static_assert(kJobJournalMax > kJobDocumentMax +
                                   kJobDetails * (kJobDetailNameMax + kJobDetailMax + 16) +
                                   kJobsRemembered * (kJobIdMax + 48) +
                                   kVersionsRemembered * (kJobVersionMax + 32) + 1 * kKiB);
static_assert(kStreamBlock * kStreamBlocksAtOnce <= kStreamAskMax);
static_assert(kStreamFileMax / kStreamBlock <= kStreamOffsetMax);
static_assert(kStreamBlock / 3 * 4 + 1 * kKiB <= kPayloadMax, "a block in base64 fits a message");
static_assert(kStreamBlocksAtOnce * kStreamBlock * 2 < kLocalBacklog,
              "all blocks of an answer wait for one local client");
static_assert(kFiltersPerSubscribe <= kSubscriptionsMax);
static_assert(kPlaces >= kEndpointsMax, "addresses of each endpoint are remembered");
static_assert(kEndpointFileMax >= 4 * kEndpointNameMax);
static_assert(kTopicPrefixMax < kTopicMax);
static_assert(kLogQueue >= 2 * kLogText, "the longest line fits into each queue");
static_assert(kLogLastBytes >= 8 * kLogLastLine);
static_assert(kAddressFileMax >= kPlaces * kGoodAddresses * 400,
              "a line has a name (253 bytes), a port, an address and a stamp");

}  // namespace holdfast::limits
