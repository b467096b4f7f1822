#!/usr/bin/env python3
"""Goal:   the bench of reconnection counts what it says: the first PUBACK of a living connection,
        medians and misses, every goal; and its page has a place for every table.
Method: made-up traces, lines and samples; nothing is started.

    reconnect_test.py
"""
import json
import pathlib
import random
import sys
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "lab")]
import devices  # noqa: E402
import faults  # noqa: E402
import main as bench  # noqa: E402
import moments  # noqa: E402
import table  # noqa: E402
from down import Cost  # noqa: E402
from outages import ALL, Sample  # noqa: E402


class LivesOfClients(unittest.TestCase):
    def setUp(self):
        self.lives = moments.Lives()

    def take(self, t, ev, conn=1, **members):
        self.lives.take({"t": t, "ev": ev, "conn": conn, **members})

    def connect(self, t, conn=1):
        self.take(t, "accept", conn)
        self.take(t, "packet", conn, way="up", type="CONNECT", client="pump")
        self.take(t, "packet", conn, way="down", type="CONNACK", reason=0)

    def message(self, t, conn=1):
        self.take(t, "packet", conn, way="up", type="PUBLISH")
        self.take(t, "packet", conn, way="down", type="PUBACK")

    def first(self, cut, healed, now=100):
        return self.lives.life("pump").first_ack(cut, healed, now)

    def test_the_first_puback_of_a_new_connection(self):
        self.connect(1)
        self.message(2)
        self.connect(21, conn=2)
        self.message(22.5, conn=2)
        self.message(22.6, conn=2)
        self.assertEqual(self.first(5, 20), (22.5, False))

    def test_an_attempt_that_began_in_the_outage_counts_once_it_has_an_acknowledgement(self):
        self.connect(1)
        self.connect(15, conn=2)
        self.message(21, conn=2)
        self.assertEqual(self.first(5, 20), (21, False))

    def test_a_connection_that_goes_on_speaking_has_survived(self):
        self.connect(1)
        self.message(20.4)
        self.assertIsNone(self.first(5, 20, now=20.5), "not yet known")
        self.message(21.5)
        self.assertEqual(self.first(5, 20), (20.4, True))

    def test_what_a_closed_socket_still_sends_is_no_return(self):
        self.connect(1)
        self.message(20.4)
        self.take(20.5, "close")
        self.assertIsNone(self.first(5, 20))
        self.connect(23, conn=2)
        self.message(24, conn=2)
        self.assertEqual(self.first(5, 20), (24, False))

    def test_an_idle_device_is_back_with_its_connection(self):
        self.connect(1)
        self.connect(30, conn=2)
        self.assertEqual(self.lives.life("pump").first_sign(5, 20), (30, False))

    def test_an_idle_device_may_never_have_left(self):
        self.connect(1)
        self.take(25, "packet", way="up", type="PINGREQ")
        self.assertEqual(self.lives.life("pump").first_sign(5, 20), (25, True))

    def test_a_broker_that_is_gone_ends_all_connections(self):
        self.connect(1)
        self.assertIsNotNone(self.lives.life("pump").current)
        self.lives.broker_gone(5)
        self.assertIsNone(self.lives.life("pump").current)

    def test_a_refused_connection_is_none(self):
        self.take(1, "accept")
        self.take(1, "packet", way="up", type="CONNECT", client="pump")
        self.take(1, "packet", way="down", type="CONNACK", reason=0x97)
        self.assertIsNone(self.lives.life("pump").current)


class OwnLines(unittest.TestCase):
    def test_the_first_notice_after_the_cut(self):
        lines = moments.Lines(devices.KINDS["holdfast"].notice)
        for t, line in ((1, "warning: offline: server_gone: gone"), (9, "info: connected to x"),
                        (12, "warning: offline: silent_peer: The broker")):
            lines.take(t, line)
        self.assertEqual(lines.first_notice(10)[0], 12)
        self.assertEqual(lines.count, 3)
        self.assertIsNone(lines.first_notice(13))

    def test_every_kind_knows_its_own_words(self):
        words = {"holdfast": "warning: offline: link_down: x", "paho-c": "connection lost: ",
                 "libmosquitto": "disconnected: The connection was lost.",
                 "libmosquitto-again": "the loop ended: Protocol error",
                 "aws-sdk-js": "disconnected: Error: ping timeout"}
        self.assertEqual(set(words), set(devices.KINDS))
        for kind, line in words.items():
            lines = moments.Lines(devices.KINDS[kind].notice)
            lines.take(1, line)
            self.assertIsNotNone(lines.first_notice(0), kind)


def sample(back, outage="link-20", kind="holdfast", **members):
    return Sample(outage, kind, 0, back=back, patience=90, **members)


HANGS = {"count": 100, "hangs": 0, "bound": 90, "devices": 2, "seed": 1, "seconds": 9,
         "median": 1.0, "p99": 2.0, "worst": 3.0, "accepted": 5, "delivered": 5, "dropped": 0,
         "lost": 0, "commit": "x", "build": "Debug", "faults": {"reset": 100}, "stories": []}


