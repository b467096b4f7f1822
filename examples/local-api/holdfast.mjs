// Publish and subscribe through the Holdfast agent of this machine, whatever happens to the agent.
//
//     import {Agent} from "./holdfast.mjs";
//     const agent = new Agent();
//     agent.subscribe("plant/pump-17/command", (message) => console.log(message.topic, message.payload));
//     const id = await agent.publish("plant/pump-17/rpm", "1480");     // on disk when it resolves
//
// Copy this file into your project: it takes nothing but Node.js, 16 or newer. When the agent restarts,
// the helper connects again, subscribes again, and sends again what had no answer yet; the broker may
// then have a message twice, as at QoS 1 anyway. A message is acknowledged when its handler, or the promise
// that it returns, is done: one that this program did not get done comes again. publish() waits as long as the agent is away, and
// rejects with the agent's reason when it does not take the message. docs/local-api.md has the fields.
import {createConnection} from "node:net";

const BACKOFF_MS = [100, 5000];     // the first and the longest

export class Agent {
  #path; #socket = null; #delay = BACKOFF_MS[0]; #closed = false; #next = 1;
  #waiting = new Map();             // by id: what has no answer yet, in order
  #handlers = new Map();            // by id of the request: filter, QoS, handler
  #subscriptions = new Map();       // by the agent's number

  constructor(path = "/run/holdfast/holdfast.sock") {
    this.#path = path;
    this.#connect();
  }

  publish(topic, payload = "", fields = {}) {
    const request = {op: "publish", id: this.#next++, topic, payload, ...fields};
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, {request, resolve, reject});
      this.#send(request);
    });
  }

  subscribe(filter, handler, qos = 1) {
    const id = this.#next++;
    this.#handlers.set(id, {filter, qos, handler});
    this.#subscribe(id);
  }

  close() {
    this.#closed = true;
    this.#socket?.destroy();
  }

  #send(request) {
    if (this.#socket?.writable) this.#socket.write(JSON.stringify(request) + "\n");
  }

  #subscribe(id) {
    const {filter, qos} = this.#handlers.get(id);
    this.#send({op: "subscribe", id, filter, qos, acknowledge: true});
  }

  #connect() {
    const socket = createConnection(this.#path);
    let rest = "";
    socket.setEncoding("utf8");
    socket.on("connect", () => {
      this.#socket = socket;
      this.#delay = BACKOFF_MS[0];
      this.#subscriptions.clear();
      for (const id of this.#handlers.keys()) this.#subscribe(id);
      for (const {request} of this.#waiting.values()) this.#send(request);
    });
    socket.on("data", (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop();
      for (const line of lines) this.#heard(JSON.parse(line));
    });
    socket.on("error", () => {});   // "close" follows
    socket.on("close", () => {
      this.#socket = null;
      if (this.#closed) return;
      setTimeout(() => this.#connect(), this.#delay * (0.5 + Math.random() / 2));
      this.#delay = Math.min(this.#delay * 2, BACKOFF_MS[1]);
    });
  }

  #heard(answer) {
    if (answer.event === "message") {
      const socket = this.#socket;
      Promise.resolve(this.#handlers.get(this.#subscriptions.get(answer.subscription))?.handler(answer))
        .then(() => socket === this.#socket &&
          this.#send({op: "acknowledge", deliveries: [answer.delivery]}));
    } else if (this.#handlers.has(answer.id)) {
      if (answer.ok) this.#subscriptions.set(answer.subscription, answer.id);
      else console.error(`holdfast: not subscribed: ${answer.error}`);
    } else if (this.#waiting.has(answer.id)) {
      const {request, resolve, reject} = this.#waiting.get(answer.id);
      if (answer.retry) {           // nothing was taken: again in a moment
        setTimeout(() => this.#waiting.has(request.id) && this.#send(request), 50);
        return;
      }
      this.#waiting.delete(answer.id);
      if (answer.ok) resolve(answer.message_id); else reject(new Error(answer.error));
    }
  }
}
