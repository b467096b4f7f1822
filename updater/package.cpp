// See package.h.
#include "package.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "identity/whole_file.h"
#include "posix/child.h"
#include "posix/system.h"
#include "program.h"

namespace holdfast::updater {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBefore = "before";
constexpr std::size_t kBeforeMax = 256;
constexpr const char* kSuffix = ".deb";
constexpr std::string_view kInstalled = "ii ";  // wanted, installed, without an error

class Package {
 public:
  Package(const PackageOrder& order, std::string& words) : order_(order), words_(words) {}

  FetchEnd run() {
    if (order_.action == "version") return version();
    if (!is_version(order_.version)) return no(FetchEnd::wrong, "HOLDFAST_VERSION is no version");
    if (order_.action == "install") return install();
    if (order_.action == "activate") return activate();
    if (order_.action == "take-back") return take_back();
    if (order_.action == "commit") return commit();
    return no(FetchEnd::wrong, order_.action + " is no action of a package");
  }

 private:
  FetchEnd no(FetchEnd end, std::string words) {
    words_ = std::move(words);
    return end;
  }
  [[nodiscard]] fs::path file_of(const std::string& version) const {
    return order_.folder / (version + kSuffix);
  }

  FetchEnd judge(const Program::End& end) {
    if (end.good()) return FetchEnd::done;
    words_ = end.errors.empty() ? end.words() : end.errors;
    // dpkg ends so where another one is at work: apt, or somebody at the keyboard.
    const bool locked = end.code == 2 && end.errors.find("lock") != std::string::npos;
    return locked ? FetchEnd::later : FetchEnd::missing;
  }
  FetchEnd dpkg(const char* what, const std::string& file) {
    return judge(run_to_end({"dpkg", "--force-confdef", "--force-confold", what, "--", file}));
  }

  /// Of what is wholly installed; empty: nothing is.
  std::string installed() {
    const auto end =
        run_to_end({"dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Version}\n", "--",
                    order_.package});
    const std::string line = end.output.substr(0, end.output.find('\n'));
    if (!end.good() || !line.starts_with(kInstalled)) return "";
    return line.substr(kInstalled.size());
  }
  FetchEnd version() { return no(FetchEnd::done, installed()); }

  /// Which package is in a file: "NAME VERSION", or the reason why none is.
  std::string inside(const fs::path& file) {
    const auto end =
        run_to_end({"dpkg-deb", "--show", "--showformat=${Package} ${Version}\n", file.string()});
    if (!end.good()) return end.errors.empty() ? end.words() : end.errors;
    return end.output.substr(0, end.output.find('\n'));
  }

  FetchEnd install() {
    std::error_code failure;
    fs::create_directories(order_.folder, failure);
    const fs::path fresh = file_of(order_.version);
    const std::string wanted = order_.package + ' ' + order_.version;
    // After a cut it may have been brought here already.
    if (fs::exists(order_.artifact, failure)) {
      const std::string found = inside(order_.artifact);
      if (found != wanted) return no(FetchEnd::wrong, "it is no package " + wanted + ": " + found);
      if (const FetchEnd kept = keep(order_.artifact, fresh); kept != FetchEnd::done) return kept;
    }
    if (const auto tried =
            judge(run_to_end({"dpkg", "--no-act", "--install", "--", fresh.string()}));
        tried != FetchEnd::done) {
      return tried == FetchEnd::later ? tried : FetchEnd::wrong;
    }
    const std::string old = installed();
    if (!old.empty() && old != order_.version && !has(old)) {
      return no(FetchEnd::wrong, "there is no package of version " + old +
                                     ", which is installed, to go back to; put it into " +
                                     file_of(old).string());
    }
    return remember(old);
  }

