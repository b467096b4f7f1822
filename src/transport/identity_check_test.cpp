// Goal:   what a certificate says is told as it is; what cannot be used has its sentence; a token's
//         certificate needs no key; nothing of a key is in any of it.
// Method: certificates of a CA of our own; every truncation of a whole file.
#include "transport/identity_check.h"

#include <gtest/gtest.h>

#include "transport/test_pki.h"

namespace holdfast::transport {
namespace {

Result<SlotState> inspect(const std::string& certificate, const std::string& key) {
  const Secret first(certificate);
  const Secret second(key);
  return inspect_identity({first, "c.pem", &second, "k.pem"});
}

TEST(IdentityCheck, TellsWhatACertificateSays) {
  const Identity ca = make_ca("ca");
  for (const auto& [kind, type] : {std::pair{KeyKind::ec, "EC 256"}, {KeyKind::rsa, "RSA 2048"}}) {
    const Identity mine = issue(ca, {.common_name = "device\n1, x", .kind = kind});
    const auto state = inspect(mine.certificate_pem() + ca.certificate_pem(), mine.key_pem());
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_EQ(state->condition, SlotCondition::complete);
    EXPECT_EQ(state->subject, "CN=device\\0A1\\, x") << "no byte may steer a terminal";
    EXPECT_EQ(state->key_type, type);
    EXPECT_EQ(state->fingerprint.size(), 64U);
    EXPECT_EQ(state->not_after - state->not_before, 7200);
  }
  const Identity mine = issue(ca, {});
  const Secret alone(mine.certificate_pem());
  EXPECT_TRUE(inspect_identity({alone, "c.pem", nullptr, ""})) << "its key is in a token";
}

TEST(IdentityCheck, EachThingThatIsWrongHasItsSentence) {
  const Identity ca = make_ca("ca");
  const Identity mine = issue(ca, {});
  const Identity other = issue(ca, {});
  const auto words = [](const Result<SlotState>& state) {
    return state ? std::string("fine") : state.error().message;
  };
  EXPECT_EQ(words(inspect("", mine.key_pem())), "certificate c.pem: the file is empty");
  EXPECT_EQ(words(inspect(mine.certificate_pem(), "")), "key k.pem: the file is empty");
  EXPECT_NE(words(inspect(mine.certificate_pem(), other.key_pem())).find("does not fit"),
            std::string::npos);
  EXPECT_NE(words(inspect(mine.certificate_pem(), mine.key_pem("secret"))).find("password"),
            std::string::npos);
  EXPECT_NE(words(inspect(mine.key_pem(), mine.key_pem())).find("no PEM certificate"),
            std::string::npos);
}

TEST(IdentityCheck, NoTruncationOfAFileIsTakenForAWholeOne) {
  const Identity mine = issue(make_ca("ca"), {});
  const std::string whole = mine.certificate_pem() + mine.key_pem();
  const std::string secret = mine.key_pem().substr(40, 30);
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    const Secret part(whole.substr(0, size));
    const auto state = inspect_identity({part, "slot.pem", &part, "slot.pem"});
    ASSERT_FALSE(state) << size;
    EXPECT_EQ(state.error().message.find(secret), std::string::npos) << size;
  }
}

TEST(IdentityCheck, ContentIdsTellContentsApart) {
  EXPECT_EQ(content_id("a"), content_id("a"));
  EXPECT_NE(content_id("a"), content_id("b"));
  EXPECT_EQ(content_id("").size(), 32U);
}

}  // namespace
}  // namespace holdfast::transport
