// libmosquitto in its own epoll loop (see bare.h).
#include "bench/bare.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "bench/broker.h"

namespace holdfast::bench {
namespace {

struct Session {
  const Load& load;
  std::vector<char> payload;
  bool connected = false;
  std::size_t sent = 0;
  std::size_t acked = 0;
};

void send_one(mosquitto* client, Session& session) {
  const int code = mosquitto_publish_v5(client, nullptr, "bench/bare/throughput",
                                        static_cast<int>(session.payload.size()),
                                        session.payload.data(), 1, false, nullptr);
  if (code != MOSQ_ERR_SUCCESS) fail(std::string("bare publish: ") + mosquitto_strerror(code));
  ++session.sent;
}

void on_connect(mosquitto* /*client*/, void* object, int code, int /*flags*/,
                const mosquitto_property* /*properties*/) {
  if (code != 0) fail("bare connect: " + std::to_string(code));
  static_cast<Session*>(object)->connected = true;
}

void on_publish(mosquitto* client, void* object, int /*id*/, int code,
                const mosquitto_property* /*properties*/) {
  Session& session = *static_cast<Session*>(object);
  if (code >= 0x80) fail("bare PUBACK: " + std::to_string(code));
  ++session.acked;
  if (session.sent < session.load.messages) send_one(client, session);
}

/// Waits for the socket once and lets the library work.
void turn(mosquitto* client, int epoll) {
  epoll_event wanted{};
  wanted.events = EPOLLIN | (mosquitto_want_write(client) ? unsigned{EPOLLOUT} : 0U);
  const int socket = mosquitto_socket(client);
  if (::epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &wanted) != 0) {
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &wanted);
  }
  epoll_event got{};
  const int ready = ::epoll_wait(epoll, &got, 1, 1000);
  int code = MOSQ_ERR_SUCCESS;
  if (ready == 0) code = mosquitto_loop_misc(client);
  if (ready > 0 && (got.events & EPOLLIN) != 0) code = mosquitto_loop_read(client, 1);
  if (code == MOSQ_ERR_SUCCESS && mosquitto_want_write(client)) {
    code = mosquitto_loop_write(client, 1);
  }
  if (code != MOSQ_ERR_SUCCESS) fail(std::string("bare loop: ") + mosquitto_strerror(code));
}

}  // namespace

double cpu_now() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double time_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Cost run_bare(const Load& load) {
  mosquitto_lib_init();
  Session session{load, std::vector<char>(load.payload, 'x')};
  const std::unique_ptr<mosquitto, decltype(&mosquitto_destroy)> client(
      mosquitto_new("bench-bare", true, &session), &mosquitto_destroy);
  mosquitto_int_option(client.get(), MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(client.get(), MOSQ_OPT_SEND_MAXIMUM, load.window);
  mosquitto_int_option(client.get(), MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_connect_v5_callback_set(client.get(), on_connect);
  mosquitto_publish_v5_callback_set(client.get(), on_publish);
  if (mosquitto_connect(client.get(), "127.0.0.1", load.port, 60) != MOSQ_ERR_SUCCESS) {
    fail("bare: cannot connect");
  }
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  while (!session.connected) turn(client.get(), epoll);

  const double cpu = cpu_now();
  const double begin = time_now();
  while (session.sent < session.load.messages && session.sent < load.window) {
    send_one(client.get(), session);
  }
  while (session.acked < load.messages) turn(client.get(), epoll);
  const Cost cost{time_now() - begin, cpu_now() - cpu};
  mosquitto_disconnect(client.get());
  ::close(epoll);
  return cost;
}

}  // namespace holdfast::bench
