"""The lab's programs and those of the system, and their processes."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

from .place import Trouble


class Programs:
    """Finds programs: the lab's own beside the command line's, others on PATH."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def own(self, name):
        path = self.folder / name
        if not path.exists():
            raise Trouble(f"{path} is missing; build the target `lab`")
        return str(path)

    @staticmethod
    def system(name):
        """Daemons are not on everybody's PATH."""
        path = shutil.which(name, path=os.environ.get("PATH", "") +
                            ":/usr/sbin:/sbin:/usr/local/sbin")
        if path is None:
            raise Trouble(f"the program {name} is missing; install it (Debian: apt install {name})")
        return path


def start(command, **options):
    """Starts a process that ends when we do, and that Ctrl-C does not reach."""
    guard = [Programs.system("setpriv"), "--pdeathsig", "TERM", "--"]
    return subprocess.Popen(guard + [str(word) for word in command], start_new_session=True,
                            **{"stdin": subprocess.DEVNULL, **options})


def end(process, patience=5):
    """Asks, then insists."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(condition, seconds, what):
    """What `condition` gives once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Trouble(f"{what}: not within {seconds} s")
        time.sleep(0.02)
