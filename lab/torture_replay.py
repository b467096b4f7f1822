"""Power cuts with a disk that forgets: a write log of the disk below a file system, replayed.

lab/write_log.cpp is the disk. The writer's lines go into the same log, as marks, so the log says
exactly what was on the disk, what was synced and what was promised at every moment. A cut is any
moment of it. All that was synced by then is there; of the rest any 4 KiB piece is there or not.
"""

import os
import shutil
import struct
import time

from tool.place import Trouble
from tool.programs import Programs, end, run, start, wait_for
import torture_audit as audit
from torture_mount import PAGE, Mount, Writer
import torture_mount
from torture_victim import StoreVictim

SIZE = 24 << 20
CUTS = 60               # of one log
LIVES = 3               # of the writer in one log
HEAD = struct.Struct("<c3xIQ")


def read_log(data):
    """[(kind, offset, bytes)]; an unfinished last entry is left out."""
    entries, at = [], 0
    while at + HEAD.size <= len(data):
        kind, size, offset = HEAD.unpack_from(data, at)
        at += HEAD.size
        if at + size > len(data):
            break
        entries.append((kind, offset, data[at:at + size]))
        at += size
    return entries


class Victim(StoreVictim):
    """Records a log, makes cuts of it, and again."""

    def __init__(self, *what):
        super().__init__(*what)
        self.mode = "--no-sync" if self.self_test else None
        self.cuts = []
        self.entries, self.base = [], b""
        self.images = self.disk = self.point = self.mounted = None
        self.total = self.tally.book     # sums of all cuts; each cut has a book of its own

    def begin(self):
        torture_mount.own_mounts()
        self.images = torture_mount.image_folder(self.folder)
        self.point = self.folder / f"{self.name}.mnt"
        self.fuse = self.folder / f"{self.name}.disk"
        self.fuse.mkdir()
        self.image = self.images / f"{self.name}.img"
        self.log = self.images / f"{self.name}.log"

    def record(self):
        """A few lives of the writer on a new disk; then all moments of it are known."""
        mount = Mount("ext4", self.image, self.point, size=SIZE)
        self.base = self.image.read_bytes()
        self.disk = start([self.bin / "hf_write_log", self.image, self.log, self.fuse])
        wait_for(lambda: (self.fuse / "disk").exists(), 20, "the logging disk")
        mount.image = self.fuse / "disk"
        mount.mount()
        self.mounted = mount
        told = audit.StoreBook()
        for _ in range(LIVES):
            with open(self.fuse / "mark", "wb", buffering=0) as mark:
                writer = Writer(self.bin / "hf_outbox_writer", self.point / "outbox", told,
                                self.random.randrange(1 << 32), self.store, self.mode, out=mark)
            ended = writer.wait(self.random.uniform(0.15, 0.5))
            if ended is not None:
                self.wrong(f"the writer ended by itself, {ended}")
            writer.kill()
            for kind, _, line in read_log(self.log.read_bytes()):
                if kind == b"M" and line.startswith(b"P "):
                    told.sent_to = int(line.split()[2])
        if self.random.random() < 0.5:
            time.sleep(self.random.uniform(0, 0.3))
        mount.unmount()
        self.mounted = None
        self.point.rmdir()
        run(Programs.system("umount"), str(self.fuse))
        wait_for(lambda: self.disk.poll() is not None, 20, "the logging disk ends")
        self.entries = read_log(self.log.read_bytes())
        if not any(kind == b"F" for kind, _, _ in self.entries):
            raise Trouble("no sync came through to the logging disk")
        # Most cuts just behind a write: that is where something is open.
        behind = [i + 1 for i, entry in enumerate(self.entries) if entry[0] == b"W"]
        chosen = set(self.random.sample(behind, min(CUTS * 3 // 4, len(behind))))
        chosen.update(self.random.sample(range(len(self.entries)), min(CUTS // 4, len(behind))))
        self.cuts = sorted(chosen)
        self.synced, self.position = bytearray(self.base), 0

    def cut(self, at):
        """The disk as it may be found after a cut before entry `at`; the pieces that were open."""
        last = max((i for i in range(self.position, at) if self.entries[i][0] == b"F"),
                   default=self.position)
        for kind, offset, data in self.entries[self.position:last]:
            if kind == b"W":
                self.synced[offset:offset + len(data)] = data
        self.position = last
        found, pieces = bytearray(self.synced), 0
        kept = self.random.choice((0, 0.1, 0.5, 0.9, 1))
        for kind, offset, data in self.entries[last:at]:
            for start in range(0, len(data), PAGE) if kind == b"W" else ():
                pieces += 1
                if self.random.random() < kept:
                    piece = data[start:start + PAGE]
                    found[offset + start:offset + start + len(piece)] = piece
        return found, pieces

    def run_once(self):
        if not self.cuts:
            self.record()
        at = self.cuts.pop(0)
        found, pieces = self.cut(at)
        self.image.write_bytes(found)
        self.tally.count += 1
        self.tally.opening += pieces > 0
        book = audit.StoreBook()
        book.life(b"".join(data for kind, _, data in self.entries[:at] if kind == b"M").decode())
        promised = len(book.promised)
        del book.problems[:]    # of the writer's own openings: nothing was cut before them
        mount = Mount.of("ext4", self.image, self.point)
        mount.mount()
        self.mounted = mount
        writer = Writer(self.bin / "hf_outbox_writer", self.point / "outbox", book, 1, self.store,
                        "--drain")
        writer.run(time.monotonic() + 120)
        book.life(writer.end())
        book.end()
        mount.unmount()
        self.mounted = None
        self.point.rmdir()
        self.add(book, promised, at)

    def add(self, book, promised, at):
        for problem in book.problems:
            self.wrong(f"before entry {at} of {len(self.entries)}: {problem}")
        if book.problems:
            shutil.copy(self.image, self.folder / f"{self.name}-{self.tally.count}.img")
        self.total.lost += book.lost
        self.total.uncounted += book.uncounted
        self.total.repeats += book.repeats
        self.total.torn += book.torn
        self.total.openings += 1
        first = max(self.total.promised, default=0) + 1
        self.total.promised.update(range(first, first + promised))

    def finish(self):
        """Each cut was judged in itself."""

    def close(self):
        if self.mounted:
            self.mounted.close()
        if self.disk and self.disk.poll() is None:
            end(self.disk)
        torture_mount.remove_images(self.images, self.folder)


def missing(options):
    """Why this cannot be done here, or None."""
    if not os.path.exists("/dev/fuse"):
        return "there is no /dev/fuse here"
    if options.bin and not (options.bin / "hf_write_log").exists():
        return "hf_write_log was not built (package libfuse3-dev)"
    return torture_mount.missing(["ext4"])
