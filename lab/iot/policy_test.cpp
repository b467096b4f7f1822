// Policies: what they allow and deny, and what is no policy.
#include "lab/iot/policy.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "lab/iot/cidr.h"

namespace holdfast::lab::iot {
namespace {

using Decision = Verdict::Decision;

PolicyDocument document(const std::string& statements) {
  auto parsed = parse_policy(R"({"Version":"2012-10-17","Statement":[)" + statements + "]}");
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed ? std::move(*parsed) : PolicyDocument{};
}

std::string arn(const std::string& resource) {
  return "arn:aws:iot:eu-central-1:123456789012:" + resource;
}

/// A statement on one resource, with more members if given.
std::string statement(const std::string& effect, const std::string& action,
                      const std::string& resource, const std::string& more = "") {
  return R"({"Effect":")" + effect + R"(","Action":")" + action + R"(","Resource":")" +
         (resource == "*" ? resource : arn(resource)) + '"' + more + '}';
}

Decision decide(const std::string& statements, const std::string& action,
                const std::string& resource, const PolicyFacts& facts = {}) {
  const PolicyDocument parsed = document(statements);
  return evaluate({{"p", &parsed}}, action, arn(resource), facts).decision;
}

bool allowed(const std::string& statements, const std::string& action, const std::string& resource,
             const PolicyFacts& facts = {}) {
  return decide(statements, action, resource, facts) == Decision::allowed;
}

PolicyFacts pump() {
  PolicyFacts facts;
  facts.client_id = "pump-17";
  facts.certificate_id = "cafe";
  facts.certificate_fields = {{"Subject.CommonName", "Pump 17"},
                              {"Subject.Country", "DE"},
                              {"Subject.Country", "FR"},
                              {"SerialNumber", "0A"}};
  facts.thing = PolicyThing{"pump-17", "pump", {{"site", "north"}}};
  facts.source_ip = "192.0.2.7";
  facts.domain_name = "lab.example";
  return facts;
}

TEST(LabPolicy, DeniesWhatNothingAllows) {
  EXPECT_EQ(decide(statement("Allow", "iot:Publish", "topic/a"), "iot:Subscribe", "topic/a"),
            Decision::implicit_deny);
  EXPECT_EQ(decide(statement("Allow", "iot:Publish", "topic/a"), "iot:Publish", "topic/b"),
            Decision::implicit_deny);
}

TEST(LabPolicy, AnExplicitDenyWinsWhereverItStands) {
  const std::string allow = statement("Allow", "iot:*", "*");
  const std::string deny = statement("Deny", "iot:Publish", "topic/secret/*");
  for (const std::string& both : {allow + ',' + deny, deny + ',' + allow}) {
    EXPECT_EQ(decide(both, "iot:Publish", "topic/secret/1"), Decision::explicit_deny);
    EXPECT_EQ(decide(both, "iot:Publish", "topic/open/1"), Decision::allowed);
  }
}

TEST(LabPolicy, SaysWhichStatementDecided) {
  const PolicyDocument first = document(statement("Allow", "iot:Publish", "topic/a"));
  const PolicyDocument second = document(statement("Allow", "iot:Connect", "client/a") + ',' +
                                         statement("Deny", "iot:Publish", "topic/a"));
  const Verdict verdict =
      evaluate({{"one", &first}, {"two", &second}}, "iot:Publish", arn("topic/a"), {});
  EXPECT_EQ(to_string(verdict), "denied by statement 1 of policy two");
  EXPECT_EQ(to_string(evaluate({{"one", &first}}, "iot:Publish", arn("topic/a"), {})),
            "allowed by statement 0 of policy one");
  EXPECT_EQ(to_string(evaluate({}, "iot:Publish", arn("topic/a"), {})), "no statement allows it");
}

TEST(LabPolicy, WildcardsSpanLevelsAndPlusAndHashArePlain) {
  const std::string star = statement("Allow", "iot:Pub*", "topic/a/*/z");
  EXPECT_TRUE(allowed(star, "iot:Publish", "topic/a/b/c/z"));
  EXPECT_FALSE(allowed(star, "iot:Publish", "topic/a/z"));
  EXPECT_FALSE(allowed(star, "iot:Publish", "topic/a/b/zz"));
  EXPECT_TRUE(
      allowed(statement("Allow", "iot:Publish", "topic/a*b*c"), "iot:Publish", "topic/a-b-x-b-c"));
  const std::string mark = statement("Allow", "iot:Publish", "topic/pump-??");
  EXPECT_TRUE(allowed(mark, "iot:Publish", "topic/pump-17"));
  EXPECT_FALSE(allowed(mark, "iot:Publish", "topic/pump-1"));
  const std::string plus = statement("Allow", "iot:Subscribe", "topicfilter/a/+/#");
  EXPECT_TRUE(allowed(plus, "iot:Subscribe", "topicfilter/a/+/#"));
  EXPECT_FALSE(allowed(plus, "iot:Subscribe", "topicfilter/a/b/c"));
}

TEST(LabPolicy, ActionsMatchInAnyCaseOfLetters) {
  EXPECT_TRUE(allowed(statement("Allow", "iot:publish", "topic/a"), "iot:Publish", "topic/a"));
}

TEST(LabPolicy, VariablesStandForFactsOfTheConnection) {
  const auto may = [](const std::string& resource, const std::string& asked) {
    return allowed(statement("Allow", "iot:Publish", "topic/" + resource), "iot:Publish",
                   "topic/" + asked, pump());
  };
  EXPECT_TRUE(may("${iot:ClientId}/up", "pump-17/up"));
  EXPECT_FALSE(may("${iot:ClientId}/up", "pump-18/up"));
  EXPECT_TRUE(may("${iot:Connection.Thing.ThingName}", "pump-17"));
  EXPECT_TRUE(may("${iot:Connection.Thing.ThingTypeName}/x", "pump/x"));
  EXPECT_TRUE(may("${iot:Connection.Thing.Attributes[site]}", "north"));
  EXPECT_TRUE(may("${iot:CertificateId}", "cafe"));
  EXPECT_TRUE(may("${iot:Certificate.Subject.CommonName}", "Pump 17"));
  EXPECT_TRUE(may("${iot:Certificate.Subject.Country}", "DE"));
  EXPECT_TRUE(may("${iot:Certificate.Subject.Country.1}", "FR"));
  EXPECT_TRUE(may("${iot:Certificate.SerialNumber}", "0A"));
  EXPECT_TRUE(may("a${*}b${?}c${$}d", "a*b?c$d"));
  EXPECT_FALSE(may("a${*}b", "axb"));
}

TEST(LabPolicy, AVariableWithoutValueMatchesNothing) {
  const auto may = [](const std::string& resource, const PolicyFacts& facts) {
    return allowed(statement("Allow", "iot:Publish", resource), "iot:Publish", "topic/x", facts);
  };
  PolicyFacts stranger = pump();
  stranger.thing.reset();
  EXPECT_FALSE(may("topic/x${iot:Connection.Thing.ThingName}", stranger));
  EXPECT_FALSE(may("topic/*${iot:Connection.Thing.Attributes[none]}", pump()));
  EXPECT_FALSE(may("topic/*${iot:Certificate.Subject.Country.2}", pump()));
  EXPECT_FALSE(may("topic/*${nonsense}", pump()));
  EXPECT_FALSE(may("topic/*${iot:ClientId}", {}));
  // Not even a Deny matches by it, in a resource or in a condition.
  EXPECT_TRUE(
      allowed(statement("Allow", "iot:Publish", "topic/x") + ',' +
                  statement("Deny", "iot:Publish", "topic/*",
                            R"(,"Condition":{"StringNotEquals":{"iot:ClientId":"${nonsense}"}})"),
              "iot:Publish", "topic/x", pump()));
}

TEST(LabPolicy, AValueIsLiteralTextEvenWithAWildcardInIt) {
  PolicyFacts facts;
  facts.client_id = "*";
  const std::string own = statement("Allow", "iot:Publish", "topic/${iot:ClientId}");
  EXPECT_TRUE(allowed(own, "iot:Publish", "topic/*", facts));
  EXPECT_FALSE(allowed(own, "iot:Publish", "topic/pump-18", facts));
}

bool holds(const std::string& condition, const PolicyFacts& facts) {
  return allowed(statement("Allow", "iot:Connect", "client/*", R"(,"Condition":)" + condition),
                 "iot:Connect", "client/c", facts);
}

TEST(LabPolicy, ConditionsCompareStringsAndTruth) {
  PolicyFacts stranger = pump();
  stranger.thing.reset();
  const std::string attached = R"({"Bool":{"iot:Connection.Thing.IsAttached":["true"]}})";
  EXPECT_TRUE(holds(attached, pump()));
  EXPECT_FALSE(holds(attached, stranger));
  EXPECT_TRUE(holds(R"({"Bool":{"iot:Connection.Thing.IsAttached":false}})", stranger));
  const std::string site = R"({"StringEquals":{"iot:Connection.Thing.Attributes[site]":)";
  EXPECT_TRUE(holds(site + R"(["south","north"]}})", pump()));
  EXPECT_FALSE(holds(site + R"("nort*"}})", pump()));
  EXPECT_FALSE(holds(site + R"("north"}})", stranger));
  EXPECT_TRUE(holds(R"({"StringLike":{"iot:ClientId":"pump-*"}})", pump()));
  EXPECT_TRUE(
      holds(R"({"StringEquals":{"iot:ClientId":"${iot:Connection.Thing.ThingName}"}})", pump()));
  EXPECT_FALSE(holds(R"({"StringNotLike":{"iot:ClientId":["x","pump-*"]}})", pump()));
  EXPECT_TRUE(
      holds(R"({"StringNotEquals":{"iot:Connection.Thing.ThingTypeName":"valve"}})", stranger));
  EXPECT_TRUE(holds(R"({"StringEqualsIgnoreCase":{"iot:DomainName":"LAB.example"}})", pump()));
  EXPECT_FALSE(holds(R"({"StringNotEqualsIgnoreCase":{"iot:DomainName":"LAB.example"}})", pump()));
}

TEST(LabPolicy, AllConditionsMustHold) {
  EXPECT_FALSE(
      holds(R"({"StringEquals":{"iot:ClientId":"pump-17","iot:DomainName":"other"}})", pump()));
  EXPECT_FALSE(holds(
      R"({"StringEquals":{"iot:ClientId":"pump-17"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}})",
      pump()));
}

TEST(LabPolicy, ConnectAttributesAreASet) {
  const auto with = [](std::vector<std::string> attributes) {
    PolicyFacts facts;
    facts.connect_attributes = std::move(attributes);
    return facts;
  };
  const std::string only =
      R"({"ForAllValues:StringEquals":{"iot:ConnectAttributes":["PersistentConnect"]}})";
  EXPECT_TRUE(holds(only, with({})));
  EXPECT_TRUE(holds(only, with({"PersistentConnect"})));
  EXPECT_FALSE(holds(only, with({"PersistentConnect", "LastWill"})));
  const std::string never =
      R"({"ForAllValues:StringNotEquals":{"iot:ConnectAttributes":["PersistentConnect"]}})";
  EXPECT_TRUE(holds(never, with({"LastWill"})));
  EXPECT_FALSE(holds(never, with({"LastWill", "PersistentConnect"})));
  const std::string any = R"({"ForAnyValue:StringEquals":{"iot:ConnectAttributes":["LastWill"]}})";
  EXPECT_FALSE(holds(any, with({})));
  EXPECT_TRUE(holds(any, with({"PersistentConnect", "LastWill"})));
  const std::string plain = R"({"StringEquals":{"iot:ConnectAttributes":"LastWill"}})";
  EXPECT_TRUE(holds(plain, with({"PersistentConnect", "LastWill"})));
  EXPECT_FALSE(holds(plain, with({"PersistentConnect"})));
}

TEST(LabPolicy, ConditionsCompareAddresses) {
  EXPECT_TRUE(holds(R"({"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.0/24"]}})", pump()));
  EXPECT_FALSE(holds(R"({"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}})", pump()));
  EXPECT_FALSE(holds(R"({"IpAddress":{"aws:SourceIp":"2001:db8::/32"}})", pump()));
  PolicyFacts six;
  six.source_ip = "2001:db8::1";
  EXPECT_TRUE(holds(R"({"IpAddress":{"aws:SourceIp":"2001:db8::/32"}})", six));
  EXPECT_FALSE(holds(R"({"IpAddress":{"aws:SourceIp":"2001:db9::/32"}})", six));
}

