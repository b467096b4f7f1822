"""What a person sees of a long run: lines with the time, and a status line that is kept current."""

import shutil
import sys
import threading
import time


class Screen:
    """A status line that is kept current on a terminal, or plain lines."""

    def __init__(self):
        self.live = sys.stdout.isatty()
        self.began = time.monotonic()
        self.shown = ""
        self.lock = threading.Lock()
        self.next_plain = 0

    def _stamp(self):
        seconds = time.monotonic() - self.began
        return f"{int(seconds) // 60:02d}:{seconds % 60:04.1f}"

    def say(self, text=""):
        with self.lock:
            lead = "\r\x1b[K" if self.live else ""
            print(f"{lead}{self._stamp()}  {text}" if text else lead, flush=True)
            if self.live:
                print(self.shown, end="", flush=True)

    def table(self, lines):
        with self.lock:
            print("\r\x1b[K" if self.live else "", end="")
            for line in lines:
                print(line, flush=True)
            self.shown = ""

    def status(self, text):
        now = time.monotonic()
        with self.lock:
            if self.live:
                columns = shutil.get_terminal_size().columns
                self.shown = f"{self._stamp()}  {text}"[:columns - 1]
                print(f"\r\x1b[K{self.shown}", end="", flush=True)
            elif now >= self.next_plain:
                self.next_plain = now + 2
                print(f"{self._stamp()}  {text}", flush=True)
