"""What benches for device programs share: the program under test, kept running, and the Region's
or relay's trace, read as it is written."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time

from . import programs
from .place import Trouble

# A program that ended is started again after so long.
RESTART_SECONDS = 1


class Program:
    """A device program, started again whenever it ends."""

    def __init__(self, command, log, environment=None, out=None):
        """What it prints goes to the file `out`, by default to `log` like its errors."""
        self.command, self.log, self.environment = command, log, environment
        self.out = out or log
        self.starts = []  # monotonic times
        self.exits = []  # of (monotonic time, exit status)
        self.process, self.wanted, self.held = None, True, False
        self.changed = threading.Condition()
        # The thread outlives each process that it starts, which ends with its starter.
        self.thread = threading.Thread(target=self._supervise, daemon=True)

    def start(self):
        self._launch()
        self.thread.start()

    def _launch(self):
        with open(self.log, "ab") as log, open(self.out, "ab") as out:
            self.starts.append(time.monotonic())
            self.process = programs.start(self.command, stdout=out, stderr=log,
                                          env=self.environment)

    def _supervise(self):
        while True:
            status = self.process.wait()
            with self.changed:
                self.exits.append((time.monotonic(), status))
                self.changed.notify_all()
            time.sleep(RESTART_SECONDS)
            with self.changed:
                self.changed.wait_for(lambda: not self.held or not self.wanted)
                if not self.wanted:
                    return
                self._launch()

    def hold(self, held=True):
        """Whether it stays down once it has ended."""
        with self.changed:
            self.held = held
            self.changed.notify_all()

    def signal(self, number):
        """To the program and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def wait_exit(self, known, seconds):
        """The first end after the `known` ones, or None when there is none in time."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.exits) > known, seconds)
            return self.exits[known] if len(self.exits) > known else None

    def close(self):
        with self.changed:
            self.wanted = False
            self.changed.notify_all()
        for number, patience in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
            if self.process is None:
                return
            self.signal(signal.SIGCONT)
            self.signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)


class Trace:
    """Reads a trace as it is written."""

    def __init__(self, path):
        self.path, self.events = path, []
        self.changed = threading.Condition()
        self.closed = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def take(self, event):
        """Keeps a line; for those that keep less, or change it."""
        self.events.append(event)

    def _read(self):
        rest = ""
        with open(self.path, encoding="utf-8") as file:
            while not self.closed:
                text = file.read()
                if not text:
                    time.sleep(0.02)
                    continue
                *lines, rest = (rest + text).split("\n")
                with self.changed:
                    for line in lines:
                        self.take(json.loads(line))
                    self.changed.notify_all()

    def close(self):
        self.closed = True
        self.thread.join()


def fill_in(command, values):
    """The words of a command with what stands for {name}; the program must be there."""
    filled = []
    for word in command:
        for name, value in values.items():
            word = word.replace("{" + name + "}", str(value))
        filled.append(word)
    if shutil.which(filled[0]) is None:
        raise Trouble(f"the program {filled[0]} is missing")
    return filled


def packets(events, **members):
    """The MQTT packets that have all of `members`."""
    return (event for event in events if event["ev"] == "packet" and
            all(event.get(name) == value for name, value in members.items()))


def topic_for(topic_filter):
    """A topic that the filter matches."""
    if topic_filter.startswith("$share/"):
        topic_filter = topic_filter.split("/", 2)[2]
    return topic_filter.replace("+", "lab").replace("#", "lab")