TEST(LabPolicy, AddressesAreReadExactly) {
  for (const char* good : {"1.2.3.4", "1.2.3.4/0", "::", "::1", "1:2:3:4:5:6:7:8", "1::/16",
                           "::ffff:1.2.3.4", "fe80::1:2"}) {
    EXPECT_TRUE(parse_ip(good)) << good;
  }
  for (const char* bad : {"", "1.2.3", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/", "1.2.3.4.5", ":",
                          "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::2", "12345::", "::/129",
                          "1.2.3.+4", "a.b.c.d", "1:2:3:4:5:6:7::8"}) {
    EXPECT_FALSE(parse_ip(bad)) << bad;
  }
  EXPECT_TRUE(parse_ip("1.2.3.4/0")->contains(*parse_ip("::ffff:9.9.9.9")));
  EXPECT_TRUE(parse_ip("10.128.0.0/9")->contains(*parse_ip("10.255.0.1")));
  EXPECT_FALSE(parse_ip("10.128.0.0/9")->contains(*parse_ip("10.127.0.1")));
}

std::string complaint(const std::string& text) {
  const auto parsed = parse_policy(text);
  return parsed ? "none" : parsed.error().message;
}

std::string complaint_of(const std::string& statement) {
  return complaint(R"({"Version":"2012-10-17","Statement":[)" + statement + "]}");
}

