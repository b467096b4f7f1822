#!/usr/bin/env python3
"""Goal:   `holdfast lab torture` counts messages right, reads the trace right, and scores right.
Method: made-up payloads and trace events. No network, no device.
"""
import json
import unittest

from report.model import Case, Verdict
from tool.story import excerpt, timeline
from trials import main, report
from trials.account import Account, read_accepted, read_payload, spans, words_of
from trials.story import Story


def reading(run, seq):
    return json.dumps({"run": run, "seq": seq, "value": 1}).encode()


class Payloads(unittest.TestCase):
    def test_objects_and_bare_numbers_are_read(self):
        self.assertEqual(read_payload(b'{"run":"a","seq":7}'), ("a", 7))
        self.assertEqual(read_payload(b'{"run":3,"seq":7}'), ("3", 7))
        self.assertEqual(read_payload(b'{"seq":7}'), (None, 7))
        self.assertEqual(read_payload(b"7"), (None, 7))

    def test_everything_else_has_no_number(self):
        for payload in (b"", b"\xff", b"hello", b"-1", b"1.5", b"true", b"[1]", b'{"seq":"7"}',
                        b'{"seq":true}', b'{"run":"a"}', b"[" * 100_000):
            self.assertIsNone(read_payload(payload), payload[:20])

    def test_lists_of_accepted_messages(self):
        self.assertEqual(read_accepted("7"), ("A", None, 7, "unnamed"))
        self.assertEqual(read_accepted("a 7"), ("A", "a", 7, "unnamed"))
        self.assertEqual(read_accepted("A a 7 topic id"), ("A", "a", 7, "unnamed"))
        self.assertEqual(read_accepted("X a 7 topic id dropped:expired"), ("X", "a", 7, "expired"))
        for line in ("", "a", "a b", "X a 7 topic 0 rejected:full"):
            self.assertIsNone(read_accepted(line), line)


class Counting(unittest.TestCase):
    def account(self, *numbers, **options):
        account = Account(**options)
        for number in numbers:
            account.take("t", reading("a", number))
        return account

    def test_a_run_may_begin_with_0_or_1(self):
        for numbers in ((0, 1, 2), (1, 2, 3)):
            self.assertEqual(self.account(*numbers).missing(), set())
        self.assertEqual(self.account(2, 3).missing(), {("a", 1)})

    def test_what_is_missing_below_the_highest_is_lost_what_is_beyond_is_not_known(self):
        account = self.account(1, 2, 5, 6)
        self.assertEqual(account.newly_lost(), [("a", 3), ("a", 4)])
        self.assertEqual(account.newly_lost(), [])
        self.assertEqual((account.total(), account.seen), (6, 4))

    def test_late_ones_are_neither_lost_nor_repeats(self):
        account = self.account(1, 3, 2, 4)
        self.assertEqual((account.missing(), account.late, account.duplicates), (set(), 1, 0))

    def test_repeats_are_counted_each(self):
        account = self.account(1, 2, 2, 1, 2, 3)
        self.assertEqual((account.duplicates, account.late, account.seen), (3, 0, 3))

    def test_numbers_of_a_run_go_over_all_topics_unless_told_otherwise(self):
        for by_topic, repeats in ((False, 2), (True, 0)):
            account = Account(by_topic=by_topic)
            for topic in ("x", "y"):
                for number in (1, 2):
                    account.take(topic, reading("a", number))
            self.assertEqual((account.duplicates, account.missing()), (repeats, set()))

    def test_without_a_run_each_topic_counts_for_itself(self):
        account = Account()
        for topic, number in (("x", 1), ("y", 1), ("x", 2), ("y", 3)):
            account.take(topic, str(number).encode())
        self.assertEqual((account.duplicates, account.missing()), (0, {("y", 2)}))

    def test_a_new_run_begins_anew(self):
        account = self.account(1, 2)
        account.take("t", reading("b", 1))
        self.assertEqual((account.duplicates, account.missing(), account.seen), (0, set(), 3))

    def test_messages_without_a_number_are_left_out(self):
        account = Account()
        account.take("t", b"hello")
        self.assertFalse(account.counting)
        self.assertEqual(account.foreign, 1)

    def test_numbers_that_are_no_counters_end_the_account(self):
        account = self.account(1, 1_700_000_000_000)
        self.assertFalse(account.counting)
        self.assertIn("1700000000000", account.broken)


