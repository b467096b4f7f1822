"""The bench of `holdfast lab torture`: a private Region with faults before the device's port, an
observer that no fault touches, and the device program, kept running."""
import argparse
import contextlib
import os
import pathlib
import random
import shutil
import tempfile
import threading
import time

from tool import device, programs
from tool.bench import Program, Trace, fill_in
from tool.place import DEFAULT_REGION, Control, Place, Trouble
from tool.up import Region

from . import machine
from .account import Account
from .notify import Notify
from .observer import Observer
from .story import Story

# Room in {dir}, where it can be a file system of its own; it is RAM.
DISK = 96 << 20
REFUSED = {"accept": "refuse"}
# The port that faults stand before.
PORT = "mqtt"
# The observer must get everything, and a device that hammers is judged, not throttled.
SWITCHES = ["connects_per_client=0", "publishes_per_second=0", "bytes_per_second=0"]
# Numbers of connections begin anew with each start of a Region; this keeps them apart.
EPOCH = 1_000_000

CONFIGURATION = """\
# Written by `holdfast lab torture`.
profile = "device-advisor"
[connection]
host = "{host}"
port = {port}
client_id = "{thing}"
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
[outbox]
directory = "outbox"
[local]
socket = "holdfast.sock"
"""
PERMISSIVE_POLICY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


class DeviceTrace(Trace):
    """Of a Region's trace what is about the device's port, on the bench's clock."""

    def __init__(self, bench, path, port, offset):
        self.bench, self.port, self.offset = bench, port, offset
        bench.epoch += EPOCH
        self.epoch, self.mine = bench.epoch, set()
        super().__init__(path)

    def take(self, event):
        number = event.get("conn")
        if event["ev"] == "accept" and event["port"] == self.port:
            self.mine.add(number)
        if event["ev"] in ("refused", "ignored"):
            if event["port"] != self.port:
                return
        elif number not in self.mine:
            return
        event["t"] += self.offset
        if number is not None:
            event["conn"] = self.epoch + number
        with self.bench.changed:
            self.bench.story.take(event)
            self.bench.changed.notify_all()


