// LevelDB with its defaults: a batch is one WriteBatch, written with sync=true.
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include <array>

#include "bench/outbox/candidate.h"

namespace holdfast::bench {
namespace {

using Key = std::array<char, 8>;

Key key_of(std::uint64_t number) {  // big endian: keys sort as numbers
  Key key{};
  for (std::size_t i = 0; i < key.size(); ++i) {
    key[i] = static_cast<char>(number >> (8 * (key.size() - 1 - i)));
  }
  return key;
}

leveldb::Slice slice(const Key& key) { return {key.data(), key.size()}; }

class LevelDb final : public Candidate {
 public:
  LevelDb(std::unique_ptr<leveldb::DB> db, bool synced) : db_(std::move(db)) {
    write_.sync = synced;
    check_.verify_checksums = true;
  }

  bool put(std::uint64_t number, std::span<const std::byte> payload) override {
    value_.assign(kTopic);
    for (const std::byte b : payload) value_.push_back(static_cast<char>(b));
    batch_.Put(slice(key_of(number)), value_);
    return true;
  }

  bool commit() override {
    const bool ok = db_->Write(write_, &batch_).ok();
    batch_.Clear();
    return ok;
  }

  std::size_t fetch(std::size_t count, const Visit& visit) override {
    const std::unique_ptr<leveldb::Iterator> at(db_->NewIterator(check_));
    std::size_t n = 0;
    for (at->Seek(slice(key_of(read_ + 1))); at->Valid() && n < count; at->Next(), ++n) {
      std::uint64_t number = 0;
      for (std::size_t i = 0; i < at->key().size(); ++i) {
        number = number << 8 | static_cast<std::uint8_t>(at->key()[i]);
      }
      const leveldb::Slice value = at->value();
      const std::size_t skip = std::min(kTopic.size(), value.size());
      visit(number, std::as_bytes(std::span(value.data() + skip, value.size() - skip)));
      read_ = number;
    }
    if (!at->status().ok()) ++errors_;
    return n;
  }

  bool ack(std::uint64_t number) override {
    batch_.Delete(slice(key_of(number)));
    return true;
  }

  std::uint64_t pending() override {
    const std::unique_ptr<leveldb::Iterator> at(db_->NewIterator(check_));
    std::uint64_t n = 0;
    for (at->SeekToFirst(); at->Valid(); at->Next()) ++n;
    return n;
  }

  std::uint64_t errors() override { return errors_; }
  void close() override { db_.reset(); }

 private:
  std::unique_ptr<leveldb::DB> db_;
  leveldb::WriteOptions write_;
  leveldb::ReadOptions check_;
  leveldb::WriteBatch batch_;
  std::string value_;
  std::uint64_t read_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace

std::unique_ptr<Candidate> open_leveldb(const CandidateOptions& options, std::string& why) {
  leveldb::Options wanted;
  wanted.create_if_missing = true;
  leveldb::DB* db = nullptr;
  const leveldb::Status status = leveldb::DB::Open(wanted, options.directory, &db);
  if (!status.ok()) {
    why = status.ToString();
    return nullptr;
  }
  return std::make_unique<LevelDb>(std::unique_ptr<leveldb::DB>(db), options.synced);
}

}  // namespace holdfast::bench
