"""What a device did, as the Region's trace tells it: attempts, connections, what was in flight.
Pure: fed with events whose "t" is already in seconds since the run began."""
import collections
import dataclasses

from tool.story import MOST_OF_A_KIND

# An acknowledgement that left so short before a connection's end may never have been read: a reset
# throws away what waits for a busy device.
UNSURE_SECONDS = 2.0


@dataclasses.dataclass
class Connection:
    """One connection of the device, as far as it came."""
    number: int
    begin: float
    site: str  # the Region
    client: str = ""
    version: int = 0
    keep_alive: int = 0
    connect: float | None = None  # when its CONNECT came
    connack: float | None = None  # when it was let in
    refused: int | None = None  # the reason, when it was not
    session_present: bool = False
    filters: list = dataclasses.field(default_factory=list)  # (filter, QoS) subscribed
    unsubscribed: set = dataclasses.field(default_factory=set)
    goodbye: float | None = None  # when its DISCONNECT came
    left: float | None = None  # when the device ended it
    how: str = ""  # and how: "fin" is in order
    end: float | None = None
    unacked: dict = dataclasses.field(default_factory=dict)  # packet id -> when it was sent
    most_in_flight: int = 0
    acked: collections.deque = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=10_000))  # when
    again: int = 0  # packet ids sent while still in flight
    last_up: float | None = None  # when the device sent something last
    silence: float = 0.0  # the longest that it did not

    def in_doubt(self, since):
        """How many messages may have to come again after its end: those without an
        acknowledgement, and those whose acknowledgement may never have arrived."""
        since = min(since, self.end - UNSURE_SECONDS)
        return len(self.unacked) + sum(time > since for time in self.acked)


class Story:
    """Everything since the run began."""

    def __init__(self):
        self.connections = []
        self.open = {}  # number -> Connection
        self.attempts = []  # (time, Connection or None: nobody looked at it)
        self.events = []  # for the report: what is said all the time only a few times
        self.told = collections.Counter()
        self.sent = collections.Counter()  # PUBLISH of the device, by QoS
        self.sent_at = []  # the times of those
        self.received = []  # PUBLISH to the device: (time, topic, connection number, packet id)
        self.answered = collections.Counter()  # PUBACKs by (connection number, packet id)

    @property
    def connected(self):
        """The connection that the device is let in by, or None."""
        return next((each for each in reversed(self.open.values())
                     if each.connack is not None and each.left is None), None)

    def attempts_since(self, time):
        return [attempt for attempt in self.attempts if attempt[0] >= time]

    def connections_since(self, time):
        return [each for each in self.connections if each.begin >= time]

    def begin(self):
        """From here on everything is worth telling again."""
        self.told.clear()

    def _keep(self, event):
        kind = tuple(map(event.get, ("conn", "ev", "way", "type", "passed")))
        self.told[kind] += 1
        if self.told[kind] <= MOST_OF_A_KIND:
            self.events.append(event)

    def take(self, event):
        self._keep(event)
        kind, now = event["ev"], event["t"]
        if kind == "accept":
            made = Connection(event["conn"], now, event["site"])
            self.connections.append(made)
            self.open[made.number] = made
            self.attempts.append((now, made))
            return
        if kind in ("refused", "ignored"):
            self.attempts.append((now, None))
            return
        connection = self.open.get(event.get("conn"))
        if connection is None:
            return
        if kind == "packet":
            self._packet(connection, event)
        elif kind == "close":
            connection.end = now
            del self.open[connection.number]
        elif (kind in ("end", "end_held") and event.get("side") == "device" and
              connection.left is None and event.get("by", "peer") == "peer"):
            connection.left, connection.how = now, event["how"]

    def _packet(self, connection, event):
        if event["way"] == "up" and event.get("by") != "lab":
            if connection.last_up is not None:
                connection.silence = max(connection.silence, event["t"] - connection.last_up)
            connection.last_up = event["t"]
        handler = getattr(self, f"_{event['way']}_{event.get('type', 'malformed').lower()}", None)
        if handler:
            handler(connection, event)

    @staticmethod
    def _arrives(event):
        """Whether the packet goes on now, to whom it is for."""
        return event.get("passed") or event.get("by") == "lab"

    @staticmethod
    def _up_connect(connection, event):
        connection.connect = event["t"]
        connection.client, connection.version = event["client"], event["version"]
        connection.keep_alive = event["keep_alive"]

    @staticmethod
    def _up_disconnect(connection, event):
        connection.goodbye = event["t"]

    @staticmethod
    def _up_subscribe(connection, event):
        if event.get("by") != "lab":
            connection.filters += [(each["filter"], each["qos"]) for each in event["filters"]]

    @staticmethod
    def _up_unsubscribe(connection, event):
        connection.unsubscribed |= {each["filter"] for each in event["filters"]}

    def _up_publish(self, connection, event):
        if event.get("by") == "lab":
            return
        self.sent[event["qos"]] += 1
        self.sent_at.append(event["t"])
        if "id" in event:
            connection.again += event["id"] in connection.unacked
            connection.unacked[event["id"]] = event["t"]
            connection.most_in_flight = max(connection.most_in_flight, len(connection.unacked))

    def _up_puback(self, connection, event):
        if event.get("by") != "lab":
            self.answered[connection.number, event["id"]] += 1

    def _down_connack(self, connection, event):
        if not self._arrives(event):
            return
        if event["reason"] == 0:
            connection.connack = event["t"]
            connection.session_present = event["session_present"]
            connection.keep_alive = event.get("properties", {}).get("server_keep_alive",
                                                                    connection.keep_alive)
        else:
            connection.refused = event["reason"]

    def _down_puback(self, connection, event):
        if self._arrives(event) and connection.unacked.pop(event["id"], None) is not None:
            connection.acked.append(event["t"])

    def _down_publish(self, connection, event):
        if self._arrives(event):
            self.received.append((event["t"], event["topic"], connection.number, event.get("id")))

    # -- what follows from it --

    def in_doubt(self, begin, unsure=0.0):
        """How many messages the ends of connections since `begin` may have made come again;
        acknowledgements from `unsure` seconds before `begin` on may not have arrived."""
        return sum(each.in_doubt(begin - unsure) for each in self.connections
                   if each.end is not None and each.end >= begin)

    def filters(self):
        """What the device has subscribed to at QoS 1 and not given up, in order."""
        found = {}
        for each in self.connections:
            found.update(each.filters)
            for name in each.unsubscribed:
                found.pop(name, None)
        return [name for name, qos in found.items() if qos >= 1]

    def most_in_a_second(self, begin):
        """The most PUBLISH that the device sent within a second, since then."""
        times = [time for time in self.sent_at if time >= begin]
        low = most = 0
        for high, time in enumerate(times):
            while times[low] <= time - 1:
                low += 1
            most = max(most, high - low + 1)
        return most

    def row(self, begin, end):
        """Attempts in a stretch of time, and how long the device held on to each but the last."""
        made = [attempt for attempt in self.attempts if begin <= attempt[0] <= end]
        times = [time for time, _ in made]
        waits = []
        for (time, connection), after in zip(made, times[1:]):
            left = connection and (connection.left or connection.end)
            waits.append(min(left, after) - time if left else 0.0)
        return times, waits

    def longest_gap(self, begin, end):
        """Between attempts, and from the last one to `end`."""
        times = [time for time, _ in self.attempts if begin <= time <= end] + [end]
        return max((after - before for before, after in zip(times, times[1:])), default=0.0)
