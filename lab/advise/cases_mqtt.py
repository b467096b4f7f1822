"""The MQTT cases but those of backoff. What is judged are trace events."""
import time

from report.words import duration
from tool.bench import topic_for

from . import bench as at
from .verdict import failed, not_applicable, passed, seen

SECONDS = 120
LONG_SECONDS = 240
PINGRESP_SECONDS = 306
KEEP_ALIVE_MOST = 230
# So long a device is watched for what it must not do, or does only if it does it at all.
WATCH_SECONDS = 5
FEATURE_SECONDS = 20
STORED_SECONDS = 0.5
PAYLOAD = "from the tester"
V311, V5 = 4, 5

NO_TRIGGER = "the device did not subscribe at QoS 1 to what the tester publishes to"


def connect(bench):
    bench.begin()
    return judge_connect(bench.wait_packet(SECONDS, type="CONNECT"))


def judge_connect(packet):
    if not packet:
        return failed("the device sent no valid CONNECT")
    version = {V311: "3.1.1", V5: "5"}.get(packet["version"], str(packet["version"]))
    return passed("the device sent a valid CONNECT", seen(packet, (
        f"MQTT {version}, client id {packet['client']}, keep-alive {packet['keep_alive']} s")))


def publish(bench):
    bench.begin()
    packet = bench.wait_packet(SECONDS, type="PUBLISH", way="up")
    if not packet:
        return failed("the device published nothing")
    return passed(f"the device published at QoS {packet['qos']}",
                  seen(packet, f"topic {packet['topic']}"))


def subscribe(bench):
    bench.begin()
    packet = bench.wait_packet(SECONDS, type="SUBSCRIBE")
    if not packet:
        return failed("the device subscribed to nothing")
    return passed("the device sent a SUBSCRIBE", *(
        seen(packet, f"{entry['filter']} at QoS {entry['qos']}") for entry in packet["filters"]))


def deliver(bench, faults, size_for=None):
    """Lets the device subscribe and publishes to it: the message as it was sent to the device
    and its PUBACK, or None for what did not happen in time. The first is None without a trigger."""
    bench.begin(faults)
    found = bench.wait(lambda events: at.trigger_of(events, bench.trigger), SECONDS)
    if not found:
        return None, None, None
    packet, topic_filter = found
    topic = topic_for(topic_filter)
    bench.wait_packet(SECONDS, type="SUBACK", conn=packet["conn"])
    hello = next(at.packets(bench.events(), type="CONNECT", conn=packet["conn"]))
    text = PAYLOAD if size_for is None else "x" * size_for(hello, topic)
    bench.publish(topic, text)
    sent = bench.wait(lambda events: next((each for each in at.packets(
        events, type="PUBLISH", way="down", topic=topic) if each["size"] == len(text)), None),
        SECONDS)
    answer = sent and bench.wait_packet(SECONDS, type="PUBACK", way="up", conn=sent["conn"],
                                        id=sent["id"])
    return topic, sent, answer


def judge_delivery(topic, sent, answer, what):
    if topic is None:
        return failed(NO_TRIGGER)
    if not sent:
        return failed("the message could not be sent: the device was not connected any more",
                      f"topic {topic}")
    words = seen(sent, f"{sent['size']} bytes to {topic}")
    if not answer:
        return failed(f"the device did not acknowledge {what}", words)
    return passed(f"the device acknowledged {what}", words,
                  seen(answer, f"PUBACK after {duration(answer['t'] - sent['t'])}"))


def puback(bench):
    return judge_delivery(*deliver(bench, {}), "a QoS 1 message")


def retained(bench):
    bench.begin()
    demanded = bench.demanded("MQTT_Publish_Retained_Messages")
    packet = bench.wait_packet(SECONDS if demanded else FEATURE_SECONDS, type="PUBLISH", way="up",
                               retain=True)
    if packet:
        return passed("the device published a retained message",
                      seen(packet, f"topic {packet['topic']}"))
    return _without(demanded, "the device published no retained message")


