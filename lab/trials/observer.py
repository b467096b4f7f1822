"""The independent subscriber: mosquitto_sub with an identity of its own, on a port that no fault
touches. What it got is written to a file and counted from there."""
import contextlib
import threading
import time

from tool import device, programs
from tool.place import Trouble

THING = "torture-observer"
MARK = "holdfast-torture/mark"


class Observer:
    """`take(time, topic, payload)` is called for each message, on a thread of its own; times are
    monotonic."""

    def __init__(self, root, filters, take):
        self.root, self.filters, self.take = root, filters, take
        root.mkdir()
        self.record = root / "observed"
        self.record.touch()
        self.process = self.thread = None
        self.closed, self.marks, self.marked = False, 0, 0
        self.count = 0  # of all messages but marks
        self.changed = threading.Condition()

    def start(self, region, port):
        """An observer of `region`, which goes on when the Region is started again."""
        self.region = region
        device.create(region, THING, self.root / THING, device.PERMISSIVE_POLICY)
        files = self.root / THING
        self.command = [programs.Programs.system("mosquitto_sub"), "-h", "localhost", "-p", port,
                        "--tls-alpn", "x-amzn-mqtt-ca", "--cafile", files / "ca.pem", "--cert",
                        files / "device.pem", "--key", files / "device.key", "-i", THING, "-V", "5",
                        "-c", "-x", "3600", "-k", "30", "-q", "1", "-F", "%U %t %x", "-t", MARK]
        for each in self.filters:
            self.command += ["-t", each]
        self._launch()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.caught_up()

    def _launch(self):
        with open(self.record, "ab") as out, open(self.root / "observer.log", "ab") as log:
            self.process = programs.start(self.command, stdout=out, stderr=log)

    def caught_up(self, seconds=30):
        """Returns once a message that the Region has sent after all others was recorded."""
        deadline = time.monotonic() + seconds
        again = 0.0
        with self.changed:
            self.marks += 1
            while self.marked < self.marks:
                if self.process.poll() is not None:
                    self._launch()  # it gave up; its session is kept
                if time.monotonic() >= again:  # one before its first subscription goes nowhere
                    with contextlib.suppress(Trouble):  # a Region that begins
                        self.region.call("Publish", topic=MARK, payload=str(self.marks), qos=1)
                    again = time.monotonic() + 1
                if time.monotonic() > deadline:
                    raise Trouble("the observer does not keep up; see observer.log (--keep)")
                self.changed.wait(0.2)

    def _read(self):
        rest = b""
        with open(self.record, "rb") as file:
            while not self.closed:
                data = file.read()
                if not data:
                    time.sleep(0.02)
                    continue
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._line(line)

    def _line(self, line):
        stamp, _, words = line.partition(b" ")
        topic, _, payload = words.rpartition(b" ")
        payload = bytes.fromhex(payload.decode("ascii"))
        if topic == MARK.encode():
            with self.changed:
                self.marked = max(self.marked, int(payload))
                self.changed.notify_all()
            return
        self.count += 1
        moment = time.monotonic() - (time.time() - float(stamp))
        self.take(moment, topic.decode("utf-8", "replace"), payload)

    def close(self):
        self.closed = True
        programs.end(self.process)
        if self.thread:
            self.thread.join()
