// Goal:   who does not encrypt still opens what was sealed with the key of its identity, and needs
//         that key only then.
// Method: rings of one key file, with and without outbox.encrypt; the file is taken away between.

#include "runtime/outbox_keys.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace holdfast::runtime {
namespace {

namespace fs = std::filesystem;

class OutboxKeysTest : public testing::Test {
 protected:
  OutboxKeysTest() {
    std::string name = (fs::temp_directory_path() / "hf-keys-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    config_.tls.key_file = folder_ / "identity";
    std::ofstream(config_.tls.key_file) << std::string(32, 'k');
  }

  ~OutboxKeysTest() override { fs::remove_all(folder_); }

  std::unique_ptr<env::KeyRing> ring(bool encrypt) {
    config_.outbox.encrypt = encrypt;
    auto loaded = load_outbox_keys(config_);
    EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().message);
    return loaded.ok() ? std::move(loaded).value() : nullptr;
  }

  fs::path folder_;
  Config config_;
};

TEST_F(OutboxKeysTest, WhoNoLongerEncryptsOpensWhatTheIdentitySealed) {
  const auto sealing = ring(true);
  const auto plain = ring(false);
  ASSERT_TRUE(sealing && plain);
  EXPECT_NE(sealing->current(), 0U);
  EXPECT_EQ(plain->current(), 0U) << "nothing new is sealed";
  EXPECT_TRUE(plain->has(sealing->current()));
  EXPECT_FALSE(plain->has(sealing->current() + 1));

  const std::array<std::byte, 4> context{};
  std::array<std::byte, 5> text{};
  std::array<std::byte, env::kSealTagSize> tag{};
  const std::array<std::byte, env::kNonceSize> nonce{};
  sealing->derive(sealing->current(), context)->seal(nonce, context, text, tag);
  const auto opener = plain->derive(sealing->current(), context);
  ASSERT_TRUE(opener);
  EXPECT_TRUE(opener->open(nonce, context, text, tag));
  EXPECT_EQ(text, (std::array<std::byte, 5>{}));
}

TEST_F(OutboxKeysTest, WhoNeverEncryptedNeedsNoKeyUntilItIsAsked) {
  const env::KeyId name = ring(true)->current();
  fs::rename(config_.tls.key_file, folder_ / "later");
  const auto plain = ring(false);
  const auto without = ring(false);
  ASSERT_TRUE(plain && without);
  EXPECT_FALSE(without->has(name)) << "locked, and no error";
  EXPECT_EQ(without->derive(name, {}), nullptr);
  fs::rename(folder_ / "later", config_.tls.key_file);
  EXPECT_TRUE(plain->has(name)) << "the key was not asked for before it was there";
  config_.outbox.key_file = folder_ / "missing";
  EXPECT_FALSE(load_outbox_keys(config_).ok()) << "a key that is named must be there";
}

}  // namespace
}  // namespace holdfast::runtime
