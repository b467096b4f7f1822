"""One thread of a process that stands still, for tests: ptrace(2) stops it."""
import ctypes
import os
import unittest

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WALL = 0x40000000  # waitpid(2): threads, too


class Frozen:
    """One thread of a process, which stands still inside the `with`."""

    def __init__(self, pid, name):
        self.tid = next(tid for tid in map(int, os.listdir("/proc/%d/task" % pid))
                        if self.name_of(pid, tid) == name)

    @staticmethod
    def name_of(pid, tid):
        with open("/proc/%d/task/%d/comm" % (pid, tid)) as f:
            return f.read().strip()

    def ptrace(self, request):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(ctypes.c_long(request), self.tid, None, None) != 0:
            raise unittest.SkipTest("ptrace: " + os.strerror(ctypes.get_errno()))

    def __enter__(self):
        self.ptrace(PTRACE_SEIZE)
        self.ptrace(PTRACE_INTERRUPT)
        os.waitpid(self.tid, WALL)

    def __exit__(self, *_):
        self.ptrace(PTRACE_DETACH)

    def buried(self):
        """True once its process has ended, which waits for us to hear of the thread's end."""
        try:
            return os.waitpid(self.tid, WALL | os.WNOHANG) != (0, 0)
        except ChildProcessError:
            return True
