"""Recommendation 2: manage subscriptions and the flow of messages."""
from tool.bench import topic_for

from .scenario import NotApplicable, Scenario
from .site import REFUSED

NAME = "Manage subscriptions and message flow"

# Over it IoT Core discards silently.
PUBLISHES_PER_SECOND = 100
# What the device gets to see in scenarios about messages to it.
PAYLOAD = "a message of the lab"
# A message that was sent to a device that is there has to be acknowledged within this time.
ANSWER_SECONDS = 10
KEEP_ALIVE = 5


def need_qos_1(trial):
    if not trial.story.sent[1]:
        raise NotApplicable("the device has published nothing at QoS 1")


def need_version_5(trial, what):
    if trial.story.connected.version != 5:
        raise NotApplicable(f"the device speaks MQTT 3.1.1, which has no {what}")


def need_filter(trial):
    filters = trial.story.filters()
    if not filters:
        raise NotApplicable("the device has subscribed to nothing at QoS 1")
    return filters


def acknowledged(trial, topic, copies=1):
    """Publishes to the device; how many of the copies that it got it has acknowledged."""
    known = len(trial.story.received)
    trial.bench.home.call("Publish", topic=topic, payload=PAYLOAD, qos=1)

    def answers():
        got = [(number, name) for _, to, number, name in trial.story.received[known:]
               if to == topic]
        return sum(min(trial.story.answered[each], got.count(each)) for each in set(got))
    trial.wait(lambda: answers() >= copies, ANSWER_SECONDS)
    return answers()


def judge_subscriptions(trial, filters):
    """Its session is gone since trial.broken; it has to subscribe again by itself, and then gets
    messages again."""
    def again():
        return {name for each in trial.story.connections_since(trial.broken)
                for name, _ in each.filters}
    trial.wait(lambda: set(filters) <= again(), ANSWER_SECONDS)
    missing = sorted(set(filters) - again())
    if missing:
        trial.fail(f"did not subscribe again to {', '.join(missing)} when its session was gone")
    elif not acknowledged(trial, topic_for(filters[0])):
        trial.fail(f"did not acknowledge a message to {topic_for(filters[0])} after it had "
                   "subscribed again")
    else:
        trial.passed("subscribed again when its session was gone")


def session_lost(trial):
    """The broker has forgotten the session."""
    filters = need_filter(trial)
    trial.broken = trial.bench.now()
    trial.note("the broker forgets the session")
    trial.bench.home.call("DeleteConnection", clientId=trial.story.connected.client,
                          cleanSession=True)
    trial.heal()
    if trial.judge_return():
        judge_subscriptions(trial, filters)


def puback_lost(trial):
    """Acknowledgements do not arrive, then the connection ends."""
    need_qos_1(trial)
    before = trial.story.connected
    trial.fault("no-puback", "no PUBACK arrives")
    trial.sleep(trial.seconds("withheld"))
    trial.kick()
    trial.heal()
    if before.version == 5 and before.again:
        trial.fail(f"sent {before.again} messages again on the same connection, which MQTT 5 "
                   "forbids")


def disordered(trial):
    """Acknowledgements arrive in another order, and twice."""
    need_qos_1(trial)
    for faults, words in (("reordered-acks", "PUBACKs arrive in another order"),
                          ({"rules": [{"name": "twice", "packets": "PUBACK", "direction": "down",
                                       "duplicate": 1}]}, "each PUBACK arrives twice")):
        trial.fault(faults, words)
        trial.sleep(trial.seconds("each"))
    trial.heal()


def redelivery(trial):
    """The broker sends a message again, without DUP, as IoT Core does."""
    filters = need_filter(trial)
    switches = trial.bench.home.call("GetSwitches")
    trial.bench.home.call("PutSwitches", redelivery_ms=2000)
    try:
        trial.fault({"rules": [{"name": f"lost-{trial.begin}", "packets": "PUBACK",
                                "direction": "up", "first": 1, "scope": "all", "drop": True}]},
                    "the PUBACK of one message is lost; it is sent again")
        answered = acknowledged(trial, topic_for(filters[0]), 2)
    finally:
        trial.bench.home.call("PutSwitches", redelivery_ms=switches["redelivery_ms"])
    trial.heal()
    if answered < 2:
        trial.fail(f"acknowledged {answered} of the 2 copies of a message that was sent again")
    else:
        trial.passed("acknowledged each copy of a message that was sent again")


