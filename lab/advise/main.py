"""`holdfast lab advise`: the options, the run, and the table of verdicts."""
import argparse
import json
import pathlib
import signal
import sys
import time

from tool.place import Trouble

from . import cases_backoff, cases_more, cases_mqtt, cases_tls, report
from .bench import Bench
from .verdict import ERROR, FAIL, Verdict

CASES = {**cases_tls.CASES, **cases_mqtt.CASES, **cases_backoff.CASES, **cases_more.CASES}

SOME_FAILED, USAGE, COULD_NOT_RUN = 1, 2, 3


def pair(word):
    name, equals, value = word.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name, value


def parser():
    advise = argparse.ArgumentParser(
        prog="holdfast lab advise", usage="holdfast lab advise [option]… -- COMMAND…",
        description="Runs AWS IoT Device Advisor's published test cases against any device "
                    "program.",
        epilog="In COMMAND, {endpoint} {port} {ca} {cert} {key} {client_id} {thing} {dir} and "
               "{config} (a configuration for holdfastd) are filled in. Exit codes: 0 all passed, "
               "1 some failed, 2 wrong usage, 3 could not run. docs/advise.md has the rest.")
    advise.add_argument("--case", action="append", metavar="NAME", help="only these")
    advise.add_argument("--list", action="store_true", help="names the cases")
    advise.add_argument("--json", type=pathlib.Path, metavar="FILE", help="writes a report")
    advise.add_argument("--junit", type=pathlib.Path, metavar="FILE",
                        help="writes a report for build servers")
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


def run_case(bench, name):
    """The verdict, and the seconds that it took."""
    began = time.monotonic()
    try:
        verdict = CASES[name](bench)
        verdict.evidence += bench.restarts()
        bench.rest()
    except Trouble as trouble:
        verdict = Verdict(ERROR, f"the case could not be run: {trouble}")
    return verdict, time.monotonic() - began


def run_all(bench, asked, results):
    for name in asked.case or CASES:
        print(f"{name} … ", end="", flush=True)
        verdict, seconds = run_case(bench, name)
        results[name] = (verdict, seconds)
        print(f"{verdict.status} ({seconds:.0f} s): {verdict.reason}", flush=True)
        for line in verdict.evidence:
            print(f"    {line}", flush=True)


def run(tools, words):
    asked = read(words)
    if asked.list:
        print("\n".join(CASES))
        return 0
    results = {}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is ended
    bench = Bench(tools, asked)
    try:
        bench.start()
        run_all(bench, asked, results)
        print("\n" + report.table(results))
        report.write(asked, results)
    except Trouble as trouble:
        print(f"holdfast lab advise: {trouble}", file=sys.stderr)
        return COULD_NOT_RUN
    finally:
        bench.close()
        if asked.keep:
            print(f"traces: {bench.root}", file=sys.stderr)
    statuses = {verdict.status for verdict, _ in results.values()}
    if ERROR in statuses:
        return COULD_NOT_RUN
    return SOME_FAILED if FAIL in statuses else 0
