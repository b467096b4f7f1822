"""A name server for one name, which can fail as name servers do; and a door at another address.
Both on loopback only."""
import secrets
import socket
import subprocess
import sys
import threading

from .machine import Refused

HOME = "127.0.0.1"
TYPE_A, CLASS_IN = 1, 1
SERVFAIL, REFUSED = 2, 5
ATTEMPTS = 20  # at free addresses


def question_of(packet):
    """(name, type, end of the question) of a DNS query, or None."""
    if len(packet) < 12 or packet[2] & 0x80 or packet[4:6] != b"\0\1":
        return None
    labels, at = [], 12
    while at < len(packet) and 0 < packet[at] < 64:
        labels.append(packet[at + 1:at + 1 + packet[at]])
        at += 1 + packet[at]
    if at + 5 > len(packet) or packet[at] != 0:
        return None
    return (b".".join(labels).decode("ascii", "replace").lower(),
            int.from_bytes(packet[at + 1:at + 3], "big"), at + 5)


def answer(packet, name, address, code=0):
    """The answer to a query: `address` when it is about `name`; None to what is no query."""
    found = question_of(packet)
    if found is None:
        return None
    asked, kind, end = found
    if asked != name:
        code = REFUSED
    records = code == 0 and kind == TYPE_A
    head = packet[:2] + bytes([0x84 | packet[2] & 1, 0x80 | code]) + b"\0\1" + bytes(
        [0, records]) + b"\0\0\0\0"
    record = b"\xc0\x0c\0\1\0\1" + (1).to_bytes(4, "big") + b"\0\4" + socket.inet_aton(address)
    return head + packet[12:end] + (record if records else b"")


class Resolver:
    """`code`: what it fails with, 0 for not; `silent`: it does not answer at all."""

    def __init__(self, name):
        self.name, self.closed = name, False
        self.queries = 0
        self.heal()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for attempt in range(ATTEMPTS):
            self.address = f"127.53.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
            try:
                self.socket.bind((self.address, 53))
                break
            except OSError:
                if attempt == ATTEMPTS - 1:
                    self.socket.close()
                    raise
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def heal(self):
        self.target, self.code, self.silent = HOME, 0, False

    def take_over(self, mounts, file):
        """Whoever starts from now on asks us, and nobody else."""
        file.write_text(f"nameserver {self.address}\noptions timeout:2 attempts:2\n",
                        encoding="ascii")
        mounts.cover("/etc/resolv.conf", file)
        tried = subprocess.run([sys.executable, "-c", "import socket, sys\n"
                                "print(socket.gethostbyname(sys.argv[1]))", self.name],
                               capture_output=True, text=True, check=False, timeout=60)
        if tried.stdout.strip() != HOME:
            raise Refused("programs here do not ask the name server of /etc/resolv.conf")

    def _serve(self):
        while not self.closed:
            try:
                packet, peer = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.queries += 1
            reply = None if self.silent else answer(packet, self.name, self.target, self.code)
            if reply:
                self.socket.sendto(reply, peer)

    def close(self):
        self.closed = True
        self.thread.join()
        self.socket.close()


class Door:
    """Leads from the same port at another address to the endpoint, until it is closed."""

    def __init__(self, port):
        self.port = port
        self.address = f"127.54.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        self.listener = socket.create_server((self.address, port))
        self.lines, self.served = [], 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                inside, _ = self.listener.accept()
                outside = socket.create_connection((HOME, self.port), 5)
            except OSError:
                return
            self.served += 1
            outside.settimeout(None)
            self.lines += [inside, outside]
            for pair in ((inside, outside), (outside, inside)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    @staticmethod
    def _copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for each in (source, target):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        for each in [self.listener, *self.lines]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()
