/* Goal:   the C interface does what holdfast.h says, also with arguments that are wrong.
 * Method: a program in C99 against the shared library; capi_test.py gives it a configuration and a
 * real broker. Prints each check that fails, and at last the number of checks.
 *
 *   capi_test input CONFIG     everything that can be wrong; no broker is there
 *   capi_test traffic CONFIG   messages through a broker, with all that a message can have
 *   capi_test held CONFIG      takes one message, does not acknowledge it, and stops
 *   capi_test again CONFIG     takes it again, acknowledges it on another thread
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "holdfast.h"

enum { kWaitMs = 30000 };

static int checks = 0;
static int failures = 0;

static void check(int holds, int line, const char* what) {
  ++checks;
  if (holds) return;
  ++failures;
  printf("capi_test.c:%d: %s: last message: %s\n", line, what, holdfast_error_message());
}
#define CHECK(what) check((what) != 0, __LINE__, #what)
#define OK(call) check((call) == HOLDFAST_OK, __LINE__, #call)
/* The call fails with this code, and the message has these words. */
#define FAILS(code, words, call)                                                               \
  do {                                                                                         \
    check((call) == (code), __LINE__, #call " is " #code);                                     \
    check(strstr(holdfast_error_message(), (words)) != NULL, __LINE__, "message has " #words); \
  } while (0)

/* What handlers saw, and a way to wait for it. */
typedef struct seen {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int count;
  int last_kind;
  int wrong; /* results of calls within the handler that should have been refused */
  int kinds[4];
  uint64_t id;
  char text[256];
  holdfast_device* device;
  holdfast_hold* hold;
} seen;

static void seen_init(seen* s, holdfast_device* device) {
  memset(s, 0, sizeof *s);
  pthread_mutex_init(&s->mutex, NULL);
  pthread_cond_init(&s->changed, NULL);
  s->device = device;
}

static void seen_add(seen* s, int kind, const char* text) {
  pthread_mutex_lock(&s->mutex);
  ++s->count;
  s->last_kind = kind;
  if (kind >= 0 && kind < 4) ++s->kinds[kind];
  snprintf(s->text, sizeof s->text, "%s", text);
  pthread_cond_broadcast(&s->changed);
  pthread_mutex_unlock(&s->mutex);
}

static int seen_wait(seen* s, int count) {
  struct timespec end;
  int enough;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += kWaitMs / 1000;
  pthread_mutex_lock(&s->mutex);
  while (s->count < count && pthread_cond_timedwait(&s->changed, &s->mutex, &end) == 0) {
  }
  enough = s->count >= count;
  pthread_mutex_unlock(&s->mutex);
  return enough;
}

static void on_receipt(const holdfast_receipt* receipt, void* user) {
  seen* s = user;
  s->id = receipt->id;
  seen_add(s, receipt->kind, holdfast_receipt_name(receipt->kind));
}

static void on_connection(const holdfast_connection* now, void* user) {
  seen_add(user, now->state == HOLDFAST_CONNECTED ? 2 : 0, now->client_id);
}

static void on_fate(const holdfast_fate* fate, void* user) {
  seen_add(user, fate->kind, holdfast_receipt_name(fate->kind));
}

static void on_log(const holdfast_log_line* line, void* user) {
  (void)line;
  seen_add(user, line->level, line->area);
}

static holdfast_config* config_of(const char* file) {
  holdfast_config* config = NULL;
  OK(holdfast_config_from_file(file, &config));
  return config;
}

static holdfast_device* device_of(const char* file) {
  holdfast_config* config = config_of(file);
  holdfast_device* device = NULL;
  OK(holdfast_open(config, &device));
  holdfast_config_free(config);
  if (device == NULL) exit(1);
  return device;
}

static holdfast_message* message_of(const char* topic, const char* payload) {
  holdfast_message* message = NULL;
  OK(holdfast_message_new(topic, payload, strlen(payload), &message));
  return message;
}

/* ---- input ------------------------------------------------------------------------------------
 */

static void names(void) {
  CHECK(strcmp(holdfast_error_name(HOLDFAST_OK), "ok") == 0);
  CHECK(strcmp(holdfast_error_name(HOLDFAST_CLOSED), "closed") == 0);
  CHECK(strcmp(holdfast_error_name(HOLDFAST_DROPPED), "dropped") == 0);
  CHECK(strcmp(holdfast_error_name(99), "?") == 0);
  CHECK(strcmp(holdfast_error_name(-1), "?") == 0);
  CHECK(strcmp(holdfast_verdict_name(HOLDFAST_VERDICT_TLS_CLOCK), "tls_clock") == 0);
  CHECK(strcmp(holdfast_verdict_name(1000), "?") == 0);
  CHECK(strstr(holdfast_verdict_text(HOLDFAST_VERDICT_TLS_CLOCK), "clock") != NULL);
  CHECK(strcmp(holdfast_verdict_text(-1), "?") == 0);
  CHECK(strcmp(holdfast_reject_name(HOLDFAST_REJECT_STOPPING), "stopping") == 0);
  CHECK(strcmp(holdfast_drop_name(HOLDFAST_DROP_SUPERSEDED), "superseded") == 0);
  CHECK(strcmp(holdfast_durability_name(HOLDFAST_SPILL), "spill") == 0);
  CHECK(strcmp(holdfast_state_name(HOLDFAST_STATE_STOPPED), "stopped") == 0);
  CHECK(strcmp(holdfast_response_name(HOLDFAST_NO_ANSWERS), "no_answers") == 0);
  CHECK(strcmp(holdfast_fate_name(HOLDFAST_FATE_FORGOTTEN), "forgotten") == 0);
  CHECK(strcmp(holdfast_log_level_name(HOLDFAST_LOG_DEBUG), "debug") == 0);
  CHECK(strcmp(holdfast_log_level_name(4), "?") == 0);
  CHECK(holdfast_abi() == 0);
  CHECK(strlen(holdfast_version()) >= 5);
}

static void wrong_configurations(const char* file) {
  const char* broken = "[connection]\nclient_id = \"a\"\nhost = 7\n";
  holdfast_config* config = NULL;
  holdfast_device* device = NULL;
  FAILS(HOLDFAST_INVALID_ARGUMENT, "path is NULL", holdfast_config_from_file(NULL, &config));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "config is NULL", holdfast_config_from_file(file, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "path is empty", holdfast_config_from_file("", &config));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "toml is NULL",
        holdfast_config_from_text(NULL, 0, NULL, &config));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "no configuration", holdfast_open(NULL, &device));
  CHECK(config == NULL && device == NULL);

  OK(holdfast_config_from_file("/nowhere/device.toml", &config));
  FAILS(HOLDFAST_NOT_FOUND, "/nowhere/device.toml", holdfast_open(config, &device));
  CHECK(holdfast_error_os() != 0);
  holdfast_config_free(config);

  OK(holdfast_config_from_text(broken, strlen(broken), NULL, &config));
  FAILS(HOLDFAST_INVALID_CONFIG, "(text):", holdfast_open(config, &device));
  CHECK(holdfast_error_os() == 0);
  FAILS(HOLDFAST_INVALID_CONFIG, "more)", holdfast_config_check(config));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "device is NULL", holdfast_open(config, NULL));
  holdfast_config_free(config);
  holdfast_config_free(NULL);

  config = config_of(file);
  OK(holdfast_config_check(config));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "key is NULL", holdfast_config_set(config, NULL, "x"));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "value is NULL",
        holdfast_config_set(config, "connection.host", NULL));
  FAILS(HOLDFAST_NOT_FOUND, "did you mean connection.port",
        holdfast_config_set(config, "connection.prot", "1"));
  FAILS(HOLDFAST_INVALID_CONFIG, "connection.port",
        holdfast_config_set(config, "connection.port", "70000"));
  OK(holdfast_config_set(config, "outbox.directory", "/proc/nowhere"));
  CHECK(holdfast_open(config, &device) != HOLDFAST_OK && device == NULL);
  /* A message where a configuration belongs, as a cast would bring it. */
  {
    holdfast_message* message = message_of("a", "b");
    FAILS(HOLDFAST_INVALID_ARGUMENT, "no configuration",
          holdfast_open((const holdfast_config*)(const void*)message, &device));
    FAILS(HOLDFAST_INVALID_ARGUMENT, "no message",
          holdfast_message_set_qos((holdfast_message*)(void*)config, 1));
    FAILS(HOLDFAST_INVALID_ARGUMENT, "no device of this handle",
          holdfast_reconnect_now((holdfast_device*)(void*)message));
    holdfast_message_free(message);
  }
  holdfast_config_free(config);
}

