// SQLite as a careful application uses it: WAL, synchronous=FULL, prepared statements, puts and
// acknowledgements of a batch in one transaction.
#include <sqlite3.h>

#include <cstring>

#include "bench/outbox/candidate.h"

namespace holdfast::bench {
namespace {

class Sqlite final : public Candidate {
 public:
  ~Sqlite() override { shut(); }
  Sqlite() = default;
  Sqlite(const Sqlite&) = delete;
  Sqlite& operator=(const Sqlite&) = delete;

  bool open(const CandidateOptions& options, std::string& why) {
    const std::string path = options.directory + "/queue.db";
    const bool ready =
        sqlite3_open(path.c_str(), &db_) == SQLITE_OK && run("PRAGMA journal_mode=WAL") &&
        run(options.synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL") &&
        run("CREATE TABLE IF NOT EXISTS q(id INTEGER PRIMARY KEY, lane INTEGER, topic TEXT, "
            "payload BLOB)") &&
        prepare("INSERT INTO q VALUES(?1, 1, ?2, ?3)", put_) &&
        prepare("SELECT id, payload FROM q WHERE id > ?1 ORDER BY id LIMIT ?2", get_) &&
        prepare("DELETE FROM q WHERE id = ?1", ack_) && prepare("BEGIN IMMEDIATE", begin_) &&
        prepare("COMMIT", commit_) && prepare("SELECT count(*) FROM q", count_);
    if (!ready) why = db_ == nullptr ? "no memory" : sqlite3_errmsg(db_);
    return ready;
  }

  bool put(std::uint64_t number, std::span<const std::byte> payload) override {
    if (!begin()) return false;
    sqlite3_bind_int64(put_, 1, static_cast<sqlite3_int64>(number));
    sqlite3_bind_text(put_, 2, kTopic.data(), static_cast<int>(kTopic.size()), SQLITE_STATIC);
    sqlite3_bind_blob(put_, 3, payload.data(), static_cast<int>(payload.size()), SQLITE_STATIC);
    return step(put_);
  }

  bool commit() override {
    if (!open_) return true;
    open_ = false;
    if (step(commit_)) return true;
    run("ROLLBACK");
    return false;
  }

  std::size_t fetch(std::size_t count, const Visit& visit) override {
    sqlite3_bind_int64(get_, 1, static_cast<sqlite3_int64>(read_));
    sqlite3_bind_int64(get_, 2, static_cast<sqlite3_int64>(count));
    std::size_t n = 0;
    int result = SQLITE_ROW;
    while ((result = sqlite3_step(get_)) == SQLITE_ROW) {
      const auto number = static_cast<std::uint64_t>(sqlite3_column_int64(get_, 0));
      const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(get_, 1));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(get_, 1));
      visit(number, {data, size});
      read_ = number;
      ++n;
    }
    if (result != SQLITE_DONE) ++errors_;
    sqlite3_reset(get_);
    return n;
  }

  bool ack(std::uint64_t number) override {
    if (!begin()) return false;
    sqlite3_bind_int64(ack_, 1, static_cast<sqlite3_int64>(number));
    return step(ack_);
  }

  std::uint64_t pending() override {
    std::uint64_t n = 0;
    if (sqlite3_step(count_) == SQLITE_ROW) {
      n = static_cast<std::uint64_t>(sqlite3_column_int64(count_, 0));
    }
    sqlite3_reset(count_);
    return n;
  }

  std::uint64_t errors() override { return errors_; }
  void close() override { shut(); }

 private:
  bool run(const char* sql) { return sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == 0; }
  bool prepare(const char* sql, sqlite3_stmt*& out) {
    if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &out, nullptr) != SQLITE_OK) {
      return false;
    }
    statements_.push_back(out);
    return true;
  }
  static bool step(sqlite3_stmt* statement) {
    const int result = sqlite3_step(statement);
    sqlite3_reset(statement);
    return result == SQLITE_DONE;
  }
  bool begin() {
    if (!open_) open_ = step(begin_);
    return open_;
  }
  void shut() {
    if (db_ == nullptr) return;
    for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
    statements_.clear();
    sqlite3_close(db_);
    db_ = nullptr;
  }

  sqlite3* db_ = nullptr;
  sqlite3_stmt* put_ = nullptr;
  sqlite3_stmt* get_ = nullptr;
  sqlite3_stmt* ack_ = nullptr;
  sqlite3_stmt* begin_ = nullptr;
  sqlite3_stmt* commit_ = nullptr;
  sqlite3_stmt* count_ = nullptr;
  std::vector<sqlite3_stmt*> statements_;
  bool open_ = false;
  std::uint64_t read_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace

std::unique_ptr<Candidate> open_sqlite(const CandidateOptions& options, std::string& why) {
  auto sqlite = std::make_unique<Sqlite>();
  if (!sqlite->open(options, why)) return nullptr;
  return sqlite;
}

}  // namespace holdfast::bench
