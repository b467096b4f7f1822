#!/usr/bin/env python3
"""How soon a device is back, beside other clients in the same run.

    tools/bench reconnect [--quick|--full] [--only PART]… [--kind KIND]… [--json FILE] [--write]
    tools/bench reconnect --only hangs --faults N --seed S --record
    tools/bench reconnect --from FILE [--write]

--quick      a first look in about three minutes; without it about twenty
--full       more repeats, an hour of being down and 10,000 faults: about two and a half hours
--only PART  outages (links, addresses, brokers, silence), down (processor time, lines), hangs
--kind KIND  holdfast, libmosquitto, libmosquitto-again, paho-c, aws-sdk-js; default: all
--faults N   how many faults the part hangs has
--seed S     of the faults and their order (default: a new one, told)
--build DIR  whose bin/ is measured; build/release by default, built when it is missing
--out DIR    where the other clients are built (default build/peers)
--json FILE  the samples (default build/bench/reconnect.json); parts that are not run are kept
--from FILE  measures nothing: reads the samples from a file
--write      puts the tables into docs/reconnect-bench.md
--record     adds the faults and hangs to docs/ledger.json
--keep       keeps traces and logs

docs/reconnect-bench.md says what is done and what the figures mean. It takes root, for network
namespaces; nothing outside them is changed. It never fails on a figure: goals are reported as met
or missed. Exit code 2 when something cannot run, 130 after Ctrl-C.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE), str(ROOT / "lab")]
import devices  # noqa: E402
import down  # noqa: E402
import hangs  # noqa: E402
import moments  # noqa: E402
import outages  # noqa: E402
import table  # noqa: E402
import yard as yards  # noqa: E402
from tool.place import Trouble  # noqa: E402
from torture_world import commit_of, record_total  # noqa: E402

PAGE = ROOT / "docs" / "reconnect-bench.md"
LEDGER = ROOT / "docs" / "ledger.json"
PARTS = ("outages", "down", "hangs")
AGENTS = 32  # that the part hangs has side by side
USAGE = 2


class Plan:
    """What is done in a run of this length. Each lane has a device of each kind, and its outages
    one after the other while the others have theirs; then the broker goes, for all at once."""

    def __init__(self, asked):
        names = ["link-20", "link-60", "flap-3", "route-20", "address-20", "silent"]
        self.patience = None  # in place of an outage's own
        self.stable, self.agents = outages.STABLE_SECONDS, AGENTS
        lanes, rounds = (4, 3) if asked.full else (4, 1)
        self.lanes = [(names[i:] + names[:i]) * rounds for i in range(lanes)]
        self.idle = [["silent-idle"] * (6 if asked.full else 3)] * 2
        self.brokers = ["broker-5", "broker-60"] * 4 if asked.full else ["broker-5", "broker-60",
                                                                         "broker-5"]
        self.down_settles, self.down_seconds = (600, 3600) if asked.full else (360, 480)
        self.faults = asked.faults or (10_000 if asked.full else 600)
        if asked.quick:
            self.lanes, self.idle, self.brokers = [["link-20"], ["silent-40"]], [], ["broker-5"]
            self.down_settles, self.down_seconds, self.patience = 40, 60, 25
            self.faults, self.stable, self.agents = asked.faults or 60, outages.FRESH_SECONDS, 16
        if "outages" not in asked.only:
            self.lanes, self.idle, self.brokers = [], [], []


BEGUN = time.monotonic()


def say(text):
    print(f"reconnect: {time.monotonic() - BEGUN:.0f} s: {text}", file=sys.stderr, flush=True)


class Bench:
    """The devices at their outlets, and the broker."""

    def __init__(self, asked, plan, folder):
        self.asked, self.plan, self.parts = asked, plan, []
        self.lives = moments.Lives()
        self.yard = yards.Yard(folder, asked.build / "bin", self.lives.take)
        self.parts.append(self.yard)
        self.output = devices.Output()
        self.parts.append(self.output)
        self.samples = []

    def device(self, kind, name, rate=devices.RATE):
        made = devices.Device(self.yard, self.output, self.lives, kind, f"{name}-{kind}",
                              self.asked, rate)
        self.parts.append(made)
        return made

    def start(self):
        self.yard.start()
        kinds = self.asked.kind
        self.lanes = [[self.device(kind, f"lane{i}") for kind in kinds]
                      for i in range(len(self.plan.lanes))]
        self.idle = [[self.device(kind, f"idle{i}", 0) for kind in kinds]
                     for i in range(len(self.plan.idle))]
        ways = down.WAYS if "down" in self.asked.only else ()
        self.down = down.Watch([(way, self.device(kind, way, 0)) for way in ways for kind in kinds])
        everybody = [*sum(self.lanes, []), *sum(self.idle, []),
                     *(device for _, device in self.down.devices)]
        say(f"{len(everybody)} devices start")
        for each in everybody:
            each.start()
        self.trial(outages.Trial, "link-20", everybody).settle()

    def run(self):
        self.down.cut_off()
        begin = time.monotonic()
        # Not as a context: who is interrupted does not wait for outages to end.
        pool = concurrent.futures.ThreadPoolExecutor(len(self.lanes) + len(self.idle) + 1)
        jobs = [pool.submit(self.run_lane, i, devices, names)
                for i, (devices, names) in enumerate([*zip(self.lanes, self.plan.lanes),
                                                      *zip(self.idle, self.plan.idle)])]
        for job in (*jobs, pool.submit(self.let_down_settle, begin)):
            job.result()
        for name in self.plan.brokers:
            self.run_broker(name)
        if self.down.devices:
            left = self.down.begin + self.plan.down_seconds - time.monotonic()
            if left > 0:
                say(f"{left:.0f} s more of being down")
                time.sleep(left)
        return self.down.costs() if self.down.devices else []

    def let_down_settle(self, begin):
        if self.down.devices:
            time.sleep(max(0.0, begin + self.plan.down_settles - time.monotonic()))
            self.down.settled()

    def trial(self, sort, name, members, number=0):
        made = sort(outages.ALL[name], members, number, self.lives, say)
        made.patience = self.plan.patience or made.patience
        return made

    def run_lane(self, number, members, names):
        stable = outages.FRESH_SECONDS
        for name in names:
            self.take(name, self.trial(outages.Trial, name, members, number).run(stable))
            stable = self.plan.stable

    def run_broker(self, name):
        trial = self.trial(outages.BrokerTrial, name, sum(self.lanes, []))
        self.take(name, trial.run_with(self.yard, self.plan.stable))

    def take(self, name, samples):
        self.samples += samples
        for kind in self.asked.kind:
            mine = table.of(samples, kind)
            say(f"{name}: {kind}: noticed {table.notice_cell(mine)}, back {table.back_cell(mine)}")

    def close(self):
        for part in reversed(self.parts):
            part.close()


def read(words):
    parser = argparse.ArgumentParser(prog="tools/bench reconnect", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    length.add_argument("--full", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--only", action="append", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--kind", action="append", choices=list(devices.KINDS),
                        help=argparse.SUPPRESS)
    parser.add_argument("--faults", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000),
                        help=argparse.SUPPRESS)
    for name, default in (("--build", ROOT / "build" / "release"),
                          ("--out", ROOT / "build" / "peers"),
                          ("--json", ROOT / "build" / "bench" / "reconnect.json"),
                          ("--from", None)):
        parser.add_argument(name, type=pathlib.Path, default=default, help=argparse.SUPPRESS,
                            dest=name.strip("-") if name != "--from" else "source")
    for name in ("--write", "--record", "--keep"):
        parser.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.faults is not None and asked.faults < 1:
        parser.error("--faults must be at least 1")
    asked.only, asked.kind = asked.only or list(PARTS), asked.kind or list(devices.KINDS)
    asked.build, asked.out = asked.build.resolve(), asked.out.resolve()
    return asked


def run_hangs(asked, plan, folder, commit):
    (folder / "hangs").mkdir()
    farm = hangs.Farm(folder / "hangs", asked.build / "bin", min(plan.agents, plan.faults),
                      asked.seed, asked.keep)
    say(f"{plan.faults:,} faults against {farm.count} agents, seed {asked.seed}")
    try:
        farm.start()
        found = {**farm.run(plan.faults, say), "commit": commit,
                 "build": build_type(asked.build / "bin" / "holdfastd")}
    finally:
        farm.close()
    if asked.record:
        record_total({"kind": "hang", "commit": commit, "seed": asked.seed,
                      "count": found["count"], "lost": found["lost"],
                      "uncounted": found["unbalanced"], **{
                          name: found[name] for name in ("hangs", "bound", "devices", "ended",
                                                         "accepted", "delivered", "dropped",
                                                         "median", "p99", "worst", "seconds")},
                      "command": f"tools/bench reconnect --only hangs --faults {plan.faults} "
                                 f"--seed {asked.seed}"}, LEDGER)
    return found


def build_type(program):
    """Of the build that made it, as CMake calls it."""
    cache = program.resolve().parents[1] / "CMakeCache.txt"
    lines = cache.read_text(encoding="utf-8").splitlines() if cache.exists() else []
    return next((line.partition("=")[2] for line in lines
                 if line.startswith("CMAKE_BUILD_TYPE")), "") or "unknown"


def machine(asked):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file
                      if line.startswith("model name")), "unknown")
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    return (f"{model}, {os.cpu_count()} CPUs; Linux {os.uname().release}; load at the end {load}; "
            f"build {build_type(asked.build / 'bin' / 'host-telemetry')}")


def measure(asked):
    """The document, with what an earlier one has of the parts that are not run."""
    plan, commit = Plan(asked), commit_of(ROOT)  # of the beginning: the tree may move on
    folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-reconnect-"))
    kept = json.loads(asked.json.read_text(encoding="utf-8")) if asked.json.exists() and \
        len(asked.only) < len(PARTS) else {"samples": [], "costs": [], "hangs": None}
    try:
        if plan.lanes or "down" in asked.only:
            bench = Bench(asked, plan, folder)
            try:
                bench.start()
                costs = bench.run()
            finally:
                bench.close()
            if plan.lanes:
                kept["samples"] = [vars(each) for each in bench.samples]
            if costs:
                kept["costs"] = [vars(each) for each in costs]
        if "hangs" in asked.only:
            kept["hangs"] = run_hangs(asked, plan, folder, commit)
    finally:
        if asked.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    about = {"date": datetime.date.today().isoformat(), "machine": machine(asked),
             "command": " ".join(["tools/bench reconnect", *sys.argv[1:]]),
             "commit": commit}
    made = table.document(about, table.samples_of(kept), table.costs_of(kept), kept["hangs"])
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    return made


def main():
    asked = read(sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is ended
    try:
        if asked.source:
            made = json.loads(asked.source.read_text(encoding="utf-8"))
        else:
            if asked.only != ["hangs"]:
                yards.need_root()
            devices.build(asked, asked.kind if asked.only != ["hangs"] else [devices.HOLDFAST])
            made = measure(asked)
        parts = table.parts(made)
        print("\n\n".join(parts.values()))
        if asked.write:
            PAGE.write_text(table.fill(PAGE.read_text(encoding="utf-8"), parts), encoding="utf-8")
    except (Trouble, devices.peers.Trouble, OSError, ValueError,
            subprocess.CalledProcessError) as trouble:
        print(f"tools/bench reconnect: {trouble}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        sys.stderr.flush()
        os._exit(130)  # all is cleaned up; threads of outages that go on are not waited for
    return 0


if __name__ == "__main__":
    sys.exit(main())
