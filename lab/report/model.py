"""The result document: what a run found, as dataclasses and as JSON. See docs/report-format.md.

load() is strict: a member that is missing, unknown or of a wrong type is an error that names it.
Times are seconds since the run began.
"""

import dataclasses
import enum
import functools
import json
import types
import typing

FORMAT = 1
MAX_BYTES = 64 * 1024 * 1024    # of a document
MAX_INTEGER = 2**53             # beyond it, other readers of JSON round


class BadDocument(Exception):
    """No result document; the text begins with the member that is wrong."""


class Verdict(enum.Enum):
    PASS = "PASS"
    PASS_WITH_WARNINGS = "PASS_WITH_WARNINGS"
    FAIL = "FAIL"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    ERROR = "ERROR"                 # of the tester: it could not find out


# From the worst to the best; one that was not applicable says nothing.
SEVERITY = (Verdict.FAIL, Verdict.ERROR, Verdict.PASS_WITH_WARNINGS, Verdict.PASS)


class Sender(enum.Enum):
    DEVICE = "device"
    BROKER = "broker"


@dataclasses.dataclass
class Evidence:
    time: float
    text: str


@dataclasses.dataclass
class Packet:
    time: float
    sender: Sender
    kind: str                       # CONNECT, or what else went over the line: "TLS alert"
    summary: str = ""
    hex: str = ""                   # its first bytes


@dataclasses.dataclass
class Figure:
    name: str
    value: float
    unit: str = ""
    limit: float | None = None      # the most that is good
    least: float | None = None      # the least that is good

    @property
    def good(self):
        return ((self.limit is None or self.value <= self.limit) and
                (self.least is None or self.value >= self.least))


@dataclasses.dataclass
class Ideal:
    """A gap is drawn at random from 0 to min(cap, base * factor^n)."""
    base: float = 1.0
    factor: float = 2.0
    cap: float = 120.0

    def envelope(self, count):
        value, values = self.base, []
        for _ in range(count):
            values.append(min(value, self.cap))
            value = min(value * self.factor, self.cap)
        return values


@dataclasses.dataclass
class Attempts:
    """One row of connection attempts without a success between them."""
    times: list[float]
    waits: list[float] = dataclasses.field(default_factory=list)   # see gaps.classify()
    name: str = ""
    ideal: Ideal = dataclasses.field(default_factory=Ideal)
    lost: float | None = None       # when the connection before them ended


@dataclasses.dataclass
class Case:
    name: str
    group: str
    verdict: Verdict
    reason: str                     # one sentence
    begin: float = 0.0
    seconds: float = 0.0
    warnings: list[str] = dataclasses.field(default_factory=list)
    evidence: list[Evidence] = dataclasses.field(default_factory=list)
    packets: list[Packet] = dataclasses.field(default_factory=list)
    figures: list[Figure] = dataclasses.field(default_factory=list)
    attempts: list[Attempts] = dataclasses.field(default_factory=list)
    replay: str = ""                # the command that does this case again


@dataclasses.dataclass
class State:
    begin: float
    end: float
    state: str                      # connected, connecting, waiting, offline, down, or another


@dataclasses.dataclass
class Fault:
    begin: float
    end: float
    name: str


@dataclasses.dataclass
class Series:
    name: str
    points: list[tuple[float, float]]
    unit: str = ""


@dataclasses.dataclass
class Timeline:
    states: list[State] = dataclasses.field(default_factory=list)
    faults: list[Fault] = dataclasses.field(default_factory=list)
    series: list[Series] = dataclasses.field(default_factory=list)
    events: list[Evidence] = dataclasses.field(default_factory=list)

    @property
    def empty(self):
        return not (self.states or self.faults or self.series or self.events)


@dataclasses.dataclass
class Account:
    accepted: int
    delivered: int
    duplicates: int = 0
    pending: int = 0
    dropped: dict[str, int] = dataclasses.field(default_factory=dict)
    lost: int = 0
    lost_ids: list[str] = dataclasses.field(default_factory=list)     # some of them

    @property
    def uncounted(self):
        """What the other numbers leave unexplained; below 0: explained twice."""
        return (self.accepted - self.delivered - self.pending - self.lost -
                sum(self.dropped.values()))

    @property
    def good(self):
        return self.lost == 0 and self.uncounted == 0


