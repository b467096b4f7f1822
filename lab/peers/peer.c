// What the sample devices in C share; peer.h.
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static void fail(const char* what) {
  fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
  exit(2);
}

static void read_options(struct Peer* peer, int argc, char** argv) {
  static const struct option kOptions[] = {{"endpoint", required_argument, NULL, 'e'},
                                           {"port", required_argument, NULL, 'p'},
                                           {"ca", required_argument, NULL, 'a'},
                                           {"cert", required_argument, NULL, 'c'},
                                           {"key", required_argument, NULL, 'k'},
                                           {"client-id", required_argument, NULL, 'i'},
                                           {"dir", required_argument, NULL, 'd'},
                                           {"rate", required_argument, NULL, 'r'},
                                           {"backoff-cap", required_argument, NULL, 'b'},
                                           {"again", no_argument, NULL, 'g'},
                                           {NULL, 0, NULL, 0}};
  int option;
  while ((option = getopt_long(argc, argv, "", kOptions, NULL)) != -1) {
    switch (option) {
      case 'e':
        peer->endpoint = optarg;
        break;
      case 'p':
        peer->port = atoi(optarg);
        break;
      case 'a':
        peer->ca = optarg;
        break;
      case 'c':
        peer->cert = optarg;
        break;
      case 'k':
        peer->key = optarg;
        break;
      case 'i':
        peer->client_id = optarg;
        break;
      case 'd':
        peer->dir = optarg;
        break;
      case 'r':
        peer->rate = atoi(optarg);
        break;
      case 'b':
        peer->backoff_cap_seconds = atoi(optarg);
        break;
      case 'g':
        peer->again = 1;
        break;
      default:
        exit(2);
    }
  }
  if (!peer->endpoint || !peer->client_id || !peer->dir) {
    fail("--endpoint, --client-id and --dir must be given");
  }
  if (peer->rate < 0 || peer->rate > kPeerRateMost) fail("--rate must be 0 to 1000");
  if (peer->backoff_cap_seconds < kPeerBackoffFirstSeconds) fail("--backoff-cap must be 1 or more");
}

static void write_payload(struct Peer* peer) {
  snprintf(peer->payload, sizeof(peer->payload), "{\"run\": \"%s\", \"seq\": %lu}", peer->run,
           peer->seq);
}

void peer_start(struct Peer* peer, int argc, char** argv) {
  memset(peer, 0, sizeof(*peer));
  peer->rate = kPeerRate;
  peer->backoff_cap_seconds = kPeerBackoffCapSeconds;
  read_options(peer, argc, argv);
  snprintf(peer->topic, sizeof(peer->topic), "%s/data", peer->client_id);
  snprintf(peer->filter, sizeof(peer->filter), "%s/cmd/#", peer->client_id);
  unsigned long random = 0;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) fail("there is no random number");
  snprintf(peer->run, sizeof(peer->run), "%016lx", random);
  peer->seq = 1;
  write_payload(peer);
  char path[kPeerText];
  snprintf(path, sizeof(path), "%s/accepted", peer->dir);
  peer->accepted = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (peer->accepted < 0) fail("the file of what was accepted cannot be opened");
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, NULL);
  signal(SIGPIPE, SIG_IGN);
}

_Bool peer_wait(int ms) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  const struct timespec wait = {ms / 1000, ms % 1000 * 1000000L};
  return sigtimedwait(&ends, NULL, &wait) < 0;
}

int peer_tick_ms(const struct Peer* peer) { return peer->rate > 0 ? 1000 / peer->rate : 1000; }

_Bool peer_tick(const struct Peer* peer) { return peer_wait(peer_tick_ms(peer)); }

void peer_note(const struct Peer* peer, unsigned long seq) {
  char line[64];
  const int length = snprintf(line, sizeof(line), "%s %lu\n", peer->run, seq);
  const ssize_t written = write(peer->accepted, line, (size_t)length);
  // On a full disk half a line would name another message.
  if (written > 0 && written < length) {
    const off_t end = lseek(peer->accepted, 0, SEEK_END);
    if (ftruncate(peer->accepted, end - written) != 0) peer_say("accepted", strerror(errno));
  }
}

void peer_next(struct Peer* peer) {
  peer->seq++;
  write_payload(peer);
}

void peer_say(const char* what, const char* words) {
  fprintf(stderr, "%s: %s\n", what, words ? words : "");
}