  /// By a copy: it may be on another file system.
  FetchEnd keep(const fs::path& from, const fs::path& to) {
    const fs::path part = to.string() + ".part";
    std::error_code failure;
    fs::copy_file(from, part, fs::copy_options::overwrite_existing, failure);
    const posix::UniqueFd file(failure ? -1 : ::open(part.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file || ::fsync(file.get()) != 0) {
      return no(FetchEnd::no_space, "cannot keep " + to.string() + ": " +
                                        (failure ? failure.message() : std::strerror(errno)));
    }
    fs::rename(part, to, failure);
    return failure ? no(FetchEnd::missing, "cannot name " + to.string()) : FetchEnd::done;
  }

  /// What is to go back to: kept here, or by apt.
  bool has(const std::string& version) {
    const std::string wanted = order_.package + ' ' + version;
    std::error_code failure;
    if (fs::exists(file_of(version), failure)) return inside(file_of(version)) == wanted;
    std::string name = order_.package + '_';
    for (const char c : version) name += c == ':' ? "%3a" : std::string(1, c);
    name += '_';
    for (const auto& entry : fs::directory_iterator(order_.cache, failure)) {
      const std::string file = entry.path().filename().string();
      if (!file.starts_with(name) || !file.ends_with(kSuffix)) continue;
      if (inside(entry.path()) != wanted) continue;
      return keep(entry.path(), file_of(version)) == FetchEnd::done;
    }
    return false;
  }

  FetchEnd remember(const std::string& old) {
    auto disk = posix::open_disk(order_.folder);
    if (!disk) return no(FetchEnd::missing, disk.error().message);
    const Status done = identity::replace_whole(**disk, kBefore, old + "\n");
    return done ? FetchEnd::done : no(FetchEnd::missing, done.error().message);
  }

  FetchEnd activate() {
    if (installed() == order_.version) return FetchEnd::done;
    return dpkg("--install", file_of(order_.version).string());
  }

  FetchEnd take_back() {
    const auto text = posix::read_file(order_.folder / kBefore, kBeforeMax);
    if (!text) return no(FetchEnd::missing, text.error().message);
    const std::string old = text->substr(0, text->find('\n'));
    if (old == order_.version) return FetchEnd::done;
    if (!old.empty() && installed() == old) return FetchEnd::done;
    const auto back = [&] {
      return old.empty() ? dpkg("--remove", order_.package)
                         : dpkg("--install", file_of(old).string());
    };
    const FetchEnd done = back();
    if (done == FetchEnd::done || done == FetchEnd::later) return done;
    // Its scripts do not let it go: they are a part of what is taken back.
    for (const char* const script : {"prerm", "postrm"}) {
      const auto path = run_to_end({"dpkg-query", "--control-path", order_.package, script});
      const std::string file = path.output.substr(0, path.output.find('\n'));
      if (path.good() && !file.empty()) ::unlink(file.c_str());
    }
    return back();
  }

  FetchEnd commit() {
    const auto text = posix::read_file(order_.folder / kBefore, kBeforeMax);
    const std::string old = text ? text->substr(0, text->find('\n')) : "";
    std::error_code ignored;  // the next one tries again
    std::vector<fs::path> gone;
    for (const auto& entry : fs::directory_iterator(order_.folder, ignored)) {
      const fs::path& path = entry.path();
      if (path.filename() == fs::path(std::string(kBefore))) continue;
      if (path != file_of(order_.version) && path != file_of(old)) gone.push_back(path);
    }
    for (const fs::path& path : gone) fs::remove(path, ignored);
    return FetchEnd::done;
  }

  const PackageOrder& order_;
  std::string& words_;
};

}  // namespace

FetchEnd run_package(const PackageOrder& order, std::string& words) {
  posix::adopt_orphans();
  return Package(order, words).run();
}

void add_package_programs(Settings& settings, const fs::path& own) {
  for (auto& [name, app] : settings.applications) {
    if (app.package.empty()) continue;
    const auto program = [&, &package = app.package](const char* action) {
      return std::vector<std::string>{own.string(), "--package", action, package,
                                      (settings.directory / "packages" / package).string()};
    };
    set_programs(app, program);
  }
}

}  // namespace holdfast::updater