TEST(LabPolicy, ComplaintsNameTheMember) {
  EXPECT_EQ(complaint("{"), "no JSON at byte 2");
  EXPECT_EQ(complaint("[]"), "policy must be an object");
  EXPECT_EQ(complaint("{}"), "Version must be \"2012-10-17\"");
  EXPECT_EQ(complaint(R"({"Version":"2012-10-17"})"), "Statement is missing");
  EXPECT_EQ(complaint(R"({"Version":"2012-10-17","Statement":[]})"),
            "Statement must be a list with a statement in it");
  EXPECT_EQ(complaint(R"({"Version":"2012-10-17","Statements":[]})"),
            "Statements is no member of an IoT policy");
  EXPECT_EQ(complaint_of("7"), "Statement[0] must be an object");
  EXPECT_EQ(complaint_of(R"({"Effect":"allow"})"),
            "Statement[0].Effect must be \"Allow\" or \"Deny\"");
  EXPECT_EQ(complaint_of(R"({"Sid":1,"Effect":"Allow"})"), "Statement[0].Sid must be a string");
  EXPECT_EQ(complaint_of(R"({"Effect":"Allow","Principal":"*"})"),
            "Statement[0].Principal is no member of an IoT policy");
  EXPECT_EQ(complaint_of(R"({"Effect":"Allow"})"), "Statement[0].Action is missing");
  EXPECT_EQ(complaint_of(R"({"Effect":"Allow","Action":[]})"),
            "Statement[0].Action must not be empty");
  EXPECT_EQ(complaint_of(R"({"Effect":"Allow","Action":["iot:Connect",7]})"),
            "Statement[0].Action[1] must be a string");
  EXPECT_EQ(complaint_of(R"({"Effect":"Allow","Action":"Connect"})"),
            "Statement[0].Action has no action like \"iot:Connect\": Connect");
  EXPECT_EQ(complaint_of(R"({"Effect":"Allow","Action":"iot:Connect","Resource":{}})"),
            "Statement[0].Resource must be a string or a list of strings");
  EXPECT_EQ(complaint_of(R"({"Effect":"Allow","Action":"iot:Connect","Resource":"client/a"})"),
            "Statement[0].Resource has no ARN and no \"*\": client/a");
}