def _without(demanded, words):
    """Of a feature that a device may do without: it is a failure only where the case was named."""
    if demanded:
        return failed(words)
    return not_applicable(f"{words}; name the case with --case to demand it")


def user_property(bench):
    bench.begin()
    demanded = bench.demanded("MQTT_Publish_User_Property")
    hello = bench.wait_packet(SECONDS, type="CONNECT")
    if hello and hello["version"] != V5:
        return not_applicable("user properties are of MQTT 5; the device speaks MQTT 3.1.1")
    wanted = bench.asked.user_property
    packet = bench.wait(lambda events: with_properties(events, wanted),
                        SECONDS if demanded or wanted else FEATURE_SECONDS)
    if packet:
        return passed("the device published with the user properties",
                      seen(packet, f"{packet['properties']['user_property']}"))
    return _without(demanded or wanted, "no PUBLISH of the device had the user properties")


def with_properties(events, wanted):
    """A PUBLISH that has all of the wanted pairs; any pair when none is named."""
    for packet in at.packets(events, type="PUBLISH", way="up"):
        pairs = [tuple(pair) for pair in packet.get("properties", {}).get("user_property", ())]
        if pairs and all(pair in pairs for pair in wanted):
            return packet
    return None


# -- what comes again on the same connection --

def sent_again(events, kind):
    """The first and second of two packets of one kind and id, with no answer between them."""
    first = {}
    for packet in at.packets(events, type=kind, way="up"):
        if "id" not in packet:
            continue  # QoS 0
        key = packet["conn"], packet["id"]
        if key in first:
            return first[key], packet
        first[key] = packet
    return None


def _retry(bench, kind, answer):
    bench.begin({"rules": [{"name": "withheld", "packets": answer, "direction": "down",
                            "drop": True}]})
    hello = bench.wait_packet(SECONDS, type="CONNECT")
    if not hello:
        return failed("the device sent no valid CONNECT")
    if hello["version"] == V5:
        return not_applicable(f"MQTT 5 forbids to send a {kind} again on the same connection "
                              "[MQTT-4.4.0-1]; the case is for MQTT 3.1.1 clients that do")
    if not bench.asked.retry_cases:
        return not_applicable(f"MQTT 3.1.1 does not ask for a {kind} again on the same connection; "
                              "--retry-cases judges it")
    pair = bench.wait(lambda events: sent_again(events, kind), LONG_SECONDS)
    if not pair:
        return failed(f"the device did not send a {kind} again on the same connection")
    return passed(f"the device sent the {kind} again with the same packet id",
                  seen(pair[1], f"packet id {pair[0]['id']}, after "
                       f"{duration(pair[1]['t'] - pair[0]['t'])}"))


def publish_retry(bench):
    return _retry(bench, "PUBLISH", "PUBACK")


def subscribe_retry(bench):
    return _retry(bench, "SUBSCRIBE", "SUBACK")


def no_answers(bench):
    bench.begin("no-answers")
    hello = bench.wait_packet(SECONDS, type="CONNECT")
    if not hello:
        return failed("the device sent no valid CONNECT")
    if not 0 < hello["keep_alive"] <= KEEP_ALIVE_MOST:
        return failed(f"the keep-alive is {hello['keep_alive']} s; the case needs 1 to "
                      f"{KEEP_ALIVE_MOST} s")
    end = bench.wait(lambda events: next((
        event for event in events if event["ev"] == "end" and event["conn"] == hello["conn"]),
        None), PINGRESP_SECONDS)
    words = seen(hello, f"keep-alive {hello['keep_alive']} s")
    if not end:
        return failed("the device stayed connected though nothing was answered", words)
    if (end["side"], end["by"]) != ("device", "peer"):
        return failed("the broker ended the connection before the device did", words)
    return passed("the device ended the connection by itself", words,
                  seen(end, f"{duration(end['t'] - hello['t'])} after its CONNECT"))


