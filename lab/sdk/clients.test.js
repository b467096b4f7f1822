// AWS's own IoT Device SDK v2 for JavaScript, with its native CRT inside, against the local IoT Core:
// clients that we did not write say whether the lab behaves as the service does.
//
//   LAB=about.json node --test clients.test.js
//
// about.json (lab/sdk_test.py writes it): host, ports, files of devices, and the command of the lab.
'use strict';
const assert = require('node:assert/strict');
const {execFileSync} = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const {after, test} = require('node:test');
const {auth, http, io, iot, iotidentity, iotjobs, iotshadow, mqtt, mqtt5} = require('aws-iot-device-sdk-v2');

const lab = JSON.parse(fs.readFileSync(process.env.LAB, 'utf8'));
const PATIENCE_MS = 40000;

/** The AWS CLI's words, to the lab. */
function aws(...words) {
  const out = execFileSync(lab.command[0], [...lab.command.slice(1), 'aws', ...words], {encoding: 'utf8'});
  return out.trim() ? JSON.parse(out) : {};
}

/** A promise that fails by name when nothing comes. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const open = [];
after(async () => {
  for (const close of open) {
    await within(Promise.resolve(close()), 'the end of a client').catch((error) => console.error(error, String(close)));
  }
  // The native clients keep a handle or two; nothing is left to wait for.
  setTimeout(() => process.exit(), 500);
});

function builder5(device, port = lab.mqtt) {
  const b = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(
    lab.host, device.cert, device.key);
  b.withCertificateAuthorityFromPath(undefined, lab.ca);
  b.withPort(port);
  return b;
}

/** A connected MQTT 5 client and its CONNACK. */
function connect5(device, properties = {}, {port, fails} = {}) {
  return start5(builder5(device, port), {clientId: device.name, ...properties}, {fails});
}

/** The same with a builder of one's own; `adapt` changes the configuration that it builds. */
async function start5(b, properties, {fails, adapt = () => {}} = {}) {
  b.withConnectProperties({keepAliveIntervalSeconds: 60, ...properties});
  const config = b.build();
  adapt(config);
  const client = new mqtt5.Mqtt5Client(config);
  const outcome = within(new Promise((resolve, reject) => {
    client.on('connectionSuccess', (event) => (fails ? reject(new Error('connected')) : resolve(event)));
    client.on('connectionFailure', (event) => (fails ? resolve(event) : reject(event.error)));
  }), 'connection');
  client.start();
  open.push(async () => {
    const stopped = new Promise((resolve) => client.on('stopped', resolve));
    client.stop();
    await Promise.race([stopped, pause(1000)]); // one that was stopped before does not tell again
    client.close();
  });
  return {client, event: await outcome};
}

/** A connected MQTT 3.1.1 client. */
async function connect311(device, configure = (b) => b) {
  const b = iot.AwsIotMqttConnectionConfigBuilder.new_mtls_builder_from_path(device.cert, device.key);
  b.with_certificate_authority_from_path(undefined, lab.ca);
  b.with_endpoint(lab.host);
  b.with_port(lab.mqtt);
  b.with_client_id(device.name);
  b.with_clean_session(true);
  const connection = new mqtt.MqttClient().new_connection(configure(b).build());
  connection.on('error', () => {});
  const present = await within(connection.connect(), 'connection');
  open.push(() => connection.disconnect());
  return {connection, present};
}

function message(emitter, wanted) {
  return within(new Promise((resolve) => {
    emitter.on('messageReceived', (event) => {
      if (event.message.topicName === wanted) resolve(event.message);
    });
  }), `a message on ${wanted}`);
}

const text = (payload) => Buffer.from(payload).toString();
const rr = {maxRequestResponseSubscriptions: 8, maxStreamingSubscriptions: 6, operationTimeoutInSeconds: 30};

