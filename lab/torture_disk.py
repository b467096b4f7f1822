"""A disk with a cache that a power cut empties: served to QEMU over NBD, kept in RAM.

What was written is in the cache until the machine asks for a sync. A cut keeps all that was synced;
of each later write any piece may be there, and any may be missing.
"""

import socket
import struct
import threading

PAGE = 4096
SECTOR = 512
# The old style of the handshake: no options, which is all that one disk for one machine needs.
HELLO = struct.Struct(">8sQQI124x")
HELLO_MAGIC = 0x00420281861253
REQUEST = struct.Struct(">IHHQQI")
REQUEST_MAGIC = 0x25609513
REPLY = struct.Struct(">IIQ")
REPLY_MAGIC = 0x67446698
HAS_FLAGS, SEND_FLUSH = 1, 4
READ, WRITE, GOODBYE, FLUSH = range(4)
EINVAL = 22
JOURNAL_MAGIC = b"\xc0\x3b\x39\x98"
JOURNAL_SUPERBLOCKS = (3, 4)


def must_be_whole(offset, piece):
    """Whether ext4 counts on the device never tearing this 4 KiB block: its superblock, and that of
    its journal. On disks with 512-byte sectors it does so without a right to."""
    return offset == 0 or (piece[:4] == JOURNAL_MAGIC
                           and int.from_bytes(piece[4:8], "big") in JOURNAL_SUPERBLOCKS)


class Disk:
    """One image. Between serve() and join() it belongs to a thread of its own; only freeze_after
    may be set, and writes, syncs and frozen be looked at."""

    def __init__(self, image, lying=False):
        self.synced = bytearray(image)      # what is there after any cut
        self.seen = bytearray(image)        # what the machine reads
        self.cache = []                     # (offset, bytes), in order
        self.lying = lying                  # a sync is answered, and does nothing
        self.writes = self.syncs = 0        # of the present connection
        self.freeze_after = None            # so many writes; at the next it stands still
        self.frozen = threading.Event()
        self.thread = None
        self.error = ""

    def serve(self, listener):
        """Takes one connection, and works until it ends, or until it freezes."""
        self.writes = self.syncs = 0
        self.frozen.clear()
        self.thread = threading.Thread(target=self._run, args=(listener,), daemon=True)
        self.thread.start()

    def join(self):
        """To be called when the machine is gone: what it had sent by then is still done."""
        self.thread.join(30)
        if self.thread.is_alive():
            self.error = self.error or "the disk does not end with its machine"

    def sync(self):
        for offset, data in self.cache:
            self.synced[offset:offset + len(data)] = data
        self.cache.clear()

    def cut(self, random):
        """The power goes: the cache is lost but for some pieces. (how many it had, how many lost)"""
        piece_size = random.choice((SECTOR, PAGE))
        kept = random.choice((0, 0.1, 0.5, 0.9, 1))
        pieces = lost = 0
        for offset, data in self.cache:
            for at, piece in self._pieces(offset, data, piece_size):
                pieces += 1
                if random.random() < kept:
                    self.synced[at:at + len(piece)] = piece
                else:
                    lost += 1
        self.cache.clear()
        self.seen = bytearray(self.synced)
        return pieces, lost

    @staticmethod
    def _pieces(offset, data, size):
        """Cut at multiples of 4 KiB of the disk, and, if `size` says so, further."""
        at, end = offset, offset + len(data)
        while at < end:
            block = min(at - at % PAGE + PAGE, end)
            piece = data[at - offset:block - offset]
            step = PAGE if at % PAGE == 0 and must_be_whole(at, piece) else size
            for start in range(0, len(piece), step):
                yield at + start, piece[start:start + step]
            at = block

    def _run(self, listener):
        try:
            listener.settimeout(30)
            with listener.accept()[0] as connection:
                connection.settimeout(None)
                connection.sendall(HELLO.pack(b"NBDMAGIC", HELLO_MAGIC, len(self.seen),
                                              HAS_FLAGS | SEND_FLUSH))
                while self._answer(connection):
                    pass
        except ConnectionError:
            pass                            # the machine was killed: the usual end
        except (OSError, ValueError) as error:
            self.error = f"the disk: {error}"

    def _answer(self, connection):
        """One request; False when there will be no other."""
        head = self._take(connection, REQUEST.size)
        if head is None:
            return False
        magic, _, kind, handle, offset, length = REQUEST.unpack(head)
        if magic != REQUEST_MAGIC:
            raise ValueError("QEMU sent what is not NBD")
        data = self._take(connection, length) if kind == WRITE else b""
        if kind == GOODBYE or data is None:
            return False
        if kind == WRITE and self.freeze_after is not None and self.writes >= self.freeze_after:
            self._do(kind, offset, length, data)
            self.frozen.set()               # under way, never answered, and nothing comes after it
            # A hang-up would be an I/O error to the machine, which then ends in its own way.
            while connection.recv(PAGE):
                pass
            return False
        error, answer = self._do(kind, offset, length, data)
        connection.sendall(REPLY.pack(REPLY_MAGIC, error, handle) + answer)
        return True

    def _do(self, kind, offset, length, data):
        if offset + length > len(self.seen):
            return EINVAL, b""
        if kind == READ:
            return 0, bytes(self.seen[offset:offset + length])
        if kind == WRITE:
            self.seen[offset:offset + length] = data
            self.cache.append((offset, data))
            self.writes += 1
            return 0, b""
        if kind == FLUSH:
            if not self.lying:
                self.sync()
            self.syncs += 1
            return 0, b""
        return EINVAL, b""

    @staticmethod
    def _take(connection, size):
        """So many bytes; None when the connection ended before."""
        got = bytearray()
        while len(got) < size:
            part = connection.recv(size - len(got))
            if not part:
                return None
            got += part
        return bytes(got)


def listen(path):
    """A Unix socket for one connection."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    return listener
