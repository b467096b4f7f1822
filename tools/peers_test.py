#!/usr/bin/env python3
"""Checks tools/peers without running a peer: its tables, and their places in docs/peers.md.

    peers_test.py ROOT
"""
import argparse
import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop() if len(sys.argv) > 1 else ".").resolve()


def load():
    loader = importlib.machinery.SourceFileLoader("peers", str(ROOT / "tools" / "peers"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("peers", loader))
    sys.modules["peers"] = module  # for dataclasses
    loader.exec_module(module)
    return module


sys.dont_write_bytecode = True
peers = load()


def document(**members):
    return {"format": 1, "run": {"date": "2026-11-27T03:00:00Z"}, "cases": [
        {"name": "TLS_Connect", "group": "TLS", "verdict": "PASS", "reason": "it was completed"},
        {"name": "MQTT_Connect", "group": "MQTT", "verdict": "FAIL", "reason": "a | b"}], **members}


class Tables(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.asked = argparse.Namespace(out=pathlib.Path(folder.name))

    def keep(self, name, part, content):
        peers.result_of(self.asked, name, part).write_text(json.dumps(content), encoding="utf-8")

    def test_a_column_for_each_peer_that_has_a_result(self):
        self.keep("paho-c", "TLS_Connect", document())
        made = peers.tables(self.asked)["advise"].split("\n")
        self.assertEqual(made, ["| | Paho C |", "|---|---|", "| TLS_Connect | pass |",
                                "| MQTT_Connect | **fail** |"])

    def test_it_says_when_it_was_measured(self):
        self.keep("paho-c", "TLS_Connect", document())
        self.assertIn("\n- measured 2026-11-27", peers.tables(self.asked)["versions"])

    def test_what_did_not_pass_is_explained_and_cannot_break_the_table(self):
        self.keep("paho-c", "TLS_Connect", document())
        last = peers.tables(self.asked)["advise-reasons"].split("\n")[-1]
        self.assertEqual(last, "| Paho C | MQTT_Connect | **fail** | a \\| b |")

    def test_scores_and_account_of_the_torture_test(self):
        self.keep("holdfast", "torture", document(
            scores=[{"name": "Network", "score": 66.7}],
            account={"accepted": 5, "delivered": 4, "lost": 1}))
        made = peers.tables(self.asked)
        self.assertIn("| Network | 67 |", made["scores"])
        self.assertIn("| lost | 1 |", made["account"])
        self.assertIn("| pending | – |", made["account"])

    def test_the_page_has_a_place_for_every_table(self):
        for part in ("TLS_Connect", "torture"):
            self.keep("holdfast", part, document(scores=[], account={}))
        page = self.asked.out / "peers.md"
        page.write_text(peers.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
        peers.PAGE, original = page, peers.PAGE
        self.addCleanup(setattr, peers, "PAGE", original)
        made = peers.tables(self.asked)
        peers.write_page(made)
        peers.write_page(made)  # again: it replaces
        text = page.read_text(encoding="utf-8")
        self.assertEqual(text.count(made["torture"]), 2)  # beside the one of advise, which is equal
        self.assertIn("## What stands out", text)

    def test_the_words_of_a_peer_are_those_that_the_lab_fills_in(self):
        asked = peers.read(["--full", "--out", str(self.asked.out), "paho-c"])
        words = peers.words_of(asked, "paho-c", "torture")
        self.assertEqual(words[:4], ["torture", "--full", "--accepted", "accepted"])
        self.assertIn(str(asked.out / "paho"), words)
        self.assertEqual(peers.words_of(asked, "paho-c", "TLS_Connect")[:3],
                         ["advise", "--case", "TLS_Connect"])
        self.assertEqual(words[-2:], ["--dir", "{dir}"])


if __name__ == "__main__":
    unittest.main()