test('MQTT 5: the CONNACK says what IoT Core says', async () => {
  const {event} = await connect5(lab.devices.five, {keepAliveIntervalSeconds: 10, sessionExpiryIntervalSeconds: 7200});
  assert.equal(event.settings.maximumQos, 1);
  assert.equal(event.settings.receiveMaximumFromServer, 100);
  assert.equal(event.settings.maximumPacketSizeToServer, 149504);
  assert.equal(event.settings.topicAliasMaximumToServer, 8);
  assert.equal(event.settings.serverKeepAlive, 30);
  assert.equal(event.settings.sessionExpiryInterval, 3600);
  assert.equal(event.settings.subscriptionIdentifiersAvailable, false);
  assert.equal(event.settings.retainAvailable, true);
  assert.equal(event.connack.sessionPresent, false);
});

test('MQTT 5 through the port of all protocols, by ALPN', async () => {
  const b = iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithMtlsFromPath(
    lab.host, lab.devices.alpn.cert, lab.devices.alpn.key);
  b.withCertificateAuthorityFromPath(undefined, lab.ca);
  b.withConnectProperties({clientId: lab.devices.alpn.name, keepAliveIntervalSeconds: 60});
  const config = b.build();
  config.port = lab.mixed; // as 443: the builder has set ALPN for it already
  const client = new mqtt5.Mqtt5Client(config);
  const connected = within(new Promise((resolve, reject) => {
    client.on('connectionSuccess', resolve);
    client.on('connectionFailure', (event) => reject(event.error));
  }), 'connection');
  client.start();
  open.push(async () => { client.stop(); client.close(); });
  assert.equal((await connected).connack.reasonCode, mqtt5.ConnectReasonCode.Success);
});

test('MQTT 5: publish, subscribe, user properties, content type', async () => {
  const device = lab.devices.echo;
  const {client} = await connect5(device);
  const topic = `${device.name}/hello`;
  const suback = await client.subscribe({subscriptions: [{topicFilter: topic, qos: mqtt5.QoS.AtLeastOnce}]});
  assert.deepEqual(suback.reasonCodes, [mqtt5.SubackReasonCode.GrantedQoS1]);
  const received = message(client, topic);
  const puback = await client.publish({
    topicName: topic, qos: mqtt5.QoS.AtLeastOnce, payload: 'hello', contentType: 'text/plain',
    userProperties: [{name: 'a', value: '1'}],
  });
  assert.equal(puback.reasonCode, mqtt5.PubackReasonCode.Success);
  const got = await received;
  assert.equal(text(got.payload), 'hello');
  assert.equal(got.contentType, 'text/plain');
  assert.deepEqual(got.userProperties, [{name: 'a', value: '1'}]);
});

test('MQTT 5: what the policy forbids is 0x87', async () => {
  const {client} = await connect5(lab.devices.denied);
  const suback = await client.subscribe({subscriptions: [
    {topicFilter: 'somebody/else', qos: 1}, {topicFilter: `${lab.devices.denied.name}/x`, qos: 1}]});
  assert.deepEqual(suback.reasonCodes, [mqtt5.SubackReasonCode.NotAuthorized, mqtt5.SubackReasonCode.GrantedQoS1]);
  const puback = await client.publish({topicName: 'somebody/else', qos: 1, payload: 'x'});
  assert.equal(puback.reasonCode, mqtt5.PubackReasonCode.NotAuthorized);
});

test('MQTT 5: a client id that the policy does not allow is refused', async () => {
  const {event} = await connect5({...lab.devices.denied, name: 'stranger'}, {}, {fails: true});
  assert.equal(event.connack.reasonCode, mqtt5.ConnectReasonCode.NotAuthorized);
});

