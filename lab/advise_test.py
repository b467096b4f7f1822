#!/usr/bin/env python3
"""Goal:   the verdicts of `holdfast lab advise` and its result document follow from what the relay's
        trace says.
Method: made-up trace events as the relay writes them. No network, no device.
"""

import argparse
import tempfile
import time
import unittest

from advise import bench, cases_backoff, cases_long, cases_mqtt, cases_more, cases_tls, document
from advise import main, policies, verdict
from report import gaps, model
from tool import command, story
from tool.bench import topic_for


def packet(conn, kind, at=0.0, way="up", **members):
    return {"t": at, "conn": conn, "ev": "packet", "way": way, "type": kind, **members}


def subscribe(conn, topic_filter, qos=1):
    return packet(conn, "SUBSCRIBE", id=1, filters=[{"filter": topic_filter, "qos": qos}])


class Backoff(unittest.TestCase):
    def events(self, waits, patience=10.0):
        """Connections that each end `patience` after their CONNECT."""
        now, events = 0.0, [{"t": -0.5, "conn": 9, "ev": "kick", "how": "fin"}]
        for conn, wait in enumerate([0.0, *waits], 1):
            now += wait
            events.append(packet(conn, "CONNECT", now))
            now += patience
            events.append({"t": now, "conn": conn, "ev": "end", "side": "device", "by": "peer"})
        return events

    def finding(self, row):
        return gaps.classify(row.times, row.waits, row.lost)

    def test_a_device_that_is_back_before_the_next_round_is_connected(self):
        taken = packet(1, "CONNACK", way="down", reason=0)
        end = {"t": 1.0, "conn": 1, "ev": "end", "side": "device", "by": "peer"}
        self.assertTrue(cases_backoff.connected([packet(1, "CONNECT"), taken]))
        self.assertFalse(cases_backoff.connected([packet(1, "CONNECT"), taken, end]))
        self.assertFalse(cases_backoff.connected([packet(2, "CONNACK", way="down", reason=135)]))

    def test_the_patience_for_a_connack_is_not_measured(self):
        row = cases_backoff.measure(self.events([1, 2, 4, 8, 16]), 5)
        self.assertEqual(row.waits, [10.0] * 5)
        found = self.finding(row)
        self.assertEqual((found.first, found.gaps), (0.5, [1, 2, 4, 8, 16]))

    def test_a_device_that_does_not_close_is_measured_from_its_connect(self):
        events = [{"t": 0.0, "conn": 9, "ev": "kick", "how": "fin"},
                  packet(1, "CONNECT", 1.0), packet(2, "CONNECT", 4.0)]
        self.assertEqual(self.finding(cases_backoff.measure(events, 5)).gaps, [3.0])
        self.assertEqual(cases_backoff.measure(events[:1], 5).times, [])

    def test_what_comes_after_the_attempts_is_not_measured(self):
        row = cases_backoff.measure(self.events([1, 2, 4, 8, 16, 1, 1]), 5)
        self.assertEqual(len(row.times), 6)

    def judged(self, *rounds, **options):
        rows = [cases_backoff.measure([{**event, "t": event["t"] + 0.5 - first}
                                       if event["ev"] == "kick" else event
                                       for event in self.events(rest)], 5)
                for first, *rest in rounds]
        return cases_backoff.judge(rows, **options)

    def test_verdicts(self):
        jitter = [0.3, 0.6, 1.9, 1.2, 6.4, 3.0]
        exponential = [0.0, 1, 2, 4, 8, 16]
        for rounds, options, expected in (
                ([jitter, jitter], {}, verdict.PASS),
                ([[6.5, 6.0, 5.0, 4.0, 1.0, 3.0]], {}, verdict.WARNINGS),
                ([jitter, exponential], {}, verdict.WARNINGS),
                ([exponential], {"exponential_wanted": True}, verdict.PASS),
                ([[1, 1, 2, 3, 4, 5]], {}, verdict.FAIL),
                ([jitter, [1, 1, 1, 1, 1, 1]], {}, verdict.FAIL),
                ([[1, 2]], {}, verdict.FAIL)):
            judged = self.judged(*rounds, **options)
            self.assertEqual(judged.status, expected, rounds)
            self.assertEqual(len(judged.attempts), len(rounds))
        self.assertIn("constant", self.judged(jitter, [1] * 6).reason)
        self.assertEqual(cases_backoff.judge([model.Attempts([])]).status, verdict.FAIL)

    def test_the_gaps_are_told(self):
        self.assertEqual(self.judged([0.3, 0.6, 1.9, 1.2, 6.4, 3.0]).evidence[0].text,
                         "gaps: (0.30 s), 0.60 s, 1.90 s, 1.20 s, 6.40 s, 3.00 s")


