// Goal: no document, journal or message of the jobs service crashes the updater, or makes it do
// what
//       the device's owner has not allowed.
// Method: the first byte chooses the parser. A document that is taken has a plan without a problem,
//         runs only programs that are allowed, and writes only below allowed directories; a journal
//         that is read is written the same; a message is one of the few that there are.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "update/journal.h"
#include "updater/document.h"
#include "updater/messages.h"
#include "updater/settings.h"

namespace {

using namespace holdfast;           // NOLINT: a short program
using namespace holdfast::updater;  // NOLINT

void require(bool holds) {
  if (!holds) std::abort();
}

Settings settings() {
  Settings s;
  s.handlers = "/nonexistent";
  s.allow_commands = {"df", "a"};
  s.allow_users = {"nobody"};
  s.allow_packages = {"nano"};
  s.allow_reports = {"log"};
  s.allow_units = {"cron"};
  s.download_directories = {"/files"};
  s.applications["a"].directory = "/opt/a";
  s.applications["b"].reboots = true;
  return s;
}

void check_document(std::string_view text) {
  static const Settings kSettings = settings();
  static_cast<void>(what_is_updated(text));
  const auto job = parse_document(text, kSettings);
  if (!job) {
    require(!job.error().message.empty());
    return;
  }
  require(update::problem_of(job->plan).empty());
  require(job->plan.steps.size() == job->actions.size());
  for (const Action& action : job->actions) {
    if (const auto* const command = std::get_if<CommandAction>(&action)) {
      const std::string& program = command->argv.front();
      require(program == "df" || program == "a" || program == "apt-get" || program == "systemctl");
      require(command->user.empty() || command->user == "nobody");
    } else if (const auto* const download = std::get_if<DownloadAction>(&action)) {
      require(download->to.parent_path() == "/files" && download->to.filename() != "..");
      require(download->source.url.starts_with("https://"));
    } else if (const auto* const report = std::get_if<ReportAction>(&action)) {
      require(report->parts.front() == "log" && report->lines > 0);
      require(report->url.empty() || report->url.starts_with("https://"));
    } else {
      const auto& one = std::get<UpdateAction>(action);
      require(is_version(one.version) && !one.signature.empty());
      require(what_is_updated(text)->second == one.version);
    }
  }
}

void check_journal(std::string_view text) {
  const auto journal = update::parse_job_journal(text);
  if (journal) require(update::to_text(*journal) == text);
}

void check_message(std::string_view text) {
  static const JobTopics kTopics("t");
  for (const char* const topic :
       {"$aws/things/t/jobs/notify-next", "$aws/things/t/jobs/start-next/accepted",
        "$aws/things/t/jobs/j/update/rejected", "$aws/things/t/jobs/notify", "x"}) {
    static_cast<void>(kTopics.read(topic, text));
  }
  static const StreamTopics kStream("t", "s");
  for (const char* const topic :
       {"$aws/things/t/streams/s/description/json", "$aws/things/t/streams/s/data/json",
        "$aws/things/t/streams/s/rejected/json"}) {
    const StreamMessage message = kStream.read(topic, text);
    const auto* const block = std::get_if<StreamBlock>(&message.what);
    require(block == nullptr || block->file < 256);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      check_journal(text);
      break;
    case 1:
      check_message(text);
      break;
    default:
      check_document(text);
  }
  return 0;
}