# -- sessions --

def _leave(bench, between):
    """Lets the device subscribe, disconnects it, does `between`, and lets it come back.
    The filter and the CONNACK of its return, or a verdict."""
    bench.begin()
    found = bench.wait(lambda events: at.trigger_of(events, bench.trigger), SECONDS)
    if not found:
        return failed(NO_TRIGGER), None
    packet, topic_filter = found
    hello = next(at.packets(bench.events(), type="CONNECT", conn=packet["conn"]))
    if hello["version"] == V311 and hello["clean"]:
        return failed("the device connects with a clean session; the case is about kept ones"), None
    if not bench.wait_packet(SECONDS, type="SUBACK", conn=packet["conn"]):
        return failed("the device was disconnected before its subscription was confirmed"), None
    bench.out()
    between(hello["client"], topic_for(topic_filter))
    bench.begin()
    answer = bench.wait_packet(LONG_SECONDS, type="CONNACK")
    if not answer:
        return failed("the device did not connect again"), None
    return topic_filter, answer


def persistent_session(bench):
    def store(_client, topic):
        bench.publish(topic, PAYLOAD)
        time.sleep(STORED_SECONDS)
    topic_filter, answer = _leave(bench, store)
    if answer is None:
        return topic_filter
    if not answer["session_present"]:
        return failed("the broker had no session when the device came back: its session is clean, "
                      "or expires at once")
    topic = topic_for(topic_filter)
    acknowledged = bench.wait(lambda events: acknowledged_message(events, topic), LONG_SECONDS)
    bench.wait(lambda events: at.trigger_of(events, topic_filter), WATCH_SECONDS)
    return judge_session(bench.events(), topic_filter, acknowledged)


def acknowledged_message(events, topic):
    for sent in at.packets(events, type="PUBLISH", way="down", topic=topic):
        answer = next(at.packets(events, type="PUBACK", way="up", conn=sent["conn"],
                                 id=sent.get("id")), None)
        if answer:
            return answer
    return None


def judge_session(events, topic_filter, acknowledged):
    again = next((packet for packet in at.packets(events, type="SUBSCRIBE") if any(
        entry["filter"] == topic_filter for entry in packet["filters"])), None)
    if again:
        return failed("the device subscribed again though its session was there",
                      seen(again, f"SUBSCRIBE of {topic_filter}"))
    if not acknowledged:
        return failed("the device did not acknowledge the stored message")
    return passed("the device took up its session: the stored message was acknowledged, and "
                  "nothing was subscribed again",
                  seen(acknowledged, f"PUBACK of the stored message; filter {topic_filter}"))


def expired_session(bench):
    topic_filter, answer = _leave(bench, lambda client, _topic: bench.forget(client))
    if answer is None:
        return topic_filter
    if answer["session_present"]:
        return failed("the broker still had the session")
    if not bench.wait(lambda events: at.trigger_of(events, topic_filter), LONG_SECONDS):
        return failed("the device did not subscribe again though its session was gone",
                      f"filter {topic_filter}")
    return passed("the device subscribed again after its session was gone",
                  f"filter {topic_filter}")


CASES = {
    "MQTT_Connect": connect,
    "MQTT_Publish": publish,
    "MQTT_Subscribe": subscribe,
    "MQTT_Client_Puback_Qos1": puback,
    "MQTT_Publish_Retained_Messages": retained,
    "MQTT_Publish_User_Property": user_property,
    "MQTT_Publish_Retry_No_Puback": publish_retry,
    "MQTT_Subscribe_Retry_No_Suback": subscribe_retry,
    "MQTT_No_Ack_PingResp": no_answers,
    "MQTT_Persistent_Session_Happy_Case": persistent_session,
    "MQTT_Expired_Persistent_Session": expired_session,
}
