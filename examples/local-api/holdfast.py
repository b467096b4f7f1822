"""Publish and subscribe through the Holdfast agent of this machine, whatever happens to the agent.

    from holdfast import Agent
    agent = Agent()
    agent.subscribe("plant/pump-17/command", lambda message: print(message["topic"], message["payload"]))
    number = agent.publish("plant/pump-17/rpm", "1480")     # on disk when it returns

Copy this file into your project: it takes the standard library only, and Python 3.7. When the agent
restarts, the helper connects again, subscribes again, and sends again what had no answer yet; the
broker may then have a message twice, as at QoS 1 anyway. A message is acknowledged when its handler has
returned: one that this program did not get done, since it or the agent was killed, comes again. publish() waits as long as the agent is away.
docs/local-api.md has the fields of a message. Handlers run on the helper's thread, one at a time; publish()
must not be called from one.
"""
import itertools
import json
import random
import socket
import sys
import threading
import time

BACKOFF = (0.1, 5.0)        # seconds, the first and the longest


class Refused(Exception):
    """The agent does not take the message; the text says why (docs/local-api.md)."""


class Agent:
    def __init__(self, path="/run/holdfast/holdfast.sock"):
        self.path = path
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._waiting = {}          # by id: what has no answer yet, in order
        self._answers = {}
        self._handlers = {}         # by id of the request: filter, QoS, handler
        self._subscriptions = {}    # by the agent's number
        self._socket = None
        self._closed = False
        threading.Thread(target=self._run, daemon=True).start()

    def publish(self, topic, payload="", **fields):
        """Waits until the message is accepted; its message id. Refused says why it is not."""
        number = next(self._numbers)
        request = {"op": "publish", "id": number, "topic": topic, "payload": payload, **fields}
        with self._changed:
            self._waiting[number] = request
            self._send(request)
            self._changed.wait_for(lambda: number in self._answers or self._closed)
            if number not in self._answers:
                raise Refused("closed before there was an answer")
            answer = self._answers.pop(number)
        if not answer["ok"]:
            raise Refused(answer["error"])
        return answer["message_id"]

    def subscribe(self, filter, handler, qos=1):
        """Calls handler(message) for each message, also after restarts of the agent."""
        number = next(self._numbers)
        with self._changed:
            self._handlers[number] = (filter, qos, handler)
            self._send(self._subscription(number))

    def close(self):
        with self._changed:
            self._closed = True
            if self._socket:
                self._socket.shutdown(socket.SHUT_RDWR)
            self._changed.notify_all()

    # --- the helper's thread ---

    def _subscription(self, number):
        filter, qos, _ = self._handlers[number]
        return {"op": "subscribe", "id": number, "filter": filter, "qos": qos, "acknowledge": True}

    def _send(self, request):
        """With the lock held. What cannot be sent is sent after the next connect."""
        try:
            if self._socket:
                self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            pass                    # the thread sees the same, and connects again

    def _run(self):
        delay = BACKOFF[0]
        while not self._closed:
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.connect(self.path)
                    delay = BACKOFF[0]
                    self._serve(connection)
            except OSError:
                pass
            with self._changed:
                self._socket = None
            time.sleep(delay * random.uniform(0.5, 1))      # not all programs at one moment
            delay = min(delay * 2, BACKOFF[1])

    def _serve(self, connection):
        with self._changed:
            self._socket = connection
            self._subscriptions.clear()
            for number in self._handlers:
                self._send(self._subscription(number))
            for request in self._waiting.values():
                self._send(request)
        for line in connection.makefile("rb"):
            self._heard(json.loads(line.decode()))

    def _heard(self, answer):
        if answer.get("event") == "message":
            number = self._subscriptions.get(answer["subscription"])
            if number:
                self._handlers[number][2](answer)
                with self._changed:
                    self._send({"op": "acknowledge", "deliveries": [answer["delivery"]]})
            return
        with self._changed:
            number = answer.get("id")
            if number in self._handlers:
                if answer["ok"]:
                    self._subscriptions[answer["subscription"]] = number
                else:
                    print("holdfast: not subscribed: " + answer["error"], file=sys.stderr)
            elif number in self._waiting:
                if answer.get("retry"):         # nothing was taken: again in a moment
                    threading.Timer(0.05, self._again, [number]).start()
                    return
                del self._waiting[number]
                self._answers[number] = answer
                self._changed.notify_all()

    def _again(self, number):
        with self._changed:
            if number in self._waiting:
                self._send(self._waiting[number])
