#!/usr/bin/env python3
"""`holdfast lab torture` end to end.

    trials_run_test.py --bin DIR      DIR: the programs of a build

Goal:   a run judges, counts and reports, and leaves nothing behind.
Method: three short scenarios with host-telemetry; those that it has no part in, jobs and a second
        Region, with a small device. Kinds: the quick ones of all that may go wrong, in three minutes.
"""
import argparse
import glob
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

from report import model
from trials import network

BIN = None
LAB = pathlib.Path(__file__).with_name("holdfast_lab.py")
DEVICE = pathlib.Path(__file__).with_name("trials_device.py")
SCENARIOS = ("exits-well", "session-lost", "kill-9-traffic")


# Of each recommendation what is quick; and what it needs, without which it is not applicable.
KINDS = {"half-open": None, "kick-storm": None, "refused": None, "impostor": None, "redelivery": None,
         "sigterm-blocked": None, "disk-full": "root", "dns-loss": "root", "dns-moved": "root",
         "wrong-clock": "libfaketime", "certificate-rotated": None, "power-cut": None,
         "region-reborn": None}


def lacking(need):
    if need == "root":  # and to mount, which not every container may
        probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
        return os.geteuid() != 0 or probe.returncode != 0
    return need == "libfaketime" and not glob.glob(network.FAKETIME)


class Bench(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="holdfast-trials-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()

    def torture(self, *words, seconds=240):
        return subprocess.run(
            [sys.executable, "-B", str(LAB), "--bin", str(BIN), "torture", *words],
            capture_output=True, text=True, timeout=seconds, check=False,
            env={**os.environ, "TMPDIR": str(self.temporary)})


class Kinds(Bench):
    def test_a_good_device_comes_through_all_of_them_and_loses_nothing(self):
        report = self.folder / "report.json"
        run = self.torture(
            *(word for name in KINDS for word in ("--scenario", name)), "--seed", "3", "--accepted",
            "journal", "--json", str(report), "--", str(BIN / "host-telemetry"), "--config",
            "{config}", "--rate", "20", "--journal", "{dir}/journal", seconds=840)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        document = model.load(report.read_bytes())
        told = {case.name: case.verdict for case in document.cases}
        self.assertEqual(list(told), list(KINDS))
        for name, verdict in told.items():
            wanted = ((model.Verdict.NOT_APPLICABLE,) if lacking(KINDS[name]) else
                      (model.Verdict.PASS, model.Verdict.PASS_WITH_WARNINGS))
            self.assertIn(verdict, wanted, f"{name}\n{run.stdout}")
        self.assertTrue(document.account.good, run.stdout)
        self.assertEqual(list(self.temporary.iterdir()), [])


class Torture(Bench):
    def test_a_run_judges_counts_and_leaves_nothing_behind(self):
        report, junit = self.folder / "report.json", self.folder / "junit.xml"
        chosen = [word for name in SCENARIOS for word in ("--scenario", name)]
        run = self.torture(
            *chosen, "--seed", "3", "--accepted", "journal", "--json", str(report), "--junit",
            str(junit), "--", str(BIN / "host-telemetry"), "--config", "{config}", "--rate", "20",
            "--journal", "{dir}/journal")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        document = model.load(report.read_bytes())
        self.assertEqual([case.name for case in document.cases], list(SCENARIOS))
        self.assertTrue(all(case.verdict in (model.Verdict.PASS, model.Verdict.PASS_WITH_WARNINGS)
                            for case in document.cases), run.stdout)
        self.assertTrue(document.account.good)
        self.assertGreater(document.account.delivered, 50)
        self.assertEqual(len(document.scores), 2)
        series = {each.name: each.points for each in document.timeline.series}
        self.assertGreater(len(series["backlog"]), 5, "host-telemetry has a local API")
        self.assertTrue({"connected", "down"} <= {each.state for each in document.timeline.states})
        self.assertEqual(len(list(ElementTree.parse(junit).iter("testcase"))), len(SCENARIOS) + 1)
        self.assertEqual(list(self.temporary.iterdir()), [])

    # The second Region once did not know the new certificate.
    def test_a_device_that_does_jobs_and_has_two_regions(self):
        report = self.folder / "report.json"
        run = self.torture(
            "--scenario", "certificate-rotated", "--scenario", "job-survives", "--scenario", "region-lost",
            "--seed", "3",
            "--job-document", '{"do": "it"}', "--json", str(report), "--", sys.executable, "-B",
            str(DEVICE), "{dir}", "{thing}", "{endpoint}", "{port}", "{endpoint2}", "{port2}")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        document = model.load(report.read_bytes())
        job, region = (case for case in document.cases if case.name != "certificate-rotated")
        self.assertIn("the job ended as SUCCEEDED", job.reason + str(job.evidence))
        self.assertIn("moved after", [figure.name for figure in region.figures])
        self.assertEqual(document.account.lost, 0)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_wrong_usage_is_told(self):
        for words, said in (((), "COMMAND"), (("--scenario", "nonsense", "--", "x"), "nonsense"),
                            (("--accepted", "f", "--numbers", "topic", "--", "x"), "--accepted")):
            run = self.torture(*words)
            self.assertEqual(run.returncode, 2, words)
            self.assertIn(said, run.stderr)

    def test_a_program_that_is_missing_could_not_be_run(self):
        run = self.torture("--", "no-such-program")
        self.assertEqual((run.returncode, "no-such-program" in run.stderr), (3, True), run.stderr)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_every_scenario_has_a_line_in_the_list(self):
        run = self.torture("--list")
        self.assertEqual(run.returncode, 0)
        for name in SCENARIOS:
            self.assertRegex(run.stdout, rf"(?m)^  {name} +\S")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bin", type=pathlib.Path, required=True)
    known, rest = arguments.parse_known_args()
    BIN = known.bin.resolve()
    unittest.main(argv=[sys.argv[0], *rest])