@dataclasses.dataclass
class Score:
    name: str
    score: float
    of: float = 100.0
    reason: str = ""


@dataclasses.dataclass
class Run:
    tool: str
    command: str
    date: str                       # 2026-11-26T21:58:07Z
    seconds: float
    seed: int | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    machine: dict[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Document:
    run: Run
    cases: list[Case] = dataclasses.field(default_factory=list)
    timeline: Timeline = dataclasses.field(default_factory=Timeline)
    account: Account | None = None
    scores: list[Score] = dataclasses.field(default_factory=list)

    def counts(self):
        """How many cases of each verdict."""
        return {verdict: sum(case.verdict is verdict for case in self.cases)
                for verdict in Verdict}

    def groups(self):
        """Cases by group, both in the order in which they came."""
        groups = {}
        for case in self.cases:
            groups.setdefault(case.group, []).append(case)
        return groups

    @property
    def verdict(self):
        """The worst of the cases and of the account. A run that judged nothing is an error."""
        given = {case.verdict for case in self.cases}
        if self.account:
            given.add(Verdict.PASS if self.account.good else Verdict.FAIL)
        return next((verdict for verdict in SEVERITY if verdict in given), Verdict.ERROR)

    @property
    def score(self):
        """In percent of what could be had, or None."""
        most = sum(score.of for score in self.scores)
        return 100 * sum(score.score for score in self.scores) / most if most else None


# --- to JSON and back ---

def dump(document):
    """The document as JSON. All members are there, and load() gives the same document."""
    value = {"format": FORMAT, **dataclasses.asdict(document)}
    return json.dumps(value, default=lambda member: member.value, ensure_ascii=False, indent=1,
                      allow_nan=False) + "\n"


def load(text):
    """The document in `text`, str or bytes; raises BadDocument."""
    if len(text) > MAX_BYTES:
        raise BadDocument(f"document: over {MAX_BYTES} bytes")
    try:
        value = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"document: no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadDocument(f"document: {_kind(value)} instead of an object")
    if value.pop("format", None) != FORMAT:
        raise BadDocument(f"format: not {FORMAT}, which is the one this program reads")
    document = _object(Document, value, "")
    _check(document)
    return document


def _kind(value):
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", str: "a string",
            list: "a list", dict: "an object"}[type(value)]


def _wrong(path, value, wanted):
    return BadDocument(f"{path}: {_kind(value)} instead of {wanted}")


def _object(cls, value, path):
    if not isinstance(value, dict):
        raise _wrong(path, value, "an object")
    lead = f"{path}." if path else ""
    types_of, required = _members(cls)
    for name in value:
        if name not in types_of:
            raise BadDocument(f"{lead}{_clean(name)}: there is no such member")
    for name in required:
        if name not in value:
            raise BadDocument(f"{lead}{name}: is missing")
    return cls(**{name: _value(types_of[name], member, lead + name)
                  for name, member in value.items()})


@functools.cache
def _members(cls):
    """The types of its members, and the names of those that must be there."""
    missing = dataclasses.MISSING
    return typing.get_type_hints(cls), [
        field.name for field in dataclasses.fields(cls)
        if field.default is missing and field.default_factory is missing]


def _value(kind, value, path):
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return None if value is None else _value(typing.get_args(kind)[0], value, path)
    if origin is list:
        if not isinstance(value, list):
            raise _wrong(path, value, "a list")
        item = typing.get_args(kind)[0]
        return [_value(item, member, f"{path}[{at}]") for at, member in enumerate(value)]
    if origin is tuple:
        if not isinstance(value, list) or len(value) != 2:
            raise _wrong(path, value, "a pair [time, value]")
        return (_number(value[0], f"{path}[0]"), _number(value[1], f"{path}[1]"))
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(path, value, "an object")
        item = typing.get_args(kind)[1]
        return {_clean(name): _value(item, member, f"{path}.{_clean(name)}")
                for name, member in value.items()}
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, path)
    return _scalar(kind, value, path)