class Bench:
    """One device under test."""

    def __init__(self, tools, asked):
        self.tools, self.asked = tools, asked
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-trials-"))
        self.folder = self.root / "device"
        self.random = random.Random(asked.seed)
        self.began = time.monotonic()
        self.story, self.epoch = Story(), 0
        self.account = Account(asked.numbers == "topic", bool(asked.accepted))
        self.arrivals = []  # times of first arrivals of numbers, on the bench's clock
        self.faulted = []  # [begin, end or None, name]
        self.moments = []  # (time, text) for the timeline
        self.changed = threading.Condition()
        self.region = self.trace = self.observer = self.program = self.notify = None
        self.listed = 0  # bytes read of the device's list
        self.mounts, self.no_mounts = None, ""  # or why there are none

    def now(self):
        return time.monotonic() - self.began

    # -- up and down --

    def start(self):
        self._mount()
        self.place = Place(self.root / "lab").region(DEFAULT_REGION)
        self._start_region()
        self.certificate = device.create(self.place, self.asked.thing, self.folder,
                                         self.asked.policy or PERMISSIVE_POLICY)
        self.observer = Observer(self.root, self.asked.observe, self._observed)
        self.observer.start(self.place, self.ports["mixed"])
        values = self._values()
        (self.folder / "device.toml").write_text(CONFIGURATION.format(
            host=values["endpoint"], port=values["port"], thing=values["thing"]),
            encoding="utf-8")
        self.notify = Notify()
        self.program = Program(fill_in(self.asked.command, values), self.root / "program.log",
                               {**os.environ, **self.notify.environment})
        self.heal()
        self.program.start()

    def _mount(self):
        """Before any thread and process, which see what was there at their start."""
        self.folder.mkdir()
        try:
            self.mounts = machine.Mounts()
            self.mounts.memory(self.folder, DISK)
        except machine.Refused as reason:
            self.no_mounts = str(reason)

    def _start_region(self, ports=None):
        """Nobody is let in by the device's port before the observer is there."""
        self.region = Region(self.place, self.tools, argparse.Namespace(
            listen="127.0.0.1", ports=ports, name=[], switch=SWITCHES),
            {"faults": REFUSED, "ports": [PORT]})
        self.region.start()
        self.ports = self.region.ports
        with Control(self.place.control_socket) as control:
            offset = self.now() - control.ask(f"{PORT}.stats")["seconds"]
        self.trace = DeviceTrace(self, self.place.file("trace.ndjson"), self.ports[PORT], offset)

    def _stop_region(self):
        self.region.close()
        self.trace.close()
        self.region.front.stdout.close()

    def _values(self):
        files = self.folder
        return {"endpoint": "localhost", "port": self.ports[PORT], "thing": self.asked.thing,
                "client_id": self.asked.thing, "dir": files, "ca": files / "ca.pem",
                "cert": files / "device.pem", "key": files / "device.key",
                "config": files / "device.toml"}

    def close(self):
        for part in (self.program, self.observer, self.notify):
            if part:
                part.close()
        if self.region:
            self.region.close()
            if self.trace:
                self.trace.close()
            if self.region.front:
                self.region.front.stdout.close()
        if self.asked.keep and self.mounts and self.mounts.made:
            with contextlib.suppress(shutil.Error):  # sockets
                shutil.copytree(self.folder, self.root / "device.kept", symlinks=True)
        if self.mounts:
            self.mounts.close()
        if not self.asked.keep:
            shutil.rmtree(self.root, ignore_errors=True)

    # -- orders --

    def ask(self, operation, **members):
        fallen = self.region.fallen()
        if fallen:
            raise Trouble(fallen)
        with Control(self.place.control_socket) as control:
            return control.ask(operation, **members)

    def fault(self, faults, name):
        """These faults, and no others, from now on; `name` is for the timeline."""
        self.ask("faults.set", faults=faults, ports=[PORT])
        self._note_fault(name)

    def _note_fault(self, name):
        now = self.now()
        if self.faulted and self.faulted[-1][1] is None:
            self.faulted[-1][1] = now
        if name:
            self.faulted.append([now, None, name])

    def heal(self):
        self.ask("faults.set", faults={}, ports=[PORT])
        self._note_fault(None)

    def kick(self, how="reset", **members):
        """Ends the device's connections; how many there were."""
        return self.ask(f"{PORT}.kick", how=how, **members)["kicked"]

    def restart_region(self, seconds, forget=False):
        """Stops the Region and starts it again on the same ports; `forget`: what its broker has
        stored is lost. What was acknowledged before has been observed."""
        self.fault(REFUSED, "the Region is gone")
        self.kick()
        self.observer.caught_up()
        self._stop_region()
        time.sleep(seconds)
        if forget:
            for path in self.place.folder.glob("mosquitto.db*"):
                path.unlink()
        self._start_region([str(self.ports[name]) for name in ("mqtt", "mixed", "https")])
        self.observer.caught_up()

    def moment(self, text):
        self.moments.append((self.now(), text))

    # -- what happened --

    def _observed(self, time_, topic, payload):
        with self.changed:
            before = self.account.seen
            self.account.take(topic, payload)
            if self.account.seen > before:
                self.arrivals.append(time_ - self.began)
            self.changed.notify_all()

    def read_list(self):
        """Takes in what the device has added to its list of accepted messages."""
        if not self.asked.accepted:
            return
        path = self.folder / self.asked.accepted
        if not path.exists():
            return
        with open(path, "rb") as file:
            file.seek(self.listed)
            whole = file.read().rpartition(b"\n")[0]
        self.listed += len(whole) + bool(whole)
        with self.changed:
            for line in whole.decode("utf-8", "replace").split("\n"):
                self.account.accept(line)

    def wait(self, condition, seconds):
        """What `condition` gives once it is true, or None when it is not in time."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                found = condition()
                left = deadline - time.monotonic()
                if found or left <= 0:
                    return found or None
                self.changed.wait(min(left, 0.1))

    def arrived_since(self, begin):
        """How many numbers arrived for the first time since then."""
        count = 0
        for moment in reversed(self.arrivals):
            if moment < begin:
                break
            count += 1
        return count

    def rate(self, seconds=3):
        return self.arrived_since(self.now() - seconds) / seconds
