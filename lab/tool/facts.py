"""What a result document says of the programs and the machine of a run."""
import os
import platform
import re
import ssl
import subprocess

SECONDS = 10


def _first_line(command):
    """What the program says of itself, or "" when it cannot."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS,
                              stdin=subprocess.DEVNULL, errors="replace", check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _number(words):
    found = re.search(r"\d+(\.\d+)+\S*", words)
    return found.group() if found else "unknown"


def versions(tools):
    return {"holdfast": _number(_first_line([tools.own("holdfast"), "--version"])),
            "mosquitto": _number(_first_line([tools.system("mosquitto"), "-h"])),
            "OpenSSL": _number(ssl.OPENSSL_VERSION), "Python": platform.python_version()}


def _memory():
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (ValueError, OSError):
        return "unknown"


def machine():
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        system = platform.system()
    return {"system": system, "kernel": f"{platform.system()} {platform.release()}",
            "processor": f"{len(os.sched_getaffinity(0))} cores, {platform.machine()}",
            "memory": _memory()}
