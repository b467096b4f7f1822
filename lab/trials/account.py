"""Lost, repeated and late messages, counted by the numbers in their payloads. No I/O.

A payload is a JSON object with `seq`, a whole number, and optionally `run`, a text or number; or it
is a bare whole number. Numbers rise by one from 0 or 1 for each run, over all topics; with
`by_topic`, and where there is no run, for each topic.

Without the device's own list of what it has accepted, only what is missing below the highest number
seen is known to be lost.
"""
import collections
import json

# Numbers further apart than this are no numbers of messages.
FARTHEST = 1_000_000
# So many streams, and rows of numbers of each, are named; the report has more of them.
NAMED = 8


class NotCounting(Exception):
    """The numbers are none of messages."""


def read_payload(payload):
    """(run, number) of a payload in bytes, or None."""
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    run = None
    if isinstance(body, dict):
        run, body = body.get("run"), body.get("seq")
    if isinstance(body, bool) or not isinstance(body, int) or body < 0:
        return None
    return (str(run) if isinstance(run, (str, int)) else None, body)


def read_accepted(line):
    """What a line of the device's list says: (kind, run, number, reason), or None. A line is `SEQ`,
    `RUN SEQ`, or as host-telemetry's journal has it, `A RUN SEQ …` for accepted and
    `X RUN SEQ TOPIC ID dropped:REASON` for given up."""
    words = line.split()
    kind = "A"
    if len(words) > 2 and words[0] in ("A", "D", "X"):
        kind, *words = words
    run, number = ([None] + words[:2])[-2:] if words else (None, "")
    if not number.isdecimal():
        return None
    cause, _, reason = (words[4] if kind == "X" and len(words) > 4 else "").partition(":")
    if cause == "rejected":
        return None  # never accepted
    return kind, run, int(number), reason or "unnamed"


class Stream:
    """The numbers of one run, or of one topic."""

    def __init__(self):
        self.high = None
        self.missing = set()
        self.seen = 0

    def take(self, number):
        """How this number came: "new", "late" (behind a higher one) or "again"."""
        if self.high is None:
            self.high = min(number, 1) - 1
        if number > self.high + FARTHEST:
            raise NotCounting(f"{number} came after {self.high}")
        if number > self.high:
            self.missing.update(range(self.high + 1, number))
            self.high, how = number, "new"
        elif number in self.missing:
            self.missing.remove(number)
            how = "late"
        else:
            return "again"
        self.seen += 1
        return how


class Account:
    """Of a whole run; what has changed since a mark is asked of it scenario by scenario."""

    def __init__(self, by_topic=False, listed=False):
        """`listed`: the device tells what it has accepted, by accept()."""
        self.by_topic, self.listed = by_topic, listed
        self.streams = collections.defaultdict(Stream)
        self.duplicates = self.late = self.foreign = 0
        self.accepted = set()  # of (stream, number), when listed
        self.dropped = {}  # the same, to the reason
        self.arrived = set()  # the same, when listed
        self.broken = ""  # why it counts no more
        self.named = set()  # losses that a scenario has been told

    @property
    def counting(self):
        return bool(self.streams) and not self.broken

    @property
    def seen(self):
        return sum(stream.seen for stream in self.streams.values())

    def take(self, topic, payload):
        """A message that the observer got."""
        found = read_payload(payload)
        if found is None:
            self.foreign += 1
            return
        run, number = found
        key = self._key(topic, run)
        try:
            how = self.streams[key].take(number)
        except NotCounting as reason:
            self.broken = str(reason)
            return
        self.duplicates += how == "again"
        self.late += how == "late"
        if self.listed:
            self.arrived.add((key, number))

    def _key(self, topic, run):
        if run is None:
            return topic if not self.listed else ""
        return f"{run} {topic}" if self.by_topic else run

    def accept(self, line):
        """A line of the device's list."""
        found = read_accepted(line)
        if found is None:
            return
        kind, run, number, reason = found
        message = (run or "", number)
        if kind == "A":
            self.accepted.add(message)
        elif kind == "X":
            self.dropped[message] = reason

    def missing(self):
        """What is lost, if nothing more comes: a set of (stream, number)."""
        if self.listed:
            return self.accepted - self.arrived - self.dropped.keys()
        return {(key, number) for key, stream in self.streams.items()
                for number in stream.missing}

    def newly_lost(self, suspects=None):
        """What is missing (of `suspects`) and was not when this was asked before, sorted."""
        lost = self.missing() - self.named
        if suspects is not None:
            lost &= suspects
        self.named |= lost
        return sorted(lost)

    def total(self):
        """How many were promised: by the device's list, else up to the highest number seen."""
        if self.listed:
            # What arrived without a note was sent by a device that ended before it could write it.
            return len(self.accepted | self.arrived)
        return self.seen + len(self.missing())

    def reasons(self):
        """Of what was given up and did not arrive, how many for each reason."""
        return collections.Counter(reason for message, reason in self.dropped.items()
                                   if message in self.accepted and message not in self.arrived)


def words_of(lost):
    """A few of them, in words: "3 of run a1b2: 17, 20-22"."""
    groups = collections.defaultdict(list)
    for key, number in lost:
        groups[key].append(number)
    return some("; ", [f"{len(numbers)} of {key or 'all'}: {some(', ', spans(numbers))}"
                       for key, numbers in groups.items()])


def some(between, texts):
    return between.join(texts[:NAMED] + ["…"] * (len(texts) > NAMED))


def spans(numbers):
    """Sorted numbers as texts, rows of them as "20-22"."""
    rows = []
    for number in numbers:
        if rows and number == rows[-1][1] + 1:
            rows[-1][1] = number
        else:
            rows.append([number, number])
    return [str(low) if low == high else f"{low}-{high}" for low, high in rows]
