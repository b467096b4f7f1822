"""A made-up result document that looks like a real one, for tests: the same for the same seed.

    python3 -m report.sample [--seed N] [--points N] [--cases N] [--hostile]    (in the folder lab)
"""

import argparse
import random
import sys

from report import gaps, model
from report.model import Sender, Verdict

# Device Advisor's names; seconds about as they take.
TESTS = (
    ("TLS", "TLS_Connect", 3), ("TLS", "TLS_Receive_Maximum_Size_Fragments", 5),
    ("TLS", "TLS_Support_AWS_IoT_Cipher_Suites", 3), ("TLS", "TLS_Large_Size_Server_Cert", 3),
    ("TLS", "TLS_Unsecure_Server_Cert", 4), ("TLS", "TLS_Incorrect_Subject_Name_Server_Cert", 4),
    ("TLS", "TLS_Expired_Server_Cert", 4),
    ("MQTT", "MQTT_Connect", 3), ("MQTT", "MQTT_Client_Puback_Qos1", 6),
    ("MQTT", "MQTT_Connect_Jitter_Backoff_Retries", 90),
    ("MQTT", "MQTT_Connect_Exponential_Backoff_Retries", 45),
    ("MQTT", "MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect", 50),
    ("MQTT", "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection", 45),
    ("MQTT", "MQTT_Publish", 3), ("MQTT", "MQTT_Publish_Retry_No_Puback", 22),
    ("MQTT", "MQTT_Publish_Retained_Messages", 4), ("MQTT", "MQTT_Publish_User_Property", 1),
    ("MQTT", "MQTT_Subscribe", 3), ("MQTT", "MQTT_Subscribe_Retry_No_Suback", 20),
    ("MQTT", "MQTT_No_Ack_PingResp", 48), ("MQTT", "MQTT_Persistent_Session_Happy_Case", 14),
    ("MQTT", "MQTT_Expired_Persistent_Session", 14),
    ("Shadow", "Shadow_Publish_Reported_State", 5), ("Shadow", "Shadow_Update_Reported_State", 7),
    ("Jobs", "Job_Execution", 21), ("Security", "Security_Device_Policies", 1),
    ("Long duration", "MQTT_Long_Duration", 120),
)
PASSED = {
    "TLS_Connect": "completed the handshake, TLS 1.3",
    "TLS_Receive_Maximum_Size_Fragments":
        "received 96 KiB in records of 16 KiB and acknowledged it",
    "TLS_Large_Size_Server_Cert": "completed the handshake with a chain of 5.1 KB",
    "TLS_Unsecure_Server_Cert": "refused a server whose CA it does not trust",
    "TLS_Incorrect_Subject_Name_Server_Cert": "refused a server of another name",
    "MQTT_Connect": "sent a valid CONNECT after 41 ms",
    "MQTT_Client_Puback_Qos1": "acknowledged the QoS 1 message after 3 ms",
    "MQTT_Publish": "published to data/thermo-7/t at QoS 1",
    "MQTT_Publish_Retained_Messages": "published to state/thermo-7 with the retain flag",
    "MQTT_Subscribe": "subscribed to cmd/thermo-7/#",
    "MQTT_Subscribe_Retry_No_Suback": "repeated the SUBSCRIBE with id 1 after 6.0 s",
    "MQTT_Persistent_Session_Happy_Case":
        "received the stored message without another SUBSCRIBE",
    "MQTT_Expired_Persistent_Session": "subscribed again when its session was gone",
    "Shadow_Publish_Reported_State": "reported its state to the classic shadow",
    "Shadow_Update_Reported_State": "reported what was desired, 210 ms after the delta",
    "MQTT_Long_Duration": "all phases passed; 14 connections, backoff with jitter",
}
WARNED = {
    "TLS_Support_AWS_IoT_Cipher_Suites":
        ("supported suites, and some that AWS IoT Core does not know",
         ["offered in TLS 1.2, not known to AWS IoT Core: ECDHE-RSA-CHACHA20-POLY1305"]),
    "TLS_Expired_Server_Cert":
        ("refused the expired certificate, without telling why",
         ["the connection was closed without a TLS alert"]),
}
FAILED = {
    "MQTT_Publish_Retry_No_Puback":
        "sent a PUBLISH without PUBACK again only after it had connected again",
    "MQTT_No_Ack_PingResp": "was still connected 48 s after the last byte from the broker; "
                            "1.5 times its keep-alive of 30 s is 45 s",
}
OTHERS = {
    "MQTT_Publish_User_Property": (Verdict.NOT_APPLICABLE, "the device speaks MQTT 3.1.1, which "
                                   "has no user properties"),
    "Security_Device_Policies": (Verdict.NOT_APPLICABLE, "the certificate's policy is not in the "
                                 "lab; it is checked in the cloud"),
    "Job_Execution": (Verdict.ERROR, "the job could not be created: jobs.json is not writable"),
}
SHAPES = {"MQTT_Connect_Jitter_Backoff_Retries": ("jitter", 2, 4.0),
          "MQTT_Connect_Exponential_Backoff_Retries": ("exponential", 1, 4.0),
          "MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect": ("jitter", 1, 0.0),
          "MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection": ("constant", 1, 0.0)}
