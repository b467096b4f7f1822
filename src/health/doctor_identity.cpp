#include "health/doctor_identity.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/calendar.h"

namespace holdfast::health {

namespace {

constexpr std::int64_t kDayMs = 86'400'000;
// A file may have been written under a clock that was a little ahead.
constexpr std::int64_t kClockSlackMs = 60'000;

constexpr unsigned kOthersRead = 04;
constexpr unsigned kOthersWrite = 02;
constexpr unsigned kGroupWrite = 020;

std::string octal(unsigned mode) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", mode & 07777U);
  return text.data();
}

/// "2026-11-27 08:15:30 UTC".
std::string date(WallTime time) {
  std::string text = iso_time(time);
  if (const std::size_t t = text.find('T'); t != std::string::npos) text[t] = ' ';
  if (text.ends_with('Z')) text.replace(text.size() - 1, 1, " UTC");
  return text;
}

std::int64_t days_between(WallTime from, WallTime to) { return (to.ms - from.ms) / kDayMs; }

/// What is wrong with a file's mode, or nothing.
std::string too_open(const FileFacts& file) {
  if ((file.mode & (kOthersWrite | kGroupWrite)) != 0) return "others may write to it";
  if (file.secret && (file.mode & kOthersRead) != 0) return "everybody may read it";
  return {};
}

}  // namespace

Finding judge_configuration(const ConfigurationFacts& facts) {
  if (facts.problems.empty()) {
    Finding finding =
        fine(facts.file + ": profile " + facts.profile + ", endpoint " + facts.endpoint);
    finding.figures = {{"profile", facts.profile}, {"endpoint", facts.endpoint}};
    return finding;
  }
  if (facts.unreadable) {
    return fail(facts.problems.front(),
                "name the agent's configuration: holdfast doctor FILE; run it as the agent's user, "
                "or as root");
  }
  std::string found = facts.problems.front();
  if (facts.problems.size() > 1) {
    found += " (and " + counted(facts.problems.size() - 1, "more problem", "more problems") + ")";
  }
  Finding finding =
      fail(std::move(found), "mend the key that is named; `holdfast check-config " + facts.file +
                                 "` lists all of them, docs/configuration.md explains each");
  finding.figures = {{"problems", facts.problems}};
  return finding;
}

Finding judge_files(const std::vector<FileFacts>& files) {
  if (files.empty()) return not_applicable("the configuration names no files");
  std::vector<std::string> names;
  for (const FileFacts& file : files) {
    if (!file.problem.empty()) {
      return fail(file.key + ", " + file.path + ": " + file.problem,
                  "put the file there, or correct " + file.key +
                      "; the agent's user must be able to read it, and to enter its folders");
    }
    names.push_back(file.key);
  }
  for (const FileFacts& file : files) {
    const std::string open = too_open(file);
    if (open.empty()) continue;
    Finding finding =
        warn(file.key + ", " + file.path + " has mode " + octal(file.mode) + ": " + open,
             "chmod " + std::string(file.secret ? "600 " : "go-w ") + file.path);
    if (file.secret && (file.mode & kOthersRead) != 0) {
      finding.advice += "; if others use this machine, replace the secret: it may be known";
    }
    finding.figures = {{"file", file.path}, {"mode", octal(file.mode)}};
    return finding;
  }
  return fine(counted(files.size(), "file", "files") + " readable: " + in_words(names));
}

Finding judge_credentials(const CredentialFacts& facts) {
  if (!facts.tls) return not_applicable("tls.enabled is false");
  if (!facts.problem.empty()) {
    return fail(facts.problem,
                "install CA, certificate and key as they were issued; a certificate and a key "
                "belong together only if they were made together");
  }
  const std::string ca = facts.ca.empty()
                             ? std::string("the system's CA store")
                             : counted(facts.ca.size(), "CA certificate", "CA certificates");
  if (facts.own.empty()) return fine(ca + "; no certificate of our own");
  Finding finding = fine(ca + "; the key (" + facts.key + ") fits the certificate of " +
                         facts.own.front().subject);
  finding.figures = {{"key", facts.key}, {"subject", facts.own.front().subject}};
  return finding;
}

