// Goal:   key files become keys as docs/outbox-format.md derives them, and bad ones a clear error.
// Method: a known answer, made by another implementation (Python's hmac and cryptography); files of
//         every kind; one bit of everything that is authenticated changed.

#include "transport/key_ring.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "transport/test_pki.h"

namespace holdfast::transport {
namespace {

std::string counting(int from, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += static_cast<char>(from + i);
  return text;
}

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> out(text.size());
  std::memcpy(out.data(), text.data(), text.size());
  return out;
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::byte b : bytes) {
    out += kDigits[std::to_integer<unsigned>(b) >> 4];
    out += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

class KeyRingTest : public testing::Test {
 protected:
  std::unique_ptr<env::KeyRing> ring(const std::string& current, const std::string& previous = "",
                                     bool seal = true) {
    const auto path = [&](const std::string& name) {
      return name.empty() ? std::filesystem::path() : files_.path() / name;
    };
    auto loaded = load_key_ring({path(current), path(previous)}, seal);
    EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().message);
    return loaded.ok() ? std::move(loaded).value() : nullptr;
  }

  void expect_error(const std::string& content, Errc code, const std::string& words) {
    const auto file = files_.write("bad", content);
    const auto loaded = load_key_ring({file, {}}, true);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, code);
    EXPECT_NE(loaded.error().message.find(words), std::string::npos) << loaded.error().message;
    EXPECT_NE(loaded.error().message.find(file.string()), std::string::npos)
        << loaded.error().message;
  }

  TestDirectory files_;
  std::vector<std::byte> context_ = bytes_of(counting(100, 32));
  std::array<std::byte, env::kSealTagSize> tag_{};
};

TEST_F(KeyRingTest, GivesTheKnownAnswer) {
  files_.write("key", counting(0, 32));
  const auto keys = ring("key");
  EXPECT_EQ(keys->current(), 0x4a4d9d9431bf13baU);
  const auto sealer = keys->derive(keys->current(), context_);
  const auto nonce = bytes_of(counting(0, 12));
  auto text = bytes_of("clear");
  sealer->seal(env::Nonce(nonce), bytes_of("holdfast"), text, tag_);
  EXPECT_EQ(hex(text) + hex(tag_), "75357bba4929630e5512e9b92dcca24ad31e2caef1");
}

TEST_F(KeyRingTest, OpensOnlyWhatIsUnchangedToTheLastBit) {
  files_.write("key", counting(0, 32));
  const auto keys = ring("key");
  const auto sealer = keys->derive(keys->current(), context_);
  auto nonce = bytes_of(counting(0, 12));
  auto clear = bytes_of("seen by all");
  const auto plain = bytes_of("seen by few");
  auto sealed = plain;
  sealer->seal(env::Nonce(nonce), clear, sealed, tag_);
  const auto opens = [&] {
    auto text = sealed;
    const bool good = sealer->open(env::Nonce(nonce), clear, text, tag_);
    EXPECT_TRUE(!good || text == plain);
    return good;
  };
  EXPECT_TRUE(opens());
  for (const std::span<std::byte> part :
       {std::span(nonce), std::span(clear), std::span(sealed), std::span<std::byte>(tag_)}) {
    for (std::size_t bit = 0; bit < part.size() * 8; ++bit) {
      part[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
      EXPECT_FALSE(opens()) << bit;
      part[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
  }
  EXPECT_TRUE(opens());
}

TEST_F(KeyRingTest, EachSegmentHasAKeyOfItsOwn) {
  files_.write("key", counting(0, 32));
  const auto keys = ring("key");
  const auto nonce = bytes_of(counting(0, 12));
  auto text = bytes_of("same text");
  keys->derive(keys->current(), context_)->seal(env::Nonce(nonce), {}, text, tag_);
  context_[31] ^= std::byte{1};
  EXPECT_FALSE(keys->derive(keys->current(), context_)->open(env::Nonce(nonce), {}, text, tag_));
  EXPECT_EQ(keys->derive(1234, context_), nullptr) << "no such key";
}

TEST_F(KeyRingTest, APrivateKeyIsTheSameKeyHoweverItIsWritten) {
  const Identity ca = make_ca("ca");
  const std::string pem = ca.key_pem();
  files_.write("key", pem);
  files_.write("commented", "a comment before it\n" + pem);
  files_.write("other", make_ca("ca").key_pem());
  EXPECT_EQ(ring("key")->current(), ring("commented")->current());
  EXPECT_NE(ring("key")->current(), ring("other")->current());
}

TEST_F(KeyRingTest, ThePreviousKeyOpensAndDoesNotSeal) {
  files_.write("old", counting(0, 32));
  files_.write("new", counting(1, 32));
  const env::KeyId old = ring("old")->current();
  const auto keys = ring("new", "old");
  EXPECT_NE(keys->current(), old);
  EXPECT_TRUE(keys->has(old));
  EXPECT_NE(keys->derive(old, context_), nullptr);
  EXPECT_EQ(ring("new", "old", false)->current(), 0U) << "encryption is off";
  EXPECT_TRUE(ring("new", "old", false)->has(old));
}

TEST_F(KeyRingTest, BadFilesAreToldByName) {
  expect_error("", Errc::invalid_argument, "at least 32 random bytes");
  expect_error(counting(0, 31), Errc::invalid_argument, "has 31 bytes");
  expect_error("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Errc::corrupt,
               "damaged");
  expect_error(make_ca("ca").certificate_pem(), Errc::corrupt, "no PEM private key");
  expect_error(make_ca("ca").key_pem("password"), Errc::invalid_argument, "password");
  const auto missing = load_key_ring({files_.path() / "missing", {}}, true);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Errc::not_found);
}

}  // namespace
}  // namespace holdfast::transport