HOSTILE = ('</script><script>document.documentElement.dataset.broken="1"</script>',
           "\x1b[31mred\x1b[0m\x00\x07", "user\u202egnp.exe", "<img src=x onerror=alert(1)>",
           "--><!--", "']]>\"&amp;", "\u05e9\u05dc\u05d5\u05dd 12", "\u2028line\u2029", "${x}`")
BETWEEN = 2.5       # seconds, of refused TLS
RATE = 20           # messages a second


def make(seed=1, points=2400, cases=len(TESTS), hostile=False):
    """A document with that many cases (repeated when there are more than Device Advisor has) and
    about that many points in its timeline."""
    chance = random.Random(seed)
    run = model.Run("holdfast lab advise", "holdfast lab advise -- holdfastd --config device.toml",
                    "2026-11-26T21:58:07Z", 0.0, seed,
                    {"holdfast": "0.5.0", "OpenSSL": "3.0.17", "Python": "3.11.2"},
                    {"kernel": "Linux 6.1", "processor": "4 cores, x86-64", "memory": "8 GiB"})
    document = model.Document(run)
    now = BETWEEN
    for at in range(cases):
        group, name, seconds = TESTS[at % len(TESTS)]
        again = at // len(TESTS)
        case = _case(chance, group, name, now, seconds)
        case.name += f"_{again + 1}" if again else ""
        document.cases.append(case)
        now += case.seconds + BETWEEN
    run.seconds = round(now, 3)
    document.timeline, document.account = _world(chance, document.cases, now, points)
    document.scores = _scores()
    if hostile:
        _poison(document)
    return document


def _case(chance, group, name, begin, seconds):
    seconds = round(seconds * chance.uniform(0.9, 1.2), 3)
    case = model.Case(name, group, Verdict.PASS, PASSED.get(name, ""), begin, seconds,
                      replay=f"holdfast lab advise --case {name} -- holdfastd --config {{config}}")
    case.packets = _packets(chance, begin, seconds)
    case.evidence = [model.Evidence(round(begin + 0.02, 3), "TLS is accepted"),
                     model.Evidence(case.packets[0].time,
                                    "CONNECT, clean session, keep-alive 30 s")]
    if name in SHAPES:
        _backoff(chance, case, *SHAPES[name])
    elif name in WARNED:
        case.verdict = Verdict.PASS_WITH_WARNINGS
        case.reason, case.warnings = WARNED[name]
    elif name in FAILED:
        case.verdict, case.reason = Verdict.FAIL, FAILED[name]
    elif name in OTHERS:
        case.verdict, case.reason = OTHERS[name]
        if case.verdict is Verdict.NOT_APPLICABLE:
            case.packets, case.evidence, case.seconds = [], [], 0.0
    if name == "MQTT_No_Ack_PingResp":
        case.figures = [model.Figure("silence endured", 48.2, "s", limit=45.0),
                        model.Figure("keep-alive", 30, "s", limit=230)]
    case.evidence.append(model.Evidence(round(begin + case.seconds, 3), case.reason))
    return case