static void wrong_messages(holdfast_device* device) {
  char topic[2000];
  char* huge = malloc(300000);
  holdfast_answer answer = {0, 0, 0};
  holdfast_message* message = NULL;
  answer.size = sizeof answer;
  memset(topic, 'a', sizeof topic);
  topic[sizeof topic - 1] = '\0';

  FAILS(HOLDFAST_INVALID_ARGUMENT, "topic is NULL", holdfast_message_new(NULL, "", 0, &message));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "payload is NULL", holdfast_message_new("a", NULL, 1, &message));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "message is NULL", holdfast_message_new("a", "", 0, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "no message",
        holdfast_publish(device, NULL, HOLDFAST_UNTIL_SETTLED, NULL, NULL, NULL));
  OK(holdfast_message_new("a", NULL, 0, &message));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "qos is 2", holdfast_message_set_qos(message, 2));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "durability is 3", holdfast_message_set_durability(message, 3));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "above 0", holdfast_message_set_expiry(message, 0));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "lane is NULL", holdfast_message_set_lane(message, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "value is NULL",
        holdfast_message_add_property(message, "a", NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "data is NULL",
        holdfast_message_set_correlation(message, NULL, 5));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "scope is 7",
        holdfast_publish(device, message, 7, NULL, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "the device is NULL",
        holdfast_publish(NULL, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, NULL));
  {
    holdfast_answer unset = {0, 0, 0};
    FAILS(HOLDFAST_INVALID_ARGUMENT, "answer.size",
          holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, &unset));
  }
  OK(holdfast_message_set_lane(message, "nowhere"));
  FAILS(HOLDFAST_REJECTED, "unknown_lane",
        holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, &answer));
  CHECK(answer.rejected == HOLDFAST_REJECT_UNKNOWN_LANE);
  holdfast_message_free(message);

  message = message_of(topic, "x"); /* 1999 bytes; no configuration allows them */
  FAILS(HOLDFAST_REJECTED, "invalid_topic",
        holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, &answer));
  CHECK(answer.rejected == HOLDFAST_REJECT_INVALID_TOPIC);
  {
    holdfast_receipt receipt;
    memset(&receipt, 0, sizeof receipt);
    receipt.size = sizeof receipt;
    FAILS(HOLDFAST_REJECTED, "invalid_topic",
          holdfast_publish_wait(device, message, HOLDFAST_UNTIL_SETTLED, 1000, &receipt));
    CHECK(receipt.kind == HOLDFAST_RECEIPT_REJECTED && receipt.id == 0);
    CHECK(receipt.rejected == HOLDFAST_REJECT_INVALID_TOPIC);
  }
  holdfast_message_free(message);

  memset(huge, 'x', 300000);
  OK(holdfast_message_new("a", huge, 300000, &message));
  FAILS(HOLDFAST_REJECTED, "too_large",
        holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, NULL));
  holdfast_message_free(message);
  free(huge);
  holdfast_message_free(NULL);
}

