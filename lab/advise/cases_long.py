"""MQTT_Long_Duration: basic tests side by side, then scenarios one after the other, as Device
Advisor's phases of the same names."""
import random
import time

from report.model import SEVERITY, Evidence
from report.words import duration

from . import bench as at
from . import cases_backoff, cases_mqtt, cases_tls
from .verdict import NOT_APPLICABLE, PASS, Judged, failed, not_applicable, passed, seen, warned

NAME = "MQTT_Long_Duration"
SECONDS = 120
WITHHELD_SECONDS = 15
# Random ends of the connection: how many, and the range of the seconds with and without server.
INTERRUPTIONS = 5
INTERRUPTION_SECONDS = (1.0, 10.0)


# -- the basic tests --

def _first(events, kind, qos):
    """The first packet of the device of a kind and QoS; of SUBSCRIBE any filter's counts."""
    return next((packet for packet in at.packets(events, type=kind, way="up") if qos in (
        packet.get("qos"), *(entry["qos"] for entry in packet.get("filters", ())))), None)


def judge_late(events, kind):
    """Of PUBLISH or SUBSCRIBE at QoS 1, whose answer comes only after 15 s."""
    packet = _first(events, kind, 1)
    if packet is None:
        return not_applicable(f"the device sent no {kind} at QoS 1")
    hello = next(at.packets(events, type="CONNECT", conn=packet["conn"]), None)
    if hello and hello["version"] == cases_mqtt.V5:
        return not_applicable(f"MQTT 5 forbids to send a {kind} again on the same connection")
    pair = cases_mqtt.sent_again(events, kind)
    if pair and pair[1]["t"] - pair[0]["t"] <= WITHHELD_SECONDS:
        return passed(f"the device sent the {kind} again", seen(
            pair[1], f"after {duration(pair[1]['t'] - pair[0]['t'])}"))
    return warned(f"the device did not send the {kind} again within {WITHHELD_SECONDS} s",
                  seen(packet, f"{kind}, packet id {packet['id']}"))


def judge_plain(events, kind):
    """Of PUBLISH or SUBSCRIBE at QoS 0."""
    packet = _first(events, kind, 0)
    if packet is None:
        return not_applicable(f"the device sent no {kind} at QoS 0")
    return passed(f"the device sent a {kind} at QoS 0", seen(packet, kind))


def reconnect(bench):
    """The device has to come back after one disconnect; one of its own counts."""
    connects = list(at.packets(bench.events(), type="CONNECT"))
    if len(connects) > 1:
        return passed("the device had reconnected already", seen(connects[1], "CONNECT"))
    bench.kick()
    back = bench.wait(lambda events: list(at.packets(events, type="CONNECT"))[len(connects):],
                      SECONDS)
    if not back:
        return failed("the device did not come back after one disconnect")
    return passed("the device came back after one disconnect", seen(back[0], "CONNECT"))


def basic_tests(bench):
    """The answers to all are late while all are watched."""
    late = {"direction": "down", "delay": f"{WITHHELD_SECONDS}s"}
    bench.begin({"rules": [{"name": f"late {kind}", "packets": kind, **late}
                           for kind in ("PUBACK", "SUBACK")]})
    verdicts = {"CONNECT": cases_mqtt.judge_connect(bench.wait_packet(SECONDS, type="CONNECT"))}
    bench.wait(lambda events: _first(events, "PUBLISH", 1) and _first(events, "SUBSCRIBE", 1),
               SECONDS)
    bench.wait(lambda events: all(cases_mqtt.sent_again(events, kind)
                                  for kind in ("PUBLISH", "SUBSCRIBE")), WITHHELD_SECONDS)
    for kind in ("PUBLISH", "SUBSCRIBE"):
        verdicts[f"{kind} QoS 0"] = judge_plain(bench.events(), kind)
        verdicts[f"{kind} QoS 1"] = judge_late(bench.events(), kind)
    bench.faults({})
    verdicts["RECONNECT"] = reconnect(bench)
    return verdicts


