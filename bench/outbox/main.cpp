// One workload on one store, as one line of JSON. tools/bench outbox runs it again and again, the
// stores in turn, and prints what comes of it.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <thread>

#include "bench/outbox/candidate.h"
#include "bench/outbox/measure.h"

namespace holdfast::bench {

void die(const std::string& line) {
  std::cerr << "outbox_bench: " << line << "\n";
  std::exit(2);
}

Opener find_candidate(std::string_view name) {
  static const std::map<std::string_view, Opener> all{
      {"ours", open_ours},
      {"ours-sealed", open_ours_sealed},
      {"raw", open_raw},
#ifdef HOLDFAST_BENCH_SQLITE
      {"sqlite", open_sqlite},
#endif
#ifdef HOLDFAST_BENCH_LEVELDB
      {"leveldb", open_leveldb},
#endif
#ifdef HOLDFAST_BENCH_PAHO
      {"paho", open_paho},
      {"paho-fsync", open_paho_synced},
      {"paho-fsync-all", open_paho_synced_all},
#endif
  };
  const auto at = all.find(name);
  return at == all.end() ? nullptr : at->second;
}

std::vector<std::string> candidate_names() {
  std::vector<std::string> out;
  for (const char* name : {"ours", "ours-sealed", "raw", "sqlite", "leveldb", "paho", "paho-fsync",
                           "paho-fsync-all"}) {
    if (find_candidate(name) != nullptr) out.emplace_back(name);
  }
  return out;
}

void fill_payload(std::uint64_t number, std::span<std::byte> out) {
  std::uint64_t state = number * 0x9E3779B97F4A7C15ULL + 1;
  for (std::size_t i = 0; i < out.size(); i += 8) {
    const std::uint64_t word = i == 0 ? number : state;
    std::memcpy(out.data() + i, &word, std::min<std::size_t>(8, out.size() - i));
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;  // not compressible
  }
}

std::uint64_t number_of(std::span<const std::byte> payload) {
  std::uint64_t number = 0;
  if (payload.size() >= sizeof(number)) std::memcpy(&number, payload.data(), sizeof(number));
  return number;
}

namespace {

struct Job {
  std::string candidate = "ours";
  CandidateOptions store;
  std::string device;
  std::uint64_t messages = 4000;
  std::uint64_t warm = 0;
  std::uint64_t batch = 1;
  std::uint64_t window = 64;
  std::uint64_t keep = 0;
  double seconds = 200;
  bool cold = false;
};

std::unique_ptr<Candidate> open_store(const Job& job) {
  const Opener opener = find_candidate(job.candidate);
  if (opener == nullptr) die(job.candidate + ": no such store in this build");
  std::string why;
  auto store = opener(job.store, why);
  if (store == nullptr) die(job.candidate + ": cannot open " + job.store.directory + ": " + why);
  return store;
}

/// Gives each number its payload, from one buffer.
class Feed {
 public:
  explicit Feed(const Job& job) : payload_(job.store.payload) {}
  bool put(Candidate& store) {
    fill_payload(next_, payload_);
    if (!store.put(next_, payload_)) return false;
    ++next_;
    return true;
  }
  [[nodiscard]] std::uint64_t next() const { return next_; }
  [[nodiscard]] bool intact(std::uint64_t number, std::span<const std::byte> payload) {
    fill_payload(number, payload_);
    return std::equal(payload.begin(), payload.end(), payload_.begin(), payload_.end());
  }