class Lists(unittest.TestCase):
    def account(self, lines, numbers, run="a"):
        account = Account(listed=True)
        for line in lines:
            account.accept(line)
        for number in numbers:
            account.take("t", reading(run, number) if run else str(number).encode())
        return account

    def test_the_end_is_exact(self):
        account = self.account(["a 1", "a 2", "a 3"], [1, 2])
        self.assertEqual(account.newly_lost(), [("a", 3)])
        self.assertEqual(account.total(), 3)

    def test_what_was_never_accepted_is_not_lost(self):
        account = self.account(["a 1", "a 4"], [1, 4])
        self.assertEqual((account.missing(), account.total()), (set(), 2))

    def test_what_the_device_gave_up_is_accounted_for_by_its_reason(self):
        account = self.account(["A a 1 t i", "A a 2 t i", "X a 2 t i dropped:expired"], [1])
        self.assertEqual((account.missing(), account.reasons()), (set(), {"expired": 1}))

    def test_what_was_given_up_and_came_after_all_is_delivered(self):
        account = self.account(["a 1", "X a 1 t i dropped:expired"], [1])
        self.assertEqual(account.reasons(), {})

    def test_bare_numbers(self):
        account = self.account(["1", "2"], [1], run=None)
        self.assertEqual(account.newly_lost(), [("", 2)])

    def test_what_came_without_a_note_counts_as_promised(self):
        self.assertEqual(self.account(["a 1"], [1, 2]).total(), 2)


class Words(unittest.TestCase):
    def test_spans(self):
        self.assertEqual(spans([1, 3, 4, 5, 9]), ["1", "3-5", "9"])
        self.assertEqual(spans([]), [])
        self.assertEqual(words_of([("a", 1), ("a", 2), ("b", 7)]), "2 of a: 1-2; 1 of b: 7")

    def test_of_many_losses_a_few_are_named(self):
        said = words_of([(run, number) for run in "abcdefghij" for number in range(0, 100, 2)])
        self.assertTrue(said.startswith("50 of a: 0, 2, 4, 6, 8, 10, 12, 14, …; 50 of b: "), said)
        self.assertTrue(said.endswith("; …"), said)
        self.assertNotIn("of i", said)


def packet(conn, kind, at, way="up", **members):
    return {"t": at, "conn": conn, "ev": "packet", "way": way, "type": kind, "passed": True,
            **members}


def hello(conn, at, reason=0):
    return [{"t": at, "conn": conn, "ev": "accept", "site": "s"},
            packet(conn, "CONNECT", at, client="c", version=5, keep_alive=30),
            packet(conn, "CONNACK", at, "down", reason=reason, session_present=True)]


def told(*events):
    story = Story()
    for event in events:
        story.take(event)
    return story


