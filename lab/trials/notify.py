"""What the program tells its service manager: READY=1, WATCHDOG=1, STOPPING=1 (sd_notify(3))."""
import contextlib
import secrets
import socket
import threading
import time

# The interval that the program is given; systemd's own advice is to ping at half of it.
WATCHDOG_SECONDS = 10


class Notify:
    """A socket for NOTIFY_SOCKET; `said` has (monotonic time, "NAME=VALUE")."""

    def __init__(self):
        self.said = []
        name = f"holdfast-torture-{secrets.token_hex(8)}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name)  # no file: nothing is left behind
        self.socket.settimeout(0.2)
        self.environment = {"NOTIFY_SOCKET": "@" + name,
                            "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000)}
        self.closed = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while not self.closed:
            with contextlib.suppress(TimeoutError):
                text = self.socket.recv(4096).decode("utf-8", "replace")
                now = time.monotonic()
                self.said += [(now, line) for line in text.split("\n") if line]

    def times(self, word, since=0.0):
        return [time for time, line in self.said if line == word and time >= since]

    def close(self):
        self.closed = True
        self.thread.join()
        self.socket.close()