def rate(trial):
    """What is over 20 PUBLISH a second is dropped without a word, while a backlog goes out."""
    need_qos_1(trial)
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    trial.sleep(trial.seconds("outage"))
    trial.fault({"rules": [{"name": "rate", "packets": "PUBLISH", "direction": "up", "rate": 20}]},
                "over 20 PUBLISH a second are dropped silently")
    trial.sleep(trial.seconds("throttled"))
    trial.heal()


def backlog(trial):
    """A long outage while it produces; then all has to come, and not too fast."""
    trial.fault(REFUSED, "every connection is refused")
    trial.kick()
    trial.sleep(trial.seconds("outage"))
    trial.heal()
    if not trial.judge_return():
        return
    back = trial.returned
    trial.drain()
    most = trial.story.most_in_a_second(back)
    trial.figure("most PUBLISH in a second", most, "1/s", limit=PUBLISHES_PER_SECOND)
    if most > PUBLISHES_PER_SECOND:
        trial.warn(f"sent {most} messages in a second; IoT Core drops what is over "
                   f"{PUBLISHES_PER_SECOND}")
    came = [moment for moment in trial.bench.arrivals if moment >= back]
    if came:
        trial.note(f"{len(came)} messages came in {came[-1] - back:.0f} s after it was back")


def receive_maximum(trial):
    """The broker takes one message at a time."""
    need_qos_1(trial)
    need_version_5(trial, "Receive Maximum")
    trial.fault("small-window", "CONNACK says Receive Maximum 1")
    trial.kick()
    there = trial.wait(lambda: trial.story.connected, trial.patience())
    if not there:
        return
    trial.sleep(trial.seconds("watched"))
    trial.figure("messages in flight", there.most_in_flight, "", limit=1)
    if there.most_in_flight > 1:
        trial.fail(f"had {there.most_in_flight} messages in flight; Receive Maximum was 1")
    else:
        trial.passed("kept to one message in flight")
    trial.kick()  # what it was told holds for that connection
    trial.heal()


def server_keep_alive(trial):
    """The broker asks for a sign of life more often than the device had in mind."""
    need_version_5(trial, "Server Keep Alive")
    trial.fault({"rules": [{"name": "alive", "packets": "CONNACK",
                            "alter": {"set": {"server_keep_alive": KEEP_ALIVE}}}]},
                f"CONNACK says Server Keep Alive {KEEP_ALIVE}")
    trial.kick()
    there = trial.wait(lambda: trial.story.connected, trial.patience())
    if not there:
        return
    trial.sleep(trial.seconds("watched"))
    silence = max(there.silence, trial.bench.now() - there.last_up)
    trial.figure("longest silence", silence, "s", limit=1.5 * KEEP_ALIVE)
    if silence > 1.5 * KEEP_ALIVE:
        trial.fail(f"was silent for {silence:.1f} s; Server Keep Alive was {KEEP_ALIVE} s")
    else:
        trial.passed(f"was never silent for more than {silence:.1f} s")
    trial.kick()
    trial.heal()


SCENARIOS = [
    Scenario("session-lost", NAME, "the broker has forgotten the session", session_lost,
             lasts=(3, 3)),
    Scenario("puback-lost", NAME, "acknowledgements are lost, then the connection", puback_lost,
             {"withheld": (10, 30)}),
    Scenario("acks-disordered", NAME, "acknowledgements come in another order, and twice",
             disordered, {"each": (6, 60)}, (12, 120)),
    Scenario("redelivery", NAME, "a message to the device comes again without DUP", redelivery,
             lasts=(4, 4)),
    Scenario("rate", NAME, "messages over a rate are dropped silently", rate,
             {"outage": (8, 30), "throttled": (12, 60)}, (45, 120)),
    Scenario("backlog", NAME, "a long outage while it produces", backlog, {"outage": (20, 600)}, (25, 660)),
    Scenario("receive-maximum", NAME, "the broker takes one message at a time", receive_maximum,
             {"watched": (6, 30)}),
    Scenario("server-keep-alive", NAME, "the broker asks for a shorter keep-alive",
             server_keep_alive, {"watched": (10, 60)}),
]
