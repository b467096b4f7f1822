"""`holdfast lab fault`, `kick`, `download` and `trace`: what goes wrong, and what happens."""
import argparse
import json
import pathlib
import sys

from .place import Control, Trouble

PORTS = ("mqtt", "mixed", "https")


def open_control(place, asked):
    """The Region's orders, or those of a relay of its own."""
    return Control(asked.control if asked.control else place.choose(asked.region).control_socket)


def add_target(parser):
    parser.add_argument("--region", metavar="NAME", help="of several Regions")
    parser.add_argument("--control", type=pathlib.Path, metavar="SOCKET",
                        help="a relay's (hf_lab_relay --control) instead of the lab's")


def wanted(words):
    """Presets by name, JSON, or a file of JSON."""
    parts = []
    for word in words:
        if word.startswith("{"):
            text, where = word, "the faults"
        elif word.endswith(".json") or "/" in word:
            where = word
            try:
                text = pathlib.Path(word).read_text(encoding="utf-8")
            except OSError as error:
                raise Trouble(f"{word}: {error.strerror}") from error
        else:
            parts.append(word)
            continue
        try:
            parts.append(json.loads(text))
        except ValueError as error:
            raise Trouble(f"{where}: no JSON: {error}") from error
    objects = [part for part in parts if isinstance(part, dict)]
    if len(objects) > 1 or (objects and len(parts) > 1):
        raise Trouble("give names of presets, or one object; an object may have a key \"preset\"")
    return objects[0] if objects else parts


def run_fault(place, words):
    parser = argparse.ArgumentParser(
        prog="holdfast lab fault",
        description="Shows, sets or clears the faults between devices and the endpoint. They hold for "
                    "connections that exist, too. docs/relay.md lists them all.")
    parser.add_argument("faults", nargs="*", metavar="FAULT",
                        help="a preset's name, an object as JSON, or a file; without: show what holds")
    parser.add_argument("--clear", action="store_true", help="nothing is wrong from now on")
    parser.add_argument("--list", action="store_true", help="the presets, a line each")
    add_target(parser)
    asked = parser.parse_args(words)
    with open_control(place, asked) as control:
        if asked.list:
            for preset in control.ask("faults.presets"):
                print(f"{preset['name']:<28} {preset['description']}")
        elif asked.clear:
            control.ask("faults.clear")
        elif asked.faults:
            control.ask("faults.set", faults=wanted(asked.faults))
        else:
            print(json.dumps(control.ask("faults.get"), indent=2))
    return 0


def run_kick(place, words):
    parser = argparse.ArgumentParser(prog="holdfast lab kick",
                                     description="Ends connections as a network would.")
    parser.add_argument("client", nargs="?", metavar="CLIENT_ID", help="of this device; without: of all")
    parser.add_argument("--how", choices=("fin", "reset", "disconnect", "silence"), default="reset",
                        help="default reset")
    parser.add_argument("--reason", type=int, metavar="CODE", help="of the DISCONNECT (MQTT 5)")
    add_target(parser)
    asked = parser.parse_args(words)
    order = {"how": asked.how}
    if asked.client:
        order["client"] = asked.client
    if asked.reason is not None:
        order["reason"] = asked.reason
    names = ["kick"] if asked.control else [f"{port}.kick" for port in PORTS]
    with open_control(place, asked) as control:
        kicked = sum(control.ask(name, **order)["kicked"] for name in names)
    print(f"{kicked} ended")
    return 0 if kicked else 1


def run_download(place, words):
    parser = argparse.ArgumentParser(
        prog="holdfast lab download",
        description="What goes wrong with a file behind presigned links. Positions count bytes of the "
                    "whole file; without an option, nothing does any more.")
    parser.add_argument("path", metavar="BUCKET/KEY")
    parser.add_argument("--expired", action="store_true", help="every link has ended already")
    for name, what in (("cut-at", "the connection is reset before this byte"),
                       ("corrupt-at", "this byte is inverted"),
                       ("stall-at", "nothing more is sent from this byte on")):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=what)
    add_target(parser)
    asked = parser.parse_args(words)
    with open_control(place, asked) as control:
        control.ask("download.fault", path=asked.path, expired=asked.expired, cut_at=asked.cut_at,
                    corrupt_at=asked.corrupt_at, stall_at=asked.stall_at)
    return 0


def run_trace(place, words):
    parser = argparse.ArgumentParser(
        prog="holdfast lab trace",
        description="Follows what happens at the endpoint, a line of JSON each (docs/relay-trace.md).")
    add_target(parser)
    asked = parser.parse_args(words)
    with open_control(place, asked) as control:
        control.ask("trace")
        for event in control.follow():
            print(json.dumps(event, ensure_ascii=False), flush=True)
    print("holdfast lab: the lab has ended", file=sys.stderr)
    return 0
