"""Virtual machines with Debian's own kernel and a program of ours as the only one that it starts.

The kernel's package is downloaded once, unpacked without being installed, and kept. Needs no root.
"""

import fcntl
import os
import pathlib
import shutil
import subprocess
import time

from tool.place import Trouble
from tool.programs import Programs, run, start

# A kernel's package, where it is kept, and the modules that are taken from it. The first is the
# smallest that Debian makes for virtual machines; it has no watchdog.
CLOUD = ("linux-image-cloud-amd64", "kernel", ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic"))
WATCHDOG = ("linux-image-amd64", "kernel-hardware", ("i6300esb", "ramoops"))
# Where a panic is written to, and survives a reset: a place in memory that nothing else uses.
PANICS = 0x8000000
PARAMETERS = {"ramoops": f"mem_address={PANICS:#x} mem_size=0x100000 record_size=0x20000"}
CACHE = pathlib.Path(__file__).resolve().parent.parent / "build" / "guest"
MEMORY = 192                        # MiB
NEW_ENTRY = "070701" + "%08x" * 13  # a file in an initrd: cpio's "newc"
FOLDER, FILE, DEVICE = 0o040755, 0o100755, 0o020600


def missing(flavour=CLOUD):
    """Why there can be no virtual machine here, or None. Takes the kernel, if it is not here yet."""
    try:
        machine = os.uname().machine
        if machine != "x86_64":
            return f"the virtual machine is x86_64; this is {machine}"
        for name in ("qemu-system-x86_64", "mkfs.ext4", "e2fsck"):
            Programs.system(name)
        kernel(flavour)
    except Trouble as trouble:
        return str(trouble)
    return None


def kernel(flavour=CLOUD):
    """The folder with `vmlinuz`, `modules.list` and what that names, in the order of loading."""
    ready = CACHE / flavour[1]
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (ready / "modules.list").exists():
            work = CACHE / "new"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            try:
                _take_kernel(work, flavour)
                work.rename(ready)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    return ready


def _take_kernel(work, flavour):
    meta, _, modules = flavour
    for name in ("apt-get", "apt-cache", "dpkg-deb", "depmod", "modprobe"):
        Programs.system(name)
    lines = run("apt-cache", "depends", meta).split("\n")
    package = next((line.split()[1] for line in lines if "Depends: linux-image-" in line), None)
    if package is None:
        raise Trouble(f"apt knows no {meta}: run apt-get update as root")
    print(f"taking Debian's {package} (once)", flush=True)
    done = subprocess.run(["apt-get", "download", "-q", package], cwd=work, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, timeout=600)
    found = list(work.glob("*.deb"))
    if done.returncode != 0 or len(found) != 1:
        words = (done.stderr or done.stdout).strip().splitlines() or ["nothing came"]
        raise Trouble(f"no kernel: apt-get download {package}: {words[-1]}; is there a "
                      "network? Otherwise run apt-get update as root")
    tree = work / "tree"
    run("dpkg-deb", "-x", str(found[0]), str(tree))
    version = next((tree / "lib" / "modules").iterdir()).name
    shutil.copy(tree / "boot" / f"vmlinuz-{version}", work / "vmlinuz")
    run(Programs.system("depmod"), "-b", str(tree), version)
    wanted = {}                         # in order, each once
    for module in modules:
        for line in run(Programs.system("modprobe"), "-d", str(tree), "-S", version,
                        "--show-depends", module).splitlines():
            if line.startswith("insmod "):
                wanted[pathlib.Path(line.split()[1])] = None
    for path in wanted:
        shutil.copy(path, work / path.name)
    (work / "version").write_text(version + "\n")
    shutil.rmtree(tree)
    found[0].unlink()
    (work / "modules.list").write_text("".join(f"{path.name}\n" for path in wanted))


def make_initrd(path, files, flavour=CLOUD):
    """These files (a dictionary of names and bytes) and the modules, as the kernel unpacks them."""
    source = kernel(flavour)
    names = (source / "modules.list").read_text().split()
    lines = [f"/modules/{name} {PARAMETERS.get(name.split('.')[0], '')}\n" for name in names]
    files = {**files, "modules.list": "".join(lines).encode(),
             **{f"modules/{name}": (source / name).read_bytes() for name in names}}
    folders = sorted({str(folder) for name in files for folder in pathlib.PurePath(name).parents
                      if str(folder) != "."} | {"dev"})
    files = [*((folder, FOLDER, b"") for folder in folders),
             *((name, FILE, data) for name, data in files.items())]
    with open(path, "wb") as out:
        for number, (name, mode, data) in enumerate(files + [("TRAILER!!!", 0, b"")], 1):
            name = name.encode() + b"\0"
            head = NEW_ENTRY % (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
            for part in (head.encode() + name, data):
                out.write(part + b"\0" * (-len(part) % 4))


def check(image):
    """What the file system's own checker says of it; "" if all is well."""
    done = subprocess.run([Programs.system("e2fsck"), "-fn", str(image)], capture_output=True,
                          text=True)
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-400:]


class Machine:
    """One life of the virtual machine, from its start to SIGKILL."""

    def __init__(self, folder, name, initrd, words, flavour=CLOUD, devices=()):
        self.console = folder / f"{name}.console"
        self.told = folder / f"{name}.told"
        for file in (self.console, self.told):
            file.write_bytes(b"")
        log = folder / f"{name}.qemu"
        command = [
            Programs.system("qemu-system-x86_64"), "-machine", "pc,accel=tcg", "-cpu", "max",
            "-m", MEMORY, "-smp", 1, "-nodefaults", "-no-user-config", "-display", "none",
            "-kernel", kernel(flavour) / "vmlinuz", "-initrd", initrd,
            "-serial", f"file:{self.console}", "-serial", f"file:{self.told}",
            *devices, "-append", "console=ttyS0 quiet mitigations=off tsc=reliable "
            f"random.trust_cpu=on panic=-1 memmap=1M${PANICS:#x} -- {' '.join(map(str, words))}"]
        with open(log, "wb") as out:
            self.process = start(command, stdout=out, stderr=out)
        self.log = log

    def says(self, words):
        """The first process has said so, at the beginning of a line."""
        return f"init: {words}".encode() in self.console.read_bytes()

    def says_anywhere(self, words):
        return words.encode() in self.console.read_bytes()

    @property
    def ready(self):
        """The outbox is open, and has listed all that waits."""
        return b"\nR\n" in self.told.read_bytes()

    def wait(self, condition, until):
        """Until the condition holds or the machine has ended; False at the time `until`."""
        while not condition() and self.process.poll() is None:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    @property
    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def text(self):
        """The writer's lines. The last may be half a line."""
        return self.told.read_text(errors="replace")

    def last_words(self):
        return (self.console.read_text(errors="replace")[-600:].strip() or
                self.log.read_text(errors="replace")[-300:].strip() or "(nothing)")
