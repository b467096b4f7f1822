"""One Region of the bench: its processes, faults before the port of the device, the trace of what
the device does there, and an observer."""
import argparse
import time

from tool.bench import Trace
from tool.place import Control, Trouble
from tool.up import Region

from .observer import Observer

REFUSED = {"accept": "refuse"}
# The port that faults stand before.
PORT = "mqtt"
PORTS = ("mqtt", "mixed", "https")
# The observer must get everything, and a device that hammers is judged, not throttled.
SWITCHES = ["connects_per_client=0", "publishes_per_second=0", "bytes_per_second=0"]
# Numbers of connections begin anew with each start of a Region; this keeps them apart.
EPOCH = 1_000_000


class DeviceTrace(Trace):
    """Of a Region's trace what is about the device's port, on the bench's clock."""

    def __init__(self, bench, place, port, offset):
        self.bench, self.name, self.port, self.offset = bench, place.name, port, offset
        bench.epoch += EPOCH
        self.epoch, self.mine = bench.epoch, set()
        super().__init__(place.file("trace.ndjson"))

    def take(self, event):
        number = event.get("conn")
        if event["ev"] == "accept" and event["port"] == self.port:
            self.mine.add(number)
        if event["ev"] in ("refused", "ignored"):
            if event["port"] != self.port:
                return
        elif number not in self.mine:
            return
        event["t"] = round(event["t"] + self.offset, 6)
        event["site"] = self.name
        if number is not None:
            event["conn"] = self.epoch + number
        with self.bench.changed:
            self.bench.story.take(event)
            self.bench.changed.notify_all()


class Site:
    """`names`: further ones in the endpoint's certificate."""

    def __init__(self, bench, place, names):
        self.bench, self.place, self.names = bench, place, names
        self.region = self.trace = self.ports = None
        self.observer = Observer(bench.root / f"observer-{place.name}", bench.asked.observe,
                                 bench.observed)

    def start(self):
        """Nobody is let in by the device's port before the observer is there."""
        numbers = [str(self.ports[name]) for name in PORTS] if self.ports else None
        self.region = Region(self.place, self.bench.tools, argparse.Namespace(
            listen="127.0.0.1", ports=numbers, name=self.names, switch=SWITCHES),
            {"faults": REFUSED, "ports": [PORT]})
        self.region.start()
        self.ports = self.region.ports
        with Control(self.place.control_socket) as control:
            asked = self.bench.now()
            seconds = control.ask(f"{PORT}.stats")["seconds"]
            offset = (asked + self.bench.now()) / 2 - seconds
        self.trace = DeviceTrace(self.bench, self.place, self.ports[PORT], offset)
        if self.observer.process is None:
            self.observer.start(self.place, self.ports["mixed"])
        self.observer.caught_up()

    def stop(self):
        if self.region is None:
            return
        self.region.close()
        if self.trace:
            self.trace.close()
        self.region = self.trace = None

    def shut(self):
        """The device is out and is not let in."""
        self.set_faults(REFUSED)
        self.kick()

    def leave(self):
        """It is gone. What it had acknowledged has been observed."""
        self.shut()
        self.observer.caught_up()
        self.stop()

    def restart(self, seconds, forget=False):
        """Away for so long, then there again on the same ports, still closed for the device.
        `forget`: what its broker has stored is lost."""
        self.leave()
        time.sleep(seconds)
        if forget:
            for path in self.place.folder.glob("mosquitto.db*"):
                path.unlink()
        self.start()

    def check(self):
        fallen = self.region and self.region.fallen()
        if fallen:
            raise Trouble(fallen)

    def ask(self, operation, **members):
        self.check()
        with Control(self.place.control_socket) as control:
            return control.ask(operation, **members)

    def call(self, operation, /, **members):
        """An operation of the AWS API."""
        return self.place.call(operation, **members)

    def set_faults(self, faults):
        self.ask("faults.set", faults=faults, ports=[PORT])

    def kick(self, how="reset", **members):
        """Ends the device's connections; how many there were."""
        return self.ask(f"{PORT}.kick", how=how, **members)["kicked"]

    def close(self):
        self.observer.close()
        self.stop()