test('MQTT 5: a persistent session keeps messages and subscriptions', async () => {
  const device = lab.devices.session;
  const topic = `${device.name}/kept`;
  const first = await connect5(device, {sessionExpiryIntervalSeconds: 600});
  await first.client.subscribe({subscriptions: [{topicFilter: topic, qos: 1}]});
  const stopped = new Promise((resolve) => first.client.on('stopped', resolve));
  first.client.stop();
  await stopped;
  aws('iot-data', 'publish', '--topic', topic, '--qos', '1', '--payload', 'while away');
  await pause(1100); // one CONNECT a second
  const b = builder5(device);
  b.withConnectProperties({clientId: device.name, keepAliveIntervalSeconds: 60, sessionExpiryIntervalSeconds: 600});
  b.withSessionBehavior(mqtt5.ClientSessionBehavior.RejoinAlways);
  const second = new mqtt5.Mqtt5Client(b.build());
  const received = message(second, topic);
  const connected = within(new Promise((resolve) => second.on('connectionSuccess', resolve)), 'connection');
  second.start();
  open.push(async () => { second.stop(); second.close(); });
  assert.equal((await connected).connack.sessionPresent, true);
  assert.equal(text((await received).payload), 'while away');
});

test('MQTT 5: the elder connection of a client id is told 0x8E', async () => {
  const device = lab.devices.twin;
  const {client} = await connect5(device);
  const disconnected = within(new Promise((resolve) => client.on('disconnection', resolve)), 'disconnection');
  await pause(1100);
  const younger = connect5(device);
  const event = await disconnected;
  client.stop(); // or the two would go on taking over from each other
  await younger;
  assert.equal(event.disconnect.reasonCode, mqtt5.DisconnectReasonCode.SessionTakenOver);
});

test('MQTT 3.1.1: publish and subscribe', async () => {
  const device = lab.devices.old;
  const {connection, present} = await connect311(device);
  assert.equal(present, false);
  const topic = `${device.name}/hello`;
  const received = within(new Promise((resolve) => {
    connection.subscribe(topic, mqtt.QoS.AtLeastOnce, (_, payload) => resolve(text(payload)))
      .then((granted) => assert.equal(granted.error_code ?? 0, 0))
      .then(() => connection.publish(topic, 'hello', mqtt.QoS.AtLeastOnce));
  }), 'the message');
  assert.equal(await received, 'hello');
});