static void take_nothing(const holdfast_inbound* message, void* user) {
  (void)message;
  (void)user;
}

static void wrong_calls(holdfast_device* device) {
  char filter[2000];
  char* json = NULL;
  holdfast_progress progress;
  memset(filter, 'a', sizeof filter);
  filter[sizeof filter - 1] = '\0';
  FAILS(HOLDFAST_INVALID_ARGUMENT, "filter is NULL",
        holdfast_subscribe(device, NULL, 1, take_nothing, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "handler is NULL",
        holdfast_subscribe(device, "a/#", 1, NULL, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "qos is 2",
        holdfast_subscribe(device, "a/#", 2, take_nothing, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "",
        holdfast_subscribe(device, filter, 1, take_nothing, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "",
        holdfast_subscribe(device, "a/#/b", 1, take_nothing, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "handler is NULL",
        holdfast_subscribe_unmatched(device, NULL, NULL, NULL));
  FAILS(HOLDFAST_NOT_FOUND, "77", holdfast_unsubscribe(device, 77));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "no hold", holdfast_acknowledge(NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "name is NULL", holdfast_heartbeat(device, NULL, 1000));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "", holdfast_heartbeat(device, "pump", -5));
  FAILS(HOLDFAST_NOT_FOUND, "", holdfast_end_heartbeat(device, "nobody"));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "handler is NULL", holdfast_ask_fate(device, 1, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "why is NULL", holdfast_power_fail(device, NULL, NULL, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "json is NULL", holdfast_status_json(device, NULL));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "the device is NULL", holdfast_status_json(NULL, &json));
  memset(&progress, 0, sizeof progress);
  FAILS(HOLDFAST_INVALID_ARGUMENT, "progress.size", holdfast_get_progress(device, &progress));
  {
    int code = HOLDFAST_OK;
    int tries; /* the first attempt may still be under way */
    for (tries = 0; tries < kWaitMs / 100; ++tries) {
      code = holdfast_wait_connected(device, 100);
      if (strstr(holdfast_error_message(), "tcp_refused") != NULL) break;
    }
    FAILS(HOLDFAST_TIMEOUT, "tcp_refused", code);
  }
  holdfast_text_free(NULL);
}

/* A struct of an older program is filled as far as it goes. */
static void older_structs(holdfast_device* device) {
  struct {
    holdfast_progress known;
    uint64_t behind;
  } older;
  memset(&older, 0xAA, sizeof older);
  older.known.size = offsetof(holdfast_progress, storage);
  OK(holdfast_get_progress(device, &older.known));
  CHECK(older.known.size == offsetof(holdfast_progress, storage));
  CHECK(older.known.loop != UINT64_C(0xAAAAAAAAAAAAAAAA));
  CHECK(older.known.storage == UINT64_C(0xAAAAAAAAAAAAAAAA));
  memset(&older, 0xAA, sizeof older);
  older.known.size = sizeof older; /* of a newer program */
  OK(holdfast_get_progress(device, &older.known));
  CHECK(older.behind == UINT64_C(0xAAAAAAAAAAAAAAAA));
}

static void* wait_for_delivery(void* user) {
  seen* s = user;
  holdfast_message* message = message_of("waits/long", "x");
  const int code = holdfast_publish_wait(s->device, message, HOLDFAST_UNTIL_SETTLED, 3600000, NULL);
  holdfast_message_free(message);
  seen_add(s, -1, holdfast_error_name(code));
  return NULL;
}

static void after_the_stop(holdfast_device* device) {
  seen waiter;
  pthread_t thread;
  char* json = NULL;
  holdfast_config* config = NULL;
  holdfast_message* message = message_of("a", "b");
  holdfast_receipt receipt;
  memset(&receipt, 0, sizeof receipt);
  receipt.size = sizeof receipt;
  {
    int code = HOLDFAST_OK;
    int64_t limit; /* a busy disk takes its time for the sync */
    for (limit = 500; limit <= kWaitMs && receipt.id == 0; limit *= 2) {
      code = holdfast_publish_wait(device, message, HOLDFAST_UNTIL_SETTLED, limit, &receipt);
    }
    FAILS(HOLDFAST_TIMEOUT, "accepted, but not delivered", code);
  }
  CHECK(receipt.id != 0 && receipt.kind == HOLDFAST_ACCEPTED);
  CHECK(receipt.kept == HOLDFAST_DURABLE && !receipt.last && receipt.dropped == -1);

  seen_init(&waiter, device);
  pthread_create(&thread, NULL, wait_for_delivery, &waiter);
  OK(holdfast_stop(device, -1));
  pthread_join(thread, NULL); /* in an hour, if the stop did not wake it */
  CHECK(strcmp(waiter.text, "closed") == 0);
  OK(holdfast_stop(device, 100));

  FAILS(HOLDFAST_CLOSED, "stopped",
        holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, NULL));
  FAILS(HOLDFAST_CLOSED, "stopped",
        holdfast_publish_wait(device, message, HOLDFAST_UNTIL_SETTLED, 100, NULL));
  FAILS(HOLDFAST_CLOSED, "stopped", holdfast_subscribe(device, "a/#", 1, take_nothing, NULL, NULL));
  FAILS(HOLDFAST_CLOSED, "stopped", holdfast_reconnect_now(device));
  FAILS(HOLDFAST_CLOSED, "stopped", holdfast_heartbeat(device, "pump", 1000));
  FAILS(HOLDFAST_CLOSED, "stopped", holdfast_reload(device, config));
  FAILS(HOLDFAST_CLOSED, "stopped", holdfast_wait_connected(device, 100));
  OK(holdfast_status_json(device, &json));
  CHECK(json != NULL && strstr(json, "\"state\":\"stopped\"") != NULL);
  holdfast_text_free(json);
  OK(holdfast_close(device));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "may have been closed", holdfast_close(device));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "may have been closed",
        holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, NULL));
  OK(holdfast_close(NULL));
  holdfast_message_free(message);
}

