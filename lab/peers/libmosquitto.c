// A device on libmosquitto with its own network thread: mosquitto_loop_start, MQTT 5, a session
// that lasts, reconnection whose delay doubles. Unsent messages wait in memory; the library has no
// store.
//
//   libmosquitto --endpoint HOST --port N --ca FILE --cert FILE --key FILE --client-id ID --dir DIR
//     [--rate N] [--backoff-cap SECONDS] [--again]
//
// --again: the program runs mosquitto_loop_forever in a thread of its own, and calls it again
// whenever it returns: the library's thread ends for good after what it takes for fatal, such as a
// broken handshake. Without --ca it speaks plainly to a broker on the same machine (ENDPOINT may be
// a socket's path, with
// --port 0), and counts as accepted what that broker has acknowledged: the publisher before a
// bridge.
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "peer.h"

enum { kInFlight = 100 };

static struct Peer peer;
static _Bool local;             // the broker is on this machine
static atomic_ulong delivered;  // acknowledged, of this run
static atomic_bool ending;
static atomic_bool connected;
static atomic_bool subscribed;

// A session that is there has the subscription, once it was acknowledged in this run; but not one
// that began with a CONNECT whose CONNACK was lost.
static void on_connect(struct mosquitto* client, void* unused, int reason, int session_present) {
  (void)unused;
  peer_say("connected", mosquitto_reason_string(reason));
  if (reason != 0) return;
  atomic_store(&connected, true);
  if (session_present && atomic_load(&subscribed)) return;
  mosquitto_subscribe(client, NULL, peer.filter, 1);
}

static void on_subscribe(struct mosquitto* client, void* unused, int id, int count,
                         const int* qos) {
  (void)client;
  (void)unused;
  (void)id;
  if (count > 0 && qos[0] <= 1) atomic_store(&subscribed, true);
}

static void on_disconnect(struct mosquitto* client, void* unused, int reason) {
  (void)client;
  (void)unused;
  peer_say("disconnected", mosquitto_strerror(reason));
  const bool lost = reason == MOSQ_ERR_CONN_LOST || reason == MOSQ_ERR_KEEPALIVE;
  if (!atomic_exchange(&connected, false) && lost) atomic_store(&subscribed, false);
}

// One topic, one broker: acknowledgements come in the order of the messages.
static void on_publish(struct mosquitto* client, void* unused, int id) {
  (void)client;
  (void)unused;
  (void)id;
  const unsigned long count = atomic_fetch_add(&delivered, 1) + 1;
  if (local) peer_note(&peer, count);
}

static void on_message(struct mosquitto* client, void* unused,
                       const struct mosquitto_message* got) {
  (void)client;
  (void)unused;
  peer_say("message", got->topic);
}

static struct mosquitto* create(void) {
  mosquitto_lib_init();
  struct mosquitto* client = mosquitto_new(peer.client_id, false, NULL);
  if (!client) exit(1);
  mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, kInFlight);
  mosquitto_reconnect_delay_set(client, kPeerBackoffFirstSeconds, peer.backoff_cap_seconds, true);
  mosquitto_connect_with_flags_callback_set(client, on_connect);
  mosquitto_subscribe_callback_set(client, on_subscribe);
  mosquitto_disconnect_callback_set(client, on_disconnect);
  mosquitto_publish_callback_set(client, on_publish);
  mosquitto_message_callback_set(client, on_message);
  if (!local && mosquitto_tls_set(client, peer.ca, NULL, peer.cert, peer.key, NULL) != 0) exit(1);
  return client;
}

// The network thread takes over from the first connection that the system did not refuse at once.
static _Bool connect_first(struct mosquitto* client) {
  mosquitto_property* session = NULL;
  mosquitto_property_add_int32(&session, MQTT_PROP_SESSION_EXPIRY_INTERVAL, kPeerSessionSeconds);
  int delay = kPeerBackoffFirstSeconds * 1000;
  int status;
  while ((status = mosquitto_connect_bind_v5(client, peer.endpoint, peer.port,
                                             kPeerKeepAliveSeconds, NULL, session)) !=
         MOSQ_ERR_SUCCESS) {
    peer_say("connect", mosquitto_strerror(status));
    for (int waited = 0; waited < delay; waited += kPeerTickMs) {
      if (!peer_wait(kPeerTickMs)) return false;
    }
    if (delay < peer.backoff_cap_seconds * 1000) delay *= 2;
  }
  mosquitto_property_free_all(&session);
  return true;
}

static void* keep_looping(void* client) {
  while (!atomic_load(&ending)) {
    const int status = mosquitto_loop_forever(client, -1, 1);
    if (atomic_load(&ending)) break;
    peer_say("the loop ended", mosquitto_strerror(status));
    sleep(kPeerBackoffFirstSeconds);
    mosquitto_reconnect(client);
  }
  return NULL;
}

static void publish(struct mosquitto* client) {
  int length = 0;
  while (peer.payload[length]) length++;
  const unsigned long waiting = peer.seq - 1 - atomic_load(&delivered);
  if (waiting >= kPeerBacklogMessages) return;
  // MOSQ_ERR_NO_CONN, too, says that the message waits in the library.
  const int status = mosquitto_publish(client, NULL, peer.topic, length, peer.payload, 1, false);
  if (status != MOSQ_ERR_SUCCESS && status != MOSQ_ERR_NO_CONN) {
    peer_say("publish", mosquitto_strerror(status));
    return;
  }
  if (!local) peer_note(&peer, peer.seq);
  peer_next(&peer);
}

static void drain(void) {
  for (int i = 0; i < kPeerDrainSeconds * 1000 / kPeerTickMs; ++i) {
    if (atomic_load(&delivered) >= peer.seq - 1) return;
    usleep(kPeerTickMs * 1000);
  }
}

int main(int argc, char** argv) {
  peer_start(&peer, argc, argv);
  local = peer.ca == NULL;
  struct mosquitto* client = create();
  if (!connect_first(client)) return 0;
  pthread_t thread;
  if (peer.again) {
    mosquitto_threaded_set(client, true);
    if (pthread_create(&thread, NULL, keep_looping, client) != 0) return 1;
  } else if (mosquitto_loop_start(client) != MOSQ_ERR_SUCCESS) {
    return 1;
  }
  while (peer_tick(&peer)) {
    if (peer.rate > 0) publish(client);
  }
  drain();
  atomic_store(&ending, true);
  mosquitto_disconnect(client);
  if (peer.again) {
    pthread_join(thread, NULL);
  } else {
    mosquitto_loop_stop(client, false);
  }
  mosquitto_destroy(client);
  mosquitto_lib_cleanup();
  return 0;
}
