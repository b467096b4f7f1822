#!/usr/bin/env python3
"""`holdfast lab`: the words after it, and who answers them."""
import os
import pathlib
import sys

from advise import main as advise
from tool import aws, device, fault, up
from tool.place import Place, Trouble, default_directory
from tool.programs import Programs
from trials import main as torture

HELP = """\
usage: holdfast lab [--directory DIR] COMMAND …

A local AWS IoT Core, and everything that will go wrong with the way to it.

  up        start it: one Region or several      down, status
  device    make a device: thing, certificate, policy, and a configuration
  advise    runs Device Advisor's test cases against a device program
  torture   outages, kills, full disks and more against it; counts every message
  aws       the AWS CLI's words: create-job, update-thing-shadow, publish, …
  fault     break the way to it: black hole, expired certificate, no PUBACK, …
  kick      end connections                      trace     follow what happens
  download  break what is behind presigned links
  relay     the same faults before any other broker

Each command has --help. State is kept in --directory, $HOLDFAST_LAB, or
~/.local/state/holdfast-lab.
"""


def main(words):
    programs, directory = None, default_directory()
    while words and words[0].startswith("--") and words[0] not in ("--help", "--version"):
        option, _, value = words[0].partition("=")
        words = words[1:]
        if not value:
            if not words:
                raise Trouble(f"{option} needs a value")
            value, words = words[0], words[1:]
        if option == "--bin":
            programs = value
        elif option == "--directory":
            directory = pathlib.Path(value)
        else:
            raise Trouble(f"unknown option {option}; see holdfast lab --help")
    tools, place = Programs(programs or pathlib.Path(__file__).parent), Place(directory)
    commands = {
        "up": lambda rest: up.run_up(place, tools, rest),
        "down": lambda rest: up.run_down(place, rest),
        "status": lambda rest: up.run_status(place, rest),
        "device": lambda rest: device.run(place, rest),
        "advise": lambda rest: advise.run(tools, rest),
        "torture": lambda rest: torture.run(tools, rest),
        "aws": lambda rest: aws.run(place, rest),
        "fault": lambda rest: fault.run_fault(place, rest),
        "kick": lambda rest: fault.run_kick(place, rest),
        "relay": lambda rest: os.execv(tools.own("hf_lab_relay"), ["holdfast lab relay", *rest]),
        "download": lambda rest: fault.run_download(place, rest),
        "trace": lambda rest: fault.run_trace(place, rest),
    }
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0 if words else 2
    if words[0] not in commands:
        raise Trouble(f"there is no command {words[0]}; see holdfast lab --help")
    return commands[words[0]](words[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Trouble as trouble:
        print(f"holdfast lab: {trouble}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
