#!/usr/bin/env python3
"""Last gasps: a virtual machine's power goes the moment a device says that all is saved.

A device with as much in RAM as its limits allow is told that the power goes. As soon as it says that
everything is on disk, the machine is killed, and its disk loses any part of what was not synced. The
next boot must have every message that was handed over. One that says so too early loses some.

    last_gasp_test.py --bin DIR [--count N] [--seed N] [--self-test]
DIR: the programs of a build. --self-test: with a disk that forgets what it has synced, a loss must be
found. Exit: 0 nothing was lost, 1 something was, 77 no virtual machine can be had here.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import torture_disk
import torture_guest
from tool.programs import Programs, run
from torture_disk import Disk
from watchdog_test import agent_files

SIZE = 48 << 20
MAKE = ("-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E",
        "lazy_itable_init=0,lazy_journal_init=0")
PATIENCE = 240                          # seconds for a boot: the emulated processor is slow
MEMORIES = (64 << 10, 256 << 10, 1 << 20)
PAYLOADS = (16, 256, 4096, 16384)


class Trouble(Exception):
    """Something else than a lost message."""


class Machine:
    """One disk and the lives of the machine that it is in."""

    def __init__(self, folder, binaries, seed, lying):
        self.folder, self.random = folder, random.Random(seed)
        self.initrd = folder / "initrd"
        torture_guest.make_initrd(self.initrd, {
            "init": (binaries / "hf_guest_init").read_bytes(),
            **agent_files(binaries, "hf_last_gasp", "hf_outbox_writer")})
        image = folder / "image"
        with open(image, "wb") as file:
            file.truncate(SIZE)
        run(Programs.system("mkfs.ext4"), *MAKE, str(image))
        self.disk = Disk(image.read_bytes(), lying)
        self.handed = None              # by the life before
        self.pieces = self.lost_pieces = 0

    def live(self, number):
        """A boot, to the cut; what it has said: (verified, handed, milliseconds)."""
        path = self.folder / "disk.sock"
        listener = torture_disk.listen(path)
        self.disk.serve(listener)
        words = (self.random.choice(MEMORIES), self.random.choice(PAYLOADS))
        machine = torture_guest.Machine(
            self.folder, f"life-{number}", self.initrd, words, devices=(
                "-no-reboot", "-blockdev",
                f"driver=nbd,node-name=disk,server.type=unix,server.path={path}",
                "-device", "virtio-blk-pci,drive=disk"))
        try:
            told = machine.wait(lambda: b"\nS " in machine.told.read_bytes() or
                                b"E " in machine.told.read_bytes(), time.monotonic() + PATIENCE)
            alive = machine.alive
        finally:
            machine.kill()
            self.disk.join()
            listener.close()
        lines = dict(line.split(" ", 1) for line in machine.text().splitlines() if " " in line)
        if not told or not alive or "S" not in lines:
            raise Trouble(f"life {number}: {machine.text()[-300:]}; {machine.last_words()}")
        if self.disk.error:
            raise Trouble(self.disk.error)
        pieces, lost = self.disk.cut(self.random)
        self.pieces, self.lost_pieces = self.pieces + pieces, self.lost_pieces + lost
        return lines.get("V"), int(lines["H"]), int(lines["S"]), words

    def gasp(self, number):
        verified, handed, took, words = self.live(number)
        if self.handed is not None:
            found = [int(word) for word in (verified or "0 0").split()]
            if found != [self.handed, self.handed]:
                raise AssertionError(f"life {number}: {self.handed} were saved, of them there are "
                                     f"{found[1]} (accepted {found[0]})")
        self.handed = handed
        return handed, took, words


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=5, help="last gasps (default 5)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--self-test", action="store_true")
    asked = parser.parse_args()
    why = torture_guest.missing()
    if why:
        print(f"skipped: {why}")
        return 77
    with tempfile.TemporaryDirectory(prefix="holdfast-gasp-") as scratch:
        machine = Machine(pathlib.Path(scratch), asked.bin.resolve(), asked.seed,
                          asked.self_test)
        messages = 0
        try:
            # One more life judges the last cut.
            for number in range(asked.count + 1):
                handed, took, words = machine.gasp(number)
                messages += handed if number < asked.count else 0
                print(f"{number}: limits.memory {words[0] >> 10} KiB, payload {words[1]} B: {handed} "
                      f"messages, saved in {took} ms", flush=True)
        except (AssertionError, Trouble) as problem:
            print(f"{'found' if asked.self_test else 'FAILED'} {problem} (--seed {asked.seed})")
            return 0 if asked.self_test else 1
        if asked.self_test:
            print("FAILED: the disk forgets, and nothing was missed")
            return 1
        print(f"{asked.count} last gasps, {messages} messages, 0 lost; the cuts took "
              f"{machine.lost_pieces} of {machine.pieces} pieces that were not synced")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}: {error.stderr}")
