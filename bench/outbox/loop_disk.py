"""A file system of its own on a loop device, for measuring what reaches a disk.

The loop device uses direct I/O, so its counters are what the file system asked of its disk. With
ram=True the image lies on tmpfs: stable latencies. Nothing is left behind, also after a failure.
"""
import os
import shutil
import subprocess
import tempfile

RAM = "/dev/shm"
MAKE = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", "-J", "size=16",
             "-E", "lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f"],
    "btrfs": ["mkfs.btrfs", "-q", "-f"],
}


def missing():
    """Why loop devices with a file system cannot be had here, or an empty string."""
    if os.geteuid() != 0:
        return "root (for loop devices and mount)"
    for tool in ("losetup", "mkfs.ext4", "mount"):
        if not shutil.which(tool):
            return f"the program {tool}"
    probe = subprocess.run(["losetup", "-f"], capture_output=True, text=True)
    return "" if probe.returncode == 0 else "loop devices in the kernel"


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


class LoopDisk:
    def __init__(self, megabytes, ram=True, kind="ext4", options="noatime"):
        self.kind, self.options, self.ram = kind, options, ram
        self.folder = tempfile.mkdtemp(prefix="holdfast-loop-", dir=RAM if ram else None)
        self.image = os.path.join(self.folder, "image")
        self.path = os.path.join(self.folder, "mnt")
        self.loop = ""
        self.mounted = False
        try:
            os.mkdir(self.path)
            if ram:
                with open(self.image, "wb") as image:
                    image.truncate(megabytes << 20)
            else:
                run("fallocate", "-l", f"{megabytes}M", self.image)
            run(*self.make_command(megabytes), self.image)
            self.loop = run("losetup", "-f", "--show", "--direct-io=on", self.image)
            self.mount()
        except BaseException:
            self.close()
            raise

    def make_command(self, megabytes):
        small = self.kind == "ext4" and megabytes < 100
        return [word.replace("size=16", "size=4") if small else word for word in MAKE[self.kind]]

    @property
    def device(self):
        return os.path.basename(self.loop)

    def mount(self):
        run("mount", "-t", self.kind, "-o", self.options, self.loop, self.path)
        self.mounted = True

    def remount(self):
        """Nothing of it stays in this kernel's caches."""
        run("umount", self.path)
        self.mounted = False
        self.mount()

    def fresh(self, name):
        """An empty directory."""
        path = os.path.join(self.path, name)
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path, 0o700)
        return path

    def close(self):
        if self.mounted:
            subprocess.run(["umount", self.path], check=False)
            self.mounted = False
        if self.loop:
            subprocess.run(["losetup", "-d", self.loop], check=False)
            self.loop = ""
        if not os.path.ismount(self.path):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
