// A device on the AWS IoT Device SDK v2 for JavaScript (MQTT 5 client, native CRT): a session that
// is joined again, operations queued while disconnected, reconnection with full jitter.
//
//   node aws_sdk.js --endpoint HOST --port N --ca FILE --cert FILE --key FILE --client-id ID
//     --dir DIR [--rate N] [--backoff-cap SECONDS]
//
// --rate: messages a second, 10 by default; 0: none.
// The SDK is found as node finds modules; tools/peers installs it and starts a copy beside it.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const {once} = require('node:events');
const {parseArgs} = require('node:util');
const {iot, mqtt5} = require('aws-iot-device-sdk-v2');

// As in peer.h.
const BACKOFF_FIRST_MS = 1000;
const BACKOFF_CAP_S = 8;
const KEEP_ALIVE_S = 30;
const SESSION_S = 3600;
const DRAIN_MS = 5000;
const BACKLOG = 10000;
const RATE = 10;
const TICK_MS = 100; // of the wait at the end
// The SDK's own figures, written out.
const CONNACK_MS = 20000;
const PING_MS = 10000;
const STABLE_MS = 30000;
// Shorter than the SDK's minute: IoT Core drops without a word what is over its rate.
const ACK_S = 20;

const names = ['endpoint', 'port', 'ca', 'cert', 'key', 'client-id', 'dir'];
const {values: asked} = parseArgs({
  options: {
    ...Object.fromEntries(names.map((name) => [name, {type: 'string'}])),
    rate: {type: 'string', default: String(RATE)},
    'backoff-cap': {type: 'string', default: String(BACKOFF_CAP_S)},
  },
});
for (const name of names) {
  if (asked[name] === undefined) {
    console.error(`aws_sdk.js: --${name} must be given`);
    process.exit(2);
  }
}

const id = asked['client-id'];
const run = crypto.randomBytes(8).toString('hex');
const acceptedFile = fs.openSync(path.join(asked.dir, 'accepted'), 'a');
let seq = 1;
let waiting = 0; // accepted and not acknowledged

function createClient() {
  const builder = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(
    asked.endpoint, asked.cert, asked.key);
  builder.withCertificateAuthorityFromPath(undefined, asked.ca);
  builder.withPort(Number(asked.port));
  builder.withConnectProperties({clientId: id, keepAliveIntervalSeconds: KEEP_ALIVE_S,
    sessionExpiryIntervalSeconds: SESSION_S});
  builder.withSessionBehavior(mqtt5.ClientSessionBehavior.RejoinAlways);
  builder.withOfflineQueueBehavior(mqtt5.ClientOperationQueueBehavior.FailQos0PublishOnDisconnect);
  builder.withRetryJitterMode(mqtt5.RetryJitterType.Full);
  builder.withMinReconnectDelayMs(BACKOFF_FIRST_MS);
  builder.withMaxReconnectDelayMs(1000 * Number(asked['backoff-cap']));
  builder.withMinConnectedTimeToResetReconnectDelayMs(STABLE_MS);
  builder.withConnackTimeoutMs(CONNACK_MS);
  builder.withPingTimeoutMs(PING_MS);
  builder.withAckTimeoutSeconds(ACK_S);
  return new mqtt5.Mqtt5Client(builder.build());
}

const client = createClient();
const say = (what, words) => console.error(`${what}: ${words ?? ''}`);

// A session that was joined has the subscription, once it was acknowledged in this run; but not one
// that began with a CONNECT whose CONNACK was lost. A SUBSCRIBE that is not acknowledged waits in the
// SDK's queue for the next connection, so there is never more than one.
let subscribed = false;
let subscribing = false;
client.on('connectionSuccess', (event) => {
  say('connected', event.settings.rejoinedSession ? 'session joined' : 'new session');
  if (subscribing || (subscribed && event.settings.rejoinedSession)) return;
  subscribing = true;
  client.subscribe({subscriptions: [{topicFilter: `${id}/cmd/#`, qos: mqtt5.QoS.AtLeastOnce}]})
    .then(() => { subscribed = true; }, (error) => say('subscribe', error))
    .finally(() => { subscribing = false; });
});
client.on('connectionFailure', (event) => {
  say('connect', event.error);
  if (event.error.error_name?.startsWith('AWS_ERROR_MQTT')) subscribed = false;
});
client.on('disconnection', (event) => say('disconnected', event.error));
client.on('messageReceived', (event) => say('message', event.message.topicName));
client.on('error', (error) => say('client', error));

/** One line; half a one, on a full disk, would name another message. */
function note(number) {
  const line = `${run} ${number}\n`;
  const before = fs.fstatSync(acceptedFile).size;
  try {
    if (fs.writeSync(acceptedFile, line) < line.length) fs.ftruncateSync(acceptedFile, before);
  } catch (error) {
    say('accepted', error);
  }
}

/** The SDK fails what was not acknowledged in time; the message is then handed over anew. */
function send(payload) {
  client.publish({topicName: `${id}/data`, qos: mqtt5.QoS.AtLeastOnce, payload})
    .then(() => { waiting -= 1; }, (error) => {
      say('publish', error);
      if (!ending) send(payload);
    });
}

let ending = false;
const rate = Number(asked.rate);
const timer = rate > 0 && setInterval(() => {
  if (waiting >= BACKLOG) return;
  waiting += 1;
  send(JSON.stringify({run, seq}));
  note(seq);
  seq += 1;
}, 1000 / rate);

async function end() {
  if (ending) return;
  ending = true;
  clearInterval(timer);
  const deadline = Date.now() + DRAIN_MS;
  while (waiting > 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  const stopped = once(client, 'stopped');
  client.stop();
  await stopped;
  client.close();
  process.exit(0);
}

process.on('SIGTERM', end);
process.on('SIGINT', end);
client.start();
