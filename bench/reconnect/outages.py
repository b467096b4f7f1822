"""What is done to the devices of the bench, and what is measured of each: when it noticed, and how
long after the way was whole again its first PUBACK left the broker."""
import dataclasses
import time

from devices import HOLDFAST
from tool.place import Trouble

STABLE_SECONDS = 32  # Holdfast's and AWS's delays start over after 30 s of connection
FRESH_SECONDS = 5  # of a device that has just been started: its delays are the first ones
START_SECONDS = 60
LOOK_SECONDS = 0.05
AFTER_START_SECONDS = 1.5  # what Holdfast's attempt may take beyond its own timer


@dataclasses.dataclass(frozen=True)
class Outage:
    """`cut` and `heal` are methods of an Outlet; None: it is the broker that goes. `patience`: how
    long after its end a device may take."""
    name: str
    what: str
    seconds: float
    cut: str | None
    heal: str | None
    patience: float
    sort: str  # "link": an event that the device can see; "broker"; "silent"


def carrier(seconds):
    return f"its link loses its carrier for {seconds} s"


LINK, BROKER, SILENT = "link", "broker", "silent"
ALL = {each.name: each for each in (
    Outage("link-20", carrier(20), 20, "unplug", "plug", 90, LINK),
    Outage("link-60", carrier(60), 60, "unplug", "plug", 90, LINK),
    Outage("flap-3", carrier(3), 3, "unplug", "plug", 60, LINK),
    Outage("route-20", "its default route is gone for 20 s", 20, "take_route", "give_route", 90,
           LINK),
    Outage("address-20", "its address and routes are gone for 20 s", 20, "take_address",
           "give_address", 90, LINK),
    Outage("broker-5", "the broker is killed and there again after 5 s", 5, None, None, 75,
           BROKER),
    Outage("broker-60", "the broker is killed and there again after 60 s", 60, None, None, 130,
           BROKER),
    Outage("silent", "90 s of silence both ways while it publishes", 90, "silence", "speak", 100,
           SILENT),
    Outage("silent-40", "40 s of silence both ways while it publishes", 40, "silence", "speak", 90,
           SILENT),
    Outage("silent-idle", "90 s of silence both ways while it is idle", 90, "silence", "speak", 100,
           SILENT),
)}


@dataclasses.dataclass
class Sample:
    """Of one device in one outage; seconds. `noticed`: after the cut; None: never by itself.
    `back`: after the way was whole; None: not within `patience`. `kept`: its connection survived.
    `allowed`: Holdfast's own wait at that moment, and an attempt."""
    outage: str
    kind: str
    lane: int
    noticed: float | None = None
    back: float | None = None
    kept: bool = False
    allowed: float | None = None
    patience: float = 0.0


class Trial:
    """One outage and the devices that have it, one of each kind."""

    def __init__(self, outage, devices, lane, lives, say):
        self.outage, self.devices, self.lane, self.lives, self.say = (
            outage, devices, lane, lives, say)
        self.patience = outage.patience
        self.idle = outage.name.endswith("-idle")
        self.cut, self.healed = {}, {}  # device -> time
        self.allowed = {}

    def wait(self, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return condition()

    def settle(self, stable=STABLE_SECONDS):
        """Every device is connected, and has been for so long."""
        def all_for(seconds):
            with self.lives.changed:
                return all(each.life.current is not None and
                           time.monotonic() - each.life.current.connack >= seconds
                           for each in self.devices)
        if not self.wait(lambda: all_for(0), START_SECONDS):
            raise Trouble("not connected: " + ", ".join(
                each.name for each in self.devices if each.life.current is None))
        self.wait(lambda: all_for(stable), 3 * stable)

    def run(self, stable):
        """Of an outage at the devices' own outlets; the samples."""
        self.settle(stable)
        for each in self.devices:
            self.cut[each] = time.monotonic()
            getattr(each.outlet, self.outage.cut)()
        time.sleep(self.outage.seconds)
        for each in self.devices:
            self.heal(each, time.monotonic())
            getattr(each.outlet, self.outage.heal)()
        return self.finish()

    def heal(self, device, moment):
        self.healed[device] = moment
        if device.kind == HOLDFAST and self.outage.sort != LINK:
            retry = device.retry_in()
            self.allowed[device] = None if retry is None else retry + AFTER_START_SECONDS

    def back(self, device):
        cut, healed = self.cut[device], self.healed[device]
        with self.lives.changed:
            if self.idle:
                return device.life.first_sign(cut, healed)
            return device.life.first_ack(cut, healed, time.monotonic())

    def finish(self):
        """Waits for all of them. Those that do not come back are started anew."""
        found = {}
        end = time.monotonic() + self.patience
        while len(found) < len(self.devices) and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)
            for each in self.devices:
                if each not in found and (back := self.back(each)):
                    found[each] = back
        samples = [self.sample(each, found.get(each)) for each in self.devices]
        for each in self.devices:
            if each not in found:
                self.say(f"{self.outage.name}: {each.name} is not back; started anew")
                each.restart()
        return samples

    def sample(self, device, back):
        cut, healed = self.cut[device], self.healed[device]
        notice = device.lines.first_notice(cut)
        until = back[0] if back else time.monotonic()
        made = Sample(self.outage.name, device.kind, self.lane, patience=self.patience,
                      allowed=self.allowed.get(device))
        if notice and notice[0] <= until:
            made.noticed = round(notice[0] - cut, 3)
        if back:
            made.back, made.kept = round(back[0] - healed, 3), back[1]
        return made


class BrokerTrial(Trial):
    """The broker goes, so it is all devices that have it."""

    def run_with(self, yard, stable):
        self.settle(stable)
        moment = time.monotonic()
        self.cut = dict.fromkeys(self.devices, moment)
        yard.kill_broker()
        self.lives.broker_gone(moment)
        time.sleep(self.outage.seconds)
        listening = yard.start_broker()
        for each in self.devices:
            self.heal(each, listening)
        return self.finish()
