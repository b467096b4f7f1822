#!/usr/bin/env python3
"""Each `holdfast lab fault …` of docs/failures.md brings about the verdict under which it stands.

    failures_test.py --bin DIR      DIR: the programs of a build

A part of `tools/test --full`.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "lab"))
from region_fixture import RegionTest, run  # noqa: E402
from tool import aws, fault  # noqa: E402
from tool.programs import wait_for  # noqa: E402

SECTION = re.compile(r"^#### (\w+)\n(.*?)(?=^#)", re.M | re.S)
PRESET = re.compile(r"`holdfast lab fault ([\w.-]+)`")
TIMING = """
[timing]
backoff_cap = "1s"
connect = "2s"
connack = "2s"
silent_after = "2s"
"""
PATIENCE_S = 60
ON_ITS_OWN = ("black-hole", "taken-over")  # they show in a connection that stands


class FailuresTest(RegionTest):
    def seen(self, verdict):
        return self.status("pump")["verdicts"].get(verdict, 0)

    def test_each_preset_has_its_verdict(self):
        page = (ROOT / "docs/failures.md").read_text(encoding="utf-8")
        pairs = [(verdict, preset) for verdict, text in SECTION.findall(page)
                 for preset in PRESET.findall(text)]
        self.assertGreater(len(pairs), 10, "the page has lost its presets")
        self.make("pump")
        folder = self.devices["pump"]
        text = (folder / "device.toml").read_text(encoding="utf-8") + TIMING
        (folder / "device.toml").write_text(text.replace("holdfast.sock", "agent.sock"),
                                            encoding="utf-8")
        aws.run(self.place, ["lab", "put-switches", "--connects-per-client", "0"])  # back at once
        self.start_agent(folder)
        for verdict, preset in pairs:
            with self.subTest(verdict=verdict, preset=preset):
                fault.run_fault(self.place, ["--clear"])
                wait_for(lambda: self.status("pump")["state"] == "connected", PATIENCE_S, "the agent")
                before = self.seen(verdict)
                fault.run_fault(self.place, [preset])
                if preset not in ON_ITS_OWN:
                    fault.run_kick(self.place, ["pump"])
                    before += verdict == "server_gone"  # that of the kick itself
                self.ask_agent(folder, "publish", "pump/any", "1")
                wait_for(lambda verdict=verdict, before=before: self.seen(verdict) > before,
                         PATIENCE_S, f"{verdict}; the agent: {self.log('pump')[-1500:]}")


if __name__ == "__main__":
    run(__doc__)