class Tables(unittest.TestCase):
    def test_median_worst_and_those_that_did_not_come_back(self):
        self.assertEqual(table.back_cell([sample(0.5), sample(1.5), sample(4)]), "1.50 (4.00)")
        self.assertEqual(table.back_cell([sample(0.5), sample(None)]),
                         "0.50 (0.50); **1 of 2 not** in 90.0")
        self.assertEqual(table.back_cell([sample(0.5, kept=True)]),
                         "0.50 (0.50), 1 of 1 never left")
        self.assertEqual(table.back_cell([]), "–")

    def test_who_never_noticed_is_told_apart(self):
        seen = sample(1, outage="silent", noticed=20.0)
        self.assertEqual(table.notice_cell([sample(1, outage="silent"), seen]),
                         "20.0 (20.0); 1 of 2 never")
        self.assertEqual(table.notice_cell([sample(1, outage="silent")]), "1 of 1 never")
        self.assertEqual(table.notice_cell([]), "–")

    def goals(self, samples=(), costs=(), hangs=None):
        return {what: met for what, _, _, met in table.goals(list(samples), list(costs), hangs)}

    def test_goals_are_met_or_missed_by_holdfast_alone(self):
        met = self.goals([sample(1.2), sample(1.6), sample(1.4), sample(60, kind="paho-c")])
        self.assertEqual(met, {"back after a link event, median": True})
        self.assertFalse(self.goals([sample(1.2), sample(1.6), sample(1.7)])
                         ["back after a link event, median"])
        self.assertFalse(self.goals([sample(1.2), sample(None)])["back after a link event, median"])

    def test_a_restart_is_held_against_the_devices_own_timer(self):
        goal = "back after a restart of the broker"
        self.assertTrue(self.goals([sample(14, outage="broker-5", allowed=15)])[goal])
        self.assertFalse(self.goals([sample(17, outage="broker-5", allowed=15)])[goal])
        self.assertFalse(self.goals([sample(None, outage="broker-5", allowed=15)])[goal])

    def test_silence_has_to_be_noticed_in_time_by_all(self):
        goal = "silent loss noticed, worst"
        noticed = [sample(1, outage="silent", noticed=29),
                   sample(1, outage="silent-idle", noticed=30)]
        self.assertTrue(self.goals(noticed)[goal])
        self.assertFalse(self.goals([*noticed, sample(1, outage="silent", noticed=31)])[goal])
        self.assertFalse(self.goals([*noticed, sample(1, outage="silent")])[goal])

    def test_costs_are_scaled_and_hangs_counted(self):
        cost = Cost("refused", "holdfast", 360, 600, 0.1, 2)
        self.assertAlmostEqual(cost.cpu_an_hour, 0.6)
        self.assertAlmostEqual(cost.lines_a_day, 288)
        self.assertEqual(self.goals(costs=[cost], hangs=HANGS), {
            "hangs": True, "processor time while down, an hour": True,
            "lines of the log while down, a day": False})
        self.assertFalse(self.goals(hangs={**HANGS, "hangs": 1})["hangs"])

    def test_what_is_kept_makes_the_same_tables_and_the_page_has_their_places(self):
        samples = [sample(1.0, outage=name, kind=kind, noticed=2.0) for name in ALL
                   for kind in devices.KINDS]
        costs = [Cost("refused", "holdfast", 360, 600, 0.1, 2)]
        about = {"date": "2026-11-27", "machine": "m", "command": "c", "commit": "x"}
        kept = json.loads(json.dumps(table.document(about, samples, costs, HANGS)))
        made = table.parts(kept)
        self.assertEqual(set(made), set(table.MARKS))
        self.assertIn("| hangs | 0 | 0 in 100 faults | met |", made["goals"])
        self.assertIn("its default route is gone for 20 s (n = 1)", made["outages"])
        page = bench.PAGE.read_text(encoding="utf-8")
        once = table.fill(page, made)
        self.assertEqual(table.fill(once, made), once)
        self.assertIn(made["noticing"], once)
        with self.assertRaises(ValueError):
            table.fill("no place here", made)


    def test_parts_that_were_not_run_say_so(self):
        about = {"date": "2026-11-27", "machine": "m", "command": "c", "commit": "x"}
        made = table.parts(table.document(about, [], [], None))
        for name in ("outages", "noticing", "down", "hangs"):
            self.assertEqual(made[name], "Not run.", name)


class Faults(unittest.TestCase):
    def test_a_seed_draws_the_same_faults_and_in_time_every_kind(self):
        first, second = random.Random(5), random.Random(5)
        drawn = [faults.draw(first) for _ in range(3000)]
        self.assertEqual(drawn, [faults.draw(second) for _ in range(3000)])
        self.assertEqual({each.name for each in drawn}, set(faults.KINDS))
        self.assertLessEqual(max(each.seconds for each in drawn), 4)

    def test_every_fault_does_something(self):
        chance = random.Random(1)
        for _ in range(1000):
            fault = faults.draw(chance)
            self.assertTrue(fault.faults or fault.kick, fault)


class Options(unittest.TestCase):
    def test_a_quick_run_has_few_lanes_and_a_part_alone_has_no_other(self):
        plan = bench.Plan(bench.read(["--quick"]))
        self.assertEqual((len(plan.lanes), plan.faults), (2, 60))
        plan = bench.Plan(bench.read(["--only", "hangs", "--faults", "7"]))
        self.assertEqual((plan.lanes, plan.brokers, plan.faults), ([], [], 7))

    def test_every_outage_of_a_plan_is_known_and_whole(self):
        for words in (["--quick"], [], ["--full"]):
            plan = bench.Plan(bench.read(words))
            for name in (*sum(plan.lanes, []), *sum(plan.idle, []), *plan.brokers):
                self.assertEqual(ALL[name].cut is None, name in plan.brokers)
            lengths = {len(names) for names in plan.lanes}
            self.assertEqual(len(lengths), 1)


if __name__ == "__main__":
    unittest.main()
