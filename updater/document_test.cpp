// Goal:   a document is understood as its author and AWS mean it, or refused with the field's name;
//         nothing in it becomes text for a shell.
#include "document.h"

#include <gtest/gtest.h>

namespace holdfast::updater {
namespace {

using update::StepKind;

Settings settings() {
  Settings s;
  s.handlers = "/nonexistent";
  s.allow_commands = {"df", "sh"};
  s.allow_users = {"nobody"};
  s.allow_packages = {"nano", "tree"};
  s.allow_units = {"*"};
  s.download_directories = {"/var/lib/files"};
  s.applications["pump"].directory = "/opt/pump";
  return s;
}

std::string with_step(const std::string& action) {
  return R"({"version":"1.0","steps":[{"action":)" + action + "}]}";
}

std::string command(const std::string& words) {
  return with_step(R"({"name":"n","type":"runCommand","input":{"command":")" + words + R"("}})");
}

std::string handler(const std::string& name, const std::string& arguments) {
  return with_step(R"({"name":"n","type":"runHandler","input":{"handler":")" + name +
                   R"(","args":)" + arguments + "}}");
}

std::vector<std::string> argv_of(const std::string& text) {
  const auto job = parse_document(text, settings());
  EXPECT_TRUE(job) << text << ": " << job.error().message;
  return job ? std::get<CommandAction>(job->actions.front()).argv : std::vector<std::string>{};
}

std::string refusal_of(const std::string& text) {
  const auto job = parse_document(text, settings());
  return job ? "" : job.error().message;
}

using Words = std::vector<std::string>;

TEST(DocumentTest, CommandsAreListsOfArguments) {
  EXPECT_EQ(argv_of(command("df,-h,/")), (Words{"df", "-h", "/"}));
  EXPECT_EQ(argv_of(command("df, a b ,c\\\\,d,;rm -rf /")),
            (Words{"df", "a b", "c,d", ";rm -rf /"}));
  EXPECT_EQ(argv_of(command("df,$(id),`id`,|,&")), (Words{"df", "$(id)", "`id`", "|", "&"}));
}