Finding judge_chain(const CredentialFacts& facts) {
  if (!facts.tls) return not_applicable("tls.enabled is false");
  if (facts.own.empty()) return not_applicable("there is no certificate of our own");
  const std::string& issuer = facts.own.back().issuer;
  Finding finding;
  if (facts.chain == CredentialFacts::Chain::broken) {
    finding = fail(facts.own.front().subject + ": " + facts.chain_problem,
                   "the certificate was not signed by the CA of that name: install the "
                   "certificate, and the intermediate ones behind it, as the CA gave them");
  } else if (facts.out_of_order) {
    finding = warn("a certificate in tls.cert_file did not issue the one before it",
                   "put the device's certificate first, then its issuer, then the issuer's "
                   "issuer; a server may refuse another order");
  } else if (facts.chain == CredentialFacts::Chain::verified) {
    finding = fine("signed by a CA of tls.ca_file: " + issuer);
  } else {
    finding = fine("issued by " + issuer +
                   ", which is not in tls.ca_file and need not be: the broker judges it");
  }
  finding.figures = {{"issuer", issuer},
                     {"verified", facts.chain == CredentialFacts::Chain::verified}};
  return finding;
}

Finding judge_dates(const CredentialFacts& facts, WallTime now) {
  if (!facts.tls) return not_applicable("tls.enabled is false");
  if (facts.own.empty() && facts.ca.empty()) {
    return not_applicable("the configuration names no certificate");
  }
  for (const CertificateFacts& own : facts.own) {
    if (now < own.not_before) {
      return fail("the certificate of " + own.subject + " is not valid before " +
                      date(own.not_before) + "; this clock says " + date(now),
                  "set the clock (see the check clock); if it is right, the certificate was "
                  "issued for later");
    }
    if (own.not_after < now) {
      return fail(
          "the certificate of " + own.subject + " has expired on " + date(own.not_after) + ", " +
              counted(static_cast<std::uint64_t>(days_between(own.not_after, now)), "day", "days") +
              " ago",
          "install a new certificate; the agent takes it without a restart. If the clock "
          "is wrong, set it");
    }
  }
  std::string shown = "the CA certificates are valid";
  Finding finding;
  if (!facts.own.empty()) {
    const auto first =
        std::min_element(facts.own.begin(), facts.own.end(),
                         [](const auto& a, const auto& b) { return a.not_after < b.not_after; });
    const std::int64_t days = days_between(now, first->not_after);
    shown = "valid until " + date(first->not_after) + ", " +
            counted(static_cast<std::uint64_t>(days), "day", "days") + " left";
    finding = days < kRenewBeforeDays
                  ? warn(shown, "renew the certificate of " + first->subject +
                                    " before; the agent takes the new one without a restart")
                  : fine(shown);
    finding.figures = {{"not_after", iso_time(first->not_after)}, {"days_left", days}};
  }
  const auto old = std::find_if(facts.ca.begin(), facts.ca.end(), [&](const auto& ca) {
    return ca.not_after < now || now < ca.not_before;
  });
  if (finding.result != CheckResult::ok || old == facts.ca.end()) {
    if (finding.found.empty()) finding.found = shown;
    return finding;
  }
  finding.result = CheckResult::warning;
  finding.found = "the CA certificate " + old->subject + " is not valid today (" +
                  date(old->not_before) + " to " + date(old->not_after) + ")";
  finding.advice =
      "install the CA's present certificate as tls.ca_file; servers below the old one "
      "are refused";
  return finding;
}

Finding judge_clock(const ClockFacts& facts) {
  const std::string advice =
      "set the clock: start a time service (systemd-timesyncd, chrony), or give the device a "
      "battery-backed clock; until then certificates cannot be judged";
  Finding finding = fine(date(facts.now));
  if (facts.now < facts.built) {
    finding = fail("the clock says " + date(facts.now) + ", but this program was built on " +
                       date(facts.built),
                   advice);
  } else if (facts.latest && facts.now.ms + kClockSlackMs < facts.latest->ms) {
    finding = fail("the clock says " + date(facts.now) + ", but " + facts.latest_from +
                       " was written on " + date(*facts.latest),
                   advice);
  }
  finding.figures = {{"now", iso_time(facts.now)}, {"built", iso_time(facts.built)}};
  if (facts.latest) finding.figures.push_back({"latest_known", iso_time(*facts.latest)});
  return finding;
}

Finding judge_time_sync(const TimeSyncFacts& facts) {
  const std::string who = in_words(facts.daemons);
  Finding finding;
  if (facts.synchronized) {
    finding = fine("the kernel's clock is synchronized" + (who.empty() ? "" : " (" + who + ")"));
  } else if (facts.daemons.empty()) {
    finding = warn("no time service runs and the kernel's clock is not synchronized",
                   "start systemd-timesyncd, chrony or another; a clock that drifts ends in "
                   "certificates that seem expired. In a container the host does this");
  } else {
    finding = warn(who + " runs, but the clock is not synchronized yet",
                   "wait a minute after boot; else look whether its servers answer (UDP port 123): "
                   "`timedatectl timesync-status`, `chronyc tracking`");
  }
  finding.figures = {{"synchronized", facts.synchronized}, {"services", facts.daemons}};
  return finding;
}

}  // namespace holdfast::health
