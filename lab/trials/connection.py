"""Recommendation 1: manage the MQTT connection."""
import statistics

from report import gaps

from .scenario import Scenario
from .site import REFUSED

NAME = "Manage the MQTT connection"

# A device that waits less between attempts helps to keep a service down.
HAMMERING_SECONDS = 0.2
KICKS = 6
# What IoT Core makes of a keep-alive that was asked for, and of none.
KEEP_ALIVE_LEAST, KEEP_ALIVE_MOST = 30, 1200
# What a device may take beyond that to notice.
NOTICE_SECONDS = 30
# Refusals of CONNECT: MQTT 5's reason, and what stands for it in 3.1.1.
NOT_AUTHORIZED, QUOTA_EXCEEDED = (0x87, 5), (0x97, 3)


def outage(trial):
    """Nobody is let in, and whoever was is thrown out."""
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    trial.sleep(trial.seconds("outage"))
    judge_attempts(trial)
    trial.heal()


def flapping(trial):
    """Short outages with short good times between them."""
    chance = trial.bench.random
    for _ in range(trial.seconds("rounds")):
        trial.fault(REFUSED, "every connection is refused")
        trial.kick()
        trial.sleep(chance.uniform(1, 4))
        trial.heal()
        trial.sleep(chance.uniform(2, 6))


def half_open(trial):
    """Nothing arrives any more, and nobody says so."""
    before = trial.story.connected
    asked = before.keep_alive or KEEP_ALIVE_MOST
    limit = 1.5 * min(max(asked, KEEP_ALIVE_LEAST), KEEP_ALIVE_MOST) + NOTICE_SECONDS
    trial.fault("black-hole", "nothing arrives, connections stay")
    begin = trial.broken

    def noticed():
        if before.left or before.goodbye:
            return before.left or before.goodbye
        later = trial.story.attempts_since(begin)
        return later[0][0] if later else None
    moment = trial.wait(noticed, limit)
    trial.heal()
    if moment is None:
        trial.fail(f"did not notice within {limit:.0f} s that its connection was dead; it had asked "
                   f"for a keep-alive of {asked} s")
        return
    trial.figure("noticed after", moment - begin, "s", limit=limit)
    trial.passed(f"noticed a dead connection after {moment - begin:.0f} s")


def kick_storm(trial):
    """Each connection ends right after its CONNACK."""
    begin = trial.bench.now()
    trial.fault({"rules": [{"name": f"kick-storm-{begin}", "packets": "CONNACK", "scope": "all",
                            "first": KICKS, "disconnect": {"how": "reset"}}]},
                f"{KICKS} connections end right after CONNACK")
    trial.kick()

    def over():
        return sum(each.connack is not None
                   for each in trial.story.connections_since(begin)) > KICKS
    trial.wait(over, trial.seconds("patience"))
    times, waits = trial.row()
    trial.heal()
    finding = gaps.classify(times[:KICKS + 1], waits[:KICKS])
    trial.figure("connection attempts", len(times))
    if hammers(finding.gaps):
        trial.fail(f"hammers: {len(times)} attempts, half of them within "
                   f"{statistics.median(finding.gaps) * 1000:.0f} ms of the one before")
    elif finding.kind == "unknown":
        trial.warn(f"made {len(times)} attempts in {trial.seconds('patience')} s, too few to judge "
                   "its backoff")
    elif finding.kind in ("constant", "linear"):
        trial.fail(f"its backoff is {finding.kind}: {finding.sentence}")
    elif finding.kind == "exponential":
        trial.warn(f"its backoff has no jitter: {finding.sentence}")
    else:
        trial.passed(f"its backoff has jitter: {finding.sentence}")


def hammers(found):
    return len(found) >= gaps.MIN_GAPS and statistics.median(found) < HAMMERING_SECONDS


def judge_attempts(trial):
    """It has to try, and not too often."""
    times, waits = trial.row()
    trial.figure("connection attempts", len(times), least=1)
    found = gaps.gaps_of(times, waits)
    if not times:
        trial.warn("did not try to connect while there was no server")
    elif hammers(found):
        trial.fail(f"hammers: {len(times)} attempts, half of them within "
                   f"{statistics.median(found) * 1000:.0f} ms of the one before")
    exits = len(trial.program.exits) - trial.exits
    if exits:
        trial.warn(f"the program ended {exits} times instead of trying again")


def refused(codes, words):
    """Every CONNECT is answered with a refusal."""
    def run(trial):
        code = codes[0 if trial.story.connected.version == 5 else 1]
        trial.fault({"rules": [{"name": "refuse", "packets": "CONNECT",
                                "answer": {"code": code}}]}, words)
        trial.kick()
        trial.sleep(trial.seconds("outage"))
        judge_attempts(trial)
        trial.heal()
        # What it remembers of a refusal is right, but would slow down what comes next.
        if trial.judge_return():
            trial.drain()
            trial.restart()
    return run


def unanswered(preset, words):
    """What the device waits for does not come."""
    def run(trial):
        trial.fault(preset, words)
        trial.kick()
        trial.sleep(trial.seconds("outage"))
        judge_attempts(trial)
        trial.heal()
    return run


def impostor(trial):
    """A server that cannot prove to be the right one."""
    for preset, words in (("unknown-ca", "a server certificate of an unknown CA"),
                          ("wrong-server-name", "a server certificate for another name")):
        trial.fault(preset, words)
        begin = trial.bench.now()
        trial.kick()
        tried = trial.wait(lambda: len(trial.story.connections_since(begin)) > 1,
                           trial.seconds("patience"))
        for each in trial.story.connections_since(begin):
            if each.connect is not None:
                trial.fail(f"sent its CONNECT to {words}")
                break
        if not tried and len(trial.story.connections_since(begin)) == 0:
            trial.warn(f"did not try to connect in {trial.seconds('patience')} s")
    trial.passed("sent nothing to a server that could not prove its name")
    trial.heal()


SCENARIOS = [
    Scenario("outage-short", NAME, "ten seconds without a server", outage, {"outage": (10, 10)}),
    Scenario("outage-long", NAME, "a longer time without a server (--full: five minutes)", outage,
             {"outage": (20, 300)}),
    Scenario("outage-flapping", NAME, "short outages with short good times between", flapping,
             {"rounds": (3, 12)}, (20, 80)),
    Scenario("half-open", NAME, "the connection is dead and nobody says so", half_open, lasts=(30, 30)),
    Scenario("kick-storm", NAME, "each connection ends right after CONNACK", kick_storm,
             {"patience": (100, 600)}, (35, 35)),
    Scenario("refused", NAME, "CONNACK: not authorized", refused(
        NOT_AUTHORIZED, "CONNECT is refused: not authorized"), {"outage": (10, 120)}),
    Scenario("throttled", NAME, "CONNACK: quota exceeded", refused(
        QUOTA_EXCEEDED, "CONNECT is refused: quota exceeded"), {"outage": (10, 120)},
        (20, 130)),
    Scenario("no-connack", NAME, "CONNECT is never answered", unanswered(
        "no-connack", "no CONNACK arrives"), {"outage": (10, 120)}),
    Scenario("no-handshake", NAME, "the TLS handshake is never answered", unanswered(
        "no-handshake", "the TLS handshake is never answered"), {"outage": (10, 120)}),
    Scenario("impostor", NAME, "servers with a wrong certificate", impostor,
             {"patience": (30, 60)}, (20, 20)),
]