TEST(DocumentTest, ManagedTemplatesAreBuiltIn) {
  const auto reboot = parse_document(handler("reboot.sh", "[]"), settings());
  ASSERT_TRUE(reboot);
  EXPECT_EQ(reboot->plan.steps.front().kind, StepKind::reboot);
  const auto load = parse_document(
      handler("download-file.sh", R"(["https://h/x?a=b","/var/lib/files/x"])"), settings());
  ASSERT_TRUE(load);
  EXPECT_EQ(std::get<DownloadAction>(load->actions.front()).to, "/var/lib/files/x");
  EXPECT_EQ(argv_of(handler("install-packages.sh", R"(["nano  tree"])")),
            (Words{"apt-get", "--yes", "--no-install-recommends",
                   "--option=Dpkg::Options::=--force-confold", "install", "--", "nano", "tree"}));
  EXPECT_EQ(argv_of(handler("remove-packages.sh", R"(["nano"])"))[4], "remove");
  for (const char* verb : {"start", "stop", "restart"}) {
    EXPECT_EQ(argv_of(handler(std::string(verb) + "-services.sh", R"(["cron a@b.service"])")),
              (Words{"systemctl", verb, "--", "cron", "a@b.service"}));
  }
}

TEST(DocumentTest, TheOlderSchemaIsUnderstood) {
  EXPECT_EQ(argv_of(R"({"operation":"start-services.sh","args":["cron"]})"),
            (Words{"systemctl", "start", "--", "cron"}));
}

TEST(DocumentTest, FlagsMayBeTextsAndFinalStepIsTheLast) {
  const auto job = parse_document(
      R"({"version":"1.0","includeStdOut":"true","steps":[{"action":{"name":"one",)"
      R"("type":"runCommand","ignoreStepFailure":"true","allowStdErr":3,"runAsUser":"nobody",)"
      R"("input":{"command":"df"}}}],"finalStep":{"action":{"name":"last","type":"runCommand",)"
      R"("input":{"command":"df"}}}})",
      settings());
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_TRUE(job->output);
  EXPECT_TRUE(job->plan.steps.front().ignore_failure);
  EXPECT_EQ(job->plan.steps.back().name, "last");
  const auto& first = std::get<CommandAction>(job->actions.front());
  EXPECT_EQ(first.errors_max, 3U);
  EXPECT_EQ(first.user, "nobody");
}

TEST(DocumentTest, WhatIsWrongIsNamed) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {std::string(40000, ' '), "over 32 KiB"},
      {"{}", "version: give"},
      {R"({"version":1.0})", "version: give"},
      {R"({"version":"1.0"})", "steps: give a list"},
      {R"({"version":"1.0","steps":[]})", "steps: give a list"},
      {R"({"version":"1.0","steps":[1]})", "steps[0]: give an object"},
      {with_step(R"({"type":"runCommand","input":{}})"), "steps[0].action.name: is missing"},
      {with_step(R"({"name":"n","type":"x","input":{}})"), "steps[0].action.type: give"},
      {with_step(R"({"name":"n","type":"runCommand","input":{}})"), "input.command: is missing"},
      {command("id"), "\"id\" is not in update.allow_commands"},
      {command(",df"), "names no program"},
      {with_step(R"({"name":"n","type":"runCommand","runAsUser":"root","input":{"command":"df"}})"),
       "\"root\" is not in update.allow_users"},
      {handler("../x.sh", "[]"), "without a directory"},
      {handler("x.sh", "[]"), "there is no handler /nonexistent/x.sh"},
      {handler("install-packages.sh", R"(["vim"])"), "\"vim\" is not in update.allow_packages"},
      {handler("install-packages.sh", R"(["--purge"])"), "is no name"},
      {handler("install-packages.sh", R"(["nano;id"])"), "is no name"},
      {handler("install-packages.sh", "[]"), "names nothing"},
      {handler("start-services.sh", R"(["../x"])"), "is no name"},
      {handler("download-file.sh", R"(["ftp://h/x","/var/lib/files/x"])"), "https://"},
      {handler("download-file.sh", R"(["https://h/x","/var/lib/files/../x"])"),
       "download_directories"},
      {handler("download-file.sh", R"(["https://h/x","/var/lib/files/a/x"])"),
       "download_directories"},
      {handler("download-file.sh", R"(["https://h/x","/var/lib/files/"])"), "download_directories"},
      {handler("reboot.sh", "[1]"), "give a list of texts"},
      {with_step(R"({"name":"n","type":"runHandler","input":{"handler":"x.sh","path":"/tmp"}})"),
       "\"/tmp\" is not in update.handler_directories"},
      {R"({"version":"1.0","conditions":[{"key":"x","value":["y"]}],"steps":[]})",
       "this device is not meant: x is not known here"},
      {R"({"version":"1.0","conditions":[{"key":"x"}],"steps":[]})", "a list of values"},
      {R"({"version":"1.0","conditions":[{"key":"x","value":[1]}],"steps":[]})", "which are texts"},
      {R"({"version":"1.0","conditions":[{"key":"x","value":[],"type":1}],"steps":[]})", "type: "},
      {R"({"version":"1.0","includeStdOut":"yes","steps":[]})", "includeStdOut: give true"},
      {with_step(R"({"name":"n","type":"runCommand","ignoreStepFailure":1,"input":{}})"),
       "steps[0].action: ignoreStepFailure: give true or false"},
      {R"({"holdfast":2})", "holdfast: give 1"},
      {R"({"holdfast":1})", "update: give an object, or report"},
      {R"({"holdfast":1,"x":1})", "x: is not known, or does not go"},
      {R"({"holdfast":1,"update":{"application":1}})",
       "update.application: is not known, or empty"},
      {R"({"holdfast":1,"update":{"application":"nobody"}})", "\"nobody\" is not configured"},
  };
  for (const auto& [text, words] : cases) {
    EXPECT_NE(refusal_of(text).find(words), std::string::npos) << text.substr(0, 200) << "\n"
                                                               << refusal_of(text);
  }
}

TEST(DocumentTest, ParametersThatNobodyHasGivenAreAbsent) {
  const auto job = parse_document(
      with_step(R"({"name":"n","type":"runCommand","runAsUser":"${aws:iot:parameter:runAsUser}",)"
                R"("input":{"command":"df"}})"),
      settings());
  ASSERT_TRUE(job) << job.error().message;
  EXPECT_EQ(std::get<CommandAction>(job->actions.front()).user, "");
}

std::string update_document(const std::string& members) {
  return R"({"holdfast":1,"update":{"application":"pump","version":"1.2","url":"https://h/x",)"
         R"("size":10,"sha256":")" +
         std::string(64, 'A') + R"(","signature":"AAAA")" + members + "}}";
}

TEST(DocumentTest, AnUpdateActivatesProvesAndCommits) {
  const auto job = parse_document(update_document(""), settings());
  ASSERT_TRUE(job) << job.error().message;
  std::vector<StepKind> kinds;
  for (const auto& step : job->plan.steps) kinds.push_back(step.kind);
  EXPECT_EQ(kinds, (std::vector{StepKind::download, StepKind::install, StepKind::gate,
                                StepKind::activate, StepKind::prove, StepKind::commit}));
  EXPECT_EQ(job->plan.version, "pump 1.2");
  EXPECT_EQ(signed_text(std::get<UpdateAction>(job->actions.front())),
            "holdfast-update 1\napplication pump\nversion 1.2\nsize 10\nsha256 " +
                std::string(64, 'a') + "\n");
  EXPECT_EQ(what_is_updated(update_document("")),
            (std::pair<std::string, std::string>("pump", "1.2")));
  EXPECT_FALSE(what_is_updated(command("df")));
  const auto both = parse_document(update_document(R"(,"stream":"s","file":3)"), settings());
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(std::get<UpdateAction>(both->actions.front()).source.file, 3U);
  const auto dry = parse_document(update_document(R"(,"dry_run":true)"), settings());
  ASSERT_TRUE(dry);
  EXPECT_EQ(dry->plan.steps.size(), 2U);
  for (const char* wrong : {R"(,"dry_run":1)", R"(,"prove_within":"1s")", R"(,"stream":"no name")",
                            R"(,"signature":"")", R"(,"file":1)", R"(,"file":256)",
                            R"(,"version":"..")", R"(,"size":0)"}) {
    EXPECT_FALSE(parse_document(update_document(wrong), settings())) << wrong;
  }
}

}  // namespace
}  // namespace holdfast::updater
