#!/usr/bin/env python3
"""The outbox beside its rivals and the physical limit, in one interleaved run.

    tools/bench outbox [--quick] [--only PART,…] [--build DIR] [--json FILE] [--write] [--from FILE]

--quick      fewer repeats and a shorter slow run: a first look in about four minutes
--only       parts: steady, slow, append, backlog, full, flips, half, space, size
--build DIR  a release build directory; build/release by default, configured when it is missing
--json FILE  all samples; with --only, parts that are not run are kept from the file
--write      puts the tables into docs/outbox-bench.md (between its markers) and draws its plots
--from FILE  measures nothing: reads the samples from a file
It never fails on a figure: bars are reported as met or missed. Loop devices need root; without
them the figures that need one are left out by name. Exit code 2 when something cannot run.
"""
import argparse
import datetime
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import loop_disk  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402

FLIP_TRIALS = 150
FLIP_MESSAGES = 2000
BLOCK = 4096


def say(text):
    print(f"outbox bench: {text}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, program, quick):
        self.program, self.quick = program, quick
        self.random = random.Random(3)
        listed = subprocess.run([program, "stores"], capture_output=True, text=True, check=True)
        self.stores = listed.stdout.split()
        self.skipped = {}

    def command(self, work, store, folder, **options):
        words = [self.program, work, "--store", store, "--dir", folder]
        for name, value in options.items():
            if value is True:
                words.append("--" + name.replace("_", "-"))
            elif value not in (False, None):
                words += ["--" + name.replace("_", "-"), str(value)]
        return words

    def run(self, work, store, folder, **options):
        done = subprocess.run(self.command(work, store, folder, **options), capture_output=True,
                              text=True)
        if done.returncode != 0:
            say(f"{work} {store}: {done.stderr.strip()}")
            return {"candidate": store, "failed": done.stderr.strip() or done.returncode}
        return json.loads(done.stdout)

    def some(self, *names):
        return [name for name in names if name in self.stores]

    def repeats(self, many, few):
        return few if self.quick else many

    # ---- the parts -------------------------------------------------------------------------------

    def steady(self):
        """Mixed put, read and acknowledge; window 64; on a loop device in RAM."""
        plan = [(256, 1, 4000, 2000), (256, 10, 20000, 10000), (256, 100, 100000, 50000),
                (4096, 1, 2000, 1000), (4096, 10, 5000, 2500), (4096, 100, 10000, 5000)]
        samples = []
        with loop_disk.LoopDisk(1024) as disk:
            for turn in range(self.repeats(5, 2)):
                for payload, batch, messages, warm in plan:
                    if payload == 4096 and turn >= self.repeats(3, 1):
                        continue
                    names = self.some("ours", "ours-sealed", "raw", "sqlite", "leveldb")
                    if batch == 1:
                        names += self.some("paho", "paho-fsync", "paho-fsync-all")
                    self.random.shuffle(names)
                    for name in names:
                        samples.append(self.run("mixed", name, disk.fresh("store"),
                                                device=disk.device, payload=payload, batch=batch,
                                                messages=messages, warm=warm))
                say(f"steady state: turn {turn + 1} done")
        return samples

    def slow(self):
        """One message a second in real time, all at once, each on a device of its own."""
        seconds = self.repeats(200, 20)
        plan = [("ext4", "noatime", 256, name) for name in
                self.some("ours", "raw", "sqlite", "leveldb", "paho", "paho-fsync")]
        plan.append(("ext4", "noatime", 4096, "ours"))
        for kind, options in (("ext4", "noatime,commit=60"), ("ext4", "relatime"),
                              ("xfs", "noatime"), ("btrfs", "noatime")):
            if not shutil.which("mkfs." + kind):
                self.skipped[f"slow on {kind}"] = f"needs mkfs.{kind} (tools/setup bench)"
                continue
            plan += [(kind, options, 256, name) for name in self.some("ours", "raw", "sqlite")]
        disks, running, samples = [], [], []
        try:
            for kind, options, payload, name in plan:
                disk = loop_disk.LoopDisk(320, kind=kind, options=options)
                disks.append(disk)
                command = self.command("slow", name, disk.fresh("store"), device=disk.device,
                                       payload=payload, seconds=seconds, warm=3000)
                running.append(((kind, options), subprocess.Popen(
                    command, stdout=subprocess.PIPE, text=True)))
            say(f"one message a second for {seconds} s, {len(running)} stores at once")
            for (kind, options), process in running:
                text = process.communicate()[0]
                if process.returncode == 0:
                    samples.append({**json.loads(text), "fs": kind, "mount": options})
        finally:
            for _, process in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            for disk in disks:
                disk.close()
        return samples

    def append(self):
        """A growing backlog: durable in batches of 100, and without any sync."""
        samples = []
        for ram in (False, True):
            with loop_disk.LoopDisk(1536, ram=ram) as disk:
                # Short turns, many of them: disks are granted bursts, and throttled behind them.
                for turn in range(self.repeats(9, 2)):
                    for payload, messages, unsynced in ((256, 60000, False), (4096, 10000, False),
                                                        (256, 300000, True), (4096, 30000, True)):
                        names = self.some("ours", "ours-sealed", "raw", "sqlite", "leveldb")
                        turns = [(name, False) for name in names]
                        turns += [] if unsynced else [("ours", True)]
                        self.random.shuffle(turns)
                        for name, ahead in turns:
                            sample = self.run("append", name, disk.fresh("store"),
                                              device=disk.device, payload=payload, batch=100,
                                              messages=messages, unsynced=unsynced,
                                              preallocate=ahead, max_bytes=1 << 28)
                            name = "ours-ahead" if ahead else name
                            samples.append({**sample, "candidate": name, "unsynced": unsynced,
                                            "ram": ram})
                    say(f"append, loop device {'in RAM' if ram else 'on disk'}: turn {turn + 1} done")
        return samples

    def backlog(self):
        """Opening, counting and verifying a large backlog with nothing in the cache."""
        samples = []
        many = 1_000_000 if self.quick else 10_000_000
        plan = [(name, 1_000_000, 256, 1 << 29) for name in self.some("ours", "sqlite", "leveldb")]
        plan.append(("ours", many, 100, 1 << 31))
        with loop_disk.LoopDisk(4096, ram=False) as disk:
            for name, messages, payload, limit in plan:
                folder = disk.fresh("store")
                filled = self.run("fill", name, folder, messages=messages, payload=payload,
                                  batch=1000, unsynced=True, max_bytes=limit)
                if filled.get("messages") != messages:
                    self.skipped[f"backlog of {messages} in {name}"] = f"holds {filled}"
                    continue
                for _ in range(self.repeats(5, 2)):
                    disk.remount()
                    sample = self.run("open", name, folder, payload=payload, max_bytes=limit)
                    samples.append({**sample, "what": "open", "wanted": messages})
                if name == "ours":
                    samples += self.verify(disk, folder, messages)
                say(f"backlog of {messages} in {name} done")
                shutil.rmtree(folder)
        return samples

    def verify(self, disk, folder, messages):
        program = os.path.join(os.path.dirname(self.program), "holdfast")
        command = [program, "outbox", "verify", folder]
        files = sorted(os.path.join(folder, name) for name in os.listdir(folder))
        if not os.path.exists(program) or b"verify" not in subprocess.run(
                [program, "outbox", "--help"], capture_output=True).stdout:
            self.skipped["verify"] = "needs holdfast outbox verify in the build"
            return []
        samples = []
        for _ in range(self.repeats(5, 2)):
            for cold in (True, False):
                took = {}
                for what, words in (("cat", ["cat", *files]), ("verify", command)):
                    if cold:
                        disk.remount()
                    begin = datetime.datetime.now()
                    done = subprocess.run(words, stdout=subprocess.DEVNULL)
                    took[what] = (datetime.datetime.now() - begin).total_seconds()
                    if done.returncode != 0:
                        self.skipped["verify"] = f"{what} gave exit code {done.returncode}"
                        return []
                samples.append({"candidate": "ours", "what": "verify", "wanted": messages,
                                "cold": cold, "ratio": took["verify"] / took["cat"], **took})
        return samples

    def full(self):
        """A disk without a free byte: drain, then accept again."""
        samples = []
        for _ in range(self.repeats(3, 1)):
            for name in self.some("ours", "sqlite", "leveldb", "paho"):
                with loop_disk.LoopDisk(32) as disk:
                    samples.append(self.run("full", name, disk.fresh("store"), device=disk.device,
                                            batch=100, max_bytes=1 << 26))
        return samples

    def flips(self):
        """One flipped bit in a store of 2,000 messages, then read it all."""
        samples = []
        with tempfile.TemporaryDirectory(prefix="holdfast-flips-") as folder:
            for name in self.some("ours", "sqlite", "leveldb", "paho"):
                origin, copy = os.path.join(folder, name), os.path.join(folder, "copy")
                os.mkdir(origin, 0o700)
                self.run("fill", name, origin, messages=FLIP_MESSAGES, batch=100, unsynced=True,
                         max_bytes=4 << 20)
                places = written_blocks(origin)
                for trial in range(self.repeats(FLIP_TRIALS, 30)):
                    shutil.rmtree(copy, ignore_errors=True)
                    shutil.copytree(origin, copy)
                    path, block = self.random.choice(places)
                    flip(os.path.join(copy, path), block, self.random)
                    samples.append({**self.run("read", name, copy, messages=FLIP_MESSAGES,
                                               max_bytes=4 << 20), "trial": trial})
                say(f"flipped bits: {name} done")
        return samples

    def half(self):
        """Padded commits (less than half full) beside packed ones, one by one and by ten."""
        samples = []
        with loop_disk.LoopDisk(512) as disk:
            for _ in range(self.repeats(3, 1)):
                for tail, before in (("padded", 0), ("packed", 125_000)):
                    for batch, messages in ((1, 3000), (10, 10000), (100, 20000)):
                        folder = disk.fresh("store")
                        if before:
                            self.run("fill", "ours", folder, messages=before, batch=1000,
                                     unsynced=True)
                        sample = self.run("append", "ours", folder, device=disk.device,
                                          batch=batch, messages=messages)
                        samples.append({**sample, "tail": tail})
        return samples

    def space(self):
        """An outbox of 4 MiB at its limit: eviction, and segments with few left carried together;
        beside the same messages in a steady state, and that with a reader at work."""
        samples = []
        with loop_disk.LoopDisk(64) as disk:
            for _ in range(self.repeats(5, 2)):
                for what, work, options in (("steady", "mixed", {}), ("evict", "append", {"evict": True}),
                                            ("carry", "mixed", {"keep": 50}), ("read", "mixed", {})):
                    folder = disk.fresh("store")
                    reader = Reader(self.program, folder) if what == "read" else None
                    sample = self.run(work, "ours", folder, device=disk.device, batch=100,
                                      messages=60000, warm=20000, max_bytes=4 << 20, **options)
                    if reader:
                        sample.update(reader.stop())
                    samples.append({**sample, "what": what})
        return samples

    def size(self):
        """The outbox, linked alone into a stripped program."""
        samples = []
        for name in ("outbox_size", "outbox_size_none"):
            program = os.path.join(os.path.dirname(self.program), name)
            with tempfile.NamedTemporaryFile() as stripped:
                loop_disk.run("strip", "-o", stripped.name, program)
                samples.append({"candidate": name, "bytes": os.path.getsize(stripped.name)})
        return samples


def begun(path):
    """Whether a segment was begun in the file."""
    if not os.path.exists(path):
        return False
    with open(path, "rb") as file:
        return any(file.read(8))


class Reader(threading.Thread):
    """Verifies an outbox again and again, from outside, while it is written."""

    def __init__(self, program, folder):
        super().__init__()
        holdfast = os.path.join(os.path.dirname(program), "holdfast")
        self.command = [holdfast, "outbox", "verify", folder]
        self.first = os.path.join(folder, "slot-0000.seg")
        self.over, self.times, self.wrong = threading.Event(), 0, []
        self.start()

    def run(self):
        while not self.over.is_set():
            if not begun(self.first):
                time.sleep(0.01)
                continue
            done = subprocess.run(self.command, capture_output=True, text=True)
            self.times += 1
            if done.returncode != 0:
                self.wrong.append(done.stdout + done.stderr)

    def stop(self):
        self.over.set()
        self.join()
        for text in self.wrong[:1]:
            say("a reader beside the writer: " + text)
        return {"readings": self.times, "readings_wrong": len(self.wrong)}


def written_blocks(folder):
    """Every block that is not all zeros: a flip in a slot that waits to be used harms nobody."""
    places = []
    for directory, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(directory, name)
            with open(path, "rb") as file:
                content = file.read()
            for at in range(0, len(content), BLOCK):
                block = content[at:at + BLOCK]
                if any(block):
                    places.append((os.path.relpath(path, folder), (at, len(block))))
    return places


def flip(path, block, dice):
    at = block[0] + dice.randrange(block[1])
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0] ^ (1 << dice.randrange(8))
        file.seek(at)
        file.write(bytes([byte]))