def _scalar(kind, value, path):
    if kind is float:
        return _number(value, path)
    if kind is int:
        if type(value) is not int or abs(value) > MAX_INTEGER:
            raise _wrong(path, value, "a whole number up to 2^53")
        return value
    if not isinstance(value, str):
        raise _wrong(path, value, "a string")
    if issubclass(kind, enum.Enum):
        names = [member.value for member in kind]
        if value not in names:
            raise BadDocument(f"{path}: {json.dumps(value[:40])} is none of {', '.join(names)}")
        return kind(value)
    return _clean(value)


def _number(value, path):
    if type(value) not in (int, float) or not abs(value) <= MAX_INTEGER:
        raise _wrong(path, value, "a number up to 2^53")
    return value


def _clean(text):
    """Lone surrogates, which JSON can write and UTF-8 cannot, become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# --- what types do not say ---

def _check(document):
    _require(document.run.seconds >= 0, "run.seconds", "is below 0")
    seen = set()
    for at, case in enumerate(document.cases):
        path = f"cases[{at}]"
        _require((case.group, case.name) not in seen, f"{path}.name",
                 "two cases of a group have the same name")
        seen.add((case.group, case.name))
        _require(case.seconds >= 0, f"{path}.seconds", "is below 0")
        for number, attempts in enumerate(case.attempts):
            _check_attempts(attempts, f"{path}.attempts[{number}]")
        for number, packet in enumerate(case.packets):
            _check_hex(packet.hex, f"{path}.packets[{number}].hex")
    for kind in ("states", "faults"):
        for at, span in enumerate(getattr(document.timeline, kind)):
            _require(span.end >= span.begin, f"timeline.{kind}[{at}].end", "is before its begin")
    for at, series in enumerate(document.timeline.series):
        _check_rising([time for time, _ in series.points], f"timeline.series[{at}].points")
    if document.account:
        _check_account(document.account)
    for at, score in enumerate(document.scores):
        _require(score.of > 0, f"scores[{at}].of", "is not above 0")
        _require(0 <= score.score <= score.of, f"scores[{at}].score", "is not within 0 and `of`")


def _check_attempts(attempts, path):
    _check_rising(attempts.times, f"{path}.times")
    _require(len(attempts.waits) in (0, max(0, len(attempts.times) - 1)), f"{path}.waits",
             "has neither none nor one for each attempt but the last")
    _require(all(wait >= 0 for wait in attempts.waits), f"{path}.waits", "one is below 0")
    _require(not attempts.times or attempts.lost is None or attempts.lost <= attempts.times[0],
             f"{path}.lost", "is after the first attempt")
    _require(attempts.ideal.base > 0, f"{path}.ideal.base", "is not above 0")
    _require(attempts.ideal.factor >= 1, f"{path}.ideal.factor", "is below 1")
    _require(attempts.ideal.cap > 0, f"{path}.ideal.cap", "is not above 0")


def _check_account(account):
    for name in ("accepted", "delivered", "duplicates", "pending", "lost"):
        _require(getattr(account, name) >= 0, f"account.{name}", "is below 0")
    for reason, count in account.dropped.items():
        _require(count >= 0, f"account.dropped.{reason}", "is below 0")
    _require(len(account.lost_ids) <= account.lost, "account.lost_ids",
             "are more than were lost")


def _check_hex(text, path):
    try:
        bytes.fromhex(text)
    except ValueError:
        raise BadDocument(f"{path}: no hexadecimal bytes") from None


def _check_rising(times, path):
    at = next((at for at in range(1, len(times)) if times[at] < times[at - 1]), None)
    _require(at is None, f"{path}[{at}]", "is before the one that precedes it")


def _require(holds, path, what):
    if not holds:
        raise BadDocument(f"{path}: {what}")
