"""`holdfast lab advise`: the options and the run."""
import argparse
import json
import signal
import sys

from report.words import one_line
from tool import command
from tool.command import progress
from tool.place import Trouble

from . import cases_backoff, cases_long, cases_more, cases_mqtt, cases_tls, document
from .bench import Bench, ProgramFails
from .verdict import ERROR, FAIL, NOT_APPLICABLE, PASS, Judged

GROUPS = {"TLS": cases_tls.CASES, "MQTT": {**cases_mqtt.CASES, **cases_backoff.CASES},
          "Shadow": cases_more.SHADOW_CASES, "Jobs": cases_more.JOB_CASES,
          "Policies": cases_more.POLICY_CASES, "Long duration": cases_long.CASES}
CASES = {name: (group, case) for group, cases in GROUPS.items() for name, case in cases.items()}

SOME_FAILED, COULD_NOT_RUN = 1, 3
# For doing one case again.
FLAGS = ("--list", "--keep", "--retry-cases")
DROPPED = ("--case", "--list", "--keep", "--html", "--json", "--junit")


def pair(word):
    name, equals, value = word.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name, value


def parser():
    advise = argparse.ArgumentParser(
        prog="holdfast lab advise", usage="holdfast lab advise [option]… -- COMMAND…",
        allow_abbrev=False,
        description="Runs AWS IoT Device Advisor's published test cases against any device "
                    "program.",
        epilog="In COMMAND, {endpoint} {port} {ca} {cert} {key} {client_id} {thing} {dir} and "
               "{config} (a configuration for holdfastd) are filled in. Exit codes: 0 all passed, "
               "1 some failed, 2 wrong usage, 3 could not run. docs/advise.md has the rest.")
    advise.add_argument("--case", action="append", metavar="NAME", help="only these")
    advise.add_argument("--trigger-topic", metavar="FILTER",
                        help="the device subscribes to it at QoS 1 (default: the first such)")
    advise.add_argument("--timeout-scale", type=float, default=1.0, metavar="X",
                        help="makes all patience longer or shorter")
    advise.add_argument("--retry-cases", action="store_true",
                        help="judges MQTT 3.1.1 devices by the two cases about sending again")
    advise.add_argument("--user-property", type=pair, action="append", default=[],
                        metavar="NAME=VALUE", help="what MQTT_Publish_User_Property looks for")
    advise.add_argument("--shadow-name", metavar="NAME", help="default: the classic shadow")
    advise.add_argument("--desired-state", type=json.loads, metavar="JSON",
                        help="for Shadow_Update_Reported_State")
    advise.add_argument("--long-minutes", type=float, default=30, metavar="N",
                        help="how long MQTT_Long_Duration keeps the server away (default 30)")
    command.add_options(advise, "advised-device")
    return advise


def read(words):
    advise = parser()
    asked = command.read(advise, words)
    for name in asked.case or ():
        if name not in CASES:
            advise.error(f"--case {name}: there is none of this name; see --list")
    if not asked.timeout_scale > 0:
        advise.error("--timeout-scale must be above 0")
    return asked


def judge(step, bench):
    """What a step gives; the bench's trouble is a verdict, too."""
    try:
        return step(bench)
    except ProgramFails:
        raise
    except Trouble as trouble:
        return Judged(ERROR, f"the case could not be run: {trouble}")


def run_case(bench, name, replay):
    """The case of the result document."""
    group, case = CASES[name]
    begin, mark = bench.now(), len(bench.trace.events)
    bench.exits_before = len(bench.program.exits)
    judged = judge(case, bench)
    events, exits, end = bench.trace.events[mark:], bench.exits(), bench.now()
    trouble = judge(Bench.rest, bench)
    if trouble and judged.status is not ERROR:
        judged = trouble
    return document.case_of(group, name, judged, events, begin, end, exits, replay)


def run_all(bench, asked, words):
    cases = []
    for name in dict.fromkeys(asked.case or CASES):
        progress(f"{name} … ", end="")
        try:
            case = run_case(bench, name, command.again(
                document.TOOL, words, ["--case", name], DROPPED, FLAGS))
        except ProgramFails:
            progress("")
            raise
        cases.append(case)
        progress(f"{case.verdict.value} ({case.seconds:.0f} s): {one_line(case.reason)}")
        if case.verdict not in (PASS, NOT_APPLICABLE):
            for item in case.evidence:
                progress(f"    {item.time:.2f} s: {one_line(item.text)}")
    return document.document_of(bench, cases, words)


def run(tools, words):
    asked = read(words)
    if asked.list:
        print("\n".join(CASES))
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is ended
    bench = Bench(tools, asked)
    try:
        bench.start()
        found = run_all(bench, asked, words)
        command.tell(found, asked)
    except Trouble as trouble:
        print(f"holdfast lab advise: {trouble}", file=sys.stderr)
        return COULD_NOT_RUN
    finally:
        bench.close()
        if asked.keep:
            print(f"traces: {bench.root}", file=sys.stderr)
    verdicts = {case.verdict for case in found.cases}
    return COULD_NOT_RUN if ERROR in verdicts else SOME_FAILED if FAIL in verdicts else 0