PARTS = ("steady", "slow", "append", "backlog", "full", "flips", "half", "space", "size")
NEED_LOOP = ("steady", "slow", "append", "backlog", "full", "half", "space")


def build(folder):
    path = os.path.join(ROOT, folder)
    if not os.path.isfile(os.path.join(path, "build.ninja")):
        command(["cmake", "--preset", "release", "-B", folder])
    command(["cmake", "--build", folder, "--target", "outbox_bench", "outbox_size",
             "outbox_size_none", "holdfast_command"])


def keep_awake():
    """An open file that keeps the processors from sleeping between two flushes, or None."""
    try:
        file = open("/dev/cpu_dma_latency", "wb", buffering=0)
        file.write(bytes(4))
        return file
    except OSError:
        return None


def command(words):
    if subprocess.run(words, cwd=ROOT, stdout=sys.stderr).returncode != 0:
        say("failed: " + " ".join(words))
        sys.exit(2)


def machine():
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True,
                            capture_output=True).stdout.strip() or "unknown"
    return {"cpu": cpu, "cpus": os.cpu_count(), "kernel": platform.release(), "commit": commit,
            "load": os.getloadavg()[0], "date": str(datetime.date.today())}


def measure(options, parts):
    build(options.build)
    bench = Bench(os.path.join(ROOT, options.build, "bin", "outbox_bench"), options.quick)
    data = {"machine": machine(), "quick": options.quick, "samples": {}, "skipped": {}}
    if options.json and options.only and os.path.exists(options.json):
        with open(options.json, encoding="utf-8") as file:
            old = json.load(file)
        data["samples"], data["skipped"] = old["samples"], old["skipped"]
    for name in ("sqlite", "leveldb", "paho"):
        if name not in bench.stores:
            bench.skipped[name] = "not in this build: tools/setup bench, then configure anew"
    lacking = loop_disk.missing()
    awake = keep_awake()
    for part in parts:
        if part in NEED_LOOP and lacking:
            bench.skipped[part] = "needs " + lacking
            say(f"{part}: left out, needs {lacking}")
            continue
        data["skipped"].pop(part, None)
        data["samples"][part] = getattr(bench, part)()
        data["skipped"].update(bench.skipped)
        if options.json:
            with open(options.json, "w", encoding="utf-8") as file:
                json.dump(data, file)
    if awake:
        awake.close()
    data["skipped"].update(bench.skipped)
    data["machine"]["load_after"] = os.getloadavg()[0]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(data, file)
    return data


def main(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench outbox", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--json")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--from", dest="source")
    options = parser.parse_args(arguments)
    parts = options.only.split(",") if options.only else list(PARTS)
    for part in parts:
        if part not in PARTS:
            say(f"no part named {part}; there are: {', '.join(PARTS)}")
            return 2
    if os.geteuid() == 0:
        os.nice(-15)  # what else runs here disturbs all stores alike, and less
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # so that loop devices are detached
    if options.source:
        with open(options.source, encoding="utf-8") as file:
            data = json.load(file)
    else:
        try:
            data = measure(options, parts)
        except OSError as error:
            say(str(error))
            return 2
    text = report.text(data)
    print(text)
    if options.write:
        report.write(os.path.join(ROOT, "docs", "outbox-bench.md"), text)
        plots.draw(data, os.path.join(ROOT, "docs"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
