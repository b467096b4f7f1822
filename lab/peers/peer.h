// What the sample devices in C share: options, the run, the pace, and the file of what was
// accepted. No threads; `peer_start` blocks the signals that end the program for all threads begun
// later.
#pragma once

enum { kPeerText = 512, kPeerRun = 17 };

struct Peer {
  const char* endpoint;
  const char* ca;
  const char* cert;
  const char* key;
  const char* client_id;
  const char* dir;
  int port;
  int rate;                 // messages a second; 0: none
  int backoff_cap_seconds;  // how far waits between attempts grow
  _Bool again;              // --again, for libmosquitto.c only
  char topic[kPeerText];    // CLIENT_ID/data
  char filter[kPeerText];   // CLIENT_ID/cmd/#
  char payload[kPeerText];  // of the next message
  char run[kPeerRun];       // anew for each start of the program
  unsigned long seq;        // of the next message, from 1
  int accepted;             // descriptor of DIR/accepted
};

// The same for all: what they try first, how far they grow unless they are told otherwise, what
// they promise the broker.
enum {
  kPeerBackoffFirstSeconds = 1,
  kPeerBackoffCapSeconds = 8,
  kPeerKeepAliveSeconds = 30,
  kPeerSessionSeconds = 3600,
  kPeerDrainSeconds = 5,  // at the end, for what is on its way
  kPeerBacklogMessages = 10000,
  kPeerRate = 10,
  kPeerRateMost = 1000,
  kPeerTickMs = 100,  // of other waits than for the next message
};

// Reads the options and opens DIR/accepted. Ends the program with 2 when they are wrong.
void peer_start(struct Peer* peer, int argc, char** argv);

// Waits for so long. False: a signal asked for the end.
_Bool peer_wait(int ms);

// Waits until the next message is due, or a second where none ever is, and says how long: false: a
// signal asked for the end.
_Bool peer_tick(const struct Peer* peer);
int peer_tick_ms(const struct Peer* peer);

// Notes in DIR/accepted that message `seq` of this run was accepted.
void peer_note(const struct Peer* peer, unsigned long seq);

// The message with `payload` is on its way: what comes next is the one after it.
void peer_next(struct Peer* peer);

// Prints a line to stderr; `code` in words.
void peer_say(const char* what, const char* words);
