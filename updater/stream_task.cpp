// See stream_task.h.
#include "stream_task.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "fetch.h"
#include "messages.h"
#include "posix/unique_fd.h"
#include "update/file_stream.h"

namespace holdfast::updater {
namespace {

using update::StepOutcome;
using Kind = StepOutcome::Kind;

constexpr std::uint64_t kSyncEvery = 1U << 20U;  // bytes: a cut costs so much at most

StepOutcome outcome(Kind kind, std::string words) {
  StepOutcome one;
  one.kind = kind;
  one.words = std::move(words);
  return one;
}

class StreamTask final : public Task, private Listener {
 public:
  StreamTask(StreamOrder order, const Surroundings& around, env::Random& random, BootTime now,
             std::shared_ptr<bool> whole)
      : order_(std::move(order)),
        around_(around),
        random_(random),
        deadline_(now + order_.timeout),
        whole_(std::move(whole)) {}
  ~StreamTask() override {
    if (stream_) around_.listen(nullptr);
  }
  StreamTask(const StreamTask&) = delete;
  StreamTask& operator=(const StreamTask&) = delete;

  std::optional<StepOutcome> step(BootTime now) override {
    if (stopped_) return outcome(Kind::failed, "was stopped");
    if (now >= deadline_) return outcome(Kind::later, "did not end in time");
    if (!stream_) {
      const std::string thing = around_.thing();
      if (thing.empty()) return std::nullopt;  // the agent has not been heard yet
      topics_ = StreamTopics(thing, order_.source.stream);
      if (auto problem = open()) return problem;
      around_.listen(this);
    }
    while (const auto piece = stream_->ready()) {
      if (auto problem = write(piece->first, piece->second)) return problem;
    }
    if (stream_->whole()) return StepOutcome{};
    while (const auto question = stream_->step(now)) {
      around_.publish(topics_.topic_of(*question), payload_of(*question));
    }
    if (!stream_->ended()) return std::nullopt;
    const auto& end = *stream_->ended();
    return outcome(end.for_good ? Kind::failed : Kind::later, end.words);
  }
  void stop(BootTime /*now*/) override { stopped_ = true; }

 private:
  std::vector<std::string> filters() const override { return topics_.filters(); }
  void connection(BootTime now, bool connected) override {
    if (connected) {
      stream_->connected(now);
    } else {
      stream_->disconnected();
    }
  }
  void message(BootTime now, const std::string& topic, const std::string& payload) override {
    StreamMessage message = topics_.read(topic, payload);
    if (auto* const block = std::get_if<StreamBlock>(&message.what)) {
      stream_->block(now, message.token, block->file, block->index, std::move(block->bytes));
    } else if (const auto* const what = std::get_if<update::StreamDescription>(&message.what)) {
      stream_->described(now, message.token, *what);
    } else if (const auto* const refusal = std::get_if<StreamRefusal>(&message.what)) {
      stream_->refused(message.token, refusal->code);
    }
  }

  StepOutcome disk(const std::string& what) {
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT;
    return outcome(full ? Kind::failed : Kind::later, what + ": " + std::strerror(number));
  }

  std::optional<StepOutcome> open() {
    const std::string part = order_.to.string() + ".part";
    file_.reset(::open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    struct stat info {};
    if (!file_ || ::fstat(file_.get(), &info) != 0) return disk("cannot open " + part);
    auto have = static_cast<std::uint64_t>(info.st_size);
    if (have > order_.size) {
      if (::ftruncate(file_.get(), 0) != 0) return disk("cannot shorten " + part);
      have = 0;
    }
    const std::string problem = problem_of_space(file_.get(), order_.size - have);
    if (!problem.empty()) return outcome(Kind::failed, problem);
    *whole_ = have == 0;
    stream_.emplace(order_.source.file, order_.size, have, order_.bytes_per_second, random_);
    return std::nullopt;
  }

  std::optional<StepOutcome> write(std::uint64_t at, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t put = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return disk("cannot write what is downloaded");
      bytes.remove_prefix(static_cast<std::size_t>(put));
      at += static_cast<std::uint64_t>(put);
    }
    if (at - synced_ < kSyncEvery && at < order_.size) return std::nullopt;
    synced_ = at;
    if (::fdatasync(file_.get()) != 0) return disk("cannot write what is downloaded");
    return std::nullopt;
  }

  StreamOrder order_;
  const Surroundings& around_;
  env::Random& random_;
  BootTime deadline_;
  std::shared_ptr<bool> whole_;
  StreamTopics topics_{"", ""};
  std::optional<update::FileStream> stream_;
  posix::UniqueFd file_;
  std::uint64_t synced_ = 0;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<Task> make_stream_task(const StreamOrder& order, const Surroundings& around,
                                       env::Random& random, BootTime now,
                                       std::shared_ptr<bool> whole) {
  return std::make_unique<StreamTask>(order, around, random, now, std::move(whole));
}

}  // namespace holdfast::updater