static void* publish_until_closed(void* user) {
  seen* s = user;
  holdfast_message* message = message_of("busy", "x");
  int code;
  do {
    code = holdfast_publish(s->device, message, HOLDFAST_UNTIL_ACCEPTED, NULL, NULL, NULL);
  } while (code == HOLDFAST_OK || code == HOLDFAST_REJECTED);
  holdfast_message_free(message);
  seen_add(s, -1, holdfast_error_name(code));
  return NULL;
}

/* Closed under the hands of four threads: each is told, none is harmed. */
static void closed_while_in_use(const char* file) {
  enum { kThreads = 4 };
  seen publisher[kThreads];
  pthread_t threads[kThreads];
  const struct timespec pause = {0, 50000000};
  holdfast_device* device = device_of(file);
  int i;
  for (i = 0; i < kThreads; ++i) {
    seen_init(&publisher[i], device);
    pthread_create(&threads[i], NULL, publish_until_closed, &publisher[i]);
  }
  nanosleep(&pause, NULL); /* some of it comes before, some after */
  OK(holdfast_close(device));
  for (i = 0; i < kThreads; ++i) {
    pthread_join(threads[i], NULL);
    CHECK(strcmp(publisher[i].text, "closed") == 0 ||
          strcmp(publisher[i].text, "invalid_argument") == 0);
  }
}

