"""The lab's programs and those of the system, and their processes."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from .place import Trouble


class Programs:
    """Finds programs: the lab's own beside the command line's, others on PATH."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).absolute()

    def own(self, name):
        path = self.folder / name
        installed = self.folder.parents[1] / "bin" / name  # of PREFIX/libexec/holdfast
        for one in (path, installed):
            if one.exists():
                return str(one)
        raise Trouble(f"{path} is missing; build the target `lab`")

    @staticmethod
    def system(name):
        """Daemons are not on everybody's PATH."""
        path = shutil.which(name, path=os.environ.get("PATH", "") +
                            ":/usr/sbin:/sbin:/usr/local/sbin")
        if path is None:
            raise Trouble(f"the program {name} is missing; install it (Debian: apt install {name})")
        return path


def run(*command, text=None):
    """Runs a short command to its end; its output. Fails with its last words."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60,
                          **({} if text is not None else {"stdin": subprocess.DEVNULL}))
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise Trouble(f"{' '.join(map(str, command[:4]))}…: {words[-1] if words else 'failed'}")
    return done.stdout


def guard(ending="KILL"):
    """A command that runs another, which gets this signal when the thread that started it ends."""
    return [Programs.system("setpriv"), "--pdeathsig", ending, "--"]


def start(command, ending="KILL", **options):
    """Starts a process that ends when we do, and that Ctrl-C does not reach."""
    return subprocess.Popen(guard(ending) + [str(word) for word in command], start_new_session=True,
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
