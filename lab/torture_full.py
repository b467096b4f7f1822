"""tools/torture full: the disk is filled to the last byte below the working agent.

Each round: no broker, a small loop-mounted ext4. While the agent publishes into its outbox, a file
grows until 0 bytes are free, and the agent must say so. It may be killed there. Then, still with 0
bytes free: start, drain all, accept again. At last the room comes back, and it accepts more.
"""

import errno
import os
import time

import torture_agent
import torture_mount
from torture_world import drained

PATIENCE = 60       # seconds
MOST = 256          # receipts owed while filling up
BLOCK = 4096        # of the file system


class Victim(torture_agent.Victim):
    sabotage = "deaf"

    def begin(self):
        torture_mount.own_mounts()
        self.images = torture_mount.image_folder(self.folder)
        self.mount = torture_mount.Mount("ext4", self.images / f"{self.name}.img",
                                         self.folder / f"{self.name}.mnt", size=24 << 20)
        self.mount.mount()
        self.agent.set_outbox(self.mount.point / "outbox", "64MiB")
        self.fillers = []

    def free(self):
        about = os.statvfs(self.mount.point)
        return about.f_bavail * about.f_bsize     # the rest is a reserve that no file gets

    def fill(self, leave):
        """Takes room until `leave` bytes are free, in files or in parts of files."""
        # Single blocks twice: a file in many pieces needs a block to note one more, a new one none.
        for chunk in (1 << 18, 1 << 14, BLOCK, BLOCK):
            self.fill_with(chunk, leave)

    def fill_with(self, chunk, leave):
        self.fillers.append(self.mount.point / f"filler-{len(self.fillers)}")
        fd = os.open(self.fillers[-1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            while self.free() - leave >= chunk:
                os.write(fd, bytes(chunk))
                os.fsync(fd)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(fd)

    def storage_is_ok(self):
        state = self.publisher.status()
        return state is not None and state["storage"] == "ok"

    def rejections(self):
        return sum(self.tally.book.rejected.values())

    def publish_until(self, reached, what):
        end = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > end or not self.publisher.work(time.monotonic() + 0.05, MOST, 0):
                self.wrong(f"{what}: not within {PATIENCE} s; {self.agent.last_words()}")
                return False
        return True

    def run_once(self):
        self.tally.count += 1
        if self.fill_up() and self.drain_full():
            self.room_again()
        self.agent.close()
        self.publisher.drain()

    def fill_up(self):
        if not self.begin_life(offline=True):
            return False
        accepted = self.accepted()
        self.publish_until(lambda: self.accepted() > accepted + 10, "accepts before it is full")
        self.fill(self.random.randrange(0, 4 << 20, BLOCK))
        refused = self.rejections()
        if not self.publish_until(lambda: self.rejections() > refused, "refuses when full"):
            return False
        self.fill(0)
        state = self.publisher.status()
        if state is None or state["storage"] != "full":
            self.wrong(f"storage is not called full: {state and state['storage']}")
        if self.free() > 0:
            self.wrong(f"the rig left {self.free()} bytes free")
        elif self.random.random() < 0.5:
            self.kill()
            self.tally.note("killed_when_full")
            return True
        self.agent.stop()
        self.publisher.drain()
        return True

    def drain_full(self):
        """With 0 bytes free: all goes out, and new messages come in."""
        if not self.begin_life():
            return False
        state = drained(self.publisher)
        if state is None or state["ledger"]["pending"]:
            self.wrong(f"not drained on the full disk: {state and state['ledger']}")
            return False
        if self.free() > 0:
            self.wrong(f"{self.free()} bytes became free: not drained on a full disk")
        accepted = self.accepted()
        return self.publish_until(lambda: self.accepted() > accepted + 100,
                                  "accepts again on a full disk that was drained")

    def room_again(self):
        while self.fillers:
            self.fillers.pop().unlink()
        accepted = self.accepted()
        self.publish_until(lambda: self.accepted() > accepted + 1000, "accepts with room again")
        # A slot that could not be made is tried again a second later; until then it may say "full".
        if self.publish_until(self.storage_is_ok, "storage is ok with room again"):
            self.tally.note("drained_at_0_bytes_free")
        self.agent.stop()

    def finish(self):
        super().finish()
        self.mount.unmount()

    def close(self):
        super().close()
        if hasattr(self, "mount"):
            self.mount.close()
            torture_mount.remove_images(self.images, self.folder)


def needs(_options):
    return torture_mount.missing(["ext4"])


def ledger_kind(_options):
    return "disk-full"


def run(options, folder, parts, view):
    return torture_agent.run(Victim, options, folder, parts, view)


def noticed(totals, problems):
    """Whether the self-test's broken promise was found."""
    return totals["lost"] > 0 or any("dropped although" in problem for problem in problems)
