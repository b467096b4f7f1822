"""`holdfast lab torture`: the options, the run, and what it found."""
import argparse
import datetime
import random
import signal
import sys

from report.model import Verdict
from report.words import one_line
from tool import command
from tool.command import progress
from tool.place import Trouble

from . import (connection, hardware, messages, network, process, recovery, report,
               updates)
from .bench import Bench
from .scenario import NotApplicable, Trial

ROOMS = (connection, messages, process, network, updates, hardware, recovery)
SCENARIOS = {each.name: each for room in ROOMS for each in room.SCENARIOS}
RECOMMENDATIONS = [room.NAME for room in ROOMS]

SOME_FAILED, COULD_NOT_RUN = 1, 3
# For doing one scenario again.
FLAGS = ("--list", "--keep", "--quick", "--full")
DROPPED = ("--scenario", "--seed", "--list", "--keep", "--html", "--json", "--junit")
# The program has so long to connect for the first time, and before each scenario.
START_SECONDS = 60


def parser():
    torture = argparse.ArgumentParser(
        prog="holdfast lab torture", usage="holdfast lab torture [option]… -- COMMAND…",
        allow_abbrev=False,
        description="Runs the recommendations of AWS's guidance on resilient devices as scenarios "
                    "against any device program, and counts every message.",
        epilog="In COMMAND, {endpoint} {port} {ca} {cert} {key} {client_id} {thing} {dir} and "
               "{config} (a configuration for holdfastd) are filled in; {endpoint2} and {port2} "
               "stand for a second Region, {config2} for a configuration with both. Exit codes: "
               "0 all passed, 1 some failed, 2 wrong usage, 3 could not run. docs/lab-torture.md "
               "has the rest.")
    torture.add_argument("--scenario", action="append", metavar="NAME", help="only these")
    length = torture.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="short outages: about twelve minutes (default)")
    length.add_argument("--full", action="store_true", help="longer outages: about an hour")
    torture.add_argument("--seed", type=int, metavar="N", help="of all that is left to chance")
    torture.add_argument("--observe", action="append", metavar="FILTER",
                         help="what is counted (default #)")
    torture.add_argument("--numbers", choices=("run", "topic"), default="run",
                         help="whether the numbers of a run go over all topics (default) or each "
                              "topic has its own")
    torture.add_argument("--accepted", metavar="FILE",
                         help="in {dir}: the program's list of what it has accepted")
    command.add_options(torture, "tortured-device")
    return torture


def read(words):
    torture = parser()
    asked = command.read(torture, words)
    for name in asked.scenario or ():
        if name not in SCENARIOS:
            torture.error(f"--scenario {name}: there is none of this name; see --list")
    if asked.accepted and asked.numbers == "topic":
        torture.error("--accepted goes with --numbers run")
    asked.observe = asked.observe or ["#"]
    if asked.seed is None:
        asked.seed = random.SystemRandom().randrange(1, 10**6)
    return asked


def again(name, words, seed):
    """The command that does this scenario alone."""
    return command.again(report.TOOL, words, ["--scenario", name, "--seed", str(seed)], DROPPED,
                         FLAGS)


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
    if not there:
        return trial.case(Verdict.ERROR, "the device did not connect, so that this could not begin")
    try:
        scenario.function(trial)
        trial.settle()
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
        progress(f"{name} … ", end="")
        case = run_scenario(bench, SCENARIOS[name])
        cases.append(case)
        progress(f"{case.verdict.value} ({case.seconds:.0f} s): {one_line(case.reason)}")
    return cases


def first_connection(bench):
    """Every scenario begins with a device that is there and does what it usually does."""
    progress("waiting for the device … ", end="")
    if not bench.wait(lambda: bench.story.connected, START_SECONDS):
        raise Trouble(f"the device did not connect within {START_SECONDS} s; its output is in "
                      f"{bench.program.log} (--keep)")
    bench.wait(lambda: bench.account.seen > 5, 5)
    bench.wait(lambda: False, 4)
    found = (f"counts its messages, {bench.rate():.1f} a second" if bench.account.counting else
             "its messages have no numbers that could be counted")
    progress(f"connected; {found}")


def listing(full):
    """The scenarios, and how long they take."""
    width, lines = max(map(len, SCENARIOS)), []
    for room in ROOMS:
        lines += [room.NAME] + [f"  {each.name:<{width}} {each.planned(full):>4.0f} s  {each.what}"
                                for each in room.SCENARIOS]
    total = sum(each.planned(full) for each in SCENARIOS.values())
    return "\n".join([*lines, f"all: about {total / 60:.0f} minutes"])


def run(tools, words):
    asked = read(words)
    if asked.list:
        print(listing(asked.full))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is ended
    date = datetime.datetime.now(datetime.timezone.utc)
    bench = Bench(tools, asked)
    bench.replay = lambda name: again(name, words, asked.seed)
    try:
        bench.start()
        first_connection(bench)
        cases = run_all(bench, asked)
        made = report.document(bench, cases, RECOMMENDATIONS, date, words)
        command.tell(made, asked)
    except Trouble as trouble:
        print(f"holdfast lab torture: {trouble}", file=sys.stderr)
        return COULD_NOT_RUN
    finally:
        bench.close()
        if asked.keep:
            print(f"traces and logs: {bench.root}", file=sys.stderr)
    return {Verdict.FAIL: SOME_FAILED, Verdict.ERROR: COULD_NOT_RUN}.get(made.verdict, 0)
