#!/usr/bin/env python3
"""A small device for the test of `holdfast lab torture`: MQTT 3.1.1 over TLS, standard library only.

    trials_device.py FOLDER THING HOST PORT [HOST PORT]

Publishes numbers at QoS 1, carries out jobs, and goes to the other Region when it cannot come back
to the one that it was in. What is not acknowledged waits in memory.
"""
import json
import pathlib
import random
import secrets
import socket
import ssl
import sys
import time

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ = 0x10, 0x20, 0x30, 0x40, 0x82, 0xC0
QOS_1, DUP = 0x02, 0x08
KEEP_ALIVE, PATIENCE, JOB_SECONDS, EVERY = 10, 5, 1, 0.1  # seconds; the last between messages
TRIES = 2  # in vain, before it looks at another Region


def text(words):
    return len(words.encode()).to_bytes(2, "big") + words.encode()


def packet(head, body=b""):
    more, low = divmod(len(body), 128)  # none takes more than two digits
    return bytes([head, low | 128, more] if more else [head, low]) + body


def take(data):
    """(head, body, rest) of the first packet, or None when it has not come whole."""
    length = 0
    for at, byte in enumerate(data[1:5], 1):
        length |= (byte & 127) << 7 * (at - 1)
        if byte < 128:
            end = at + 1 + length
            return (data[0], data[at + 1:end], data[end:]) if len(data) >= end else None
    return None


class Device:
    def __init__(self, folder, thing, sites):
        self.folder, self.thing, self.sites = folder, thing, sites
        self.jobs = f"$aws/things/{thing}/jobs/"
        self.run, self.seq = secrets.token_hex(4), 0
        self.waiting = {}  # packet id -> the message, in order
        self.job, self.due, self.failed, self.produced = None, 0, 0, time.monotonic()

    def for_ever(self):
        while True:
            try:
                self.session(*self.sites[0])
            except OSError as error:
                print(error, flush=True)
            self.failed += 1
            if self.failed == TRIES:
                self.failed, self.sites = 0, self.sites[1:] + self.sites[:1]
            time.sleep(random.uniform(0.2, 2))

    def produce(self):
        """New messages; they are kept until they are acknowledged."""
        made = []
        while self.produced + EVERY < time.monotonic():
            self.produced += EVERY
            self.seq += 1
            body = json.dumps({"run": self.run, "seq": self.seq}).encode()
            number = self.seq % 0xFFFF + 1
            self.waiting[number] = text(f"{self.thing}/numbers") + number.to_bytes(2, "big") + body
            made.append(number)
        return made

    def session(self, host, port):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "device.pem", self.folder / "device.key")
        with socket.create_connection((host, port), PATIENCE) as plain:
            with context.wrap_socket(plain, server_hostname=host) as self.stream:
                self.stream.settimeout(EVERY)
                self.stream.sendall(packet(CONNECT, text("MQTT") + b"\x04\x00" +
                                           KEEP_ALIVE.to_bytes(2, "big") + text(self.thing)))
                self.data, self.inside = b"", False
                self.heard = self.pinged = time.monotonic()
                while True:
                    self.turn()

    def turn(self):
        """What has come, and what there is to send."""
        now = time.monotonic()
        try:
            data = self.stream.recv(65536)
            if not data:
                raise OSError("the server has ended the connection")
            self.data, self.heard = self.data + data, now
        except TimeoutError:
            if now - self.heard > KEEP_ALIVE + PATIENCE:
                raise OSError("nothing arrives any more") from None
        while found := take(self.data):
            head, body, self.data = found
            self.on_packet(head, body)
        made = self.produce()
        if self.inside:
            self.send_all(made)
            if self.job and now > self.due:
                self.ask(f"{self.job}/update", {"status": "SUCCEEDED"})
                self.job = None
            if now - self.pinged > KEEP_ALIVE / 2:
                self.stream.sendall(packet(PINGREQ))
                self.pinged = now

    def send_all(self, numbers, flags=0):
        for number in numbers:
            self.stream.sendall(packet(PUBLISH | QOS_1 | flags, self.waiting[number]))

    def ask(self, operation, members):
        self.stream.sendall(packet(PUBLISH, text(self.jobs + operation) +
                                   json.dumps(members).encode()))

    def on_packet(self, head, body):
        kind = head & 0xF0
        if kind == CONNACK:
            if body[1]:
                raise OSError(f"refused with {body[1]}")
            self.inside, self.failed = True, 0
            self.stream.sendall(packet(SUBSCRIBE, b"\xff\xff" + text(self.jobs + "notify-next") +
                                       b"\x01" + text(self.jobs + "start-next/accepted") + b"\x01"))
            self.send_all(list(self.waiting), DUP)
            self.ask("start-next", {})
        elif kind == PUBACK:
            self.waiting.pop(int.from_bytes(body, "big"), None)
        elif kind == PUBLISH:
            self.on_message(head, body)

    def on_message(self, head, body):
        end = 2 + int.from_bytes(body[:2], "big")
        topic = body[2:end].decode()
        if head & QOS_1:
            self.stream.sendall(packet(PUBACK, body[end:end + 2]))
            end += 2
        job = json.loads(body[end:]).get("execution", {}).get("jobId")
        if job and topic.endswith("notify-next"):
            self.ask("start-next", {})
        elif job:
            self.job, self.due = job, time.monotonic() + JOB_SECONDS


if __name__ == "__main__":
    FOLDER, THING, *PLACES = sys.argv[1:]
    Device(pathlib.Path(FOLDER), THING, list(zip(PLACES[::2], map(int, PLACES[1::2])))).for_ever()
