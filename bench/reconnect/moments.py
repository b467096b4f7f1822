"""What the broker's trace and a device's own lines say about its coming back. Pure: fed with
events and lines whose times are seconds on one clock."""
import bisect
import dataclasses
import re
import threading

# A connection of before an outage has survived it if the device goes on speaking over it so much
# later: what a closed socket still had to send arrives, too, and is acknowledged to nobody.
SURVIVED_SECONDS = 1.0


@dataclasses.dataclass
class Connection:
    accept: float
    connack: float | None = None
    last_up: float = 0.0
    end: float | None = None


class Life:
    """One client, as the broker sees it."""

    def __init__(self):
        self.connections = []
        self.acks = []  # of (time, connection): PUBACKs that left the broker
        self.ups = []  # of (time, connection): packets of the device, for devices that seldom speak

    @property
    def current(self):
        """Its connection, once it is let in."""
        last = self.connections[-1] if self.connections else None
        return last if last and last.end is None and last.connack is not None else None

    def _first(self, moments, cut, healed, now):
        """(time, whether over a connection of before the cut) of the first that counts."""
        for time, connection in moments[bisect.bisect_left(moments, healed, key=lambda m: m[0]):]:
            if connection.accept >= cut:
                return time, False
            if connection.last_up >= time + SURVIVED_SECONDS:
                return time, True
            if connection.end is None and now < time + 2 * SURVIVED_SECONDS:
                return None  # not yet known
        return None

    def first_ack(self, cut, healed, now):
        """The first PUBACK after `healed`, of an outage that began at `cut`."""
        return self._first(self.acks, cut, healed, now)

    def first_sign(self, cut, healed):
        """The same of a device that publishes nothing: its new connection, or whatever it says
        over the old one."""
        for connection in self.connections:
            if connection.accept >= cut and connection.connack is not None and \
                    connection.connack >= healed:
                return connection.connack, False
        for time, connection in self.ups[bisect.bisect_left(self.ups, healed,
                                                            key=lambda m: m[0]):]:
            if connection.accept < cut and connection.end is None:
                return time, True
        return None


class Lives:
    """All clients. Threads: take() on one, the rest on any."""

    def __init__(self):
        self.lives, self.open = {}, {}  # open: connection number -> [Connection, client]
        self.changed = threading.Condition()

    def life(self, client):
        return self.lives.setdefault(client, Life())

    def take(self, event):
        with self.changed:
            self._take(event)

    def _take(self, event):
        kind, number = event["ev"], event.get("conn")
        if kind == "accept":
            self.open[number] = [Connection(event["t"]), None]
        elif kind == "close" and number in self.open:
            self.open.pop(number)[0].end = event["t"]
        elif kind == "packet" and number in self.open:
            self._packet(event, self.open[number])

    def _packet(self, event, known):
        connection, client = known
        kind, up = event.get("type"), event["way"] == "up"
        if up and kind == "CONNECT":
            known[1] = event["client"]
            self.life(event["client"]).connections.append(connection)
        elif client is None:
            return
        elif up:
            connection.last_up = event["t"]
            if kind != "PUBLISH":
                self.life(client).ups.append((event["t"], connection))
        elif kind == "CONNACK" and event["reason"] == 0:
            connection.connack = event["t"]
        elif kind == "PUBACK":
            self.life(client).acks.append((event["t"], connection))

    def broker_gone(self, moment):
        """All connections ended with it; its trace could not say so."""
        with self.changed:
            for connection, _ in self.open.values():
                connection.end = moment
            self.open.clear()


class Lines:
    """What a device printed, with the time at which it was read."""

    def __init__(self, notice, ignore=None):
        """`notice`: of a line that says that the connection is gone."""
        self.notice, self.ignore = re.compile(notice), ignore and re.compile(ignore)
        self.count = 0
        self.notices = []  # of (time, line)

    def take(self, moment, line):
        self.count += 1
        if self.notice.search(line) and not (self.ignore and self.ignore.search(line)):
            self.notices.append((moment, line))

    def first_notice(self, since):
        return next((each for each in self.notices if each[0] >= since), None)
