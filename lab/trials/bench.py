"""The bench of `holdfast lab torture`: a private Region with faults before the device's port, an
observer that no fault touches, and the device program, kept running. A second Region stands by when
the program's command names its port."""
import contextlib
import os
import pathlib
import random
import shutil
import tempfile
import threading
import time

from tool import device
from tool.backlog import Backlog
from tool.bench import Program, fill_in, words_for
from tool.place import DEFAULT_REGION, Place

from . import machine
from .account import Account
from .notify import Notify
from .resolver import Resolver
from .site import PORT, Site
from .story import Story

SECOND_REGION = "eu-west-1"
# The endpoint's name, where we can have one that only our resolver knows.
ENDPOINT = "endpoint.lab.test"
# Room in {dir}, where it can be a file system of its own; it is RAM.
DISK = 96 << 20


class Bench:
    """One device under test."""

    def __init__(self, tools, asked):
        self.tools, self.asked = tools, asked
        self.policy = asked.policy or device.PERMISSIVE_POLICY
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-trials-"))
        self.folder = self.root / "device"
        self.random = random.Random(asked.seed)
        self.began = time.monotonic()
        self.changed = threading.Condition()
        self.story, self.epoch = Story(), 0
        self.account = Account(asked.numbers == "topic", bool(asked.accepted))
        self.arrivals = []  # times of first arrivals of numbers, on the bench's clock
        self.faulted = []  # [begin, end or None, name]
        self.sites, self.program, self.notify, self.backlog = [], None, None, None
        self.listed = 0  # bytes read of the device's list
        self.mounts = self.resolver = None
        self.no_mounts = self.no_names = ""  # why there are none

    def now(self):
        return time.monotonic() - self.began

    @property
    def home(self):
        """The Region that the device is at home in."""
        return self.sites[0]

    @property
    def second(self):
        return self.sites[1] if len(self.sites) > 1 else None

    # -- up and down --

    def start(self):
        self._mount()
        place = Place(self.root / "lab")
        two = any(name in word for word in self.asked.command for name in ("{port2}", "{config2}"))
        for name in (DEFAULT_REGION, SECOND_REGION)[:1 + two]:
            self.sites.append(Site(self, place.region(name), [ENDPOINT]))
            self.sites[-1].start()
        self.certificate = device.create(self.home.place, self.asked.thing, self.folder,
                                         self.policy)
        self.register()
        self.notify = Notify()
        self.program = Program(fill_in(self.asked.command, self._words()), self.root / "program.log",
                               {**os.environ, **self.notify.environment})
        self._open()
        self.program.start()
        self.backlog = Backlog(self.folder / device.SOCKET, self.now)
        self.backlog.start()

    def _mount(self):
        """Before any thread and process, which see what was there at their start."""
        self.folder.mkdir()
        try:
            self.mounts = machine.Mounts()
            self.mounts.memory(self.folder, DISK)
        except machine.Refused as reason:
            self.no_mounts = self.no_names = str(reason)
            return
        try:
            self.resolver = Resolver(ENDPOINT)
            self.resolver.take_over(self.mounts, self.root / "resolv.conf")
        except (machine.Refused, OSError) as reason:
            self.no_names = str(reason)

    def register(self):
        """The device's certificate in the second Region, too, where there is one."""
        site, thing = self.second, self.asked.thing
        if site is None:
            return
        site.call("CreateThing", thingName=thing)
        made = site.call("RegisterCertificateWithoutCA", status="ACTIVE", certificatePem=(
            self.folder / "device.pem").read_text(encoding="ascii"))
        device.allow(site.place, thing, made["certificateArn"], self.policy)

    def _words(self):
        host = "localhost" if self.no_names else ENDPOINT
        words = words_for(self.asked.thing, self.folder, host, self.home.ports[PORT])
        if self.second:
            port2 = self.second.ports[PORT]
            words.update(endpoint2=host, port2=port2,
                         config2=device.configure_two(self.folder, host, port2))
        return words

    def close(self):
        for part in (self.backlog, self.program, *self.sites, self.notify, self.resolver):
            if part:
                part.close()
        if self.asked.keep and self.mounts:
            with contextlib.suppress(shutil.Error):  # sockets
                shutil.copytree(self.folder, self.root / "device.kept", symlinks=True)
        if self.mounts:
            self.mounts.close()
        if not self.asked.keep:
            shutil.rmtree(self.root, ignore_errors=True)

    # -- orders --

    def check(self):
        for site in self.sites:
            site.check()

    def fault(self, faults, name):
        """These faults, and no others, from now on; `name` is for the timeline."""
        self.home.set_faults(faults)
        self.mark_fault(name)

    def mark_fault(self, name):
        """What is wrong from now on, for the timeline; None: nothing."""
        now = self.now()
        if self.faulted and self.faulted[-1][1] is None:
            self.faulted[-1][1] = now
        if name:
            self.faulted.append([now, None, name])

    def heal(self):
        if self.resolver:
            self.resolver.heal()
        for site in self.sites:
            if site.region is None:
                site.start()
        self._open()
        self.mark_fault(None)

    def _open(self):
        """The first Region lets the device in, and no other: what happens to a connection shall not
        depend on where the device went last."""
        self.home.set_faults({})
        if self.second:
            self.second.shut()

    # -- what happened --

    def observed(self, time_, topic, payload):
        with self.changed:
            before = self.account.seen
            self.account.take(topic, payload)
            if self.account.seen > before:
                self.arrivals.append(time_ - self.began)
            self.changed.notify_all()

    def caught_up(self):
        """What the Regions have acknowledged has been observed."""
        for site in self.sites:
            if site.region:
                site.observer.caught_up()

    def read_list(self):
        """Takes in what the device has added to its list of accepted messages."""
        path = self.folder / (self.asked.accepted or "")
        if not path.is_file():
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