class Stories(unittest.TestCase):
    def test_a_device_is_connected_from_its_connack_to_its_end(self):
        story = told(*hello(1, 1.0))
        self.assertEqual(story.connected.connack, 1.0)
        story.take({"t": 2.0, "conn": 1, "ev": "end", "side": "device", "by": "peer", "how": "fin"})
        self.assertIsNone(story.connected)
        story.take({"t": 2.1, "conn": 1, "ev": "close"})
        self.assertEqual((story.connections[0].left, story.connections[0].end), (2.0, 2.1))

    def test_a_connack_that_was_dropped_or_refuses_lets_nobody_in(self):
        dropped = packet(1, "CONNACK", 1.0, "down", reason=0, session_present=False)
        dropped["passed"] = False
        self.assertIsNone(told(*hello(1, 1.0)[:2], dropped).connected)
        story = told(*hello(1, 1.0, reason=0x87))
        self.assertIsNone(story.connected)
        self.assertEqual(story.connections[0].refused, 0x87)

    def test_what_was_in_flight_at_the_end_may_come_again(self):
        story = told(*hello(1, 0.0), *(packet(1, "PUBLISH", at, id=at, qos=1) for at in (1, 2, 9)),
                     packet(1, "PUBACK", 1.5, "down", id=1), packet(1, "PUBACK", 9.5, "down", id=9),
                     {"t": 10.0, "conn": 1, "ev": "close"})
        self.assertEqual(story.in_doubt(10.0), 2)  # 2 was not acknowledged, 9 only just
        self.assertEqual(story.in_doubt(9.0, unsure=8.0), 3)
        self.assertEqual(story.in_doubt(11.0), 0)

    def test_the_rate_is_that_of_the_busiest_second(self):
        story = told(*hello(1, 0.0), *(packet(1, "PUBLISH", at, qos=0)
                                       for at in (0.0, 0.5, 1.2, 1.3, 1.4, 3.0)))
        self.assertEqual((story.most_in_a_second(0.0), story.most_in_a_second(2.0)), (4, 1))

    def test_filters_are_those_at_qos_1_that_were_not_given_up(self):
        story = told(*hello(1, 0.0), packet(1, "SUBSCRIBE", 1, id=1, filters=[
            {"filter": "a", "qos": 1}, {"filter": "b", "qos": 0}, {"filter": "c", "qos": 1}]),
            packet(1, "UNSUBSCRIBE", 2, id=2, filters=[{"filter": "c"}]))
        self.assertEqual(story.filters(), ["a"])

    def test_a_puback_that_was_withheld_acknowledges_nothing(self):
        withheld = packet(1, "PUBACK", 2.0, "down", id=1)
        withheld["passed"] = False
        story = told(*hello(1, 0.0), packet(1, "PUBLISH", 1.0, id=1, qos=1), withheld)
        self.assertEqual(len(story.connected.unacked), 1)

    def test_a_packet_id_that_is_sent_twice_on_a_connection_is_noted(self):
        story = told(*hello(1, 0.0), *[packet(1, "PUBLISH", 1.0, id=1, qos=1)] * 2)
        self.assertEqual(story.connected.again, 1)

    def test_what_is_said_all_the_time_is_kept_only_a_few_times_in_each_scenario(self):
        flow = [packet(1, "PUBLISH", at, id=at, qos=1) for at in range(1, 300)]
        told_all = told(*hello(1, 0.0), *flow, packet(1, "DISCONNECT", 300))
        kinds = [packet.kind for packet in excerpt(told_all.events)]
        self.assertEqual(kinds[:3], ["CONNECT", "CONNACK", "PUBLISH"])
        self.assertEqual(kinds[-1], "DISCONNECT")
        self.assertLess(len(kinds), 20)
        told_all.begin()
        told_all.take(packet(1, "PUBLISH", 301, id=301, qos=1))
        self.assertEqual(told_all.events[-1]["t"], 301)

    def test_its_events_tell_the_states_of_the_connection(self):
        events = [*hello(1, 1.0), {"t": 2.0, "conn": 1, "ev": "close"}]
        made = timeline(told(*events).events, 9.0, [0.5, 6.0], [(5.0, 1)])
        self.assertEqual([(span.begin, span.state) for span in made.states], [
            (0.0, "down"), (0.5, "waiting"), (1.0, "connected"), (2.0, "waiting"), (5.0, "down"),
            (6.0, "waiting")])

    def test_rows_of_attempts_tell_how_long_the_device_held_on(self):
        story = told({"t": 1.0, "ev": "refused"}, {"t": 2.0, "conn": 1, "ev": "accept",
                                            "site": "s"},
                     {"t": 5.0, "conn": 1, "ev": "end", "side": "device", "by": "peer",
                      "how": "fin"},
                     {"t": 7.0, "ev": "refused"})
        self.assertEqual(story.row(0.0, 9.0), ([1.0, 2.0, 7.0], [0.0, 3.0]))
        self.assertEqual(story.longest_gap(0.0, 9.0), 5.0)


class Scores(unittest.TestCase):
    def case(self, name, group, verdict):
        return Case(name, group, verdict, "so")

    def test_the_mean_of_what_could_be_judged(self):
        cases = [self.case("a", "one", Verdict.PASS), self.case("b", "one", Verdict.FAIL),
                 self.case("c", "one", Verdict.PASS_WITH_WARNINGS),
                 self.case("d", "one", Verdict.NOT_APPLICABLE),
                 self.case("e", "two", Verdict.NOT_APPLICABLE)]
        scored = report.scores(cases, ["one", "two"])
        self.assertEqual([(score.name, score.score) for score in scored], [("one", 56.7)])
        self.assertEqual(scored[0].reason, "failed: b; with warnings: c")


class Plan(unittest.TestCase):
    def test_a_quick_run_is_no_longer_than_twelve_minutes_and_a_full_one_is_longer(self):
        quick, full = (sum(each.planned(which) for each in main.SCENARIOS.values())
                       for which in (False, True))
        self.assertLess(quick, 12 * 60)
        self.assertGreater(full, 3 * quick)

    def test_a_scenario_is_done_again_as_it_was_but_alone(self):
        words = ["--full", "--scenario", "x", "--seed=3", "--accepted", "f", "--", "dev", "{port}"]
        self.assertEqual(main.again("half-open", words, 7), "holdfast lab torture --scenario "
                         "half-open --seed 7 --full --accepted f -- dev '{port}'")

    def test_options_without_a_value_are_known(self):
        flags = {word for action in main.parser()._actions if action.nargs == 0
                 for word in action.option_strings if word.startswith("--")}
        self.assertEqual(flags - {"--help"}, set(main.FLAGS))


if __name__ == "__main__":
    unittest.main()
