#include "engines/scripted_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace holdfast::engines::test {
namespace {

/// Reads the fields of a body in order; throws at its end, which fails the test.
class Fields {
 public:
  explicit Fields(const Octets& body) : body_(body) {}
  std::uint8_t u8() { return body_.at(at_++); }
  std::uint16_t u16() {
    const unsigned high = u8();
    return static_cast<std::uint16_t>(high << 8U | u8());
  }
  Octets take(std::size_t count) {
    Octets result;
    for (std::size_t i = 0; i < count; ++i) result.push_back(u8());
    return result;
  }
  std::string string() {
    const Octets bytes = take(u16());
    return {bytes.begin(), bytes.end()};
  }

 private:
  const Octets& body_;
  std::size_t at_ = 0;
};

void append(Octets& to, const Octets& more) { to.insert(to.end(), more.begin(), more.end()); }

void append_string(Octets& to, const std::string& text) {
  to.push_back(static_cast<std::uint8_t>(text.size() >> 8U));
  to.push_back(static_cast<std::uint8_t>(text.size()));
  to.insert(to.end(), text.begin(), text.end());
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

std::uint16_t Packet::packet_id() const {
  Fields fields(body);
  if (type() == 3) fields.string();
  return fields.u16();
}

ConnectPacket parse_connect(const Packet& packet) {
  ConnectPacket result;
  Fields fields(packet.body);
  result.protocol = fields.string();
  result.level = fields.u8();
  result.flags = fields.u8();
  result.keep_alive = fields.u16();
  if (result.level == 5) result.properties = fields.take(fields.u8());
  result.client_id = fields.string();
  if ((result.flags & 0x04U) != 0) {
    if (result.level == 5) fields.take(fields.u8());
    result.will_topic = fields.string();
    result.will_payload = fields.string();
  }
  if ((result.flags & 0x80U) != 0) result.username = fields.string();
  if ((result.flags & 0x40U) != 0) result.password = fields.string();
  return result;
}

Octets packet(std::uint8_t first, const Octets& body) {
  Octets result{first};
  std::size_t length = body.size();
  do {
    const std::size_t digit = length % 128;
    length /= 128;
    result.push_back(static_cast<std::uint8_t>(length > 0 ? digit | 0x80U : digit));
  } while (length > 0);
  append(result, body);
  return result;
}

Octets connack_v5(std::uint8_t code, const Octets& properties, bool session_present) {
  Octets body{static_cast<std::uint8_t>(session_present ? 1 : 0), code,
              static_cast<std::uint8_t>(properties.size())};
  append(body, properties);
  return packet(0x20, body);
}

Octets connack_v311(std::uint8_t code) { return packet(0x20, {0, code}); }

Octets puback(std::uint16_t id, int code) {
  Octets body{static_cast<std::uint8_t>(id >> 8U), static_cast<std::uint8_t>(id)};
  if (code >= 0) body.push_back(static_cast<std::uint8_t>(code));
  return packet(0x40, body);
}

Octets publish_v5(const std::string& topic, const std::string& payload, std::uint16_t id_or_0) {
  Octets body;
  append_string(body, topic);
  if (id_or_0 != 0) {
    body.push_back(static_cast<std::uint8_t>(id_or_0 >> 8U));
    body.push_back(static_cast<std::uint8_t>(id_or_0));
  }
  body.push_back(0);
  body.insert(body.end(), payload.begin(), payload.end());
  return packet(id_or_0 != 0 ? 0x32 : 0x30, body);
}

bool PeerConnection::read_exactly(std::uint8_t* into, std::size_t count) {
  while (count > 0) {
    const ssize_t got = recv(fd_.get(), into, count, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into += got;
    count -= static_cast<std::size_t>(got);
  }
  return true;
}

std::optional<Packet> PeerConnection::read() {
  Packet result;
  if (!read_exactly(&result.first, 1)) return std::nullopt;
  std::size_t length = 0;
  for (unsigned shift = 0;; shift += 7) {
    std::uint8_t digit = 0;
    if (!read_exactly(&digit, 1)) return std::nullopt;
    length |= static_cast<std::size_t>(digit & 0x7FU) << shift;
    if ((digit & 0x80U) == 0) break;
  }
  result.body.resize(length);
  if (!read_exactly(result.body.data(), length)) return std::nullopt;
  return result;
}

std::optional<Packet> PeerConnection::read(unsigned type) {
  std::optional<Packet> result = read();
  while (result && result->type() != type) result = read();
  return result;
}

void PeerConnection::send(const Octets& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return;  // the client is gone: some scripts expect that
    done += static_cast<std::size_t>(sent);
  }
}

void PeerConnection::drain() {
  while (read()) {
  }
}

void PeerConnection::ignore() {
  pollfd watch{fd_.get(), POLLRDHUP, 0};
  while (poll(&watch, 1, -1) < 0 && errno == EINTR) {
  }
}

void PeerConnection::reset() {
  // Dissolving an established connection sends RST and keeps the descriptor, which the destructor
  // of the peer may be about to use.
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  if (connect(fd_.get(), &nobody, sizeof(nobody)) != 0) fail("reset");
}

ScriptedPeer::ScriptedPeer(Script script, std::function<void()> on_closed)
    : script_(std::move(script)), on_closed_(std::move(on_closed)) {
  listener_ = posix::UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (!listener_ || bind(listener_.get(), generic, size) != 0 || listen(listener_.get(), 16) != 0 ||
      getsockname(listener_.get(), generic, &size) != 0) {
    fail("scripted peer");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

ScriptedPeer::~ScriptedPeer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (current_ >= 0) shutdown(current_, SHUT_RDWR);
  }
  shutdown(listener_.get(), SHUT_RDWR);  // wakes accept()
  thread_.join();
}

void ScriptedPeer::serve() {
  for (;;) {
    posix::UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd) return;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      current_ = fd.get();
    }
    const int at_once = 1;  // small sends arrive as small pieces
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once));
    {
      PeerConnection connection(std::move(fd));
      script_(connection);
      const std::lock_guard lock(mutex_);
      current_ = -1;
    }
    if (on_closed_) on_closed_();
  }
}

}  // namespace holdfast::engines::test