for (const version of ['5', '3.1.1']) {
  const of = (service, five, old) => (version === '5' ? service.newFromMqtt5(five, rr) : service.newFromMqtt311(old, rr));
  const suffix = version === '5' ? '5' : '311';

  async function serviceClient(service, device) {
    const client = version === '5' ? of(service, (await connect5(device)).client)
      : of(service, null, (await connect311(device)).connection);
    open.unshift(() => client.close()); // before the connection under it
    return client;
  }
  const streamed = (stream, what) => {
    const event = within(new Promise((resolve, reject) => {
      stream.on('incomingPublish', (e) => resolve(e.message));
      stream.on('incomingPublishError', (e) => reject(e.error));
    }), what);
    const subscribed = within(new Promise((resolve) => {
      stream.on('subscriptionStatus', (e) => resolve(e));
    }), `subscription to ${what}`);
    stream.open();
    return {event, subscribed};
  };

  test(`Shadow client over MQTT ${version}`, async () => {
    const device = lab.devices[`shadow${suffix}`];
    const shadow = await serviceClient(iotshadow.IotShadowClientv2, device);
    const named = {thingName: device.name, shadowName: 'settings'};
    await assert.rejects(shadow.getNamedShadow(named), (error) => {
      assert.equal(error.modeledError.code, 404);
      return true;
    });
    const delta = streamed(shadow.createNamedShadowDeltaUpdatedStream(named), 'a delta');
    await delta.subscribed;
    const updated = await shadow.updateNamedShadow({...named, state: {desired: {rpm: 1480}, reported: {rpm: 0}}});
    assert.equal(updated.version, 1);
    assert.deepEqual((await delta.event).state, {rpm: 1480});
    await shadow.updateNamedShadow({...named, state: {reported: {rpm: 1480}}});
    const got = await shadow.getNamedShadow(named);
    assert.deepEqual(got.state, {desired: {rpm: 1480}, reported: {rpm: 1480}});
    assert.equal(got.version, 2);
    await assert.rejects(shadow.updateNamedShadow({...named, version: 1, state: {reported: {rpm: 1}}}), (error) => {
      assert.equal(error.modeledError.code, 409);
      return true;
    });
    await shadow.deleteNamedShadow(named);
    const classic = {thingName: device.name};
    assert.equal((await shadow.updateShadow({...classic, state: {reported: {up: true}}})).version, 1);
    assert.deepEqual((await shadow.getShadow(classic)).state, {reported: {up: true}});
    await shadow.deleteShadow(classic);
  });

  test(`Jobs client over MQTT ${version}`, async () => {
    const device = lab.devices[`jobs${suffix}`];
    const jobs = await serviceClient(iotjobs.IotJobsClientv2, device);
    const thing = {thingName: device.name};
    const none = await jobs.getPendingJobExecutions(thing);
    assert.deepEqual([none.inProgressJobs, none.queuedJobs], [[], []]);
    const changed = streamed(jobs.createJobExecutionsChangedStream(thing), 'notify');
    const next = streamed(jobs.createNextJobExecutionChangedStream(thing), 'notify-next');
    await Promise.all([changed.subscribed, next.subscribed]);
    const jobId = `job-${suffix}`;
    aws('iot', 'create-job', '--job-id', jobId, '--targets',
      `arn:aws:iot:${lab.region}:123456789012:thing/${device.name}`, '--document', '{"operation":"reboot"}');
    assert.equal((await changed.event).jobs.QUEUED[0].jobId, jobId);
    assert.deepEqual((await next.event).execution.jobDocument, {operation: 'reboot'});
    const started = await jobs.startNextPendingJobExecution({...thing, statusDetails: {step: 'download'}});
    assert.equal(started.execution.jobId, jobId);
    assert.equal(started.execution.status, iotjobs.model.JobStatus.IN_PROGRESS);
    const described = await jobs.describeJobExecution({...thing, jobId});
    assert.deepEqual(described.execution.statusDetails, {step: 'download'});
    await assert.rejects(jobs.updateJobExecution({...thing, jobId, status: iotjobs.model.JobStatus.SUCCEEDED, expectedVersion: 99}),
      (error) => {
        assert.equal(error.modeledError.code, 'VersionMismatch');
        return true;
      });
    await jobs.updateJobExecution({...thing, jobId, status: iotjobs.model.JobStatus.SUCCEEDED});
    const execution = aws('iot', 'describe-job-execution', '--job-id', jobId, '--thing-name', device.name).execution;
    assert.equal(execution.status, 'SUCCEEDED');
    await assert.rejects(jobs.updateJobExecution({...thing, jobId, status: iotjobs.model.JobStatus.FAILED}), (error) => {
      assert.equal(error.modeledError.code, 'InvalidStateTransition');
      return true;
    });
  });

  test(`Jobs: the client over MQTT ${version} and holdfast-updater have the same job`, {skip: !lab.updater}, async () => {
    const device = lab.devices[`beside${suffix}`];
    const jobs = await serviceClient(iotjobs.IotJobsClientv2, device);
    const thing = {thingName: device.name};
    const jobId = `both-${suffix}`;
    const next = streamed(jobs.createNextJobExecutionChangedStream(thing), 'notify-next');
    await next.subscribed;
    const document = {version: '1.0', includeStdOut: true, steps: [{action: {
      name: 'Run-Command', type: 'runCommand', input: {command: 'echo,done'}}}]};
    aws('iot', 'create-job', '--job-id', jobId, '--document', JSON.stringify(document), '--targets',
      ...[device.name, lab.updater].map((name) => `arn:aws:iot:${lab.region}:123456789012:thing/${name}`));
    await next.event;
    // What the updater tells of it: the step, then what the program has printed.
    const started = await jobs.startNextPendingJobExecution(thing);
    assert.deepEqual(started.execution.jobDocument, document);
    const told = {...thing, jobId, executionNumber: started.execution.executionNumber};
    await jobs.updateJobExecution({...told, status: iotjobs.model.JobStatus.IN_PROGRESS,
      expectedVersion: started.execution.versionNumber, statusDetails: {step: '1 of 1, Run-Command'}});
    await jobs.updateJobExecution({...told, status: iotjobs.model.JobStatus.SUCCEEDED,
      expectedVersion: started.execution.versionNumber + 1, statusDetails: {stdout: 'done'}});
    const execution = (name) => aws('iot', 'describe-job-execution', '--job-id', jobId, '--thing-name', name).execution;
    for (const end = Date.now() + PATIENCE_MS; execution(lab.updater).status !== 'SUCCEEDED';) {
      assert.ok(Date.now() < end, `the updater's: ${JSON.stringify(execution(lab.updater))}`);
      await pause(200);
    }
    const form = (value) => (typeof value === 'object' ?
      Object.fromEntries(Object.keys(value).sort().map((key) => [key, form(value[key])])) : typeof value);
    const [ours, theirs] = [execution(lab.updater), execution(device.name)];
    assert.deepEqual(form(ours), form(theirs));
    assert.equal(theirs.status, 'SUCCEEDED');
    assert.deepEqual(ours.statusDetails, theirs.statusDetails);
    assert.equal(ours.executionNumber, theirs.executionNumber);
  });

  for (const way of ['keys', 'csr']) {
    test(`Fleet provisioning client over MQTT ${version}, ${way}`, async () => {
      const claim = lab.devices[`claim${suffix}${way}`];
      const identity = await serviceClient(iotidentity.IotIdentityClientv2, claim);
      const serial = `${suffix}${way}`;
      const made = way === 'keys' ? await identity.createKeysAndCertificate({})
        : await identity.createCertificateFromCsr({certificateSigningRequest: lab.csr.request});
      const key = way === 'keys' ? made.privateKey : lab.csr.key;
      await assert.rejects(identity.registerThing({
        templateName: lab.template, certificateOwnershipToken: 'guessed', parameters: {SerialNumber: serial}}),
      (error) => {
        assert.equal(error.modeledError.statusCode, 400);
        return true;
      });
      const registered = await identity.registerThing({
        templateName: lab.template, certificateOwnershipToken: made.certificateOwnershipToken,
        parameters: {SerialNumber: serial}});
      assert.equal(registered.thingName, `pump-${serial}`);
      assert.deepEqual(registered.deviceConfiguration, {site: 'north'});
      const files = {name: registered.thingName, cert: `${registered.thingName}.pem`, key: `${registered.thingName}.key`};
      fs.writeFileSync(files.cert, made.certificatePem);
      fs.writeFileSync(files.key, key);
      const {event} = await connect5(files); // as what it has become
      assert.equal(event.connack.reasonCode, mqtt5.ConnectReasonCode.Success);
    });
  }
}

