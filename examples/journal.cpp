// See journal.h.
#include "journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace telemetry {

using holdfast::ReceiptKind;

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

holdfast::Status Journal::open(const std::filesystem::path& file) {
  fd_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ >= 0) return {};
  return holdfast::Error{holdfast::Errc::io,
                         file.string() + ": cannot be opened for writing: " + std::strerror(errno),
                         errno};
}

void Journal::note(const std::string& entry, const holdfast::Receipt& receipt) {
  if (fd_ < 0) return;
  std::string line;
  switch (receipt.kind) {
    case ReceiptKind::accepted:
      line = "A ";
      break;
    case ReceiptKind::delivered:
      line = "D ";
      break;
    case ReceiptKind::dropped:
    case ReceiptKind::rejected:
      line = "X ";
      break;
  }
  line += entry + ' ' + std::to_string(receipt.id);
  if (receipt.kind == ReceiptKind::dropped)
    line += " dropped:" + std::string(to_string(receipt.dropped));
  if (receipt.kind == ReceiptKind::rejected)
    line += " rejected:" + std::string(to_string(receipt.rejected));
  line += '\n';
  const ssize_t written = ::write(fd_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size()) && failed_.fetch_add(1) == 0) {
    std::fprintf(stderr, "host-telemetry: the journal cannot be written: %s\n",
                 std::strerror(errno));
  }
}

}  // namespace telemetry