class Tls(unittest.TestCase):
    COMPLETE = {"t": 1.0, "ev": "tls", "established": True, "version": "TLSv1.3", "suite": "X", "alerts": []}
    SILENT = {"t": 1.0, "ev": "tls", "established": False, "how": "reset", "alerts": []}
    ALERTED = {**SILENT, "how": "tls", "problem": "p", "alerts": [
        {"by": "peer", "level": "fatal", "number": 45, "name": "certificate expired"}]}

    def test_handshakes(self):
        warned = {**self.COMPLETE, "alerts": [
            {"by": "peer", "level": "warning", "number": 90, "name": "user canceled"}]}
        for events, expected in (([self.COMPLETE], verdict.PASS), ([warned], verdict.WARNINGS),
                                 ([self.SILENT], verdict.FAIL), ([], verdict.FAIL)):
            self.assertEqual(cases_tls.judge_handshake(events).status, expected)

    def test_refusals(self):
        for event, alert_wanted, expected in (
                (self.ALERTED, True, verdict.PASS), (self.SILENT, True, verdict.WARNINGS),
                (self.SILENT, False, verdict.PASS), (self.COMPLETE, False, verdict.FAIL)):
            self.assertEqual(cases_tls.judge_refusal([event], alert_wanted).status, expected)
        self.assertEqual(cases_tls.judge_refusal([]).status, verdict.FAIL)

    def suites(self, *standings):
        return cases_tls.judge_suites([{"t": 1.0, "ev": "client_hello", "suites": [
            {"id": "0x1301", "name": "X", "aws": standing} for standing in standings]}]).status

    def test_suites(self):
        self.assertEqual(self.suites("recommended", "supported", "signalling"), verdict.PASS)
        self.assertEqual(self.suites("recommended", "unsupported"), verdict.WARNINGS)
        self.assertEqual(self.suites("supported"), verdict.WARNINGS)
        self.assertEqual(self.suites("unsupported"), verdict.FAIL)
        self.assertEqual(cases_tls.judge_suites([]).status, verdict.FAIL)


class Mqtt(unittest.TestCase):
    def test_the_trigger_is_the_first_filter_at_qos_1(self):
        events = [subscribe(1, "a", qos=0), subscribe(1, "b/+/c"), subscribe(1, "d")]
        self.assertEqual(bench.trigger_of(events)[1], "b/+/c")
        self.assertEqual(bench.trigger_of(events, "d")[1], "d")
        self.assertIsNone(bench.trigger_of(events, "a"))

    def test_topics_that_match_filters(self):
        self.assertEqual(topic_for("a/+/b/#"), "a/lab/b/lab")
        self.assertEqual(topic_for("$share/group/a/+"), "a/lab")

    def test_sent_again_means_the_same_id_on_the_same_connection(self):
        first, again = packet(1, "PUBLISH", 1, id=7), packet(1, "PUBLISH", 6, id=7)
        self.assertEqual(cases_mqtt.sent_again([first, again], "PUBLISH"), (first, again))
        for other in (packet(2, "PUBLISH", 6, id=7), packet(1, "PUBLISH", 6, id=8)):
            self.assertIsNone(cases_mqtt.sent_again([first, other], "PUBLISH"))
        self.assertIsNone(cases_mqtt.sent_again([packet(1, "PUBLISH")] * 2, "PUBLISH"))

    def test_a_session_must_not_be_subscribed_again(self):
        stored = packet(2, "PUBLISH", way="down", topic="a", id=3)
        answer = packet(2, "PUBACK", id=3)
        self.assertEqual(cases_mqtt.acknowledged_message([stored, answer], "a"), answer)
        self.assertIsNone(cases_mqtt.acknowledged_message([stored], "a"))
        self.assertEqual(cases_mqtt.judge_session([stored, answer], "a", answer).status,
                         verdict.PASS)
        self.assertEqual(cases_mqtt.judge_session([stored, subscribe(2, "a")], "a", answer).status,
                         verdict.FAIL)
        self.assertEqual(cases_mqtt.judge_session([stored], "a", None).status, verdict.FAIL)

    def test_what_is_sent_to_the_device_has_to_be_acknowledged(self):
        sent, answer = packet(1, "PUBLISH", 1.0, "down", size=9, id=4), packet(1, "PUBACK", 1.5)
        for given, expected in (((None, None, None), verdict.FAIL),
                                (("a", None, None), verdict.FAIL),
                                (("a", sent, None), verdict.FAIL),
                                (("a", sent, answer), verdict.PASS)):
            self.assertEqual(cases_mqtt.judge_delivery(*given, "it").status, expected)

    def test_user_properties(self):
        event = packet(1, "PUBLISH", properties={"user_property": [["a", "1"], ["b", "2"]]})
        self.assertIs(cases_mqtt.with_properties([packet(1, "PUBLISH"), event], []), event)
        self.assertIs(cases_mqtt.with_properties([event], [("b", "2")]), event)
        self.assertIsNone(cases_mqtt.with_properties([event], [("b", "3")]))


