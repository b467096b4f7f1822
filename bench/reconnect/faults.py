"""The short faults that devices are put through, drawn by a seed: what the relay does, which
connections it ends, and for how long. Pure."""
import dataclasses

# Reasons of DISCONNECT and CONNACK, MQTT 5.0 sections 3.14.2.1 and 3.2.2.2; those that ask for
# patience ("too many", "taken over") come seldom, since the device then has it.
LEAVE_REASONS = (0x80, 0x81, 0x82, 0x83, 0x87, 0x8B, 0x8D, 0x93, 0x98)
REFUSE_REASONS = (0x80, 0x82, 0x83, 0x85, 0x86, 0x87, 0x88)
PATIENT_REASONS = (0x8E, 0x97, 0x9F)


@dataclasses.dataclass(frozen=True)
class Fault:
    """`faults` as the relay's order takes them; `kick`: how connections end once they are there,
    with `members` of the order; `seconds`: until all is well."""
    name: str
    faults: object
    kick: str | None
    members: dict
    seconds: float


def rule(packets, **action):
    return {"rules": [{"name": "fault", "packets": packets, **action}]}


def _kick(how):
    return lambda chance: ({}, how, {}, 0.0)


def _leave(reasons):
    return lambda chance: ({}, "disconnect", {"reason": chance.choice(reasons)}, 0.0)


def _preset(name, kick=None, least=0.3, most=3.0):
    return lambda chance: (name, kick, {}, chance.uniform(least, most))


def _connect(make, most=2.5):
    """What goes wrong while it connects: it is made to."""
    return lambda chance: (make(chance), "reset", {}, chance.uniform(0.5, most))


def _meanwhile(make):
    """What goes wrong on a connection that is there."""
    return lambda chance: (make(chance), None, {}, chance.uniform(0.5, 2.0))


def _cut_after(way, most):
    return _connect(lambda chance: {way: {"reset_after_bytes": chance.randint(1, most)}})


def _wrong_bytes(way):
    def make(chance):
        begin = chance.randrange(3000)
        return {way: {"corrupt_bytes": [begin, begin + chance.randint(1, 20)]}}
    return _connect(make)


def _end_at(packets, when):
    return _connect(lambda chance: rule(packets, disconnect={
        "when": when, "how": chance.choice(("close", "reset", "silence")),
        "delay": f"{chance.randint(0, 50)}ms"}))


# name: (weight, what it is this time)
KINDS = {
    "reset": (6, _kick("reset")),
    "close": (6, _kick("fin")),
    "silence": (3, _kick("silence")),
    "DISCONNECT": (4, _leave(LEAVE_REASONS)),
    "DISCONNECT that asks for patience": (1, _leave(PATIENT_REASONS)),
    "refused": (4, _preset("refuse", "reset")),
    "not accepted": (3, _preset("no-accept", "reset")),
    "broker down": (3, _preset("broker-down", "reset")),
    "broker not called": (2, _connect(lambda _: {"upstream": "ignore"})),
    "black hole": (4, _preset("black-hole", most=4.0)),
    "black hole up": (3, _preset("black-hole-up", most=4.0)),
    "black hole down": (3, _preset("black-hole-down", most=4.0)),
    "half-open": (2, _preset("half-open", "fin")),
    "stalled": (2, _preset("stalled")),
    "cut on the way up": (4, _cut_after("up", 3000)),
    "cut on the way down": (4, _cut_after("down", 4000)),
    "wrong bytes up": (3, _wrong_bytes("up")),
    "wrong bytes down": (3, _wrong_bytes("down")),
    "noise": (2, _connect(lambda chance: {"both": {
        "corrupt_one_in": chance.choice((20, 200, 1000))}})),
    "dribble": (2, _connect(lambda _: {"both": {"slice_bytes": 1, "slice_pause": "2ms"}})),
    "slow": (2, _connect(lambda _: {"both": {"latency": "400ms", "jitter": "300ms"}})),
    "no handshake": (2, _preset("no-handshake", "reset")),
    "expired certificate": (2, _preset("expired-server-certificate", "reset")),
    "wrong name": (2, _preset("wrong-server-name", "reset")),
    "unknown CA": (2, _preset("unknown-ca", "reset")),
    "old suites": (1, _preset("old-suites", "reset")),
    "tiny records": (1, _preset("small-records", "reset")),
    "no CONNACK": (3, _preset("no-connack", "reset")),
    "late CONNACK": (3, _connect(lambda chance: rule(
        "CONNACK", delay=f"{chance.randint(1, 3000)}ms"))),
    "two CONNACKs": (2, _connect(lambda _: rule("CONNACK", duplicate=1))),
    "CONNECT refused": (3, _connect(lambda chance: rule("CONNECT", answer={
        "code": chance.choice(REFUSE_REASONS)}))),
    "CONNECT refused, patience asked for": (1, _connect(lambda chance: rule("CONNECT", answer={
        "code": chance.choice(PATIENT_REASONS[1:])}))),
    "wrong answer to CONNECT": (2, _connect(lambda chance: rule("CONNECT", answer={
        "packet": chance.choice(("PUBACK", "SUBACK", "PINGRESP"))}))),
    "end at CONNECT": (3, _end_at("CONNECT", "before")),
    "end at CONNACK": (4, _end_at("CONNACK", "after")),
    "end at PUBLISH": (3, _end_at("PUBLISH", "before")),
    "end at PUBACK": (3, _end_at("PUBACK", "before")),
    "no PUBACK": (3, _preset("no-puback", most=4.0)),
    "no SUBACK": (1, _preset("no-suback", "reset")),
    "no PINGRESP": (1, _preset("no-pingresp", most=4.0)),
    "nothing answered": (2, _preset("no-answers", most=4.0)),
    "wrong PUBACK": (2, _meanwhile(lambda chance: rule(
        "PUBACK", alter={"packet_id": chance.randint(1, 65535)}))),
    "refused PUBLISH": (2, _meanwhile(lambda _: rule(
        "PUBLISH", direction="up", answer={"code": 0x97}))),
    "wrong answer to PUBLISH": (2, _meanwhile(lambda chance: rule(
        "PUBLISH", direction="up", answer={"packet": chance.choice(("PUBREC", "SUBACK"))}))),
    "tiny window": (1, _connect(lambda _: rule("CONNACK", alter={"set": {"receive_maximum": 1}}))),
    "session denied": (2, _connect(lambda chance: rule("CONNACK", alter={
        "session_present": chance.choice((True, False))}))),
}


def draw(chance):
    """The next fault, of a random.Random."""
    names = list(KINDS)
    name = chance.choices(names, [KINDS[each][0] for each in names])[0]
    faults, kick, members, seconds = KINDS[name][1](chance)
    return Fault(name, faults, kick, members, round(seconds, 3))
