"""`holdfast lab advise`: the options and the run."""
import argparse
import json
import os
import pathlib
import signal
import sys

from report import forms
from report.words import one_line
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
    advise.add_argument("--list", action="store_true", help="names the cases")
    forms.add_options(advise)
    advise.add_argument("--trigger-topic", metavar="FILTER",
                        help="the device subscribes to it at QoS 1 (default: the first such)")
    advise.add_argument("--thing", default="advised-device", metavar="NAME",
                        help="thing name and client id (default advised-device)")
    advise.add_argument("--policy", type=pathlib.Path, metavar="FILE",
                        help="the device's policy (default: one that allows everything)")
    advise.add_argument("--keep", action="store_true", help="keeps the traces and says where")
    advise.add_argument("--timeout-scale", type=float, default=1.0, metavar="X",
                        help="makes all patience longer or shorter")
    advise.add_argument("--retry-cases", action="store_true",
                        help="judges MQTT 3.1.1 devices by the two cases about sending again")
    advise.add_argument("--user-property", type=pair, action="append", default=[],
                        metavar="NAME=VALUE", help="what MQTT_Publish_User_Property looks for")
    advise.add_argument("--shadow-name", metavar="NAME", help="default: the classic shadow")
    advise.add_argument("--desired-state", type=json.loads, metavar="JSON",
                        help="for Shadow_Update_Reported_State")
    advise.add_argument("--job-document", type=json.loads, metavar="JSON",
                        help="for Job_Execution")
    advise.add_argument("--long-minutes", type=float, default=30, metavar="N",
                        help="how long MQTT_Long_Duration keeps the server away (default 30)")
    advise.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return advise


def read(words):
    advise = parser()
    asked = advise.parse_args(words)
    if asked.command[:1] == ["--"]:
        asked.command = asked.command[1:]
    if not asked.command and not asked.list:
        advise.error("-- COMMAND … is missing: how the device program is started")
    forms.check(advise, asked)
    for file in forms.asked(asked).values():  # said before the run, not after it
        folder = pathlib.Path(file).absolute().parent
        if file != "-" and not (os.access(folder, os.W_OK) and not pathlib.Path(file).is_dir()):
            advise.error(f"{file} cannot be written")
    for name in asked.case or ():
        if name not in CASES:
            advise.error(f"--case {name}: there is none of this name; see --list")
    if not asked.timeout_scale > 0:
        advise.error("--timeout-scale must be above 0")
    if asked.policy:
        try:
            asked.policy = json.loads(asked.policy.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            advise.error(f"--policy {asked.policy}: {error}")
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


def progress(words, end="\n"):
    print(words, end=end, file=sys.stderr, flush=True)


def run_all(bench, asked, words):
    cases = []
    for name in dict.fromkeys(asked.case or CASES):
        progress(f"{name} … ", end="")
        try:
            case = run_case(bench, name, document.replay_of(name, words, DROPPED, FLAGS))
        except ProgramFails:
            progress("")
            raise
        cases.append(case)
        progress(f"{case.verdict.value} ({case.seconds:.0f} s): {one_line(case.reason)}")
        if case.verdict not in (PASS, NOT_APPLICABLE):
            for item in case.evidence:
                progress(f"    {item.time:.2f} s: {one_line(item.text)}")
    return document.document_of(bench, cases, words)


def tell(found, asked):
    try:
        forms.write(found, asked)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error
    finally:
        if not forms.to_stdout(asked):
            forms.show(found)


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
        tell(found, asked)
    except Trouble as trouble:
        print(f"holdfast lab advise: {trouble}", file=sys.stderr)
        return COULD_NOT_RUN
    finally:
        bench.close()
        if asked.keep:
            print(f"traces: {bench.root}", file=sys.stderr)
    verdicts = {case.verdict for case in found.cases}
    return COULD_NOT_RUN if ERROR in verdicts else SOME_FAILED if FAIL in verdicts else 0
