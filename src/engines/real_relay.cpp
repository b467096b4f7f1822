#include "engines/real_relay.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <stdexcept>

#include "posix/unique_fd.h"

namespace holdfast::engines::test {
namespace {

void require(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

}  // namespace

std::string RealRelay::program() {
  const std::filesystem::path beside =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "hf_lab_relay";
  return access(beside.c_str(), X_OK) == 0 ? beside.string() : std::string();
}

RealRelay::RealRelay(std::uint16_t upstream, const std::string& faults)
    : directory_(make_directory()) {
  process_.start({program(), "--upstream", "127.0.0.1:" + std::to_string(upstream), "--faults",
                  faults, "--control", (directory_ / "control").string()},
                 {}, directory_ / "output");
  process_.wait_for("}\n", std::chrono::seconds(20));
  const std::string said = process_.said();
  const std::string_view word = "\"listening\":";
  const std::size_t at = said.find(word);
  require(at != std::string::npos, "no port of the relay");
  std::from_chars(said.data() + at + word.size(), said.data() + said.size(), port_);
}

RealRelay::~RealRelay() {
  process_.kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void RealRelay::set_faults(const std::string& faults) {
  const posix::UniqueFd order(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = (directory_ / "control").string();
  require(path.size() < sizeof(address.sun_path), "the path of a socket");
  std::copy(path.begin(), path.end(), std::begin(address.sun_path));
  require(connect(order.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
          "the relay's control socket");
  const std::string line = R"({"op": "faults.set", "faults": )" + faults + "}\n";
  require(write(order.get(), line.data(), line.size()) == static_cast<ssize_t>(line.size()),
          "an order to the relay");
  std::string answer;
  std::array<char, 512> chunk{};
  while (answer.find('\n') == std::string::npos) {
    const ssize_t count = read(order.get(), chunk.data(), chunk.size());
    require(count > 0, "the relay's answer");
    answer.append(chunk.data(), static_cast<std::size_t>(count));
  }
  if (answer.find("\"ok\"") == std::string::npos) throw std::runtime_error(answer);
}

}  // namespace holdfast::engines::test
