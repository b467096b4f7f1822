"""Where the lab keeps its things, and how its programs are spoken to."""
import contextlib
import json
import os
import pathlib
import socket

ACCOUNT = "123456789012"
DEFAULT_REGION = "eu-central-1"


class Trouble(Exception):
    """Something does not work; the text says what, and what to do about it."""


def default_directory():
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"),
                                                             ".local", "state")
    return pathlib.Path(os.environ.get("HOLDFAST_LAB") or os.path.join(state, "holdfast-lab"))


class Place:
    """A lab's directory: the CA that all Regions share, and a folder for each Region."""

    def __init__(self, directory):
        self.root = pathlib.Path(directory).absolute()

    @property
    def pki(self):
        return self.root / "pki"

    @property
    def ca_file(self):
        return self.pki / "ca.pem"

    def region(self, name):
        return RegionPlace(self, name)

    def regions(self):
        """Names of all Regions that were ever started here."""
        if not self.root.is_dir():
            return []
        return sorted(path.parent.name for path in self.root.glob("*/broker.conf"))

    def running(self):
        return [name for name in self.regions() if self.region(name).is_running()]

    def choose(self, name=None):
        """The Region that is meant: `name`, else the only one that runs."""
        running = self.running()
        if name is not None:
            if name not in running:
                raise Trouble(f"Region {name} is not running; holdfast lab up --region {name} "
                              "starts it")
            return self.region(name)
        if not running:
            raise Trouble("no lab is running; holdfast lab up starts one")
        if len(running) > 1:
            raise Trouble(f"several Regions run ({', '.join(running)}); choose with --region")
        return self.region(running[0])


class RegionPlace:
    """The folder of one Region."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.folder = place.root / name

    def file(self, name):
        return self.folder / name

    @property
    def control_socket(self):
        return self.file("control.sock")

    def is_running(self):
        try:
            with Control(self.control_socket):
                return True
        except Trouble:
            return False

    def endpoint(self):
        """Host, ports and files, as up wrote them."""
        try:
            return json.loads(self.file("endpoint.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Trouble(f"{self.file('endpoint.json')}: {error}") from error

    def call(self, operation, /, **members):
        """An operation of the AWS API; its output. Raises ApiFailure."""
        with Control(self.control_socket) as control:
            answer = control.ask("aws", operation=operation, input=members)
        if "failure" in answer:
            raise ApiFailure(operation, answer["failure"])
        return answer["output"]


class ApiFailure(Trouble):
    """An error of the AWS API."""

    def __init__(self, operation, failure):
        self.type, self.status = failure["type"], failure["status"]
        super().__init__(f"An error occurred ({self.type}) when calling the {operation} "
                         f"operation: {failure['message']}")


class Control:
    """Orders to a program of the lab over its Unix socket, a line of JSON each."""

    def __init__(self, path, patience=10):
        self.path = pathlib.Path(path)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        try:
            # The address of a Unix socket has 107 bytes; a path below a descriptor is short.
            folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY)
            try:
                self.socket.connect(f"/proc/self/fd/{folder}/{self.path.name}")
            finally:
                os.close(folder)
        except OSError as error:
            self.socket.close()
            raise Trouble(f"{self.path}: {error.strerror or error}") from error
        self.lines = self.socket.makefile("r", encoding="utf-8", newline="\n")
        self.last = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.lines.close()
            self.socket.close()

    def ask(self, op, /, **members):
        """The answer of one operation; lines that are no answer (of a trace) are passed over."""
        self.last += 1
        request = {"id": self.last, "op": op, **members}
        try:
            self.socket.sendall((json.dumps(request) + "\n").encode())
            for line in self.lines:
                answer = json.loads(line)
                if answer.get("id") != self.last:
                    continue
                if "error" in answer:
                    raise Trouble(f"{op}: {answer['error']}")
                return answer["ok"]
        except (OSError, ValueError) as error:
            raise Trouble(f"{self.path}: {error}") from error
        raise Trouble(f"{self.path}: closed")

    def follow(self):
        """Lines as they come, after an operation that goes on telling."""
        self.socket.settimeout(None)
        for line in self.lines:
            yield json.loads(line)
