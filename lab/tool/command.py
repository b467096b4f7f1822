"""What the commands that judge a device program share: their options, the words that do a part of
a run again, and how they tell what they found."""
import argparse
import json
import pathlib
import shlex
import sys

from report import forms

from .place import Trouble


def add_options(parser, thing):
    forms.add_options(parser)
    parser.add_argument("--thing", default=thing, metavar="NAME",
                        help=f"thing name and client id (default {thing})")
    parser.add_argument("--policy", type=pathlib.Path, metavar="FILE",
                        help="the device's policy (default: one that allows everything)")
    parser.add_argument("--job-document", type=json.loads, metavar="JSON",
                        help="of the job that is sent to the device")
    parser.add_argument("--keep", action="store_true", help="keeps traces and logs, says where")
    parser.add_argument("--list", action="store_true", help="tells what there is, and runs nothing")
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def read(parser, words):
    """The options; ends with an error where they are wrong."""
    asked = parser.parse_args(words)
    if asked.command[:1] == ["--"]:
        asked.command = asked.command[1:]
    if not asked.command and not asked.list:
        parser.error("-- COMMAND … is missing: how the device program is started")
    forms.check(parser, asked)
    if asked.policy:
        try:
            asked.policy = json.loads(asked.policy.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            parser.error(f"--policy {asked.policy}: {error}")
    return asked


def as_typed(tool, words):
    return shlex.join([*tool.split(), *words])


def again(tool, words, chosen, dropped, flags):
    """The command that does a part of a run again: the words `chosen`, then those that were typed,
    but for the options `dropped`. `flags` are the options without a value."""
    kept, at = [], 0
    while at < len(words) and words[at].startswith("--") and words[at] != "--":
        option, equals, _ = words[at].partition("=")
        after = at + (1 if equals or option in flags else 2)
        if option not in dropped:
            kept += words[at:after]
        at = after
    return as_typed(tool, [*chosen, *kept, *words[at:]])


def progress(words, end="\n"):
    """The standard output is for reports."""
    print(words, end=end, file=sys.stderr, flush=True)


def tell(found, asked):
    """Writes the forms that were asked for, and the table."""
    try:
        forms.write(found, asked)
    except OSError as error:
        raise Trouble(f"{error.filename}: {error.strerror}") from error
    finally:
        if not forms.to_stdout(asked):
            forms.show(found)
