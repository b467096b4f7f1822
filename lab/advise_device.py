#!/usr/bin/env python3
"""A small device for the test of `holdfast lab advise`: what the one for torture does, a shadow, and
requests that are sent again on the same connection, as MQTT 3.1.1 allows.

    advise_device.py FOLDER THING HOST PORT
"""
import json
import pathlib
import sys
import time

from trials_device import CONNACK, DUP, PUBLISH, QOS_1, SUBSCRIBE, Device, packet, text

AGAIN = 2.0  # seconds without an answer
SUBACK = 0x90
SHADOW_ID = b"\xff\xfe"


class ShadowDevice(Device):
    def __init__(self, *words):
        super().__init__(*words)
        self.shadow = f"$aws/things/{self.thing}/shadow/update"
        self.reported, self.subscribed, self.asked = {"rpm": 1480}, True, 0.0

    def report(self):
        self.stream.sendall(packet(PUBLISH, text(self.shadow) +
                                   json.dumps({"state": {"reported": self.reported}}).encode()))

    def subscribe(self):
        self.subscribed, self.asked = False, time.monotonic()
        self.stream.sendall(packet(SUBSCRIBE, SHADOW_ID + text(self.shadow + "/delta") + b"\x01"))

    def turn(self):
        super().turn()
        now = time.monotonic()
        if self.inside and now - self.asked > AGAIN:
            self.asked = now
            if not self.subscribed:
                self.subscribe()
            self.send_all(list(self.waiting)[:5], DUP)

    def on_packet(self, head, body):
        super().on_packet(head, body)
        if head & 0xF0 == CONNACK:
            self.subscribe()
            self.report()
        elif head & 0xF0 == SUBACK and body[:2] == SHADOW_ID:
            self.subscribed = True

    def on_message(self, head, body):
        size = int.from_bytes(body[:2], "big")
        if not body[2:2 + size].decode().endswith("/shadow/update/delta"):
            return super().on_message(head, body)
        at = 2 + size
        if head & QOS_1:
            self.stream.sendall(packet(0x40, body[at:at + 2]))
            at += 2
        self.reported.update(json.loads(body[at:])["state"])
        return self.report()


if __name__ == "__main__":
    FOLDER, THING, HOST, PORT = sys.argv[1:]
    ShadowDevice(pathlib.Path(FOLDER), THING, [(HOST, int(PORT))]).for_ever()
