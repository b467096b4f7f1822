// A disk in RAM whose power can be cut, and which can fail in every way a real one does.
//
// Purpose:  prove what survives. Each file has two contents: what a reader sees (the page cache)
//           and what is on stable storage. sync() copies the first to the second.
// Cut:      every 512-byte sector written since the last sync survives or not, by chance; a file
//           made or removed since the last sync_directory() is there or not, by chance; the write
//           under way when the cut comes is torn. A kill ends the process only: the cache stays.
//           With spoils_pages, each 4 KiB page that was being changed may be spoiled as a whole,
//           with what was durable in it, as cheap flash does.
// Faults:   one failing operation, a full disk, a read-only one, flipped bits. A failed sync leaves
//           the cache as it is, marks it clean and never writes it (as ext4, XFS and btrfs do).
// Threads:  one. Open files hold a reference to the disk's parts and may outlive a cut; they then
//           fail.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "env/disk.h"
#include "env/random.h"
#include "sim/paged_bytes.h"

namespace holdfast::sim {

class PowerCutDisk final : public env::Disk {
 public:
  static constexpr std::size_t kSector = 512;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  /// What goes wrong, settable at any time.
  struct Faults {
    std::uint64_t cut_at = kNever;       ///< The operation (operations() == cut_at) that is cut.
    bool kill = false;                   ///< The cut is a kill of the process: the cache survives.
    std::uint64_t io_error_at = kNever;  ///< This operation fails once, if it writes or syncs.
    bool io_errors = false;              ///< All writes and syncs fail.
    bool read_only = false;
    bool locked = false;                 ///< Another process has the directory.
    std::uint64_t capacity = kNever;     ///< Bytes of all files together.
    bool ignore_directory_sync = false;  ///< Mutant: sync_directory() does nothing.
    bool ignore_first_sync = false;      ///< Mutant: sync() does nothing before the first write
                                         ///< through the same open file.
  };

  /// The calls of a disk and its files; up to `sync_directory` those that change something.
  enum class Call : std::uint8_t {
    write,
    sync,
    create,
    remove,
    rename,
    sync_directory,
    open,
    read,
    size,
    list,
    lock,
    free_bytes,
  };

  explicit PowerCutDisk(env::Random& random) : random_(random) {}
  PowerCutDisk(const PowerCutDisk&) = delete;
  PowerCutDisk& operator=(const PowerCutDisk&) = delete;

  Faults faults;
  bool spoils_pages = false;  ///< What cut() decides; images have it, too.

  /// Told of each call before it is carried out; an Error given back is the call's answer (a write
  /// that fails so has reached the cache in part). It may take images of the disk.
  std::function<std::optional<Error>(Call)> before;

  /// The disk as it is now, for a power cut of its own: same files, no open ones, no faults. Of the
  /// write under way `written` bytes have reached the cache.
  [[nodiscard]] std::unique_ptr<PowerCutDisk> image(env::Random& random,
                                                    std::size_t written = 0) const;
  /// Bytes of the write that `before` is being told of; 0 for other calls.
  [[nodiscard]] std::size_t under_way() const { return writing_.bytes.size(); }
  /// How many sectors, names and pages a cut now would leave to chance.
  [[nodiscard]] std::size_t undecided() const;
  /// The power goes and comes back; bit i of `survives` decides about the i-th of undecided().
  void cut(const std::vector<bool>& survives);
  /// The process is killed and starts again: the cache stays, unsynced as it is.
  void kill();

  /// The machine comes back: undecided sectors and names are decided, everything works again.
  /// Call it also without a cut having come, to cut (or kill) now.
  void restart();
  [[nodiscard]] bool is_down() const { return down_; }
  /// Operations that wrote, synced, made or removed something.
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  /// Bytes written and syncs done, for tests of costs.
  [[nodiscard]] std::uint64_t bytes_written() const { return bytes_written_; }
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }

  /// Flips a bit, on stable storage as well as in the cache.
  void flip(const std::string& name, std::uint64_t offset, unsigned bit);
  /// A file's content as a reader sees it; empty if there is none.
  [[nodiscard]] std::vector<std::byte> content(const std::string& name) const;
  /// Makes or replaces a file, at once on stable storage.
  void plant(const std::string& name, std::vector<std::byte> bytes);
  /// Everything that is on stable storage, as after a cut that loses all the rest.
  [[nodiscard]] std::map<std::string, std::vector<std::byte>> durable() const;
  /// Sectors that fail to read: EIO.
  void break_sector(const std::string& name, std::uint64_t sector);

  Result<std::unique_ptr<env::File>> open(std::string_view name, env::OpenMode mode) override;
  Result<std::vector<std::string>> list() override;
  Status remove(std::string_view name) override;
  Status rename(std::string_view from, std::string_view to) override;
  Status sync_directory() override;
  Status lock() override;
  Result<std::uint64_t> free_bytes() override;

 private:
  struct Inode {
    PagedBytes cached;
    PagedBytes durable;
    std::set<std::uint64_t> dirty;   // sectors a sync would write
    std::set<std::uint64_t> broken;  // sectors that cannot be read
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;
  class OpenFile;
  struct Writing {
    const Inode* inode = nullptr;
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes;
  };

  Status begin_operation(Call call, bool writes);
  [[nodiscard]] std::optional<Error> refused(Call call) const;
  void settle_sector(Inode& inode, std::uint64_t sector) const;
  void settle_all(Inode& inode) const;
  static void put_into(Inode& inode, std::uint64_t offset, std::span<const std::byte> bytes);
  void lose_power(Inode& inode);
  [[nodiscard]] std::vector<std::size_t> spoilable_pages(const Inode& inode) const;
  [[nodiscard]] std::vector<std::string> changed_names() const;
  [[nodiscard]] std::vector<std::shared_ptr<Inode>> inodes() const;
  void start_again();
  Status write(Inode& inode, std::uint64_t offset, std::span<const std::byte> bytes);
  Status sync(Inode& inode, bool ignored);
  [[nodiscard]] std::uint64_t used() const;

  env::Random& random_;
  Names cached_;
  Names durable_;
  std::set<std::string, std::less<>> replaced_;  // by rename(), since the last sync_directory()
  Writing writing_;
  std::uint64_t operations_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t syncs_ = 0;
  std::uint64_t generation_ = 0;  // of the running process; older open files fail
  bool down_ = false;
};

}  // namespace holdfast::sim