TEST(LabPolicy, ComplaintsNameTheCondition) {
  const auto with = [](const std::string& condition) {
    return complaint_of(statement("Allow", "iot:Connect", "*", R"(,"Condition":)" + condition));
  };
  EXPECT_EQ(with("[]"), "Statement[0].Condition must be an object");
  EXPECT_EQ(with(R"({"StringEqual":{}})"),
            "Statement[0].Condition.StringEqual is no known condition operator");
  EXPECT_EQ(with(R"({"Bool":{}})"),
            "Statement[0].Condition.Bool must be an object with a condition key");
  EXPECT_EQ(with(R"({"Bool":{"k":"yes"}})"),
            "Statement[0].Condition.Bool.k must be \"true\" or \"false\"");
  EXPECT_EQ(with(R"({"IpAddress":{"k":"10.0.0.0/40"}})"),
            "Statement[0].Condition.IpAddress.k is no IP address or block of addresses: "
            "10.0.0.0/40");
  EXPECT_EQ(with(R"({"StringLike":{"k":[{}]}})"),
            "Statement[0].Condition.StringLike.k[0] must be a string");
}

TEST(LabPolicy, TheQuotaDoesNotCountWhiteSpace) {
  const std::string small = R"({"Version":"2012-10-17","Statement":)" +
                            statement("Allow", "iot:Connect", "client/c") + '}';
  EXPECT_EQ(complaint(small + std::string(5000, ' ')), "none");
  EXPECT_EQ(complaint(R"({"Version":"2012-10-17","Statement":)" +
                      statement("Allow", "iot:Connect", "client/" + std::string(2000, 'c')) + '}'),
            "policy of 2137 characters without white space; at most 2048 are allowed");
}

}  // namespace
}  // namespace holdfast::lab::iot
