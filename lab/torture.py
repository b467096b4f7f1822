"""Torture for real: the agent or its outbox on real disks, under real cuts, with an exact account.

Run it with tools/torture. docs/torture.md says what is done, what is checked and what it proves.
Exit: 0 nothing lost, nothing uncounted; 1 a check failed; 2 wrong option or something is missing;
130 Ctrl-C.
"""

import argparse
import pathlib
import random
import sys
import tempfile
import time

import stage
from tool.place import Trouble
import torture_full
import torture_io
import torture_kill
import torture_power
import torture_soak
import torture_stop
from torture_world import commit_of, record_total

SKIPPED = 3     # exit status, with --or-skip only
ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = {
    "kill": (torture_kill, 1000, "SIGKILL to the real agent, at random instants"),
    "stop": (torture_stop, 1000, "SIGTERM to the real agent, at random instants"),
    "power": (torture_power, 200, "power cuts below the real outbox on a real file system"),
    "full": (torture_full, 10, "a file system filled to the last byte below the agent"),
    "soak": (torture_soak, 100, "one long and busy life of the agent, in which nothing may grow"),
    "io": (torture_io, 100, "reads, writes and syncs of the agent that fail, fall short or take long"),
}


def options_of(arguments):
    kinds = "\n".join(f"  {name:<6} {text} (--count {count})"
                      for name, (_, count, text) in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="tools/torture", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Does to the agent on a real disk what the field will do, and counts.",
        epilog=f"kinds, and the default of --count:\n{kinds}\n\nExit status: 0 nothing lost and "
        "nothing uncounted; 1 a check failed; 2 wrong\noption or something is missing; 130 Ctrl-C.")
    parser.add_argument("kind", choices=list(KINDS), help="what is done")
    parser.add_argument("--count", type=int, help="how many cuts")
    parser.add_argument("--minutes", type=float, help="go on for so long instead of --count")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1000000),
                        help="of all that is random (default: a new one, printed)")
    parser.add_argument("--workers", type=int, default=3,
                        help="agents at the same time (default 3)")
    parser.add_argument("--method", action="append", choices=list(torture_power.METHODS),
                        help="of kind power; may be given again (default: "
                        f"{', '.join(torture_power.DEFAULT)})")
    parser.add_argument("--keep", action="store_true",
                        help="keep the work directory (it is also kept when a check fails)")
    parser.add_argument("--record", nargs="?", const=str(ROOT / "docs" / "ledger.json"),
                        metavar="FILE", help="add the totals to FILE (default docs/ledger.json)")
    parser.add_argument("--self-test", action="store_true",
                        help="break the promise on purpose; succeeds only if that is noticed")
    parser.add_argument("--or-skip", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--bin", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name in ("count", "minutes", "workers"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            parser.error(f"--{name} must be above 0")
    if options.record and options.self_test:
        parser.error("--record and --self-test exclude each other")
    if options.method and options.kind != "power":
        parser.error("--method belongs to the kind power")
    if "qemu" in (options.method or ()) and set(options.method) != {"qemu"}:
        parser.error("--method qemu goes alone: its cuts are a kind of their own in the ledger")
    options.count = options.count or (60 if options.self_test else KINDS[options.kind][1])
    if not options.bin:
        return None    # only the options were to be checked, before building
    for name in ("holdfastd", "hf_sabotage.so", "hf_outbox_writer", "hf_guest_init"):
        if not (options.bin / name).exists():
            parser.error(f"{options.bin / name} is missing; tools/torture builds it")
    return options


def command_of(options):
    words = ["tools/torture", options.kind, "--seed", str(options.seed)]
    for method in options.method or ():
        words += ["--method", method]
    words += (["--count", str(options.count)] if options.minutes is None else
              ["--minutes", f"{options.minutes:g}"])
    return " ".join(words + (["--self-test"] if options.self_test else []))


def report(options, totals, problems, seconds, view, folder):
    """The account on the screen, and beside the logs; the exit status."""
    lines = ["", f"ledger of {command_of(options)}, {seconds:.0f} s"]
    lines += [f"  {name.replace('_', ' '):<24} {value:>10}" for name, value in totals.items()]
    lines += [""] + [f"FAILED: {problem}" for problem in problems[:20]]
    if len(problems) > 20:
        lines.append(f"FAILED: and {len(problems) - 20} more")
    failed = bool(problems or totals["lost"] or totals["uncounted"])
    if failed:
        lines.append(f"replay: {command_of(options)}")
    if options.self_test:
        failed = not KINDS[options.kind][0].noticed(totals, problems)
        lines.append("FAILED: a promise was broken on purpose, and no loss was noticed" if failed
                     else "PASSED: the broken promise was noticed")
    elif not failed:
        lines.append(f"PASSED: lost = 0, uncounted = 0 in {totals['count']} cuts "
                     f"(seed {options.seed})")
    view.table(lines)
    (folder / "account").write_text("\n".join(lines + problems[20:]) + "\n")
    return 1 if failed else 0


def torture(options, folder, parts, view):
    module = KINDS[options.kind][0]
    why_not = module.needs(options)
    if why_not and options.or_skip:
        view.say(f"SKIPPED {command_of(options)}: {why_not}")
        return SKIPPED
    if why_not:
        raise Trouble(f"{options.kind}: {why_not}")
    view.say(f"{command_of(options)}; work directory {folder}")
    began = time.monotonic()
    commit = commit_of(ROOT)        # now: the tree may change while this runs
    totals, problems = module.run(options, folder, parts, view)
    seconds = time.monotonic() - began
    result = report(options, totals, problems, seconds, view, folder)
    if options.record and result == 0:
        entry = {"kind": module.ledger_kind(options), "commit": commit, "seed": options.seed,
                 **totals, "seconds": round(seconds), "command": command_of(options)}
        record_total(entry, options.record)
        view.table([f"recorded in {options.record}"])
    return result


def make_folder():
    return pathlib.Path(tempfile.mkdtemp(prefix="holdfast-torture-"))


def main(arguments):
    options = options_of(arguments)
    if not options:
        return 0
    return stage.perform("tools/torture", torture, options, make_folder, harmless=(0, SKIPPED))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
