"""Where the devices of the bench stand: each in a network namespace of its own, all at one switch,
the broker and the name server behind it in another. Links can lose their carrier, addresses and
routes can go, and packets can be dropped without a word. Needs root."""
import argparse
import contextlib
import os
import pathlib
import re
import secrets
import sys
import threading
import time

from tool import device
from tool.bench import Trace
from tool.place import DEFAULT_REGION, Control, Place, Trouble
from tool.programs import Programs, end, guard, run, start, wait_for
from tool.up import Region
from trials.machine import Mounts, Refused

HERE = pathlib.Path(__file__).resolve().parent
ENDPOINT = "endpoint.lab.test"
# The endpoint is not on the devices' own net: they need their default route to reach it.
BROKER, GATEWAY, NET = "10.213.78.1", "10.213.77.1", "10.213.77.{}/24"
FIRST_HOST, MOST_DEVICES = 10, 200
PORTS = ("mqtt", "mixed", "https")
# Quotas would be waits of the broker's making.
SWITCHES = ["connects_per_client=0", "publishes_per_second=0", "bytes_per_second=0",
            "stored_per_second=0", "stored_per_second_all=0"]
CUTS = """\
table inet bench {
  set silent { type ipv4_addr; }
  set refused { type ipv4_addr; }
  chain from_devices {
    type filter hook input priority 0
    ip saddr @silent drop
    ip saddr @refused tcp dport != 53 reject with tcp reset
  }
  chain to_devices {
    type filter hook output priority 0
    ip daddr @silent drop
  }
}
"""


def need_root():
    if os.geteuid() != 0:
        raise Trouble("this takes root, for network namespaces; nothing outside them is changed "
                      "(--only hangs does without)")


class Outlet:
    """A device's place at the switch."""

    def __init__(self, yard, number):
        self.yard, self.host = yard, str(FIRST_HOST + number)
        self.namespace = f"{yard.stem}-d{number}"
        self.port = f"port{number}"  # its end at the switch
        self.address = NET.format(self.host).partition("/")[0]

    def inside(self):
        """A command that runs another there."""
        return self.yard.on(self.namespace)

    def make(self):
        ip, broker = self.yard.ip, self.yard.on(self.yard.broker)
        run(ip, "netns", "add", self.namespace)
        run(*self.inside(), ip, "link", "set", "lo", "up")
        run(ip, "link", "add", "eth0", "netns", self.namespace, "type", "veth", "peer", "name",
            self.port, "netns", self.yard.broker)
        run(*broker, ip, "link", "set", self.port, "master", "switch", "up")
        run(*self.inside(), ip, "link", "set", "eth0", "up")
        self.give_address()

    def give_address(self):
        run(*self.inside(), self.yard.ip, "address", "add", NET.format(self.host), "dev", "eth0")
        self.give_route()

    def give_route(self):
        run(*self.inside(), self.yard.ip, "route", "add", "default", "via", GATEWAY)

    def take_address(self):
        """And with it the routes."""
        run(*self.inside(), self.yard.ip, "address", "del", NET.format(self.host), "dev", "eth0")

    def take_route(self):
        run(*self.inside(), self.yard.ip, "route", "del", "default")

    def unplug(self):
        """The other end goes, and with it the carrier."""
        run(*self.yard.on(self.yard.broker), self.yard.ip, "link", "set", self.port, "down")

    def plug(self):
        run(*self.yard.on(self.yard.broker), self.yard.ip, "link", "set", self.port, "up")

    def _member(self, action, name):
        run(*self.yard.on(self.yard.broker), self.yard.nft, action, "element", "inet", "bench",
            name, f"{{ {self.address} }}")

    def silence(self):
        """Whatever comes from the device, and goes to it, is dropped without a word."""
        self._member("add", "silent")

    def speak(self):
        self._member("delete", "silent")

    def refuse(self):
        """Whatever the device sends to the broker is answered with a reset."""
        self._member("add", "refused")


