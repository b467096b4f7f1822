"""What only root can do to the machine, without anybody else seeing it: mounts in a namespace that
ends with this process and its children."""
import ctypes
import os

CLONE_NEWNS, MS_REC, MS_PRIVATE, MS_BIND, MNT_DETACH = 0x00020000, 0x4000, 1 << 18, 0x1000, 2


class Refused(Exception):
    """The machine does not allow it; why."""


def _call(name, *arguments):
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise Refused(f"{name}: {os.strerror(number)}")


class Mounts:
    """Mounts of our own. To be made before there is a second thread: others keep the old view."""

    def __init__(self):
        if os.geteuid() != 0:
            raise Refused("this takes root, for mounts that nobody else sees")
        _call("unshare", CLONE_NEWNS)
        _call("mount", b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None)
        self.made = []

    def memory(self, folder, size):
        """A file system of `size` bytes of RAM on `folder`."""
        _call("mount", b"tmpfs", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0),
              f"size={size},mode=0755".encode())
        self.made.append(folder)

    def cover(self, path, with_path):
        """Whoever opens `path` gets the other one."""
        _call("mount", os.fsencode(with_path), os.fsencode(path), None, ctypes.c_ulong(MS_BIND),
              None)
        self.made.append(path)

    def close(self):
        for path in reversed(self.made):
            _call("umount2", os.fsencode(path), MNT_DETACH)
        self.made.clear()
