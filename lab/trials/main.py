"""`holdfast lab torture`: the options, the run, and what it found."""
import argparse
import json
import pathlib
import random
import shlex
import signal
import sys

from report import text
from report.model import Verdict
from tool.place import Trouble

from . import (connection, hardware, messages, network, process, recovery, report,
               updates)
from .bench import Bench
from .scenario import NotApplicable, Trial

ROOMS = (connection, messages, process, network, updates, hardware, recovery)
SCENARIOS = {each.name: each for room in ROOMS for each in room.SCENARIOS}
RECOMMENDATIONS = [room.NAME for room in ROOMS]

SOME_FAILED, USAGE, COULD_NOT_RUN = 1, 2, 3
# The program has so long to connect for the first time, and before each scenario.
START_SECONDS = 60


def parser():
    torture = argparse.ArgumentParser(
        prog="holdfast lab torture", usage="holdfast lab torture [option]… -- COMMAND…",
        description="Runs the recommendations of AWS's guidance on resilient devices as scenarios "
                    "against any device program, and counts every message.",
        epilog="In COMMAND, {endpoint} {port} {ca} {cert} {key} {client_id} {thing} {dir} and "
               "{config} (a configuration for holdfastd) are filled in; {endpoint2} and {port2} "
               "stand for a second Region. Exit codes: 0 all passed, "
               "1 some failed, 2 wrong usage, 3 could not run. docs/lab-torture.md has the rest.")
    torture.add_argument("--scenario", action="append", metavar="NAME", help="only these")
    torture.add_argument("--list", action="store_true", help="names the scenarios")
    length = torture.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="short outages: about twenty minutes (default)")
    length.add_argument("--full", action="store_true", help="longer outages")
    torture.add_argument("--seed", type=int, metavar="N", help="of all that is left to chance")
    torture.add_argument("--observe", action="append", metavar="FILTER",
                         help="what is counted (default #)")
    torture.add_argument("--numbers", choices=("run", "topic"), default="run",
                         help="whether the numbers of a run go over all topics (default) or each "
                              "topic has its own")
    torture.add_argument("--accepted", metavar="FILE",
                         help="in {dir}: the program's list of what it has accepted")
    torture.add_argument("--thing", default="tortured-device", metavar="NAME",
                         help="thing name and client id (default tortured-device)")
    torture.add_argument("--policy", type=pathlib.Path, metavar="FILE",
                         help="the device's policy (default: one that allows everything)")
    torture.add_argument("--job-document", type=json.loads, metavar="JSON",
                         help="what job-survives sends to the device")
    torture.add_argument("--html", type=pathlib.Path, metavar="FILE", help="a report for people")
    torture.add_argument("--json", type=pathlib.Path, metavar="FILE", help="for programs")
    torture.add_argument("--junit", type=pathlib.Path, metavar="FILE", help="for build servers")
    torture.add_argument("--keep", action="store_true", help="keeps traces and logs, says where")
    torture.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return torture


def read(words):
    torture = parser()
    asked = torture.parse_args(words)
    if asked.command[:1] == ["--"]:
        asked.command = asked.command[1:]
    if not asked.command and not asked.list:
        torture.error("-- COMMAND … is missing: how the device program is started")
    for name in asked.scenario or ():
        if name not in SCENARIOS:
            torture.error(f"--scenario {name}: there is none of this name; see --list")
    if asked.accepted and asked.numbers == "topic":
        torture.error("--accepted goes with --numbers run")
    if asked.policy:
        try:
            asked.policy = json.loads(asked.policy.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            torture.error(f"--policy {asked.policy}: {error}")
    asked.observe = asked.observe or ["#"]
    if asked.seed is None:
        asked.seed = random.SystemRandom().randrange(1, 10**6)
    return asked


def begin(bench):
    """Whether the device is connected, so that a scenario can begin; started anew if it must be."""
    if bench.wait(lambda: bench.story.connected, START_SECONDS):
        return True
    bench.program.signal(signal.SIGKILL)
    return bench.wait(lambda: bench.story.connected, START_SECONDS) is not None


def run_scenario(bench, scenario):
    """The case of the report."""
    there = begin(bench)
    trial = Trial(bench, scenario)
    bench.moment(f"{scenario.name} begins")
    if not there:
        return trial.case(Verdict.ERROR, "the device did not connect, so that this could not begin")
    try:
        scenario.function(trial)
        trial.settle()
        trial.sleep(scenario.rest)
        verdict, reason = trial.verdict()
    except NotApplicable as why:
        verdict, reason = Verdict.NOT_APPLICABLE, str(why)
    except Trouble as trouble:
        verdict, reason = Verdict.ERROR, f"the scenario could not be run: {trouble}"
    finally:
        bench.program.hold(False)
        bench.heal()
    return trial.case(verdict, reason)


def run_all(bench, asked):
    cases = []
    for name in asked.scenario or SCENARIOS:
        print(f"{name} … ", end="", flush=True)
        case = run_scenario(bench, SCENARIOS[name])
        cases.append(case)
        print(f"{case.verdict.value} ({case.seconds:.0f} s): {case.reason}", flush=True)
    return cases


def first_connection(bench):
    """Every scenario begins with a device that is there and does what it usually does."""
    print("waiting for the device … ", end="", flush=True)
    if not bench.wait(lambda: bench.story.connected, START_SECONDS):
        raise Trouble(f"the device did not connect within {START_SECONDS} s; its output is in "
                      f"{bench.program.log} (--keep)")
    bench.wait(lambda: bench.account.seen > 5, 5)
    bench.wait(lambda: False, 4)
    found = (f"counts its messages, {bench.rate():.1f} a second" if bench.account.counting else
             "its messages have no numbers that could be counted")
    print(f"connected; {found}", flush=True)


def listing():
    width = max(map(len, SCENARIOS))
    lines = []
    for room in ROOMS:
        lines += [room.NAME] + [f"  {each.name:<{width}}  {each.what}" for each in room.SCENARIOS]
    return "\n".join(lines)


def run(tools, words):
    asked = read(words)
    if asked.list:
        print(listing())
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is ended
    date = report.now()
    bench = Bench(tools, asked)
    bench.replay = lambda name: (f"holdfast lab torture {'--full ' if asked.full else ''}--seed "
                                 f"{asked.seed} --scenario {name} -- {shlex.join(asked.command)}")
    try:
        bench.start()
        first_connection(bench)
        cases = run_all(bench, asked)
        made = report.document(bench, cases, RECOMMENDATIONS, date)
    except Trouble as trouble:
        print(f"holdfast lab torture: {trouble}", file=sys.stderr)
        return COULD_NOT_RUN
    finally:
        bench.close()
        if asked.keep:
            print(f"traces and logs: {bench.root}", file=sys.stderr)
    report.write(made, asked)
    print("\n" + report.table(made, text.use_colour(sys.stdout)), end="")
    return {Verdict.FAIL: SOME_FAILED, Verdict.ERROR: COULD_NOT_RUN}.get(made.verdict, 0)