class Yard:
    """To be made before there is a second thread: mounts are for those who start later."""

    def __init__(self, folder, bin_folder, seen):
        """`seen`: called with the events of the Region's trace, on the monotonic clock; "conn" of
        one that has been started again differs."""
        self.folder, self.tools, self.seen = folder, Programs(bin_folder), seen
        self.ip, self.nft = Programs.system("ip"), Programs.system("nft")
        self.stem = f"hfr{os.getpid()}"
        self.broker = f"{self.stem}-broker"
        self.outlets, self.names, self.region, self.trace, self.ports = [], None, None, None, None
        self.starts = 0
        self.mounts = None
        self._sweep()

    def on(self, namespace):
        return [self.ip, "netns", "exec", namespace]

    def start(self):
        self._name_server_everywhere()
        run(self.ip, "netns", "add", self.broker)
        broker = self.on(self.broker)
        for words in (("link", "set", "lo", "up"), ("address", "add", f"{BROKER}/32", "dev", "lo"),
                      ("link", "add", "switch", "type", "bridge"),
                      ("address", "add", f"{GATEWAY}/24", "dev", "switch"),
                      ("link", "set", "switch", "up")):
            run(*broker, self.ip, *words)
        run(*broker, self.nft, "-f", "-", text=CUTS)
        self.names = start([*broker, sys.executable, "-B", HERE / "name_server.py", ENDPOINT,
                            BROKER])
        self.start_broker()

    def _name_server_everywhere(self):
        """In programs that are started from now on."""
        file = self.folder / "resolv.conf"
        file.write_text(f"nameserver {BROKER}\n", encoding="ascii")
        try:
            self.mounts = Mounts()
            self.mounts.cover("/etc/resolv.conf", file)
        except Refused as reason:
            raise Trouble(f"no name server of our own: {reason}") from reason

    def outlet(self):
        if len(self.outlets) == MOST_DEVICES:
            raise Trouble(f"no more than {MOST_DEVICES} devices")
        made = Outlet(self, len(self.outlets))
        self.outlets.append(made)
        made.make()
        return made

    # -- the broker --

    def start_broker(self):
        """Returns when it listens: monotonic."""
        arguments = argparse.Namespace(listen="0.0.0.0", name=[ENDPOINT], switch=SWITCHES,
                                       ports=[self.ports[name] for name in PORTS] if self.ports
                                       else None)
        place = Place(self.folder / "lab").region(DEFAULT_REGION)
        self.region = Region(place, self.tools, arguments, around=[*guard(), *self.on(self.broker)])
        self.region.start()
        listening = time.monotonic()
        self.ports = self.region.ports
        with Control(place.control_socket) as control:
            asked = time.monotonic()
            offset = (asked + time.monotonic()) / 2 - control.ask("mqtt.stats")["seconds"]
        self.starts += 1
        self.trace = EventsOf(place.file("trace.ndjson"), offset, self.starts, self.seen)
        return listening

    def kill_broker(self):
        """Broker and front door at once, as when their machine loses its power."""
        for process in (self.region.front, self.region.broker):
            process.kill()
        for process in (self.region.front, self.region.broker):
            process.wait()
        self.trace.close()
        self.trace = None

    def make_device(self, name, folder):
        """A thing and its files; `{port}` and so on of its command stand for this endpoint."""
        device.create(self.region.place, name, folder, device.PERMISSIVE_POLICY)
        device.configure(folder, name, ENDPOINT, self.ports["mqtt"], "aws-iot-core")
        return {"endpoint": ENDPOINT, "port": self.ports["mqtt"], "client_id": name, "dir": folder,
                "ca": folder / "ca.pem", "cert": folder / "device.pem",
                "key": folder / "device.key", "config": folder / "device.toml"}

    # -- the end --

    def _sweep(self):
        """Namespaces of benches that were killed."""
        for line in run(self.ip, "netns", "list").splitlines():
            found = re.match(r"(hfr(\d+)-\w+)\b", line)
            if found and not os.path.exists(f"/proc/{found[2]}"):
                run(self.ip, "netns", "delete", found[1])

    def close(self):
        if self.trace:
            self.trace.close()
        if self.region:
            self.region.close()
        end(self.names)
        for name in [outlet.namespace for outlet in self.outlets] + [self.broker]:
            with contextlib.suppress(Trouble):
                run(self.ip, "netns", "delete", name)
        if self.mounts:
            self.mounts.close()


class EventsOf(Trace):
    """A Region's trace, on our clock."""

    def __init__(self, path, offset, start_number, seen):
        self.offset, self.start_number, self.seen = offset, start_number, seen
        super().__init__(path)

    def take(self, event):
        event["t"] += self.offset
        event["conn"] = (self.start_number, event.get("conn"))
        self.seen(event)