# -- the advanced tests --

def _return(bench):
    """Lets the device in again; its CONNACK."""
    bench.begin()
    return bench.wait_packet(SECONDS, type="CONNACK", reason=0)


def intermittent(bench):
    """Random ends of the connection, and random times without server."""
    told = []
    for _ in range(INTERRUPTIONS):
        back = _return(bench)
        if not back:
            return failed(f"the device did not come back within {SECONDS} s", *told)
        connected, away = (random.uniform(*INTERRUPTION_SECONDS) for _ in range(2))
        told.append(seen(back, f"connected for {connected:.1f} s, then {away:.1f} s no server"))
        bench.wait(lambda _events: False, connected)
        bench.out()
        bench.wait(lambda _events: False, away)
    if not _return(bench):
        return failed(f"the device did not come back within {SECONDS} s", *told)
    return passed(f"the device came back after each of {INTERRUPTIONS} interruptions", *told)


def long_disconnect(bench):
    bench.begin()
    bench.wait_packet(SECONDS, type="CONNACK")
    bench.out()
    minutes = bench.asked.long_minutes
    time.sleep(minutes * 60)
    back = _return(bench)
    if not back:
        return failed(f"the device did not come back within {SECONDS} s after {minutes:g} min "
                      "without server")
    return passed(f"the device came back after {minutes:g} min without server",
                  seen(back, "connected"))


SCENARIOS = {
    "PUBACK_QOS_1": cases_mqtt.puback, "RECEIVE_LARGE_PAYLOAD": cases_tls.maximum_fragments,
    "PERSISTENT_SESSION": cases_mqtt.persistent_session, "KEEP_ALIVE": cases_mqtt.no_answers,
    "INTERMITTENT_CONNECTIVITY": intermittent,
    "RECONNECT_BACK_OFF": cases_backoff.server_disconnect,
    "LONG_SERVER_DISCONNECT": long_disconnect,
}


# -- all of it --

def worst(verdicts):
    statuses = {judged.status for judged in verdicts.values()}
    return next((status for status in SEVERITY if status in statuses), NOT_APPLICABLE)


def _log(events):
    """What Device Advisor writes at the end: keep-alive, session, topics."""
    connects = list(at.packets(events, type="CONNECT"))
    keep_alive = sorted({str(packet["keep_alive"]) for packet in connects})
    topics = {packet["topic"] for packet in at.packets(events, type="PUBLISH", way="up")}
    filters = {entry["filter"] for packet in at.packets(events, type="SUBSCRIBE")
               for entry in packet["filters"]}
    kept = "clean" if all(packet["clean"] for packet in connects) else "kept"
    return [f"{len(connects)} connections, keep-alive {', '.join(keep_alive) or 'unknown'} s, "
            f"sessions are {kept}", f"published to {len(topics)} topics, subscribed to "
            f"{', '.join(sorted(filters)) or 'none'}"]


def long_duration(bench):
    if not bench.demanded(NAME):
        return not_applicable(f"it takes more than {bench.asked.long_minutes:g} min; name the case "
                              "with --case to run it")
    start, evidence, verdicts = len(bench.trace.events), [], {}

    def take(name, judged):
        verdicts[name] = judged
        evidence.append(Evidence(bench.now(), f"{name}: {judged.status.value}: {judged.reason}"))
    for name, judged in basic_tests(bench).items():
        take(name, judged)
    bench.rest()
    for name, scenario in SCENARIOS.items():
        take(name, scenario(bench))
        bench.rest()
    status = worst(verdicts)
    guilty = [name for name, judged in verdicts.items() if judged.status is status]
    reason = (f"all of {len(verdicts)} tests passed" if status is PASS else
              f"of {len(verdicts)} tests, the worst verdict is {status.value}: "
              f"{', '.join(guilty)}")
    return Judged(status, reason, [*evidence, *_log(bench.trace.events[start:])],
                  [row for judged in verdicts.values() for row in judged.attempts])


CASES = {NAME: long_duration}