def _backoff(chance, case, shape, rounds, wait):
    """Attempts of that shape; the verdict is what the classifier says of them."""
    ideal, findings, now = model.Ideal(1.0, 2.0, 16.0), [], case.begin + 0.05
    for number in range(rounds):
        times = [now]
        for edge in ideal.envelope(5):
            gap = {"jitter": chance.uniform(0, edge), "constant": 4.0, "exponential": edge}[shape]
            times.append(times[-1] + wait + gap + chance.uniform(0, 0.005))
        row = model.Attempts([round(time, 3) for time in times], [wait] * 5 if wait else [],
                             f"round {number + 1}" if rounds > 1 else "", ideal)
        case.attempts.append(row)
        findings.append(gaps.classify(row.times, row.waits))
        now = times[-1] + 2
    worst = min(findings, key=lambda finding: model.SEVERITY.index(finding.verdict))
    case.verdict, case.reason = worst.verdict, f"{worst.kind} backoff: {worst.sentence}"
    case.seconds = round(now - case.begin, 3)
    case.figures = [model.Figure("connection attempts", 6 * rounds, "", least=6 * rounds)]
    if case.verdict is Verdict.PASS_WITH_WARNINGS:
        case.warnings = ["a fleet that fails together comes back together: add full jitter"]


def _packets(chance, begin, seconds):
    now, packets = begin + 0.05, []

    def add(sender, kind, summary, data):
        nonlocal now
        packets.append(model.Packet(round(now, 3), sender, kind, summary, data.hex()))
        now += chance.uniform(0.001, seconds / 12)
    add(Sender.DEVICE, "CONNECT", "client thermo-7, clean session, keep-alive 30 s",
        b"\x10\x15\x00\x04MQTT\x04\x02\x00\x1e\x00\x08thermo-7")
    add(Sender.BROKER, "CONNACK", "accepted, no session", b"\x20\x02\x00\x00")
    add(Sender.DEVICE, "SUBSCRIBE", "id 1, cmd/thermo-7/#, QoS 1",
        b"\x82\x13\x00\x01\x00\x0ecmd/thermo-7/#\x01")
    add(Sender.BROKER, "SUBACK", "id 1, QoS 1", b"\x90\x03\x00\x01\x01")
    for number in range(2, 2 + chance.randrange(2, 7)):
        value = chance.uniform(18, 24)
        body = b"\x00\x0fdata/thermo-7/t" + number.to_bytes(2, "big") + b'{"t":%.2f}' % value
        add(Sender.DEVICE, "PUBLISH", f"id {number}, data/thermo-7/t, QoS 1, {{\"t\":{value:.2f}}}",
            bytes([0x32, len(body)]) + body)
        add(Sender.BROKER, "PUBACK", f"id {number}", b"\x40\x02" + number.to_bytes(2, "big"))
    return packets


def _world(chance, cases, seconds, points):
    """States, faults, backlog and rates of a device that is connected for most of each case."""
    timeline, spans = model.Timeline(), []
    end = 0.0
    for case in cases:
        timeline.faults.append(model.Fault(end, case.begin, "TLS refused"))
        spans.append((end, case.begin, "offline"))
        end = case.begin + case.seconds
        spans += _states(case, end)
        _fault(timeline, case, end)
        timeline.events.append(model.Evidence(case.begin, f"{case.name} begins"))
    spans.append((end, seconds, "offline"))
    timeline.states = [model.State(*span) for span in spans if span[1] > span[0]]
    timeline.series, account = _flow(chance, timeline.states, seconds, points)
    return timeline, account


def _states(case, end):
    if not case.attempts:
        there = case.begin + 0.05
        return [(case.begin, there, "connecting"), (there, end, "connected")]
    spans, at = [], case.begin
    for row in case.attempts:
        for number, time in enumerate(row.times):
            held = row.waits[number] if number < len(row.waits) else 0.15
            spans += [(at, time, "waiting"), (time, time + held, "connecting")]
            at = time + held
        spans.append((at, at + 1.5, "connected"))
        at += 1.5
    return spans + [(at, end, "connected")]