class Policies(unittest.TestCase):
    ARN = "arn:aws:iot:eu-central-1:123456789012:"

    def excess(self, action, resource, effect="Allow"):
        return policies.excess({"Statement": {"Effect": effect, "Action": action,
                                              "Resource": resource}})

    def test_what_is_a_devices_own_is_good(self):
        self.assertEqual(self.excess(["iot:Publish"], self.ARN + "topic/pump/*"), [])
        self.assertEqual(self.excess("iot:Connect", self.ARN + "client/pump"), [])
        self.assertEqual(self.excess("iot:*", "*", effect="Deny"), [])

    def test_wildcards_over_all_devices(self):
        for resource in ("*", self.ARN + "*", self.ARN + "topic/*", self.ARN + "topicfilter/#",
                         self.ARN + "client/*"):
            self.assertEqual(len(self.excess("iot:Publish", resource)), 1, resource)
        self.assertEqual(len(self.excess("iot:*", "*")), 2)
        self.assertEqual(len(policies.excess({"Statement": [
            {"Effect": "Allow", "NotAction": "iot:Connect", "Resource": "*"}]})), 1)


class Long(unittest.TestCase):
    def test_the_worst_of_all(self):
        for verdicts, expected in (
                ([verdict.passed(""), verdict.failed("")], verdict.FAIL),
                ([verdict.passed(""), verdict.warned("")], verdict.WARNINGS),
                ([verdict.passed(""), verdict.not_applicable("")], verdict.PASS),
                ([verdict.not_applicable("")], verdict.NOT_APPLICABLE)):
            self.assertEqual(cases_long.worst(dict(enumerate(verdicts))), expected)

    def test_late_answers(self):
        first, again = packet(1, "PUBLISH", 1, id=7, qos=1), packet(1, "PUBLISH", 6, id=7, qos=1)
        for events, expected in (([first, again], verdict.PASS), ([first], verdict.WARNINGS),
                                 ([first, {**again, "t": 17}], verdict.WARNINGS),
                                 ([first, {**again, "conn": 2}], verdict.WARNINGS),
                                 ([packet(1, "PUBLISH", qos=0)], verdict.NOT_APPLICABLE)):
            self.assertEqual(cases_long.judge_late(events, "PUBLISH").status, expected)
        self.assertEqual(cases_long.judge_late([subscribe(1, "a")], "SUBSCRIBE").status,
                         verdict.WARNINGS)
        modern = [packet(1, "CONNECT", version=cases_mqtt.V5), first]
        self.assertEqual(cases_long.judge_late(modern, "PUBLISH").status, verdict.NOT_APPLICABLE)

    def test_answers_that_are_not_waited_for(self):
        self.assertEqual(cases_long.judge_plain([packet(1, "PUBLISH", qos=0)], "PUBLISH").status,
                         verdict.PASS)
        self.assertEqual(cases_long.judge_plain([subscribe(1, "a", 1)], "SUBSCRIBE").status,
                         verdict.NOT_APPLICABLE)


