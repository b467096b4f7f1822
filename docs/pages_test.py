#!/usr/bin/env python3
"""Runs the commands of a page of docs/ in their order, in one shell, as a reader would.

    pages_test.py --bin DIR [--build DIR] PAGE…      DIR: the programs of a build, and the build

A fenced block of commands has a line before it that says what becomes of it:

    <!-- run -->           it is run; it must not fail
    <!-- look -->          the same, again and again until what follows is printed, for a minute
    <!-- build -->         it builds; its presets and targets must exist
    <!-- not run: why -->  it is for the reader only

A block of text after `<!-- prints -->` has lines that what was run before it prints, in this order; `…` stands
for anything. `<!-- port N -->` in a page: the number stands for a port that is free. `<!-- on: AWS -->`: `aws`
means `holdfast lab aws`, and `<!-- lab: command -->` is run besides, since the lab is not the service.
"""
import argparse
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PART = re.compile(r"^<!-- lab: (?P<lab>.*?) -->$|"
                  r"^(?:<!-- (?P<mark>run|look|build|prints|not run: [^>]+?) -->\n)?"
                  r"```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
PORT = re.compile(r"^<!-- port (\d+) -->$", re.M)
PATIENCE_S = 90  # of a look; a busy machine is slow
LONGEST_S = 240  # of a block
PAUSE_S = 0.3


class Part:
    def __init__(self, page, mark, text, line):
        self.mark, self.text, self.where = mark, text, f"{page}:{line}"


def parts_of(path):
    """The marked blocks of a page; fails on commands without a mark."""
    page = path.read_text(encoding="utf-8")
    for number in PORT.findall(page):
        page = page.replace(number, str(free_port()))
    parts = []
    for found in PART.finditer(page):
        line = page.count("\n", 0, found.start()) + 1
        mark = "run" if found["lab"] else found["mark"]
        if mark is None and found["kind"] == "sh":
            raise AssertionError(f"{path}:{line}: commands without a mark, such as <!-- run -->")
        if mark is not None and not mark.startswith("not run"):
            parts.append(Part(path.name, mark, found["lab"] or found["text"], line))
    return parts, "<!-- on: AWS -->" in page


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def missing_lines(wanted, output):
    """The first wanted line that is not there, in order; None if all are."""
    lines = iter(output.splitlines())
    for want in wanted.splitlines():
        if not want.strip():
            continue
        pattern = re.compile(".*".join(re.escape(piece) for piece in want.strip().split("…")))
        if not any(pattern.fullmatch(line.strip()) for line in lines):
            return want
    return None


class Shell:
    """A bash that keeps variables, directory and background programs from block to block."""

    def __init__(self, folder, programs, on_aws):
        self.folder = folder
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("HOLDFAST_", "XDG_"))}
        environment.update(HOME=str(folder), PATH=f"{programs}:{environment['PATH']}", LC_ALL="C.UTF-8")
        self.process = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        if on_aws:
            self.run('aws() { holdfast lab aws "$@"; }')

    def run(self, text, strict=True):
        """Exit code of the last command, and what was printed. Strict: a failure ends the shell (None)."""
        block, output = self.folder / ".block", self.folder / ".output"
        block.write_text(f"set -e\n{text}\nset +e\n" if strict else text, encoding="utf-8")
        output.write_bytes(b"")
        self.process.stdin.write(
            f". {block} > {output} 2>&1 < /dev/null; printf 'ended %s\\n' $?\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], LONGEST_S)
        said = self.process.stdout.readline() if ready else ""
        code = int(said.split()[1]) if said.startswith("ended") else None
        return code, output.read_text(encoding="utf-8", errors="replace")

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.kill()
        self.process.communicate()


class PageTest(unittest.TestCase):
    programs = build = None
    pages = ()
    verbose = False

    def test_pages(self):
        for page in self.pages:
            with self.subTest(page=page):
                self.walk(ROOT / "docs" / page)

    def walk(self, path):
        parts, on_aws = parts_of(path)
        self.assertTrue(any(part.mark == "run" for part in parts), f"{path}: nothing is run")
        folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-page-"))
        shell = Shell(folder, self.programs, on_aws)
        try:
            self.go_through(parts, shell)
        finally:
            shell.end()
            left = subprocess.run([self.programs / "holdfast-lab", "--directory",
                                   folder / ".local/state/holdfast-lab", "down"], check=False,
                                  capture_output=True, text=True).stderr
            shutil.rmtree(folder)
        self.assertIn("no lab is running here", left, f"{path}: its end leaves a lab behind")

    def go_through(self, parts, shell):
        output = ""
        for at, part in enumerate(parts):
            if self.verbose:
                print(f"{time.monotonic():.1f} {part.where} {part.mark}", file=sys.stderr)
            if part.mark == "prints":
                missing = missing_lines(part.text, output)
                self.assertIsNone(missing, f"{part.where}: not printed; but:\n{output}")
            elif part.mark == "build":
                self.check_build(part)
            elif part.mark == "look":
                self.assertEqual(parts[at + 1].mark, "prints", f"{part.where}: what to look for?")
                output = self.look(part, parts[at + 1].text, shell)
            else:
                code, output = shell.run(part.text)
                self.assertEqual(code, 0, f"{part.where}: failed\n{part.text}\n{output}")

    def look(self, part, wanted, shell):
        end = time.monotonic() + PATIENCE_S
        while True:
            code, output = shell.run(part.text, strict=False)
            self.assertIsNotNone(code, f"{part.where}: the shell has ended\n{output}")
            if missing_lines(wanted, output) is None or time.monotonic() > end:
                return output
            time.sleep(PAUSE_S)

    def check_build(self, part):
        """Presets and packages are those of the tree; targets those of the build that is tested."""
        presets = (ROOT / "CMakePresets.json").read_text(encoding="utf-8")
        for preset in re.findall(r"--preset (\S+)", part.text):
            self.assertIn(f'"name": "{preset}"', presets, part.where)
        packages = (ROOT / "tools/packages.txt").read_text(encoding="utf-8")
        for groups in re.findall(r"tools/setup ([\w ]+)", part.text):
            for group in groups.split():
                self.assertIn(f"\n[{group}]\n", packages, part.where)
        for targets in re.findall(r"--target ([\w -]+)", part.text):
            done = subprocess.run(["cmake", "--build", self.build, "--target", *targets.split(),
                                   "--", "-n"], check=False, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, f"{part.where}: {done.stdout}{done.stderr}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--bin", type=pathlib.Path, required=True)
    arguments.add_argument("--build", type=pathlib.Path, required=True)
    arguments.add_argument("-v", "--verbose", action="store_true", help="say which block is run when")
    arguments.add_argument("pages", nargs="+", metavar="PAGE")
    known = arguments.parse_args()
    PageTest.programs, PageTest.build = known.bin.resolve(), known.build.resolve()
    PageTest.pages, PageTest.verbose = known.pages, known.verbose
    unittest.main(argv=[sys.argv[0]])


if __name__ == "__main__":
    main()