static void input(const char* file) {
  holdfast_device* device;
  holdfast_device* second = NULL;
  holdfast_config* config;
  names();
  wrong_configurations(file);
  device = device_of(file);
  config = config_of(file);
  FAILS(HOLDFAST_IN_USE, "outbox", holdfast_open(config, &second));
  OK(holdfast_config_set(config, "outbox.max_size", "128MiB"));
  FAILS(HOLDFAST_UNSUPPORTED, "outbox.max_size", holdfast_reload(device, config));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "no configuration", holdfast_reload(device, NULL));
  holdfast_config_free(config);
  wrong_messages(device);
  wrong_calls(device);
  older_structs(device);
  after_the_stop(device);
  closed_while_in_use(file);
}

/* ---- traffic ------------------------------------------------------------------------------------
 */

static void on_everything(const holdfast_inbound* message, void* user) {
  seen* s = user;
  char text[256];
  holdfast_receipt receipt;
  snprintf(text, sizeof text, "%s %.*s q%d r%d d%d %s %s %.*s %s=%s", message->topic,
           (int)message->payload_length, (const char*)message->payload, message->qos,
           message->retain, message->duplicate, message->content_type, message->response_topic,
           (int)message->correlation_length, (const char*)message->correlation,
           message->property_count > 0 ? message->properties[0].name : "",
           message->property_count > 0 ? message->properties[0].value : "");
  /* What would wait for itself is refused, and does no harm. */
  memset(&receipt, 0, sizeof receipt);
  if (holdfast_stop(s->device, 100) != HOLDFAST_INVALID_ARGUMENT) ++s->wrong;
  if (holdfast_close(s->device) != HOLDFAST_INVALID_ARGUMENT) ++s->wrong;
  if (holdfast_wait_connected(s->device, 100) != HOLDFAST_INVALID_ARGUMENT) ++s->wrong;
  seen_add(s, 0, text);
}

static void answer_it(const holdfast_inbound* message, void* user) {
  seen* s = user;
  holdfast_message* answer = NULL;
  if (holdfast_message_answer(message, &answer) != HOLDFAST_OK) return;
  holdfast_message_set_payload(answer, "12:00", 5);
  holdfast_publish(s->device, answer, HOLDFAST_UNTIL_ACCEPTED, NULL, NULL, NULL);
  holdfast_message_free(answer);
  seen_add(s, 0, "asked");
}

static void on_response(const holdfast_response* response, void* user) {
  char text[64] = "";
  if (response->message != NULL) {
    snprintf(text, sizeof text, "%.*s", (int)response->message->payload_length,
             (const char*)response->message->payload);
  }
  seen_add(user, response->kind, text);
}

static void on_saved(int64_t took_ms, void* user) { seen_add(user, took_ms >= 0 ? 1 : 0, "saved"); }