// The SDK for JavaScript has no client for commands; these are its MQTT 5 client and the topics.
test('Commands over MQTT 5', async () => {
  const device = lab.devices.commands;
  const {client} = await connect5(device);
  const base = `$aws/commands/things/${device.name}/executions`;
  await client.subscribe({subscriptions: [{topicFilter: `${base}/+/request/json`, qos: 1},
    {topicFilter: `${base}/+/response/accepted/json`, qos: 1}, {topicFilter: `${base}/+/response/rejected/json`, qos: 1}]});
  const messages = [];
  client.on('messageReceived', (event) => messages.push(event.message));
  const arrives = async (part) => {
    for (let waited = 0; waited < PATIENCE_MS; waited += 50) {
      const found = messages.find((m) => m.topicName.includes(part));
      if (found) return found;
      await pause(50);
    }
    throw new Error(`no message on …${part}`);
  };
  const arn = `arn:aws:iot:${lab.region}:123456789012:`;
  aws('iot', 'create-command', '--command-id', 'light', '--payload',
    JSON.stringify({content: Buffer.from('{"on":true}').toString('base64'), contentType: 'application/json'}));
  const {executionId} = aws('iot-jobs-data', 'start-command-execution', '--command-arn', `${arn}command/light`,
    '--target-arn', `${arn}thing/${device.name}`, '--execution-timeout-seconds', '60');
  const request = await arrives(`${executionId}/request`);
  assert.equal(text(request.payload), '{"on":true}');
  assert.equal(request.contentType, 'application/json');
  assert.ok(request.messageExpiryIntervalSeconds <= 60);
  await client.publish({topicName: `${base}/${executionId}/response/json`, qos: 1,
    payload: JSON.stringify({status: 'SUCCEEDED', result: {lamp: {s: 'on'}}})});
  assert.deepEqual(JSON.parse(text((await arrives(`${executionId}/response/accepted`)).payload)), {executionId});
  assert.equal(aws('iot', 'get-command-execution', '--execution-id', executionId, '--target-arn', `${arn}thing/${device.name}`).status,
    'SUCCEEDED');
});