class Documents(unittest.TestCase):
    def case(self, judged, events=(), exits=()):
        return document.case_of("TLS", "TLS_Connect", judged, events, 10.0, 12.5, exits, "again")

    def test_evidence_has_its_time_or_that_of_the_verdict(self):
        judged = verdict.failed("bad", "all in all", verdict.seen({"t": 11.0}, "this"))
        case = self.case(judged, exits=[(11.5, 4)])
        self.assertEqual([(item.time, item.text) for item in case.evidence], [
            (11.0, "this"), (11.5, "the program ended with 4 and was started again"),
            (12.5, "all in all")])
        self.assertEqual((case.begin, case.seconds, case.verdict), (10.0, 2.5, verdict.FAIL))

    def test_a_case_that_passed_has_few_packets(self):
        events = [packet(at, "PUBLISH", at, topic="a", qos=0, size=1) for at in range(110)]
        short, long = (len(self.case(judged, events).packets)
                       for judged in (verdict.passed(""), verdict.failed("")))
        self.assertLess(0, short)
        self.assertLess(short, long)
        self.assertLess(long, 100)
        self.assertEqual(self.case(verdict.failed(""), events).packets[0].time, 10.0)

    def again(self, words):
        return command.again(document.TOOL, words, ["--case", "B"], main.DROPPED, main.FLAGS)

    def test_a_case_is_done_again_with_the_same_options(self):
        words = ["--case", "A", "--html", "x.html", "--json=y", "--keep", "--retry-cases",
                 "--thing", "a b", "--", "dev", "--case", "{port}"]
        self.assertEqual(self.again(words),
                         "holdfast lab advise --case B --retry-cases --thing 'a b' -- dev --case "
                         "'{port}'")
        self.assertEqual(self.again(["dev", "x"]),
                         "holdfast lab advise --case B dev x")

    def test_options_without_a_value_are_known(self):
        flags = {word for action in main.parser()._actions if action.nargs == 0
                 for word in action.option_strings if word.startswith("--")}
        self.assertEqual(flags - {"--help"}, set(main.FLAGS))


class Story(unittest.TestCase):
    """What a trace tells a reader of a report."""
    EVENTS = [
        {"t": 0.0, "ev": "faults", "faults": {"accept": "refuse"}},
        {"t": 1.0, "ev": "faults", "faults": {}},
        {"t": 2.0, "conn": 1, "ev": "accept"},
        {"t": 2.1, "conn": 1, "ev": "tls", "established": True, "version": "TLSv1.3", "suite": "X"},
        packet(1, "CONNECT", 2.2, client="pump", version=5, keep_alive=30, clean=True),
        packet(1, "CONNACK", 2.3, "down", reason=0, passed=False, notes=["withheld"]),
        packet(1, "CONNACK", 3.0, "down", reason=0, passed=False, by="lab"),
        {"t": 4.0, "ev": "faults", "faults": {"rules": [{"name": "no PUBACK"}],
                                              "tls": {"fault": "expired"}}},
        {"t": 5.0, "conn": 1, "ev": "kick", "how": "fin"},
        {"t": 5.0, "conn": 1, "ev": "end", "side": "device", "by": "lab", "how": "fin"},
        {"t": 5.1, "conn": 1, "ev": "close"},
        {"t": 6.0, "conn": 2, "ev": "accept"},
        {"t": 6.1, "conn": 2, "ev": "tls", "established": False, "alerts": [
            {"by": "peer", "level": "fatal", "number": 45, "name": "certificate expired"}]},
        {"t": 6.1, "conn": 2, "ev": "end", "side": "device", "by": "peer", "how": "tls"},
    ]

    def test_states_of_the_connection(self):
        spans = story.states_of(self.EVENTS, [(5.2, 5.7)], 10.0)
        self.assertEqual([(span.begin, span.end, span.state) for span in spans], [
            (0.0, 2.0, "waiting"), (2.0, 3.0, "connecting"), (3.0, 5.0, "connected"),
            (5.0, 5.2, "waiting"), (5.2, 5.7, "down"), (5.7, 6.0, "waiting"),
            (6.0, 6.1, "connecting"), (6.1, 10.0, "waiting")])

    def test_faults_in_force(self):
        spans = story.faults_of(self.EVENTS, 10.0)
        self.assertEqual([(span.begin, span.end, span.name) for span in spans], [
            (0.0, 1.0, "accept refuse"), (4.0, 10.0, "no PUBACK, tls expired")])

    def test_packets_and_what_tls_says(self):
        told = story.excerpt(self.EVENTS)
        self.assertEqual([(item.kind, item.sender.value) for item in told], [
            ("TLS Finished", "device"), ("CONNECT", "device"), ("CONNACK", "broker"),
            ("CONNACK", "broker"), ("end", "broker"), ("TLS alert", "device"), ("end", "device")])
        self.assertEqual(told[1].summary, "pump, MQTT 5, keep-alive 30 s, clean session")
        self.assertIn("withheld", told[2].summary)

    def test_of_too_many_packets_begin_and_end_are_told(self):
        many = [packet(at, "PUBACK", at, id=at) for at in range(100)]
        self.assertEqual([item.time for item in story.excerpt(many, 5)], [0, 1, 2, 98, 99])
        same = [packet(1, "PUBACK", at, id=at) for at in range(100)]
        self.assertEqual([item.time for item in story.excerpt(same, 5, 2)], [0, 1])

    def test_events_are_in_order(self):
        made = story.timeline(self.EVENTS, 10.0, [0.5, 5.5], [(4.5, -9)])
        self.assertEqual([item.time for item in made.events], [4.5, 5.0])
        model.load(model.dump(model.Document(model.Run("t", "c", "d", 1.0), [], made)))