static void all_options(holdfast_device* device) {
  seen inbound, receipts;
  uint64_t id = 0;
  holdfast_answer answer = {0, 0, 0};
  holdfast_message* message = message_of("all/options", "old");
  answer.size = sizeof answer;
  seen_init(&inbound, device);
  seen_init(&receipts, device);
  OK(holdfast_subscribe(device, "all/+", 1, on_everything, &inbound, &id));
  CHECK(id != 0);
  OK(holdfast_message_set_payload(message, "21.5", 4));
  OK(holdfast_message_set_qos(message, 1));
  OK(holdfast_message_set_retain(message, false));
  OK(holdfast_message_set_durability(message, HOLDFAST_SPILL));
  OK(holdfast_message_set_lane(message, "urgent"));
  OK(holdfast_message_set_key(message, "k"));
  OK(holdfast_message_set_expiry(message, 600));
  OK(holdfast_message_set_content_type(message, "text/plain"));
  OK(holdfast_message_set_response_topic(message, "answers/here"));
  OK(holdfast_message_set_correlation(message, "c7", 2));
  OK(holdfast_message_add_property(message, "unit", "Cel"));
  OK(holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, on_receipt, &receipts, &answer));
  CHECK(answer.rejected == HOLDFAST_REJECT_NONE && answer.promised == HOLDFAST_SPILL);
  CHECK(seen_wait(&receipts, 2));
  CHECK(receipts.kinds[HOLDFAST_ACCEPTED] == 1 && receipts.kinds[HOLDFAST_DELIVERED] == 1);
  CHECK(receipts.id != 0);
  CHECK(seen_wait(&inbound, 1));
  CHECK(strcmp(inbound.text, "all/options 21.5 q1 r0 d0 text/plain answers/here c7 unit=Cel") == 0);
  CHECK(inbound.wrong == 0);
  OK(holdfast_unsubscribe(device, id));
  holdfast_message_free(message);
}

static void waits_and_fates(holdfast_device* device) {
  seen fate;
  holdfast_receipt receipt;
  holdfast_message* message = message_of("waits/short", "1");
  memset(&receipt, 0, sizeof receipt);
  receipt.size = sizeof receipt;
  OK(holdfast_publish_wait(device, message, HOLDFAST_UNTIL_ACCEPTED, kWaitMs, &receipt));
  CHECK(receipt.kind == HOLDFAST_ACCEPTED && receipt.kept == HOLDFAST_DURABLE);
  OK(holdfast_publish_wait(device, message, HOLDFAST_UNTIL_SETTLED, kWaitMs, &receipt));
  CHECK(receipt.kind == HOLDFAST_DELIVERED && receipt.last && receipt.id != 0);
  seen_init(&fate, device);
  OK(holdfast_ask_fate(device, receipt.id, on_fate, &fate));
  CHECK(seen_wait(&fate, 1));
  CHECK(fate.last_kind == HOLDFAST_FATE_DELIVERED || fate.last_kind == HOLDFAST_FATE_PENDING);
  OK(holdfast_ask_fate(device, receipt.id + 1000000, on_fate, &fate));
  CHECK(seen_wait(&fate, 2));
  CHECK(fate.last_kind == HOLDFAST_FATE_UNKNOWN);
  holdfast_message_free(message);
}

static void requests(holdfast_device* device) {
  seen server, client;
  uint64_t id = 0;
  holdfast_message* question = message_of("time/ask", "?");
  seen_init(&server, device);
  seen_init(&client, device);
  OK(holdfast_subscribe(device, "time/ask", 1, answer_it, &server, &id));
  FAILS(HOLDFAST_INVALID_ARGUMENT, "timeout",
        holdfast_request(device, question, 0, on_response, &client));
  OK(holdfast_request(device, question, kWaitMs, on_response, &client));
  CHECK(seen_wait(&client, 1));
  CHECK(client.last_kind == HOLDFAST_ANSWERED && strcmp(client.text, "12:00") == 0);
  OK(holdfast_unsubscribe(device, id));
  OK(holdfast_request(device, question, 300, on_response, &client));
  CHECK(seen_wait(&client, 2));
  CHECK(client.last_kind == HOLDFAST_TIMED_OUT);
  holdfast_message_free(question);
}

