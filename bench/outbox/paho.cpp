// Paho C's file persistence: the functions that MQTTClient calls with
// MQTTCLIENT_PERSISTENCE_DEFAULT (pstput for each QoS 1 publish, pstremove for its PUBACK), out of
// the library itself. They write one file for each message and never sync. The synced variants add
// what is missing for durability without changing the layout. Both: fsync of the file and of the
// directory after pstput. The first lets a removal become durable with the next put, as our
// settlements do; the other syncs the directory after pstremove, too, because Paho's interface
// knows no later commit to wait for.
#include <MQTTClient.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "bench/outbox/candidate.h"

// Declared in the library's own MQTTPersistenceDefault.h, which is not installed.
extern "C" {
int pstopen(void** handle, const char* client, const char* uri, void* context);
int pstclose(void* handle);
int pstput(void* handle, char* key, int count, char* buffers[], int lengths[]);
int pstget(void* handle, char* key, char** buffer, int* length);
int pstremove(void* handle, char* key);
int pstkeys(void* handle, char*** keys, int* count);
}

namespace holdfast::bench {
namespace {

std::string key_of(std::uint64_t number) { return "s-" + std::to_string(number); }

enum class Sync : std::uint8_t { never, puts, all };

class Paho final : public Candidate {
 public:
  explicit Paho(Sync sync) : sync_(sync) {}
  ~Paho() override { shut(); }
  Paho(const Paho&) = delete;
  Paho& operator=(const Paho&) = delete;

  bool open(const CandidateOptions& options, std::string& why) {
    std::string context = options.directory;
    if (pstopen(&handle_, "bench", "local", context.data()) != 0) {
      why = "pstopen failed";
      return false;
    }
    for (const auto& entry : std::filesystem::directory_iterator(options.directory)) {
      if (entry.is_directory()) folder_ = entry.path();
    }
    load_keys();
    return true;
  }

  bool put(std::uint64_t number, std::span<const std::byte> payload) override {
    std::string key = key_of(number);
    std::string head(4, '\0');  // stands for the fixed header and the packet id
    std::string topic(kTopic);
    std::vector<std::byte> body(payload.begin(), payload.end());
    std::array<char*, 3> buffers{head.data(), topic.data(),
                                 static_cast<char*>(static_cast<void*>(body.data()))};
    std::array<int, 3> lengths{static_cast<int>(head.size()), static_cast<int>(topic.size()),
                               static_cast<int>(body.size())};
    if (pstput(handle_, key.data(), 3, buffers.data(), lengths.data()) != 0) return false;
    if (sync_ != Sync::never) {
      sync(folder_ / (key + ".msg"), O_RDONLY);
      sync(folder_, O_RDONLY | O_DIRECTORY);
    }
    keys_.insert(number);
    return true;
  }

  bool commit() override { return true; }  // each put was durable by itself

  std::size_t fetch(std::size_t count, const Visit& visit) override {
    std::size_t n = 0;
    for (auto at = keys_.upper_bound(read_); at != keys_.end() && n < count; ++at, ++n) {
      read_ = *at;
      std::string key = key_of(*at);
      char* data = nullptr;
      int size = 0;
      if (pstget(handle_, key.data(), &data, &size) != 0) {
        ++errors_;
        continue;
      }
      const std::size_t skip =
          std::min<std::size_t>(4 + kTopic.size(), static_cast<std::size_t>(size));
      visit(*at, std::as_bytes(std::span(data, static_cast<std::size_t>(size))).subspan(skip));
      MQTTClient_free(data);
    }
    return n;
  }

  bool ack(std::uint64_t number) override {
    std::string key = key_of(number);
    keys_.erase(number);
    if (pstremove(handle_, key.data()) != 0) return false;
    if (sync_ == Sync::all) sync(folder_, O_RDONLY | O_DIRECTORY);
    return true;
  }

  std::uint64_t pending() override { return keys_.size(); }
  std::uint64_t errors() override { return errors_; }
  void close() override { shut(); }

 private:
  void load_keys() {
    char** keys = nullptr;
    int count = 0;
    if (pstkeys(handle_, &keys, &count) != 0) {
      ++errors_;
      return;
    }
    for (int i = 0; i < count; ++i) {
      const std::string key = keys[i];
      if (key.starts_with("s-")) keys_.insert(std::strtoull(key.c_str() + 2, nullptr, 10));
    }
  }
  static void sync(const std::filesystem::path& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
    if (fd < 0 || ::fsync(fd) != 0) die("paho: cannot sync " + path.string());
    ::close(fd);
  }
  void shut() {
    if (handle_ != nullptr) pstclose(handle_);
    handle_ = nullptr;
  }

  Sync sync_;
  void* handle_ = nullptr;
  std::filesystem::path folder_;
  std::set<std::uint64_t> keys_;
  std::uint64_t read_ = 0;
  std::uint64_t errors_ = 0;
};

std::unique_ptr<Candidate> open_one(const CandidateOptions& options, Sync sync, std::string& why) {
  auto paho = std::make_unique<Paho>(sync);
  if (!paho->open(options, why)) return nullptr;
  return paho;
}

}  // namespace

std::unique_ptr<Candidate> open_paho(const CandidateOptions& options, std::string& why) {
  return open_one(options, Sync::never, why);
}

std::unique_ptr<Candidate> open_paho_synced(const CandidateOptions& options, std::string& why) {
  return open_one(options, options.synced ? Sync::puts : Sync::never, why);
}

std::unique_ptr<Candidate> open_paho_synced_all(const CandidateOptions& options, std::string& why) {
  return open_one(options, options.synced ? Sync::all : Sync::never, why);
}

}  // namespace holdfast::bench
