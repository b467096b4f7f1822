// See outbox_files.h.
#include "runtime/outbox_files.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "outbox/slots.h"
#include "posix/system.h"
#include "runtime/outbox_keys.h"

namespace holdfast::runtime {
namespace {

using nlohmann::ordered_json;

ordered_json files_json(const outbox::Inspector& inspector) {
  ordered_json files = ordered_json::array();
  for (const outbox::FileView& file : inspector.files()) {
    ordered_json one{{"file", outbox::slot_name(file.slot)},
                     {"bytes", file.bytes},
                     {"state", outbox::to_string(file.state)}};
    if (file.sequence != 0) one["sequence"] = file.sequence;
    files.push_back(std::move(one));
  }
  return files;
}

ordered_json finding_json(const outbox::Finding& finding) {
  ordered_json out{{"kind", outbox::to_string(finding.kind)},
                   {"damage", outbox::is_damage(finding.kind)},
                   {"file", outbox::slot_name(finding.slot)}};
  if (finding.sequence != 0) out["sequence"] = finding.sequence;
  if (finding.to > finding.from) {
    out["from"] = finding.from;
    out["to"] = finding.to;
  }
  if (finding.messages > 0) {
    if (finding.first_id != 0) out["first_message_id"] = finding.first_id;
    out["messages"] = finding.messages;
  }
  out["lost"] = finding.lost;
  return out;
}

}  // namespace

ordered_json verification_json(const outbox::Verification& result) {
  ordered_json findings = ordered_json::array();
  for (const outbox::Finding& finding : result.findings) findings.push_back(finding_json(finding));
  ordered_json segments = ordered_json::array();
  for (const outbox::SegmentCheck& segment : result.segments) {
    ordered_json one{{"sequence", segment.sequence}, {"file", outbox::slot_name(segment.slot)}};
    if (segment.used_again) {
      one["used_again"] = true;
    } else {
      one["records"] = segment.records;
      one["messages"] = segment.messages;
      one["end"] = segment.end;
    }
    segments.push_back(std::move(one));
  }
  ordered_json out{{"clean", result.clean()},
                   {"damages", result.damages},
                   {"lost", result.lost},
                   {"torn", result.torn},
                   {"findings", std::move(findings)},
                   {"segments", std::move(segments)}};
  if (result.more_findings > 0) out["more_findings"] = result.more_findings;
  if (result.unreadable_sectors > 0) out["unreadable_sectors"] = result.unreadable_sectors;
  return out;
}

Result<OutboxFiles> OutboxFiles::open(const std::filesystem::path& directory,
                                      const std::filesystem::path& key_file) {
  std::unique_ptr<env::KeyRing> keys;
  if (!key_file.empty()) {
    auto loaded = load_outbox_key(key_file);
    if (!loaded) return std::move(loaded).error();
    keys = std::move(loaded).value();
  }
  auto disk = posix::open_existing_disk(directory);
  if (!disk) {
    Error error = std::move(disk).error();
    error.message += error.code == Errc::permission
                         ? "; run this as the agent's user or as root"
                         : "; give the directory of an outbox (outbox.directory)";
    return error;
  }
  auto inspector = outbox::Inspector::open(**disk, keys.get());
  if (!inspector) {
    Error error = std::move(inspector).error();
    if (error.code == Errc::not_found) {
      error.message =
          directory.string() + " " + error.message + "; give outbox.directory of the agent";
    } else if (error.code == Errc::permission) {
      error.message += "; run this as the agent's user or as root";
    } else if (error.os_error == 0) {
      error.message = directory.string() + ": " + error.message;
    }
    return error;
  }
  return OutboxFiles(std::move(disk).value(), std::move(keys), std::move(inspector).value());
}

ordered_json OutboxFiles::stat() const {
  ordered_json out = store_json(inspector_->view());
  const outbox::RecoveryReport& report = inspector_->report();
  out["recovery"] = {{"closed_in_order", report.clean},
                     {"corrupt", report.corrupt},
                     {"torn", report.torn},
                     {"rebuilt", report.rebuilt}};
  out["files"] = files_json(*inspector_);
  return out;
}

Result<ordered_json> OutboxFiles::list(const OutboxListRequest& request) {
  const std::vector<std::string>& lanes = inspector_->view().session.lanes;
  const auto from = parse_cursor(request.from);
  if (!from) return from.error();
  const auto query = list_query(request, lanes);
  if (!query) return query.error();
  const auto page = inspector_->list(*from, *query);
  if (!page) return page.error();
  return page_json(*page, lanes, request.payload);
}

Result<ordered_json> OutboxFiles::message(MessageId id) {
  outbox::ListQuery query;
  query.id = id;
  query.max_scan = ~std::uint32_t{0};
  const auto page = inspector_->list({}, query);
  if (!page) return page.error();
  if (page->messages.empty()) return Error{Errc::not_found, "not_found", 0};
  return message_json(page->messages.front(), inspector_->view().session.lanes);
}

ordered_json OutboxFiles::verify() { return verification_json(outbox::verify(*inspector_)); }

}  // namespace holdfast::runtime