static void the_rest(holdfast_device* device, const char* file) {
  char* json = NULL;
  uint64_t id = 0;
  seen saved;
  holdfast_progress progress;
  holdfast_config* config = config_of(file);
  OK(holdfast_heartbeat(device, "pump", 60000));
  OK(holdfast_status_json(device, &json));
  CHECK(json != NULL && json[0] == '{' && json[strlen(json) - 1] == '}');
  CHECK(strstr(json, "\"state\":\"connected\"") != NULL);
  CHECK(strstr(json, "\"name\":\"pump\"") != NULL);
  CHECK(strstr(json, "\"ledger\":{") != NULL);
  holdfast_text_free(json);
  OK(holdfast_end_heartbeat(device, "pump"));
  memset(&progress, 0, sizeof progress);
  progress.size = sizeof progress;
  OK(holdfast_get_progress(device, &progress));
  OK(holdfast_subscribe_unmatched(device, take_nothing, NULL, &id));
  OK(holdfast_unsubscribe(device, id));
  OK(holdfast_reconnect_now(device));
  OK(holdfast_config_set(config, "flow.max_in_flight", "7"));
  OK(holdfast_reload(device, config));
  OK(holdfast_config_set(config, "connection.client_id", "capi-renamed"));
  OK(holdfast_reload(device, config));
  holdfast_config_free(config);
  seen_init(&saved, device);
  OK(holdfast_power_fail(device, "a test", on_saved, &saved));
  CHECK(seen_wait(&saved, 1) && saved.last_kind == 1);
  {
    holdfast_message* message = message_of("a", "b");
    FAILS(HOLDFAST_REJECTED, "power_failing",
          holdfast_publish(device, message, HOLDFAST_UNTIL_SETTLED, NULL, NULL, NULL));
    holdfast_message_free(message);
  }
  OK(holdfast_power_back(device));
}

static void traffic(const char* file) {
  seen connection, log;
  holdfast_device* device = NULL;
  holdfast_config* config = config_of(file);
  seen_init(&log, NULL);
  seen_init(&connection, NULL);
  OK(holdfast_config_on_log(config, on_log, &log));
  OK(holdfast_open(config, &device));
  holdfast_config_free(config);
  if (device == NULL) exit(1);
  OK(holdfast_on_connection(device, on_connection, &connection));
  OK(holdfast_wait_connected(device, kWaitMs));
  OK(holdfast_wait_connected(device, 0));
  CHECK(seen_wait(&connection, 1));
  CHECK(strcmp(connection.text, "capi") == 0);
  all_options(device);
  waits_and_fates(device);
  requests(device);
  the_rest(device, file);
  OK(holdfast_on_connection(device, NULL, NULL));
  OK(holdfast_close(device)); /* stops it, too */
  CHECK(connection.kinds[2] >= 1);
  CHECK(log.count > 0);
}

/* ---- messages that are held ---------------------------------------------------------------------
 */

static void keep_it(const holdfast_inbound* message, holdfast_hold* hold, void* user) {
  seen* s = user;
  s->hold = hold;
  seen_add(s, message->duplicate, message->topic);
}

/* Until the broker has granted the only subscription. */
static int granted(holdfast_device* device) {
  const struct timespec pause = {0, 20000000};
  int tries;
  for (tries = 0; tries < kWaitMs / 20; ++tries) {
    char* json = NULL;
    int done;
    OK(holdfast_status_json(device, &json));
    done = json != NULL && strstr(json, "\"granted\":1") != NULL;
    holdfast_text_free(json);
    if (done) return 1;
    nanosleep(&pause, NULL);
  }
  return 0;
}

static void held(const char* file, int acknowledge) {
  seen inbound;
  holdfast_device* device = device_of(file);
  seen_init(&inbound, device);
  OK(holdfast_subscribe_held(device, "held/#", 1, keep_it, &inbound, NULL));
  CHECK(granted(device));
  printf("ready\n");
  fflush(stdout);
  CHECK(seen_wait(&inbound, 1));
  CHECK(inbound.last_kind == acknowledge); /* the second time it is a repeat, and says so */
  if (acknowledge) {
    OK(holdfast_acknowledge(inbound.hold));
    OK(holdfast_stop(device, -1));
  } else {
    OK(holdfast_stop(device, -1));
    OK(holdfast_acknowledge(inbound.hold)); /* too late for the broker, and harmless */
  }
  OK(holdfast_close(device));
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (strcmp(argv[1], "input") == 0) input(argv[2]);
  if (strcmp(argv[1], "traffic") == 0) traffic(argv[2]);
  if (strcmp(argv[1], "held") == 0) held(argv[2], 0);
  if (strcmp(argv[1], "again") == 0) held(argv[2], 1);
  printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 && checks > 0 ? 0 : 1;
}