// ---- MQTT over WebSocket, signed -----------------------------------------------------------------

const arnOf = (resource) => `arn:aws:iot:${lab.region}:123456789012:${resource}`;
const policyOf = (...statements) => JSON.stringify({Version: '2012-10-17',
  Statement: statements.map(([Action, Resource]) => ({Effect: 'Allow', Action, Resource}))});

/** A builder for the port that is as 443. */
function onMixed(b) {
  b.withCertificateAuthorityFromPath(undefined, lab.ca);
  b.withPort(lab.mixed);
  return b;
}

const signing = (credentialsProvider, region = lab.region) => onMixed(
  iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithSigv4Auth(lab.host, {credentialsProvider, region}));

async function echoes(client, topic) {
  const suback = await client.subscribe({subscriptions: [{topicFilter: topic, qos: 1}]});
  assert.deepEqual(suback.reasonCodes, [mqtt5.SubackReasonCode.GrantedQoS1]);
  const received = message(client, topic);
  await client.publish({topicName: topic, qos: 1, payload: 'hello'});
  assert.equal(text((await received).payload), 'hello');
}

/** Leads CONNECT to the port that is as 443: the SDK's provider knows no other port than that. */
async function tunnel() {
  const sockets = new Set();
  const server = net.createServer((from) => {
    sockets.add(from);
    from.on('error', () => {});
    from.once('data', () => {
      const to = net.connect(lab.mixed, lab.host);
      to.on('error', () => from.destroy());
      from.write('HTTP/1.1 200 OK\r\n\r\n');
      from.pipe(to).pipe(from);
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return new http.HttpProxyOptions('127.0.0.1', server.address().port, undefined, undefined, undefined, undefined,
    http.HttpProxyConnectionType.Tunneling);
}

test('WebSocket with SigV4: temporary keys that the SDK has from the credential provider', async () => {
  const device = lab.devices.assumer;
  aws('iam', 'create-role', '--role-name', 'fleet', '--assume-role-policy-document', JSON.stringify({
    Version: '2012-10-17', Statement: {Effect: 'Allow', Action: 'sts:AssumeRole',
      Principal: {Service: 'credentials.iot.amazonaws.com'}}}));
  const own = '${credentials-iot:ThingName}';
  aws('iam', 'put-role-policy', '--role-name', 'fleet', '--policy-name', 'own', '--policy-document', policyOf(
    ['iot:Connect', arnOf(`client/${own}`)], ['iot:Subscribe', arnOf(`topicfilter/${own}/*`)],
    [['iot:Publish', 'iot:Receive'], arnOf(`topic/${own}/*`)]));
  aws('iot', 'create-role-alias', '--role-alias', 'fleet-alias', '--role-arn', 'arn:aws:iam::123456789012:role/fleet',
    '--credential-duration-seconds', '900');
  aws('iot', 'create-policy', '--policy-name', 'assume', '--policy-document',
    policyOf(['iot:AssumeRoleWithCertificate', arnOf('rolealias/fleet-alias')]));
  aws('iot', 'attach-policy', '--policy-name', 'assume', '--target',
    aws('iot', 'list-thing-principals', '--thing-name', device.name).principals[0]);
  const tls = new io.TlsContextOptions();
  tls.certificate_filepath = device.cert;
  tls.private_key_filepath = device.key;
  tls.override_default_trust_store_from_path(undefined, lab.ca);
  const keys = auth.AwsCredentialsProvider.newX509({endpoint: lab.host, thingName: device.name, roleAlias: 'fleet-alias',
    tlsContext: new io.ClientTlsContext(tls), httpProxyOptions: await tunnel()});
  const {client} = await start5(signing(keys), {clientId: device.name});
  await echoes(client, `${device.name}/signed`);
  const puback = await client.publish({topicName: 'somebody/else', qos: 1, payload: 'x'});
  assert.equal(puback.reasonCode, mqtt5.PubackReasonCode.NotAuthorized);
  const {principal} = aws('iot-data', 'get-connection', '--client-id', device.name);
  assert.match(principal, /^AROA[A-Z2-7]{17}:[0-9a-f]{64}$/);
  const refused = await start5(signing(keys), {clientId: 'outsider'}, {fails: true});
  assert.equal(refused.event.connack.reasonCode, mqtt5.ConnectReasonCode.NotAuthorized);
});

test('WebSocket with SigV4: keys of a user, and what is refused before MQTT', async () => {
  aws('iam', 'create-user', '--user-name', 'operator');
  aws('iam', 'put-user-policy', '--user-name', 'operator', '--policy-name', 'all', '--policy-document',
    policyOf(['iot:*', '*']));
  const {AccessKey: key} = aws('iam', 'create-access-key', '--user-name', 'operator');
  const keys = auth.AwsCredentialsProvider.newStatic(key.AccessKeyId, key.SecretAccessKey);
  const {client} = await start5(signing(keys), {clientId: 'by-user'});
  await echoes(client, 'by-user/x');
  for (const wrong of [
    signing(auth.AwsCredentialsProvider.newStatic(key.AccessKeyId, `${key.SecretAccessKey}x`)),
    signing(auth.AwsCredentialsProvider.newStatic('AKIAUNKNOWN', key.SecretAccessKey)),
    signing(auth.AwsCredentialsProvider.newStatic(key.AccessKeyId, key.SecretAccessKey, 'token')),
    signing(keys, 'us-east-1'),
  ]) {
    const {event} = await start5(wrong, {clientId: 'by-user'}, {fails: true});
    assert.equal(event.connack, undefined);
    assert.match(String(event.error), /WEBSOCKET_UPGRADE_FAILURE|[Uu]pgrade/);
  }
  const traced = fs.readFileSync(lab.trace, 'utf8').split('\n').filter((line) => line.includes('signature_refused'));
  assert.deepEqual([...new Set(traced.map((line) => JSON.parse(line).words))].sort(),
    ['NOT_AUTHENTICATED', 'SECURITY_TOKEN_INVALID', 'SECURITY_TOKEN_SIGNATURE_MISMATCH']);
});

test('WebSocket with SigV4 over MQTT 3.1.1, ended when its time is up', async () => {
  const {AccessKey: key} = aws('iam', 'create-access-key', '--user-name', 'operator');
  const b = iot.AwsIotMqttConnectionConfigBuilder.new_with_websockets({region: lab.region,
    credentials_provider: auth.AwsCredentialsProvider.newStatic(key.AccessKeyId, key.SecretAccessKey)});
  b.with_certificate_authority_from_path(undefined, lab.ca);
  b.with_endpoint(lab.host);
  b.with_port(lab.mixed);
  b.with_client_id('by-user-311');
  aws('lab', 'put-switches', '--websocket-seconds', '1');
  try {
    const connection = new mqtt.MqttClient().new_connection(b.build());
    connection.on('error', () => {});
    const interrupted = within(new Promise((resolve) => connection.on('interrupt', resolve)), 'the end');
    await within(connection.connect(), 'connection');
    open.push(() => connection.disconnect());
    await interrupted;
  } finally {
    aws('lab', 'put-switches', '--websocket-seconds', '86400');
  }
  assert.match(fs.readFileSync(lab.trace, 'utf8'), /WEBSOCKET_TTL_EXPIRATION/);
});

// ---- custom authorizers ------------------------------------------------------------------------------

const pair = crypto.generateKeyPairSync('rsa', {modulusLength: 2048, publicKeyEncoding: {type: 'spki', format: 'pem'}});
const signatureOf = (token) => crypto.createSign('RSA-SHA256').update(token).sign(pair.privateKey, 'base64');
const signedToken = (token) => ({authorizerName: 'gate', username: 'somebody', tokenKeyName: 'Door-Token',
  tokenValue: token, tokenSignature: signatureOf(token)});

test('Custom authorizers: an authorizer with a signed token', () => {
  aws('iot', 'create-authorizer', '--authorizer-name', 'gate', '--authorizer-function-arn',
    `arn:aws:lambda:${lab.region}:123456789012:function:gate`, '--token-key-name', 'Door-Token', '--status', 'ACTIVE',
    '--token-signing-public-keys', JSON.stringify({first: pair.publicKey}));
  const grant = {isAuthenticated: true, principalId: 'tokened', disconnectAfterInSeconds: 300,
    refreshAfterInSeconds: 300, policyDocuments: [policyOf(['iot:*', [arnOf('client/${iot:ClientId}'),
      arnOf('topic/${iot:ClientId}/*'), arnOf('topicfilter/${iot:ClientId}/*')]])]};
  aws('iot', 'set-authorizer-answers', '--authorizer-name', 'gate', '--answers', JSON.stringify({good: grant}),
    '--otherwise', JSON.stringify({isAuthenticated: false}));
});

for (const [way, builder] of [
  ['directly', (custom) => iot.AwsIotMqtt5ClientConfigBuilder.newDirectMqttBuilderWithCustomAuth(lab.host, custom)],
  ['over WebSocket', (custom) => iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithCustomAuth(lab.host, {
    ...custom, tokenSignature: encodeURIComponent(custom.tokenSignature)})],
]) {
  test(`Custom authorizers: a token in the user name, ${way}`, async () => {
    const clientId = `tokened-${way.split(' ').pop()}`;
    const {client} = await start5(onMixed(builder(signedToken('good'))), {clientId});
    await echoes(client, `${clientId}/x`);
    const puback = await client.publish({topicName: 'somebody/else', qos: 1, payload: 'x'});
    assert.equal(puback.reasonCode, mqtt5.PubackReasonCode.NotAuthorized);
    for (const wrong of [signedToken('bad'), {...signedToken('good'), tokenSignature: signatureOf('bad')},
      {...signedToken('good'), authorizerName: 'nobody'}]) {
      const {event} = await start5(onMixed(builder(wrong)), {clientId: `${clientId}-${Math.random()}`}, {fails: true});
      assert.equal(event.connack.reasonCode, mqtt5.ConnectReasonCode.NotAuthorized);
    }
  });
}

for (const [where, transform] of [
  ['headers', (request) => {
    request.headers.add('x-amz-customauthorizer-name', 'gate');
    request.headers.add('x-amz-customauthorizer-signature', signatureOf('good'));
    request.headers.add('door-token', 'good');
  }],
  ['the query', (request) => {
    request.path += `?x-amz-customauthorizer-name=gate&Door-Token=good&x-amz-customauthorizer-signature=${
      encodeURIComponent(signatureOf('good'))}`;
  }],
]) {
  test(`Custom authorizers: a token in ${where} of the upgrade`, async () => {
    const clientId = `upgraded-by-${where.split(' ').pop()}`;
    const b = onMixed(iot.AwsIotMqtt5ClientConfigBuilder.newWebsocketMqttBuilderWithCustomAuth(lab.host, {}));
    const {client} = await start5(b, {clientId}, {adapt: (config) => {
      config.websocketHandshakeTransform = async (request, done) => {
        transform(request);
        done();
      };
    }});
    await echoes(client, `${clientId}/x`);
  });
}
