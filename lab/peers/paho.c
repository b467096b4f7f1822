// A device on Eclipse Paho C (MQTTAsync, MQTT 5): automatic reconnection, sending while
// disconnected, and persistence in files, from which unacknowledged messages are taken up again
// after a restart.
//
//   paho --endpoint HOST --port N --ca FILE --cert FILE --key FILE --client-id ID --dir DIR
//     [--rate N] [--backoff-cap SECONDS]
#include <MQTTAsync.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer.h"

static struct Peer peer;
// Until the first connection stands the library does not try again by itself.
static atomic_bool was_connected;
static atomic_bool first_failed;
static atomic_bool disconnected;

// Called at each connection. What it is told does not say whether the session is still there, so it
// subscribes each time.
static void on_connected(void* client, char* cause) {
  atomic_store(&was_connected, true);
  peer_say("connected", cause);
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  MQTTAsync_subscribe(client, peer.filter, 1, &response);
}

static void on_lost(void* client, char* cause) {
  (void)client;
  peer_say("connection lost", cause);
}

// Called for the attempts of automatic reconnection, too.
static void on_connect_failed(void* client, MQTTAsync_failureData5* why) {
  (void)client;
  peer_say("connect", why->message);
  atomic_store(&first_failed, !atomic_load(&was_connected));
}

static int on_message(void* client, char* topic, int length, MQTTAsync_message* message) {
  (void)client;
  (void)length;
  peer_say("message", topic);
  MQTTAsync_freeMessage(&message);
  MQTTAsync_free(topic);
  return 1;
}

static void on_disconnected(void* client, MQTTAsync_successData5* data) {
  (void)client;
  (void)data;
  atomic_store(&disconnected, true);
}

static void on_disconnect_failed(void* client, MQTTAsync_failureData5* why) {
  (void)client;
  (void)why;
  atomic_store(&disconnected, true);
}

static MQTTAsync create(void) {
  MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
  options.sendWhileDisconnected = 1;
  options.allowDisconnectedSendAtAnyTime = 1;
  options.maxBufferedMessages = kPeerBacklogMessages;
  char uri[kPeerText];
  snprintf(uri, sizeof(uri), "ssl://%s:%d", peer.endpoint, peer.port);
  MQTTAsync client = NULL;
  const int status = MQTTAsync_createWithOptions(
      &client, uri, peer.client_id, MQTTCLIENT_PERSISTENCE_DEFAULT, (void*)peer.dir, &options);
  if (status != MQTTASYNC_SUCCESS) {
    peer_say("create", MQTTAsync_strerror(status));
    exit(1);
  }
  MQTTAsync_setCallbacks(client, client, on_lost, on_message, NULL);
  MQTTAsync_setConnected(client, client, on_connected);
  return client;
}

static void begin_connection(MQTTAsync client) {
  MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
  tls.trustStore = peer.ca;
  tls.keyStore = peer.cert;
  tls.privateKey = peer.key;
  tls.sslVersion = MQTT_SSL_VERSION_TLS_1_2;
  tls.verify = 1;
  tls.disableDefaultTrustStore = 1;
  MQTTProperties properties = MQTTProperties_initializer;
  MQTTProperty session = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
                          .value.integer4 = kPeerSessionSeconds};
  MQTTProperties_add(&properties, &session);
  MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer5;
  options.keepAliveInterval = kPeerKeepAliveSeconds;
  options.cleanstart = 0;
  options.automaticReconnect = 1;
  options.minRetryInterval = kPeerBackoffFirstSeconds;
  options.maxRetryInterval = peer.backoff_cap_seconds;
  options.connectProperties = &properties;
  options.ssl = &tls;
  options.onFailure5 = on_connect_failed;
  options.context = client;
  const int status = MQTTAsync_connect(client, &options);
  if (status != MQTTASYNC_SUCCESS) {
    peer_say("connect", MQTTAsync_strerror(status));
    atomic_store(&first_failed, true);
  }
  MQTTProperties_free(&properties);
}

// Until the first connection stands, the waits between attempts are the program's, as the library's
// double.
static void connect_again(MQTTAsync client, long* delay_ms, long* waited_ms) {
  if (!atomic_load(&first_failed)) return;
  *waited_ms += peer_tick_ms(&peer);
  if (*waited_ms < *delay_ms) return;
  *waited_ms = 0;
  if (*delay_ms < peer.backoff_cap_seconds * 1000) *delay_ms *= 2;
  atomic_store(&first_failed, false);
  begin_connection(client);
}

static void publish(MQTTAsync client) {
  MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
  const int status =
      MQTTAsync_send(client, peer.topic, (int)strlen(peer.payload), peer.payload, 1, 0, &response);
  if (status != MQTTASYNC_SUCCESS) {
    peer_say("send", MQTTAsync_strerror(status));
    return;
  }
  peer_note(&peer, peer.seq);
  peer_next(&peer);
}

static void disconnect(MQTTAsync client) {
  MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer5;
  options.timeout = kPeerDrainSeconds * 1000;
  options.onSuccess5 = on_disconnected;
  options.onFailure5 = on_disconnect_failed;
  options.context = client;
  if (MQTTAsync_disconnect(client, &options) != MQTTASYNC_SUCCESS) return;
  for (int i = 0; i < (kPeerDrainSeconds + 1) * 1000 / kPeerTickMs; ++i) {
    if (atomic_load(&disconnected)) return;
    usleep(kPeerTickMs * 1000);
  }
}

int main(int argc, char** argv) {
  peer_start(&peer, argc, argv);
  MQTTAsync client = create();
  begin_connection(client);
  long delay_ms = kPeerBackoffFirstSeconds * 1000;
  long waited_ms = 0;
  while (peer_tick(&peer)) {
    connect_again(client, &delay_ms, &waited_ms);
    if (peer.rate > 0) publish(client);
  }
  disconnect(client);
  MQTTAsync_destroy(&client);
  return 0;
}
