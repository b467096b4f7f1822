"""What a trace of the relay or a Region (docs/relay-trace.md) tells a reader of a report: an
excerpt of the packets, and what state the connection was in while which faults were in force.
The times of a report are those of the trace."""
import collections

from report.model import Evidence, Fault, Packet, Sender, State, Timeline

# Who reads a page does not read thousands of packets: of each kind on each connection only the first
# ones are told, and of all no more than so many.
MOST_OF_A_KIND = 8
MOST_PACKETS = 80
MOST_WORDS = 300

# When several connections stand side by side, the device is as well off as the best of them.
BEST_FIRST = ("connected", "connecting")


# -- packets --

def _filters(packet):
    return [f"{entry['filter']} at QoS {entry['qos']}" if "qos" in entry else entry["filter"]
            for entry in packet.get("filters", ())]


def _numbers(packet):
    """Members that are only a name and a value."""
    names = {"id": "id", "reason": "code", "reasons": "codes", "password_size": "password of"}
    return [f"{words} {packet[name]}" for name, words in names.items() if name in packet]


def _flags(packet):
    names = {"clean": "clean session", "session_present": "session present", "dup": "DUP",
             "retain": "retain"}
    return [words for name, words in names.items() if packet.get(name)]


def summary(packet):
    """A packet in words, without its type."""
    parts = []
    if "client" in packet:
        version = {4: "3.1.1", 5: "5"}.get(packet.get("version"), packet.get("version"))
        parts += [packet["client"], f"MQTT {version}", f"keep-alive {packet.get('keep_alive')} s"]
    if "topic" in packet:
        parts += [packet["topic"], f"QoS {packet.get('qos')}", f"{packet.get('size')} bytes"]
    parts += _numbers(packet) + _flags(packet) + _filters(packet)
    if "properties" in packet:
        parts += [f"{name} {value}" for name, value in packet["properties"].items()]
    if "malformed" in packet:
        parts.append(f"malformed: {packet['malformed']}")
    parts += packet.get("notes", ())
    return ", ".join(map(str, parts))[:MOST_WORDS]


def _of_packet(event):
    sender = Sender.DEVICE if event["way"] == "up" else Sender.BROKER
    yield Packet(event["t"], sender, event.get("type", "malformed"), summary(event))


def _of_hello(event):
    words = event.get("malformed") or (f"{', '.join(event.get('versions', ()))}, name "
                                       f"{event.get('server_name') or 'none'}, "
                                       f"{len(event.get('suites', ()))} suites")
    yield Packet(event["t"], Sender.DEVICE, "ClientHello", words[:MOST_WORDS])


def _of_handshake(event):
    for alert in event.get("alerts", ()):
        sender = Sender.DEVICE if alert["by"] == "peer" else Sender.BROKER
        yield Packet(event["t"], sender, "TLS alert", f"{alert['level']}: {alert['name']}")
    if event["established"]:
        yield Packet(event["t"], Sender.DEVICE, "TLS Finished",
                     f"{event.get('version')}, {event.get('suite')}")


def _of_end(event):
    if event["side"] == "device":
        sender = Sender.DEVICE if event["by"] == "peer" else Sender.BROKER
        yield Packet(event["t"], sender, "end", event["how"])


KINDS = {"packet": _of_packet, "client_hello": _of_hello, "tls": _of_handshake, "end": _of_end}


def excerpt(events, most=MOST_PACKETS, most_of_a_kind=MOST_OF_A_KIND):
    """What went over the line. Of too much the begin and the end are told."""
    told, known = [], collections.Counter()
    for event in events:
        for packet in KINDS[event["ev"]](event) if event["ev"] in KINDS else ():
            kind = event.get("conn"), packet.sender, packet.kind, event.get("passed")
            known[kind] += 1
            if known[kind] <= most_of_a_kind:
                told.append(packet)
    if len(told) <= most:
        return told
    return told[:most - most // 2] + told[len(told) - most // 2:]


# -- the timeline --

def _turn(states, event):
    """What an event makes of the states of connections, by their numbers."""
    kind, conn = event["ev"], event.get("conn")
    if kind == "accept":
        states[conn] = "connecting"
    elif kind in ("end", "close"):
        states.pop(conn, None)
    elif (kind == "packet" and event.get("type") == "CONNACK" and event.get("reason") == 0 and
          conn in states and (event["passed"] or event.get("by") == "lab")):
        states[conn] = "connected"


def _connection(states, down):
    return next((state for state in BEST_FIRST if state in states.values()),
                "down" if down else "waiting")


def states_of(events, down, until):
    """Of the connection. `down`: begins and ends of the times without a process."""
    changes = sorted([(begin, "begin", None) for begin, _ in down] +
                     [(end, "end", None) for _, end in down] +
                     [(event["t"], "event", event) for event in events], key=lambda item: item[0])
    spans, states, is_down, last, since = [], {}, False, "waiting", 0.0
    for time, kind, event in [*changes, (until, "until", None)]:
        if event:
            _turn(states, event)
        elif kind != "until":
            is_down = kind == "begin"
        now = _connection(states, is_down)
        if now != last or kind == "until":
            if time > since:
                spans.append(State(since, time, last))
            last, since = now, time
    return spans


def words_of(faults):
    """A name for faults that are in force, as `faults.set` takes them; "" for none."""
    parts = []
    for name, value in faults.items():
        if name == "rules":
            parts += [rule.get("name", "a rule") for rule in value]
        elif isinstance(value, dict):
            parts += [f"{name} {each}" if key == "fault" else f"{name} {key} {each}"
                      for key, each in value.items()]
        else:
            parts.append(f"{name} {value}")
    return ", ".join(parts)


def faults_of(events, until):
    spans, name, since = [], "", 0.0
    for event in events:
        if event["ev"] != "faults":
            continue
        now = words_of(event["faults"])
        if now != name:
            if name:
                spans.append(Fault(since, event["t"], name))
            name, since = now, event["t"]
    return spans + ([Fault(since, until, name)] if name else [])


def _without_process(starts, ends, until):
    return [(end, start) for end, start in zip([0.0, *ends], [*starts, until]) if start > end]


def timeline(events, until, starts, exits):
    """`starts`: when the program was started; `exits`: when it ended, and with what status."""
    told = [Evidence(event["t"], f"the lab ends a connection: {event['how']}")
            for event in events if event["ev"] == "kick"]
    told += [Evidence(time, f"the program ended with {status}") for time, status in exits]
    down = _without_process(starts, [time for time, _ in exits], until)
    return Timeline(states_of(events, down, until), faults_of(events, until), [],
                    sorted(told, key=lambda item: item.time))
