"""The four cases that measure how a device backs off."""
from report import gaps
from report.model import SEVERITY, Attempts, Evidence, Ideal

from . import bench as at
from .verdict import FAIL, PASS, WARNINGS, Judged

ATTEMPTS = 5
SECONDS = 240
# Before it is measured, a device is left connected so long that it takes the connection for stable
# and begins its backoff anew. Device Advisor does not; it may measure a range that has already
# grown.
SETTLE_SECONDS = 35
CONNECT_SECONDS = 120
# What the page shows beside a device's waits: AWS's advice, and a cap that suits the test.
IDEAL = Ideal(base=1.0, factor=2.0, cap=10.0)


def measure(events, attempts, name=""):
    """The first connections that had a CONNECT, one more than `attempts`, as attempts: how long the
    device held on to each, and when the connection before them was ended. What lies between is how
    long the device chose to wait, without its patience for a CONNACK."""
    connects = list(at.packets(events, type="CONNECT"))[:attempts + 1]
    lost = next((event["t"] for event in events if event["ev"] == "kick"), None)
    waits = []
    for before, after in zip(connects, connects[1:]):
        end = next((event["t"] for event in events if event["ev"] == "end" and
                    event["conn"] == before["conn"] and event["t"] <= after["t"]), before["t"])
        waits.append(max(0.0, end - before["t"]))
    return Attempts([connect["t"] for connect in connects], waits, name, IDEAL, lost)


def connected(events):
    """Whether a connection that was taken is still there."""
    over = {event["conn"] for event in events if event["ev"] == "end"}
    return any(packet["conn"] not in over
               for packet in at.packets(events, type="CONNACK", reason=0))


def _run(bench, name, action):
    """Kicks the settled device, and lets the rule meet its next connections."""
    bench.begin({})
    # Of the round before, the device may be back already.
    if not bench.wait(lambda _events: connected(bench.trace.events), CONNECT_SECONDS):
        return Attempts([])
    bench.wait(lambda _events: False, SETTLE_SECONDS)
    bench.begin({"rules": [{"name": name, "packets": "CONNACK", "scope": "all", "first": ATTEMPTS,
                            **action}]})
    bench.kick()
    bench.wait(lambda events: len(list(at.packets(events, type="CONNECT"))) > ATTEMPTS, SECONDS)
    return measure(bench.events(), ATTEMPTS, name)


def _describe(finding):
    listed = ([] if finding.first is None else [f"({finding.first:.2f} s)"]) + [
        f"{gap:.2f} s" for gap in finding.gaps]
    return ", ".join(listed)


def judge(rounds, exponential_wanted=False):
    """Of one round of attempts or several: the worst counts."""
    findings = [gaps.classify(row.times, row.waits, row.lost) for row in rounds]
    evidence = [Evidence(row.times[-1], f"gaps: {_describe(finding)}")
                for row, finding in zip(rounds, findings) if row.times]
    for row in rounds:
        if len(row.times) <= ATTEMPTS:
            return Judged(FAIL, f"the device made {len(row.times)} connection attempts in time; "
                          f"{ATTEMPTS + 1} were expected", evidence, rounds)

    def standing(finding):
        good = exponential_wanted and finding.kind == "exponential"
        return PASS if good else finding.verdict
    worst = min(findings, key=lambda finding: SEVERITY.index(standing(finding)))
    words = "" if standing(worst) is not WARNINGS or worst.kind == "jitter" else (
        "; Device Advisor wants jitter")
    kind = "has jitter" if worst.kind == "jitter" else f"is {worst.kind}"
    return Judged(standing(worst), f"the backoff {kind}: {worst.sentence}{words}", evidence, rounds)


WITHHELD = {"drop": True}
CUT_BEFORE = {"disconnect": {"when": "before"}}
CUT_AFTER = {"disconnect": {"when": "after", "delay": "100ms"}}


def jitter(bench):
    rounds = []
    for name in ("no CONNACK, round 1", "no CONNACK, round 2"):
        rounds.append(_run(bench, name, WITHHELD))
        if len(rounds[-1].times) <= ATTEMPTS:
            break
    return judge(rounds)


def exponential(bench):
    return judge([_run(bench, "no CONNACK", WITHHELD)], exponential_wanted=True)


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
