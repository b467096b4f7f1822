"""Power cuts of a whole machine: QEMU with a real kernel, killed; its disk loses its cache.

Each life is a boot: the kernel replays its journal, the outbox is opened and lists all that waits,
and goes on writing until the next cut. A cut counts when a later boot has opened and judged the
outbox; a boot that is itself cut before it got so far is judged by the next one, and not counted.
"""

import time

from tool.place import Trouble
from tool.programs import Programs, run
from torture_disk import Disk
import torture_disk
import torture_guest
from torture_victim import StoreVictim

SIZE = 24 << 20
MAKE = ("-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4", "-E",
        "lazy_itable_init=0,lazy_journal_init=0")
PATIENCE = 180          # seconds for a boot: the emulated processor is slow, and the machine shared
LIFE = 0.8              # seconds at most between the opening and a cut by time
WRITES = 60             # at most, between the opening and a cut by writes
OPENING_WRITES = 12     # at most, from the start of a boot to a cut by writes while opening


class Victim(StoreVictim):
    """A store on one disk, and the lives of the machine that writes it."""

    def __init__(self, *what):
        super().__init__(*what)
        self.lying = self.self_test         # the disk answers a sync, and keeps it in its cache
        self.must_recover = False           # the last boot was cut with the disk mounted
        self.open_time = 0.3                # seconds from mounting to the list, kept current
        self.disk = self.machine = self.listener = None

    def add(self, name, value):
        self.tally.more[name] = self.tally.more.get(name, 0) + value

    def begin(self):
        self.image = self.folder / f"{self.name}.img"
        self.initrd = self.folder / f"{self.name}.initrd"
        torture_guest.make_initrd(self.initrd, {
            "init": (self.bin / "hf_guest_init").read_bytes(),
            "hf_outbox_writer": (self.bin / "hf_outbox_writer").read_bytes()})
        with open(self.image, "wb") as file:
            file.truncate(SIZE)
        run(Programs.system("mkfs.ext4"), *MAKE, str(self.image))
        self.disk = Disk(self.image.read_bytes(), self.lying)

    def start(self, *mode):
        """A boot, up to the moment before the disk is mounted."""
        path = self.folder / f"{self.name}.sock"
        self.listener = torture_disk.listen(path)
        self.disk.serve(self.listener)
        words = [self.tally.book.sent_to + 1, self.random.randrange(1 << 32), *self.store, *mode]
        self.machine = torture_guest.Machine(
            self.folder, self.name, self.initrd, words, devices=(
                "-no-reboot", "-blockdev",
                f"driver=nbd,node-name=disk,server.type=unix,server.path={path}",
                "-device", "virtio-blk-pci,drive=disk"))
        if not self.machine.wait(lambda: self.machine.says("mounting") or self.disk.frozen.is_set(),
                                 time.monotonic() + PATIENCE) or not self.machine.alive:
            raise Trouble(f"the virtual machine does not start: {self.machine.last_words()}")
        if not self.machine.says("cache write back") and not self.disk.frozen.is_set():
            raise Trouble("the guest takes the disk for one without a cache: no sync would "
                          f"come: {self.machine.last_words()}")

    def let_live(self):
        """Until the instant of the cut. Of the four ways, two follow the clock and two the disk."""
        by_writes = self.random.random() < 0.5
        if self.random.random() < 0.25:
            self.disk.freeze_after = self.random.randrange(OPENING_WRITES) if by_writes else None
            wait = self.random.uniform(0, 1.3 * self.open_time)
            self.start()
            self.until_frozen(self.open_time * 3 if by_writes else wait)
            return
        after, wait = self.random.randrange(1, WRITES), self.random.uniform(0, LIFE)
        self.disk.freeze_after = None
        self.start()
        began = time.monotonic()
        if not self.machine.wait(lambda: self.machine.ready, began + PATIENCE):
            self.wrong(f"not open within {PATIENCE} s: {self.machine.last_words()}")
        self.open_time += 0.1 * (time.monotonic() - began - self.open_time)
        if by_writes:
            self.disk.freeze_after = self.disk.writes + after
        self.until_frozen(LIFE * 10 if by_writes else wait)

    def until_frozen(self, seconds):
        self.machine.wait(self.disk.frozen.is_set, time.monotonic() + seconds)

    def run_once(self):
        self.let_live()
        alive = self.machine.alive
        self.end_machine()
        text = self.machine.text()
        self.add("boots", 1)
        if not alive:
            self.ended_by_itself()
        if self.disk.syncs == 0 and self.machine.ready:
            self.wrong("no sync came through to the disk")
        self.take(text)
        if self.machine.ready:
            self.tally.count += 1
        else:
            self.tally.opening += 1
        self.must_recover = self.machine.ready
        pieces, lost = self.disk.cut(self.random)
        self.add("cut_with_unsynced_writes", pieces > 0)
        self.add("pieces_unsynced", pieces)
        self.add("pieces_lost", lost)

    def end_machine(self):
        self.machine.kill()
        self.disk.join()
        self.listener.close()
        if self.disk.error:
            raise Trouble(self.disk.error)

    def ended_by_itself(self):
        """A disk that cannot be mounted, or an outbox that does not open, has lost all it held."""
        book = self.tally.book
        waiting = book.promised - book.settled
        if not self.machine.ready:
            book.lost += len(waiting)
            self.take(self.machine.text())
            raise Trouble(f"LOST {len(waiting)}: the outbox cannot be opened: "
                          f"{self.machine.last_words()}; {self.machine.text()[-200:]}")
        self.wrong(f"the writer ended by itself: {self.machine.text()[-200:]}; "
                   f"{self.machine.last_words()}")

    def take(self, text):
        with open(self.folder / f"{self.name}.lives", "a", encoding="utf-8") as lives:
            lives.write(f"# cut {self.tally.count}\n{text}\n{self.machine.last_words()}\n")
        recovered = self.machine.says_anywhere("recovery complete")
        self.add("journals_recovered", recovered)
        if self.must_recover and self.machine.ready and not recovered and not self.lying:
            self.wrong(f"the kernel had no journal to recover: {self.machine.last_words()}")
        super().take(text)

    def finish(self):
        """The last boot judges the last cut, drains, and leaves in order."""
        self.disk.freeze_after = None
        self.start("--drain")
        if not self.machine.wait(lambda: False, time.monotonic() + PATIENCE):
            self.wrong(f"does not end: {self.machine.last_words()}")
        orderly = self.machine.says("unmounted")
        self.end_machine()
        self.add("boots", 1)
        if not self.machine.ready:
            self.ended_by_itself()
        self.take(self.machine.text())
        book = self.tally.book
        book.end()
        if not orderly:
            self.wrong(f"the last boot did not end in order: {self.machine.last_words()}")
        if book.openings != self.tally.count + 1:
            self.wrong(f"{book.openings} openings were judged after {self.tally.count} cuts")
        self.image.write_bytes(self.disk.seen)
        found = torture_guest.check(self.image)
        if found:
            self.wrong(f"the file system is damaged: {found}")

    def close(self):
        if self.machine and self.machine.alive:
            self.machine.kill()
