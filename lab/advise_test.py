#!/usr/bin/env python3
"""Goal:   `holdfast lab advise` tells kinds of backoff apart, and its verdicts follow from what the
        relay's trace says.
Method: made-up gaps, and trace events as the relay writes them. No network, no device.
"""

import argparse
import json
import random
import unittest
from xml.etree import ElementTree

from advise import bench, cases_backoff, cases_mqtt, cases_more, cases_tls, gaps, main, policies
from advise import report, verdict


def packet(conn, kind, at=0.0, way="up", **members):
    return {"t": at, "conn": conn, "ev": "packet", "way": way, "type": kind, **members}


def subscribe(conn, topic_filter, qos=1):
    return packet(conn, "SUBSCRIBE", id=1, filters=[{"filter": topic_filter, "qos": qos}])


class Gaps(unittest.TestCase):
    def test_the_same_each_time_is_constant(self):
        self.assertEqual(gaps.classify([2.0, 2.1, 1.95, 2.05, 2.0]), gaps.CONSTANT)

    def test_a_little_lateness_does_not_make_jitter(self):
        self.assertEqual(gaps.classify([1.01, 2.03, 4.01, 8.02, 16.04]), gaps.EXPONENTIAL)
        self.assertEqual(gaps.classify([1.01, 2.00, 3.02, 4.01, 5.02]), gaps.LINEAR)

    def test_random_delays_are_jitter(self):
        self.assertEqual(gaps.classify([0.6, 1.9, 1.2, 6.4, 3.0]), gaps.JITTER)

    def test_full_jitter_is_nearly_always_told(self):
        chance = random.Random(7)
        kinds = [gaps.classify([chance.uniform(0, 2 ** step) for step in range(5)])
                 for _ in range(500)]
        self.assertGreater(kinds.count(gaps.JITTER), 490)

    def test_no_time_at_all_is_constant(self):
        self.assertEqual(gaps.classify([0.0, 0.001, 0.002]), gaps.CONSTANT)

    def test_two_gaps_say_nothing(self):
        with self.assertRaises(ValueError):
            gaps.classify([1, 2])

    def test_a_range_grows_or_does_not(self):
        self.assertTrue(gaps.grows([0.6, 1.9, 1.2, 6.4, 3.0]))
        self.assertFalse(gaps.grows([6.0, 5.0, 7.0, 1.0, 3.0]))


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

    def test_the_patience_for_a_connack_is_not_measured(self):
        measured = cases_backoff.measure(self.events([1, 2, 4, 8, 16]), 5)
        self.assertEqual(measured, [0.5, 1, 2, 4, 8, 16])

    def test_a_device_that_does_not_close_is_measured_from_its_connect(self):
        events = [{"t": 0.0, "conn": 9, "ev": "kick", "how": "fin"},
                  packet(1, "CONNECT", 1.0), packet(2, "CONNECT", 4.0)]
        self.assertEqual(cases_backoff.measure(events, 5), [1.0, 3.0])
        self.assertEqual(cases_backoff.measure(events[:1], 5), [])

    def status(self, *rounds, **options):
        return cases_backoff.judge(list(rounds), **options).status

    def test_verdicts(self):
        jitter = [0.3, 0.6, 1.9, 1.2, 6.4, 3.0]
        exponential = [0.0, 1, 2, 4, 8, 16]
        self.assertEqual(self.status(jitter, jitter), verdict.PASS)
        self.assertEqual(self.status([6.5, 6.0, 5.0, 4.0, 1.0, 3.0]), verdict.WARNINGS)
        self.assertEqual(self.status(jitter, exponential), verdict.WARNINGS)
        self.assertEqual(self.status(exponential, exponential_wanted=True), verdict.PASS)
        self.assertEqual(self.status([1, 1, 2, 3, 4, 5]), verdict.FAIL)
        self.assertEqual(self.status(jitter, [1, 1, 1, 1, 1, 1]), verdict.FAIL)
        self.assertEqual(self.status([1, 2]), verdict.FAIL)
        self.assertEqual(self.status([]), verdict.FAIL)


class Tls(unittest.TestCase):
    COMPLETE = {"ev": "tls", "established": True, "version": "TLSv1.3", "suite": "X", "alerts": []}
    SILENT = {"ev": "tls", "established": False, "how": "reset", "alerts": []}
    ALERTED = {"ev": "tls", "established": False, "how": "tls", "problem": "p", "alerts": [
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
        return cases_tls.judge_suites([{"ev": "client_hello", "suites": [
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
        self.assertEqual(bench.topic_for("a/+/b/#"), "a/lab/b/lab")
        self.assertEqual(bench.topic_for("$share/group/a/+"), "a/lab")

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


class Reports(unittest.TestCase):
    RESULTS = {"A": (verdict.passed("good"), 1.0), "B": (verdict.failed("bad", "why"), 2.0),
               "C": (verdict.not_applicable("not here"), 0.1)}

    def test_json(self):
        asked = argparse.Namespace(command=["x"], thing="pump")
        cases = json.loads(report.as_json(asked, self.RESULTS))["cases"]
        self.assertEqual([each["verdict"] for each in cases], ["PASS", "FAIL", "NOT_APPLICABLE"])
        self.assertEqual(cases[1]["evidence"], ["why"])

    def test_junit(self):
        suite = ElementTree.fromstring(report.as_junit(self.RESULTS).encode())
        self.assertEqual((suite.get("tests"), suite.get("failures"), suite.get("skipped")),
                         ("3", "1", "1"))
        self.assertEqual(suite.find("testcase[@name='B']/failure").get("message"), "bad")

    def test_the_worst_of_the_long_case(self):
        self.assertEqual(cases_more.worst({"a": verdict.passed(""), "b": verdict.failed("")}),
                         verdict.FAIL)
        self.assertEqual(cases_more.worst({"a": verdict.not_applicable("")}),
                         verdict.NOT_APPLICABLE)

    def test_reported_states_may_have_more(self):
        self.assertTrue(cases_more.covers({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 1}}))
        self.assertFalse(cases_more.covers({"a": 1}, {"a": {"b": 1}}))
        self.assertFalse(cases_more.covers(None, {"a": 1}))

    def test_every_qualification_case_is_there(self):
        for name in ("TLS_Connect", "TLS_Incorrect_Subject_Name_Server_Cert",
                     "TLS_Unsecure_Server_Cert", "TLS_Support_AWS_IoT_Cipher_Suites",
                     "TLS_Receive_Maximum_Size_Fragments", "TLS_Expired_Server_Cert",
                     "TLS_Large_Size_Server_Cert", "MQTT_Connect", "MQTT_Subscribe",
                     "MQTT_Publish", "MQTT_Connect_Jitter_Backoff_Retries"):
            self.assertIn(name, main.CASES)


if __name__ == "__main__":
    unittest.main()
