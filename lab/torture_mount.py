"""A loop-mounted ext4 or XFS image that is shut down below a running writer, as a power cut does it.

All mounts are made in a mount namespace of the worker's own, with loop devices that detach by
themselves: whatever ends the worker, the kernel cleans up.
"""

import ctypes
import fcntl
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

from tool.place import Trouble
from tool.programs import Programs, run, start
from torture_victim import StoreVictim

CLONE_NEWNS = 0x00020000
FS_IOC_SHUTDOWN = 0x8004587D        # _IOR('X', 125, u32); of ext4 and XFS alike
NO_LOG_FLUSH = 2
SYNC_RANGE = 7                      # wait, write, wait
SHARED_MEMORY = pathlib.Path("/dev/shm")
STEM = "holdfast-torture-"
PAGE = 4096
MAKE = {
    # 64 MiB, with a journal; XFS of today wants 300 MiB (the file has holes).
    "ext4": (64 << 20, ["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=4"]),
    "xfs": (320 << 20, ["mkfs.xfs", "-q", "-f"]),
}
LIBC = ctypes.CDLL(None, use_errno=True)


def missing(methods):
    """Why file systems cannot be cut here, or None."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if not os.path.exists("/dev/loop-control"):
        return "there are no loop devices here"
    kernel = pathlib.Path("/proc/filesystems").read_text().split()
    for method in methods:
        if method in MAKE and method not in kernel and method == "xfs":
            if subprocess.run([Programs.system("modprobe"), method], capture_output=True).returncode:
                return f"the kernel has no {method}"
    return None


def own_mounts():
    """From now on this process mounts for itself and its children only."""
    if LIBC.unshare(CLONE_NEWNS) != 0:
        raise Trouble(f"no mount namespace: {os.strerror(ctypes.get_errno())}")
    run(Programs.system("mount"), "--make-rprivate", "/")


def image_folder(folder):
    """In RAM if there is room: what is cut here is the file system, not the device below it."""
    for old in SHARED_MEMORY.glob(f"{STEM}*-*"):    # of a run that was killed
        if not os.path.exists(f"/proc/{old.name[len(STEM):].split('-')[0]}"):
            shutil.rmtree(old, ignore_errors=True)
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 2 << 30:
        return pathlib.Path(tempfile.mkdtemp(prefix=f"{STEM}{os.getpid()}-",
                                             dir=SHARED_MEMORY))
    return folder


def remove_images(images, folder):
    if images and images != folder:
        shutil.rmtree(images, ignore_errors=True)


class Mount:
    """One image, made, mounted, shut down and mounted again."""

    def __init__(self, kind, image, point, size=None):
        self.kind, self.image, self.point = kind, image, point
        usual, make = MAKE[kind]
        with open(image, "wb") as file:
            file.truncate(size or usual)
        run(Programs.system(make[0]), *make[1:], str(image))
        point.mkdir()
        self.mounted = False

    @classmethod
    def of(cls, kind, image, point):
        """Of an image that is there already."""
        self = cls.__new__(cls)
        self.kind, self.image, self.point, self.mounted = kind, image, point, False
        point.mkdir()
        return self

    def mount(self):
        options = "loop,noatime" + (",nodiscard" if self.kind == "xfs" else "")
        run(Programs.system("mount"), "-t", self.kind, "-o", options, str(self.image),
            str(self.point))
        self.mounted = True

    def shut_down(self):
        fd = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, FS_IOC_SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, "little"))
        finally:
            os.close(fd)

    def unmount(self):
        for _ in range(200):
            done = subprocess.run([Programs.system("umount"), str(self.point)], capture_output=True,
                                  text=True)
            if done.returncode == 0:
                self.mounted = False
                return
            time.sleep(0.02)
        raise Trouble(f"umount {self.point}: {done.stderr.strip()}")

    def check(self):
        """What the file system's own checker says of the unmounted image; "" if all is well."""
        command = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"]}[self.kind]
        done = subprocess.run([Programs.system(command[0]), *command[1:], str(self.image)],
                              capture_output=True, text=True)
        return "" if done.returncode == 0 else (done.stdout + done.stderr)[-400:]

    def close(self):
        if self.mounted:
            subprocess.run([Programs.system("umount"), "-l", str(self.point)], capture_output=True)


