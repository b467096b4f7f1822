"""The bench of `holdfast lab advise`: a private Region, the fault relay before it with its trace,
and the device program under test."""
import argparse
import collections
import datetime
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

from report.words import visible
from tool import device, programs
from tool.backlog import Backlog
from tool.bench import Program, Trace, fill_in, packets, words_for
from tool.place import DEFAULT_REGION, Control, Place, Trouble
from tool.up import Region


class ProgramFails(Trouble):
    """There is nothing to judge: the program cannot run."""


# A program that ends so often within so many seconds, and never came to CONNECT though nothing kept
# it from it, will not do better in the next case.
USELESS_STARTS, USELESS_SECONDS = 3, 15
LAST_LINES = 15

# Between test cases Device Advisor refuses TLS.
REFUSED = {"accept": "refuse"}


class Bench:
    """One device under test. `begin` and `rest` enclose a case."""

    def __init__(self, tools, asked):
        self.tools, self.asked = tools, asked
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-advise-"))
        self.folder = self.root / "device"
        self.trigger = asked.trigger_topic
        self.thing, self.scale = asked.thing, asked.timeout_scale
        self.mark = self.exits_before = 0
        self.open_since = None  # monotonic time, while nothing keeps the device from CONNECT
        self.useful = False     # it once sent a CONNECT
        self.region = self.relay = self.trace = self.program = self.backlog = None

    # -- up and down --

    def start(self):
        place = Place(self.root / "lab")
        self.region = Region(place.region(DEFAULT_REGION), self.tools, argparse.Namespace(
            listen="127.0.0.1", ports=None, name=[], switch=["connects_per_client=0"]))
        self.region.start()
        self.api = self.region.place
        device.create(self.api, self.thing, self.folder,
                      self.asked.policy or device.PERMISSIVE_POLICY)
        self._start_relay(place.pki)
        words = words_for(self.thing, self.folder, "localhost", self.port)
        self.program = Program(fill_in(self.asked.command, words), self.root / "program.log")
        self.program.start()
        self.backlog = Backlog(self.folder / device.SOCKET, self.now)
        self.backlog.start()

    def _start_relay(self, pki):
        trace = self.root / "trace.ndjson"
        command = [self.tools.own("hf_lab_relay"), "--listen", "127.0.0.1:0", "--upstream",
                   f"127.0.0.1:{self.region.ports['mqtt']}", "--tls", "terminate",
                   "--cert", pki / "server.pem", "--key", pki / "server.key",
                   "--ca", pki / "ca.pem",
                   "--certificates", pki / "faults", "--upstream-tls",
                   "--upstream-ca", pki / "ca.pem", "--upstream-name", "localhost",
                   "--upstream-cert", self.folder / "device.pem",
                   "--upstream-key", self.folder / "device.key",
                   "--control", self.root / "relay.sock", "--trace", trace,
                   "--faults", json.dumps(REFUSED)]
        self.relay = programs.start(command, stdout=subprocess.PIPE, text=True)
        line = self.relay.stdout.readline()
        if not line:
            raise Trouble("the relay did not start")
        self.port = json.loads(line)["listening"]
        self.control = Control(self.root / "relay.sock")
        self.trace = Trace(trace)
        programs.wait_for(lambda: self.trace.events, 10, "the relay's trace")
        # Times of the trace, and of what happens here:
        first = self.trace.events[0]
        began = datetime.datetime.fromisoformat(first["wall"]).timestamp() - first["t"]
        self.began = datetime.datetime.fromtimestamp(began, datetime.timezone.utc)
        self.origin = time.monotonic() - (time.time() - began)

    def close(self):
        if self.backlog:
            self.backlog.close()
        if self.program:
            self.program.close()
        if self.trace:
            self.trace.close()
        programs.end(self.relay)
        if self.relay:
            self.control.__exit__()
            self.relay.stdout.close()
        if self.region:
            self.region.close()
        if not self.asked.keep:
            shutil.rmtree(self.root, ignore_errors=True)

    # -- orders --

    def begin(self, faults=None):
        """From here on a case sees what happens."""
        self.mark = len(self.trace.events)
        self.exits_before = len(self.program.exits)
        self.faults(faults or {})

    def faults(self, faults):
        harmless = not isinstance(faults, dict) or not faults.keys() & {"accept", "tls"}
        self.open_since = time.monotonic() if harmless else None
        fallen = self.region.fallen()
        if fallen or self.relay.poll() is not None:
            raise Trouble(fallen or "the relay has ended")
        self.control.ask("faults.set", faults=faults)

    def kick(self, how="fin"):
        self.control.ask("kick", how=how)

    def out(self):
        """Everybody out, nobody in."""
        self.faults(REFUSED)
        self.kick()
        programs.wait_for(lambda: not self.control.ask("connections") and
                          not self.api.call("ListConnections")["connections"], 10,
                          "the end of the connections")

    def rest(self):
        """Ends the case; no session is left."""
        self.out()
        connects = list(packets(self.trace.events, type="CONNECT"))
        taken = {each["conn"] for each in packets(self.trace.events, type="CONNACK", reason=0)}
        for client in {each["client"] for each in connects if each["conn"] in taken}:
            self.forget(client)

    def forget(self, client):
        """Has the broker forget the client's session, as MQTT does it: by a connection of the same
        client id with a clean session."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "device.pem", self.folder / "device.key")
        name = client.encode()
        rest = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
        head = bytes([0x10, *([len(rest)] if len(rest) < 128 else
                              [len(rest) % 128 + 128, len(rest) // 128])])
        try:
            with socket.create_connection(("127.0.0.1", self.region.ports["mqtt"]), 10) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as stream:
                    stream.sendall(head + rest)
                    answer = stream.recv(4)
                    stream.sendall(b"\xe0\x00")
        except OSError as error:
            raise Trouble(f"the session of {client} cannot be ended: {error}") from error
        if answer[:1] != b"\x20" or answer[3:] != b"\x00":
            raise Trouble(f"the session of {client} cannot be ended: the Region refused it")
        programs.wait_for(lambda: not self.api.call("ListConnections")["connections"], 10,
                          "the end of the session")

    def publish(self, topic, payload):
        self.api.call("Publish", topic=topic, payload=payload, qos=1)

    def demanded(self, case):
        """Whether the case was named, so that a device cannot do without what it is about."""
        return case in (self.asked.case or ())

    # -- what happened --

    def now(self):
        """In the trace's seconds."""
        return time.monotonic() - self.origin

    def exits(self):
        """Of the program since the case began: times of the trace, and statuses."""
        return [(moment - self.origin, status)
                for moment, status in self.program.exits[self.exits_before:]]

    def check(self):
        """Raises when waiting on is in vain."""
        if self.useful:
            return
        met = {event["ev"] for event in self.trace.events}
        self.useful = any(packets(self.trace.events, type="CONNECT"))
        since = time.monotonic() - USELESS_SECONDS
        if met & {"accept", "refused", "ignored"}:  # it does come here, so an end may be our doing
            since = max(since, self.open_since or time.monotonic())
        ends = [status for moment, status in self.program.exits if moment >= since]
        if len(ends) < USELESS_STARTS or self.useful:
            return
        with open(self.program.log, encoding="utf-8", errors="replace") as file:
            said = "".join(f"\n    {visible(line.rstrip())}"
                           for line in collections.deque(file, LAST_LINES))
        raise ProgramFails(f"the program ended {len(ends)} times (the last time with {ends[-1]}) and "
                           f"never sent a CONNECT; what it said last:{said or ' nothing'}")

    def events(self):
        return self.trace.events[self.mark:]

    def wait(self, find, seconds):
        """The first true answer of `find` about the events of the case; None when there is none
        in time."""
        deadline = time.monotonic() + seconds * self.scale
        with self.trace.changed:
            while True:
                found = find(self.events())
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found or None
                self.check()
                self.trace.changed.wait(min(left, 1))

    def wait_packet(self, seconds, **members):
        return self.wait(lambda events: next(packets(events, **members), None), seconds)


def trigger_of(events, wanted=None):
    """The SUBSCRIBE, and the filter in it, that the tester can publish to."""
    for packet in packets(events, type="SUBSCRIBE"):
        for entry in packet.get("filters", ()):
            if wanted in (None, entry["filter"]) and entry["qos"] >= 1:
                return packet, entry["filter"]
    return None