class Useless(unittest.TestCase):
    """A program that cannot run is told at once."""

    def bench(self, events, ends, open_for=None):
        now = time.monotonic()
        made = bench.Bench.__new__(bench.Bench)
        made.useful = False
        made.open_since = None if open_for is None else now - open_for
        made.trace = argparse.Namespace(events=events)
        made.program = argparse.Namespace(exits=[(now - ago, 4) for ago in ends],
                                          log=self.enterContext(tempfile.NamedTemporaryFile(
                                              suffix=".log")).name)
        with open(made.program.log, "w", encoding="utf-8") as log:
            log.write("first\n" * 100 + "no \x1b[31mconfiguration\n")
        return made

    def test_it_never_comes(self):
        with self.assertRaises(bench.ProgramFails) as caught:
            self.bench([], [4, 3, 2]).check()
        self.assertIn("ended 3 times", str(caught.exception))
        self.assertIn("no \\x1b[31mconfiguration", str(caught.exception))
        self.assertLess(len(str(caught.exception).splitlines()), 20)

    def test_it_comes_but_sends_no_connect(self):
        accepted = [{"t": 0, "ev": "accept", "conn": 1}]
        with self.assertRaises(bench.ProgramFails):
            self.bench(accepted, [4, 3, 2], open_for=5).check()

    def test_who_ends_because_of_the_test_is_not_useless(self):
        accepted = [{"t": 0, "ev": "accept", "conn": 1}]
        for made in (self.bench(accepted, [4, 3, 2]),                 # refused, or a bad certificate
                     self.bench(accepted, [4, 3, 2], open_for=3.5),   # a part of it
                     self.bench([], [4, 3]), self.bench([], [100, 50, 2]),
                     self.bench([packet(1, "CONNECT")], [4, 3, 2], open_for=5)):
            made.check()


class Cases(unittest.TestCase):
    def test_reported_states_may_have_more(self):
        self.assertTrue(cases_more.covers({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1}}))
        self.assertFalse(cases_more.covers({"a": 1}, {"a": {"b": 1}}))
        self.assertFalse(cases_more.covers(None, {"a": 1}))

    def test_the_cases_are_the_published_ones_no_more_and_no_fewer(self):
        """By the names in AWS's developer guide, Device Advisor test cases."""
        published = """
            TLS_Connect TLS_Receive_Maximum_Size_Fragments TLS_Support_AWS_IoT_Cipher_Suites
            TLS_Large_Size_Server_Cert TLS_Unsecure_Server_Cert TLS_Incorrect_Subject_Name_Server_Cert
            TLS_Expired_Server_Cert
            MQTT_Connect MQTT_Connect_Jitter_Backoff_Retries MQTT_Connect_Exponential_Backoff_Retries
            MQTT_Reconnect_Backoff_Retries_On_Server_Disconnect
            MQTT_Reconnect_Backoff_Retries_On_Unstable_Connection
            MQTT_Publish MQTT_Publish_Retry_No_Puback MQTT_Publish_Retained_Messages
            MQTT_Publish_User_Property MQTT_Subscribe MQTT_Subscribe_Retry_No_Suback
            MQTT_No_Ack_PingResp MQTT_Client_Puback_Qos1 MQTT_Persistent_Session_Happy_Case
            MQTT_Expired_Persistent_Session MQTT_Long_Duration
            Shadow_Publish_Reported_State Shadow_Update_Reported_State Job_Execution
            Security_Device_Policies""".split()
        self.assertEqual(len(published), 27)
        self.assertEqual(sorted(main.CASES), sorted(published))


if __name__ == "__main__":
    unittest.main()
