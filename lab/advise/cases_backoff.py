"""The four cases that measure how a device backs off."""
from . import bench as at
from . import gaps
from .verdict import failed, passed, warned

ATTEMPTS = 5
SECONDS = 240
# Before it is measured, a device is left connected so long that it takes the connection for stable
# and begins its backoff anew. Device Advisor does not; it may measure a range that has already
# grown.
SETTLE_SECONDS = 35
CONNECT_SECONDS = 120


def measure(events, attempts):
    """Seconds from the kick to the first CONNECT, then from the end of each of the first `attempts`
    connections that had a CONNECT to the next CONNECT: how long the device chose to wait, without
    its patience for a CONNACK."""
    connects = list(at.packets(events, type="CONNECT"))
    kick = next((event["t"] for event in events if event["ev"] == "kick"), None)
    if kick is None or not connects:
        return []
    measured = [connects[0]["t"] - kick]
    for before, after in zip(connects[:attempts], connects[1:]):
        end = next((event["t"] for event in events if event["ev"] == "end" and
                    event["conn"] == before["conn"] and event["t"] <= after["t"]), before["t"])
        measured.append(after["t"] - end)
    return measured


def _run(bench, name, action):
    """Kicks the settled device, and lets the rule meet its next connections; the gaps."""
    bench.begin({})
    if not bench.wait(lambda events: next(at.packets(events, type="CONNACK"), None),
                      CONNECT_SECONDS):
        return []
    bench.wait(lambda _events: False, SETTLE_SECONDS)
    bench.begin({"rules": [{"name": name, "packets": "CONNACK", "scope": "all", "first": ATTEMPTS,
                            **action}]})
    bench.kick()
    bench.wait(lambda events: len(list(at.packets(events, type="CONNECT"))) > ATTEMPTS, SECONDS)
    return measure(bench.events(), ATTEMPTS)


def judge(rounds, exponential_wanted=False):
    """Of the gaps of one round or several. The first of each is left out of the kind, since many
    devices come back at once after the first loss; it is the beginning of what grows."""
    for measured in rounds:
        if len(measured) <= ATTEMPTS:
            return failed(f"the device made {len(measured)} connection attempts in time; "
                          f"{ATTEMPTS + 1} were expected", f"gaps: {gaps.describe(measured)}")
    kinds = [gaps.classify(measured[1:]) for measured in rounds]
    evidence = [f"{kind}: {gaps.describe(measured)}" for kind, measured in zip(kinds, rounds)]
    for kind in (gaps.CONSTANT, gaps.LINEAR):
        if kind in kinds:
            return failed(f"the backoff is {kind}", *evidence)
    if gaps.EXPONENTIAL in kinds:
        if exponential_wanted:
            return passed("the backoff is exponential", *evidence)
        return warned("the backoff is strictly exponential, without jitter", *evidence)
    if not all(map(gaps.grows, rounds)):
        return warned("the backoff has jitter, but its range does not grow", *evidence)
    return passed("the backoff has jitter, and its range grows", *evidence)


WITHHELD = {"drop": True}
CUT_BEFORE = {"disconnect": {"when": "before"}}
CUT_AFTER = {"disconnect": {"when": "after", "delay": "100ms"}}


def jitter(bench):
    rounds = []
    for name in ("first round", "second round"):
        rounds.append(_run(bench, name, WITHHELD))
        if len(rounds[-1]) <= ATTEMPTS:
            break
    return judge(rounds)


def exponential(bench):
    return judge([_run(bench, "withheld", WITHHELD)], exponential_wanted=True)


def server_disconnect(bench):
    return judge([_run(bench, "cut before CONNACK", CUT_BEFORE)])


def unstable_connection(bench):
    return judge([_run(bench, "cut after CONNACK", CUT_AFTER)])


CASES = {
    "MQTT_Connect_Jitter_Backoff_Retries": jitter,
    "MQTT_Connect_Exponential_Backoff_Retries": exponential,
    "MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect": server_disconnect,
    "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection": unstable_connection,
}
