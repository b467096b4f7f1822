"""What a device costs while it is down: processor time and lines of its log, of devices that
publish nothing, were connected, and then find their broker refusing or silent until the
bench ends."""
import dataclasses
import time

WAYS = {"refused": "refuse", "silent": "silence"}
WORDS = {"refused": "every connection is refused", "silent": "nothing is answered"}
HOUR, DAY = 3600, 86400


@dataclasses.dataclass
class Cost:
    """Measured over `seconds`, which began `after` seconds into the outage."""
    way: str
    kind: str
    after: float
    seconds: float
    cpu: float
    lines: int

    @property
    def cpu_an_hour(self):
        return self.cpu * HOUR / self.seconds

    @property
    def lines_a_day(self):
        return self.lines * DAY / self.seconds


class Watch:
    """The devices that stay down."""

    def __init__(self, devices):
        """`devices`: of (way, Device)."""
        self.devices = devices
        self.cut = self.begin = None
        self.marks = []

    def cut_off(self):
        self.cut = time.monotonic()
        for way, device in self.devices:
            getattr(device.outlet, WAYS[way])()

    def settled(self):
        """From here on it is measured."""
        self.begin = time.monotonic()
        self.marks = [(device.cpu_seconds(), device.lines.count) for _, device in self.devices]

    def costs(self):
        now = time.monotonic()
        return [Cost(way, device.kind, round(self.begin - self.cut, 1), round(now - self.begin, 1),
                     round(device.cpu_seconds() - cpu, 3), device.lines.count - lines)
                for (way, device), (cpu, lines) in zip(self.devices, self.marks)]
