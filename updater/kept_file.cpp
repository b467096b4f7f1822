// See kept_file.h.
#include "kept_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/limits.h"
#include "posix/child.h"
#include "posix/system.h"
#include "posix/unique_fd.h"
#include "program.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileMax = 1024 * limits::kKiB;
constexpr const char* kSuffix = ".file";
constexpr const char* kCandidate = ".candidate";
constexpr mode_t kPermissions = 07777;

class KeptFile {
 public:
  KeptFile(const FileOrder& order, std::string& words) : order_(order), words_(words) {}

  FetchEnd run() {
    if (order_.action == "version") return no(FetchEnd::done, present());
    if (!is_version(order_.version)) return no(FetchEnd::wrong, "HOLDFAST_VERSION is no version");
    if (order_.action == "install") return install();
    if (order_.action == "activate") return put(fresh(), order_.file);
    if (order_.action == "take-back") return put(before(), order_.file);
    if (order_.action == "commit") return commit();
    return no(FetchEnd::wrong, order_.action + " is no action of a file");
  }

 private:
  FetchEnd no(FetchEnd end, std::string words) {
    words_ = std::move(words);
    return end;
  }
  FetchEnd failed(const std::string& what) {
    const int number = errno;
    const bool full = number == ENOSPC || number == EDQUOT;
    return no(full ? FetchEnd::no_space : FetchEnd::missing, what + ": " + std::strerror(number));
  }
  [[nodiscard]] fs::path fresh() const { return order_.folder / (order_.version + kSuffix); }
  [[nodiscard]] fs::path before() const { return order_.folder / "before"; }

  /// The version whose bytes are there; empty: another's.
  std::string present() {
    const auto now = posix::read_file(order_.file, kFileMax);
    std::error_code failure;
    if (!now) return "";
    for (const auto& entry : fs::directory_iterator(order_.folder, failure)) {
      if (entry.path().extension() != kSuffix) continue;
      const auto one = posix::read_file(entry.path(), kFileMax);
      if (one && *one == *now) return entry.path().stem().string();
    }
    return "";
  }

  FetchEnd install() {
    std::error_code failure;
    fs::create_directories(order_.folder, failure);
    // After a cut it may have been brought here already.
    if (fs::exists(order_.artifact, failure)) {
      if (const FetchEnd kept = put(order_.artifact, fresh()); kept != FetchEnd::done) return kept;
    }
    if (const FetchEnd valid = judge(); valid != FetchEnd::done) {
      fs::remove(fresh(), failure);
      return valid;
    }
    return put(order_.file, before());
  }

  FetchEnd judge() {
    if (order_.validate.empty()) return FetchEnd::done;
    const fs::path candidate = order_.file.string() + kCandidate;
    if (const FetchEnd written = write(fresh(), candidate, order_.file);
        written != FetchEnd::done) {
      return written;
    }
    std::vector<std::string> argv = order_.validate;
    argv.push_back(candidate.string());
    const Program::End end = run_to_end(std::move(argv));
    std::error_code ignored;
    fs::remove(candidate, ignored);
    if (end.good()) return FetchEnd::done;
    return no(FetchEnd::wrong, end.errors.empty() ? end.words() : end.errors);
  }

  /// `to` has the bytes of `from`, durably, by one rename; owner and mode are those of `to`.
  FetchEnd put(const fs::path& from, const fs::path& to) {
    const fs::path candidate = to.string() + kCandidate;
    if (const FetchEnd written = write(from, candidate, to); written != FetchEnd::done) {
      return written;
    }
    if (::rename(candidate.c_str(), to.c_str()) != 0) return failed("cannot name " + to.string());
    const posix::UniqueFd directory(
        ::open(to.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory || ::fsync(directory.get()) != 0) {
      return failed("cannot sync " + to.parent_path().string());
    }
    return FetchEnd::done;
  }

  FetchEnd write(const fs::path& from, const fs::path& to, const fs::path& like) {
    const auto bytes = posix::read_file(from, kFileMax);
    if (!bytes) return no(FetchEnd::missing, bytes.error().message);
    std::error_code ignored;
    fs::remove(to, ignored);
    const posix::UniqueFd file(
        ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file) return failed("cannot make " + to.string());
    struct stat info {};
    if (::stat(like.c_str(), &info) == 0 &&
        ((::fchown(file.get(), info.st_uid, info.st_gid) != 0 && ::geteuid() == 0) ||
         ::fchmod(file.get(), info.st_mode & kPermissions) != 0)) {
      return failed("cannot give " + to.string() + " the owner and mode of " + like.string());
    }
    std::string_view rest = *bytes;
    while (!rest.empty()) {
      const ssize_t put = ::write(file.get(), rest.data(), rest.size());
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return failed("cannot write " + to.string());
      rest.remove_prefix(static_cast<std::size_t>(put));
    }
    return ::fsync(file.get()) == 0 ? FetchEnd::done : failed("cannot sync " + to.string());
  }

  FetchEnd commit() {
    const auto old = posix::read_file(before(), kFileMax);
    std::error_code ignored;  // the next one tries again
    std::vector<fs::path> gone;
    for (const auto& entry : fs::directory_iterator(order_.folder, ignored)) {
      const auto one = posix::read_file(entry.path(), kFileMax);
      const bool stays = entry.path() == fresh() || (old && one && *one == *old);
      if (!stays) gone.push_back(entry.path());
    }
    for (const fs::path& path : gone) fs::remove(path, ignored);
    return FetchEnd::done;
  }

  const FileOrder& order_;
  std::string& words_;
};

}  // namespace

FetchEnd run_file(const FileOrder& order, std::string& words) {
  posix::adopt_orphans();
  return KeptFile(order, words).run();
}

void add_file_programs(Settings& settings, const fs::path& own) {
  for (auto& [name, app] : settings.applications) {
    if (app.file.empty()) continue;
    const auto program = [&, &name = name, &app = app](const char* action) {
      std::vector<std::string> argv{own.string(), "--file", action, app.file.string(),
                                    (settings.directory / "files" / name).string()};
      argv.insert(argv.end(), app.validate.begin(), app.validate.end());
      return argv;
    };
    set_programs(app, program);
  }
}

}  // namespace holdfast::updater