def _fault(timeline, case, end):
    name = {"MQTT_Publish_Retry_No_Puback": "PUBACK withheld",
            "MQTT_Subscribe_Retry_No_Suback": "SUBACK withheld",
            "MQTT_No_Ack_PingResp": "silent broker"}.get(case.name)
    if case.attempts:
        name = "CONNACK withheld" if case.attempts[0].waits else "disconnected by the server"
        end = case.attempts[-1].times[-1]
    if name:
        timeline.faults.append(model.Fault(case.begin + 0.5, end, name))


def _flow(chance, states, seconds, points):
    step = seconds / max(2, points // 3)
    backlog, delivered, accepted, duplicates, at, now = 0.0, 0.0, 0.0, 0, 0, 0.0
    series = {"backlog": [], "accepted": [], "delivered": []}
    while now <= seconds:
        while at + 1 < len(states) and states[at].end <= now:
            at += 1
            duplicates += states[at].state == "connected"
        online = states[at].state == "connected" and states[at].end > now
        coming = RATE * chance.uniform(0.8, 1.2)
        going = min(backlog / step + coming, 6 * RATE * chance.uniform(0.9, 1.1)) if online else 0
        backlog = max(0.0, backlog + (coming - going) * step)
        accepted, delivered = accepted + coming * step, delivered + going * step
        for name, value in (("backlog", backlog), ("accepted", coming), ("delivered", going)):
            series[name].append((round(now, 3), round(value, 2)))
        now += step
    whole, lost = int(accepted), 3
    dropped = {"expired": int(whole * 0.004), "superseded": int(whole * 0.011)}
    pending = min(int(backlog), whole // 3)
    account = model.Account(whole, whole - pending - lost - sum(dropped.values()), duplicates,
                            pending, dropped, lost,
                            [f"{whole // 2 + number}" for number in range(lost)])
    return [model.Series("backlog", series["backlog"], "messages"),
            model.Series("accepted", series["accepted"], "1/s"),
            model.Series("delivered", series["delivered"], "1/s")], account


def _scores():
    rows = (("Backoff with jitter", 70, "one of four backoffs is constant"),
            ("Detects a silent peer", 40, "48 s; 45 s is the most"),
            ("Stores and forwards", 90, "3 messages were lost"),
            ("Refuses wrong servers", 95, "no alert for an expired certificate"),
            ("Keeps its session", 100, "does not subscribe again when the session is there"),
            ("Respects quotas", 100, "at most 96 messages a second"),
            ("Recovers its clock", 100, "time is set before the first handshake"))
    return [model.Score(name, score, 100, reason) for name, score, reason in rows]


def _poison(document):
    for at, case in enumerate(document.cases):
        word = HOSTILE[at % len(HOSTILE)]
        case.reason += " " + word
        case.warnings.append(word)
        case.evidence.append(model.Evidence(case.begin, word))
        case.packets.append(model.Packet(case.begin, Sender.DEVICE, "PUBLISH", word,
                                         word.encode("utf-8").hex()))
    document.cases[0].name += HOSTILE[0]
    document.cases[0].replay += " '" + HOSTILE[0] + "'"
    document.run.command += HOSTILE[0]
    document.run.machine[HOSTILE[3]] = HOSTILE[1]
    document.timeline.faults[0].name = document.timeline.states[0].state = HOSTILE[0]
    document.timeline.series[0].name = document.timeline.events[0].text = HOSTILE[0]
    document.account.dropped[HOSTILE[0]] = document.account.dropped.pop("expired")
    document.account.lost_ids[0] = HOSTILE[2]


def main(arguments):
    parser = argparse.ArgumentParser(description="Prints a made-up result document.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--points", type=int, default=2400)
    parser.add_argument("--cases", type=int, default=len(TESTS))
    parser.add_argument("--hostile", action="store_true")
    options = parser.parse_args(arguments)
    sys.stdout.buffer.write(model.dump(make(**vars(options))).encode("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