class Writer:
    """lab/outbox_writer.cpp in one life."""

    def __init__(self, binary, directory, book, seed, store, mode=None, out=None):
        self.told = b""
        command = [binary, directory, book.sent_to + 1, seed, *store] + ([mode] if mode else [])
        self.process = start(command, stdout=out or subprocess.PIPE)
        if not out:
            self.out = self.process.stdout.fileno()
            os.set_blocking(self.out, False)

    def wait(self, seconds):
        """The exit status if it ends by itself within that time."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def read(self, until):
        """Takes what is told; False when the writer has ended."""
        wait = max(0, until - time.monotonic())
        if select.select([self.out], [], [], wait)[0]:
            got = os.read(self.out, 1 << 20)
            self.told += got
            return bool(got)
        return True

    def run(self, until):
        """Lets it run until then; False when it has ended by itself."""
        while time.monotonic() < until:
            if not self.read(until):
                return False
        return True

    @property
    def ready(self):
        return b"\nR\n" in self.told

    def stop(self):
        """From here on it tells nothing; a system call under way is finished, or not."""
        self.process.send_signal(signal.SIGSTOP)

    def end(self):
        """SIGKILL; the text of its life."""
        self.process.kill()
        self.process.wait()
        os.set_blocking(self.out, True)
        while got := os.read(self.out, 1 << 20):
            self.told += got
        self.process.stdout.close()
        return self.told.decode(errors="replace")


class Victim(StoreVictim):
    """A store on one image, and its many lives."""

    def __init__(self, *what):
        super().__init__(*what)
        self.mode = "--no-sync" if self.self_test else None
        self.open_time = 0.05   # seconds, kept current
        self.images = None
        self.mount = self.writer = None

    def begin(self):
        own_mounts()
        self.images = image_folder(self.folder)
        self.mount = Mount(self.tally.method, self.images / f"{self.name}.img",
                           self.folder / f"{self.name}.mnt")
        self.mount.mount()

    def start(self, mode):
        self.writer = Writer(self.bin / "hf_outbox_writer", self.mount.point / "outbox", self.tally.book,
                             self.random.randrange(1 << 32), self.store, mode)

    def let_live(self):
        """Until the instant of the cut; False if the writer has ended by itself."""
        began = time.monotonic()
        if self.random.random() < 0.25:
            alive = self.writer.run(began + self.random.uniform(0, 1.3 * self.open_time))
        else:
            alive = True
            while alive and not self.writer.ready and time.monotonic() < began + 60:
                alive = self.writer.read(began + 60)
            if not self.writer.ready and alive:
                self.wrong("not open within 60 s")
            self.open_time += 0.1 * (time.monotonic() - began - self.open_time)
            alive = alive and self.writer.run(time.monotonic() + self.random.uniform(0, 0.15))
        self.tally.opening += not self.writer.ready
        return alive

    def write_back_some(self):
        """What a kernel may do at any time: some of the unsynced pages reach the device."""
        slots = sorted((self.mount.point / "outbox").glob("*.seg"),
                       key=lambda slot: slot.stat().st_mtime_ns)
        for slot in slots[-2:]:
            fd = os.open(slot, os.O_RDONLY)
            for page in range(slot.stat().st_size // PAGE):
                if self.random.random() < 0.5:
                    LIBC.sync_file_range(fd, ctypes.c_int64(page * PAGE), ctypes.c_int64(PAGE),
                                         SYNC_RANGE)
            os.close(fd)

    def run_once(self):
        self.start(self.mode)
        alive = self.let_live()
        self.writer.stop()
        if self.random.random() < 0.3:
            self.write_back_some()
        self.mount.shut_down()
        text = self.writer.end()
        self.tally.count += 1
        if not alive:
            self.wrong(f"the writer ended by itself: {text[-200:]}")
        self.take(text)
        self.mount.unmount()
        self.mount.mount()

    def finish(self):
        self.start("--drain")
        self.writer.run(time.monotonic() + 120)
        self.take(self.writer.end())
        self.tally.book.end()
        self.mount.unmount()
        found = self.mount.check()
        if found:
            self.wrong(f"the file system is damaged: {found}")

    def close(self):
        if self.writer and self.writer.process.poll() is None:
            self.writer.end()
        if self.mount:
            self.mount.close()
        remove_images(self.images, self.folder)
