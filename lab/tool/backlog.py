"""How much waits in a device on Holdfast, as it says itself: its local API is asked once a second."""
import contextlib
import json
import socket
import threading

EVERY = 1.0  # seconds
PATIENCE = 2.0
ANSWER_MAX = 1 << 20
QUESTION = b'{"op":"status","id":1}\n'


def pending(path):
    """Messages that wait, or None where nobody answers so."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            client.sendall(QUESTION)
            answer = b""
            while not answer.endswith(b"\n") and len(answer) < ANSWER_MAX:
                more = client.recv(65536)
                if not more:
                    return None
                answer += more
        return int(json.loads(answer)["status"]["ledger"]["pending"])
    return None


class Backlog:
    """Looks from start() to close(). `now` gives the run's clock."""

    def __init__(self, path, now):
        self.path, self.now = path, now
        self.points = []  # (time, messages); none while the program is away
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def start(self):
        self.thread.start()

    def _look(self):
        while not self.over.wait(EVERY):
            waiting = pending(self.path)
            if waiting is not None:
                self.points.append((round(self.now(), 3), float(waiting)))

    def close(self):
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()