 private:
  std::vector<std::byte> payload_;
  std::uint64_t next_ = 1;
};

void print(const Job& job, const std::string& fields) {
  std::cout << "{\"candidate\":\"" << job.candidate << "\",\"payload\":" << job.store.payload
            << ",\"batch\":" << job.batch << "," << fields << "}" << std::endl;
}

/// Puts and commits a batch; `meter`, if any, gets its times.
void store_batch(const Job& job, Candidate& store, Feed& feed, Meter* meter) {
  const double begin = now_seconds();
  for (std::uint64_t i = 0; i < job.batch; ++i) {
    if (!feed.put(store)) die(job.candidate + ": put was refused");
  }
  const double put = now_seconds();
  if (!store.commit()) die(job.candidate + ": commit failed");
  const double end = now_seconds();
  if (meter != nullptr) meter->sample((end - put) * 1e6, (end - begin) * 1e6);
}

/// Steady state: put and commit a batch, read it, end as many messages somewhere in the window.
/// With --keep N each N-th message never ends.
void mixed(const Job& job) {
  auto store = open_store(job);
  Feed feed(job);
  Meter meter(job.store.directory, job.device);
  std::vector<std::uint64_t> waiting;
  std::uint64_t random = 1;
  bool measuring = false;
  const auto round = [&] {
    store_batch(job, *store, feed, measuring ? &meter : nullptr);
    const std::uint64_t first = feed.next() - job.batch;
    const std::size_t got = store->fetch(job.batch, [](std::uint64_t, auto) {});
    if (got != job.batch) die(job.candidate + ": what was put cannot be read");
    for (std::uint64_t number = first; number < feed.next(); ++number) {
      if (job.keep == 0 || number % job.keep != 0) waiting.push_back(number);
    }
    while (waiting.size() > job.window) {
      random = random * 6364136223846793005ULL + 1442695040888963407ULL;
      std::uint64_t& chosen = waiting[(random >> 33) % waiting.size()];
      if (!store->ack(chosen)) die(job.candidate + ": ack failed");
      chosen = waiting.back();
      waiting.pop_back();
    }
  };
  for (std::uint64_t n = 0; n < job.warm; n += job.batch) round();
  meter.start();
  measuring = true;
  std::uint64_t n = 0;
  for (; n < job.messages; n += job.batch) round();
  meter.stop();
  print(job, meter.json(n));
}

/// A growing backlog: put and commit only.
void append(const Job& job) {
  auto store = open_store(job);
  Feed feed(job);
  Meter meter(job.store.directory, job.device);
  bool measuring = false;
  const auto round = [&] { store_batch(job, *store, feed, measuring ? &meter : nullptr); };
  for (std::uint64_t n = 0; n < job.warm; n += job.batch) round();
  meter.start();
  measuring = true;
  std::uint64_t n = 0;
  for (; n < job.messages; n += job.batch) round();
  meter.stop();
  print(job, meter.json(n));
}

/// One message a second in real time; each ends 50 ms later, and that rides on the next commit.
void slow(const Job& job) {
  auto store = open_store(job);
  Feed feed(job);
  Meter meter(job.store.directory, job.device);
  const auto pause = [](double until) {
    std::this_thread::sleep_for(std::chrono::duration<double>(until - now_seconds()));
  };
  const auto second = [&](double begin) {
    const std::uint64_t number = feed.next();
    if (!feed.put(*store) || !store->commit()) die(job.candidate + ": cannot store");
    if (store->fetch(1, [](std::uint64_t, auto) {}) != 1) die(job.candidate + ": cannot read");
    pause(begin + 0.05);
    if (!store->ack(number)) die(job.candidate + ": ack failed");
    pause(begin + 1);
  };
  // A device that has run for a while: slots made, write-ahead logs grown to their size.
  for (std::uint64_t i = 0; i < job.warm; ++i) {
    const std::uint64_t number = feed.next();
    const bool stored = feed.put(*store) && store->commit();
    if (!stored || store->fetch(1, [](std::uint64_t, auto) {}) != 1 || !store->ack(number)) {
      die(job.candidate + ": cannot store");
    }
  }
  constexpr std::uint64_t kWarmSeconds = 5;
  const auto run = [&](std::uint64_t seconds) {
    const double begin = now_seconds();
    for (std::uint64_t i = 0; i < seconds; ++i) second(begin + static_cast<double>(i));
  };
  run(kWarmSeconds);
  meter.start();
  const auto n = static_cast<std::uint64_t>(job.seconds);
  run(n);
  meter.stop();
  print(job, meter.json(n));
}

/// Makes a backlog quickly and closes in order: what the other commands start from.
void fill(const Job& job) {
  auto store = open_store(job);
  Feed feed(job);
  bool room = true;
  while (room && feed.next() <= job.messages) {
    for (std::uint64_t i = 0; room && i < job.batch && feed.next() <= job.messages; ++i) {
      room = feed.put(*store);
    }
    if (!store->commit()) die(job.candidate + ": commit failed");
  }
  store->close();
  print(job, "\"messages\":" + std::to_string(feed.next() - 1));
}

/// Opens a backlog: how long, how much memory, and is the count right.
void open_only(const Job& job) {
  const std::uint64_t before = anonymous_kib();
  const double begin = now_seconds();
  auto store = open_store(job);
  const double opened = now_seconds();
  const std::uint64_t pending = store->pending();
  const double counted = now_seconds();
  const std::uint64_t after = anonymous_kib();
  print(job,
        "\"open_ms\":" + std::to_string((opened - begin) * 1e3) +
            ",\"count_ms\":" + std::to_string((counted - begin) * 1e3) +
            ",\"pending\":" + std::to_string(pending) + ",\"anon_kib\":" +
            std::to_string(static_cast<std::int64_t>(after) - static_cast<std::int64_t>(before)));
}

/// Opens and reads everything, and compares it with what was put.
void read_all(const Job& job) {
  const Opener opener = find_candidate(job.candidate);
  if (opener == nullptr) die(job.candidate + ": no such store in this build");
  const double begin = now_seconds();
  std::string why;
  auto store = opener(job.store, why);
  if (store == nullptr) {
    print(job, "\"opened\":false");
    return;
  }
  Feed feed(job);
  std::vector<bool> seen(job.messages + 1);
  std::uint64_t good = 0;
  std::uint64_t wrong = 0;
  constexpr std::size_t kAtOnce = 100;
  const auto visit = [&](std::uint64_t number, std::span<const std::byte> payload) {
    const bool fits =
        number >= 1 && number <= job.messages && !seen[number] && feed.intact(number, payload);
    (fits ? good : wrong) += 1;
    if (fits) seen[number] = true;
  };
  while (store->fetch(kAtOnce, visit) > 0) continue;
  print(job, "\"opened\":true,\"seconds\":" + std::to_string(now_seconds() - begin) +
                 ",\"good\":" + std::to_string(good) + ",\"wrong\":" + std::to_string(wrong) +
                 ",\"missing\":" + std::to_string(job.messages - std::min(good, job.messages)) +
                 ",\"reported\":" + std::to_string(store->reported_lost()) +
                 ",\"errors\":" + std::to_string(store->errors()));
}

/// Takes every free byte of the file system; what is left is printed by full().
void hog(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;  // not even a name fits any more
  std::vector<char> block(1024UL * 1024, 'x');
  for (std::size_t size = block.size(); size > 0; size /= 2) {
    while (::write(fd, block.data(), size) > 0) continue;
  }
  static_cast<void>(::fsync(fd));
  ::close(fd);
}

/// Fills the store, then the file system to its last byte; opens, drains, and stores again.
void full(const Job& job) {
  std::uint64_t stored = 0;
  {
    auto store = open_store(job);
    Feed feed(job);
    bool room = true;
    while (room) {
      std::uint64_t put = 0;
      for (; room && put < job.batch; put += room ? 1 : 0) room = feed.put(*store);
      if (!store->commit()) break;
      stored += put;
    }
    store->close();
  }
  hog(job.store.directory + "/../hog");
  const Opener opener = find_candidate(job.candidate);
  std::string why;
  auto store = opener(job.store, why);
  std::string fields = "\"stored\":" + std::to_string(stored);
  if (store == nullptr) {
    print(job, fields + ",\"opened\":false,\"drained\":0,\"again\":0,\"why\":\"cannot open\"");
    return;
  }
  Meter meter(job.store.directory, job.device);
  meter.start();
  std::uint64_t drained = 0;
  std::vector<std::uint64_t> got;
  bool works = true;
  while (works) {
    got.clear();
    store->fetch(job.batch, [&](std::uint64_t number, auto) { got.push_back(number); });
    if (got.empty()) break;
    for (const std::uint64_t number : got) works = works && store->ack(number);
    works = works && store->commit();
    if (works) drained += got.size();
  }
  meter.stop();
  std::uint64_t again = 0;
  if (works) {  // as many as were there before, none of them read, the disk still full
    std::vector<std::byte> payload(job.store.payload);
    for (bool room = true; room && again < stored; again += room ? 1 : 0) {
      fill_payload(stored + 1 + again, payload);
      room = store->put(stored + 1 + again, payload) &&
             ((again + 1) % job.batch != 0 || store->commit());
    }
    works = store->commit();
  }
  print(job, fields + ",\"opened\":true,\"drained\":" + std::to_string(drained) +
                 ",\"again\":" + std::to_string(works ? again : 0) + "," +
                 (drained > 0 ? meter.json(drained) : "\"kib\":0"));
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) {
  using namespace holdfast::bench;
  CLI::App app("One workload of the outbox benchmark; tools/bench outbox runs them all.");
  app.require_subcommand(1);
  Job job;
  const std::map<std::string, std::pair<const char*, void (*)(const Job&)>> commands{
      {"mixed", {"put, read and end messages in a steady state", mixed}},
      {"append", {"a growing backlog", append}},
      {"slow", {"one message a second, in real time", slow}},
      {"fill", {"make a backlog and close", fill}},
      {"open", {"open a backlog", open_only}},
      {"read", {"open, read everything and compare", read_all}},
      {"full", {"drain on a disk without a free byte", full}}};
  for (const auto& [name, command] : commands) {
    CLI::App* sub = app.add_subcommand(name, command.first);
    sub->add_option("--store", job.candidate, "Which store")->required();
    sub->add_option("--dir", job.store.directory, "Its directory, which exists")->required();
    sub->add_option("--device", job.device, "Block device below it, as loop7");
    sub->add_option("--payload", job.store.payload, "Bytes of payload");
    sub->add_option("--messages", job.messages, "How many");
    sub->add_option("--warm", job.warm, "How many before measuring");
    sub->add_option("--batch", job.batch, "Messages a commit");
    sub->add_option("--window", job.window, "Messages that wait in a steady state");
    sub->add_option("--keep", job.keep, "In a steady state, each N-th message stays for ever");
    sub->add_flag("--evict", job.store.evict, "Our outbox gives up its oldest when it is full");
    sub->add_option("--seconds", job.seconds, "How long, for slow");
    sub->add_option("--max-bytes", job.store.max_bytes, "Limit of our outbox");
    sub->add_flag("--preallocate", job.store.preallocate, "Make the files of our outbox first");
    sub->add_flag("!--unsynced", job.store.synced, "Do not wait for the disk");
    auto* run = command.second;
    sub->callback([run, &job] { run(job); });
  }
  app.add_subcommand("stores", "The stores of this build")->callback([] {
    for (const std::string& name : candidate_names()) std::cout << name << "\n";
  });
  CLI11_PARSE(app, argc, argv);
  return 0;
}
