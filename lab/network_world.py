"""A device's machine with a real NetworkManager and two uplinks, in namespaces of its own.

The process that calls enter() is then alone in its namespaces of processes, mounts and networks: `up1`
and `up2` lead through two routers (network namespaces r1 and r2) to the internet (namespace cloud), where
a broker, and the page that NetworkManager looks at, have the address CLOUD. /etc, /var and /run are
copies; all is gone when the process ends.
"""
import contextlib
import http.server
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

from managers_fixture import Daemons
from tool.place import Trouble
from tool.programs import Programs, run, wait_for

CLOUD = "10.99.0.1"
ONLINE = b"NetworkManager is online\n"
NEEDED = ("NetworkManager", "nmcli", "dbus-daemon", "dnsmasq", "ip", "unshare", "mosquitto",
          "mosquitto_sub")
CONFIGURATION = f"""
[main]
plugins=keyfile
dhcp=internal
dns=default
rc-manager=file
no-auto-default=*
auth-polkit=false
[connectivity]
enabled=true
uri=http://{CLOUD}/check
interval=300
response={ONLINE.decode().strip()}
[device-up]
match-device=interface-name:up*
managed=1
"""
RTMGRP_LINK, RTMGRP_IPV4_ROUTE = 0x1, 0x40
RTM_NEWLINK, RTM_NEWROUTE, RTM_DELROUTE = 16, 24, 25
IFF_RUNNING = 0x40


def missing(needed=NEEDED):
    """Why a test that needs these programs cannot be run here, or None."""
    if os.geteuid() != 0:
        return "it needs root, for namespaces"
    for name in needed:
        try:
            Programs.system(name)
        except Trouble as trouble:
            return str(trouble)
    probe = subprocess.run(["unshare", "-m", "-p", "-f", "-n", "true"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "this machine gives no namespaces"


def enter():
    """Runs this program again, in namespaces of its own; returns in there only."""
    if os.environ.get("HOLDFAST_BOX") == "1":
        return
    os.execvpe("unshare", ["unshare", "-m", "-p", "-f", "-n", "--kill-child", "--propagation",
                           "private", "--mount-proc", sys.executable, "-B", *sys.argv],
               {**os.environ, "HOLDFAST_BOX": "1"})


def mount_copies():
    """/etc and /var are written to without a trace; /sys is read-only, else NetworkManager waits for
    udev, which is not here, and leaves the uplinks alone."""
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    for name in ("lock", "dbus", "NetworkManager", "copies"):
        os.makedirs(f"/run/{name}")
    run("mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys")
    for name in ("etc", "var"):
        for part in ("upper", "work"):
            os.makedirs(f"/run/copies/{name}/{part}")
        run("mount", "-t", "overlay", f"copy-{name}", "-o",
            f"lowerdir=/{name},upperdir=/run/copies/{name}/upper,workdir=/run/copies/{name}/work",
            f"/{name}")
    run("ip", "link", "set", "lo", "up")


def inside(namespace, *command):
    return [Programs.system("ip"), "netns", "exec", namespace, *map(str, command)]


class World(Daemons):
    """The networks, the broker, the bus and NetworkManager."""

    def __init__(self, folder):
        super().__init__(folder)
        mount_copies()
        self.build_networks()
        self.start_cloud()
        self.start_bus()
        self.start_manager()

    def build_networks(self):
        run("ip", "netns", "add", "cloud")
        run("ip", "-n", "cloud", "link", "set", "lo", "up")
        run("ip", "-n", "cloud", "addr", "add", f"{CLOUD}/32", "dev", "lo")
        for n in (1, 2):
            router = f"r{n}"
            run("ip", "netns", "add", router)
            run(*inside(router, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"))
            run("ip", "link", "add", f"up{n}", "type", "veth", "peer", "name", "eth0", "netns", router)
            run("ip", "-n", router, "link", "add", "wan", "type", "veth", "peer", "name", f"c{n}",
                "netns", "cloud")
            run("ip", "-n", router, "link", "set", "lo", "up")
            for device, address in (("eth0", f"10.77.{n}.1/24"), ("wan", f"10.88.{n}.1/24")):
                run("ip", "-n", router, "addr", "add", address, "dev", device)
                run("ip", "-n", router, "link", "set", device, "up")
            run("ip", "-n", "cloud", "addr", "add", f"10.88.{n}.2/24", "dev", f"c{n}")
            run("ip", "-n", "cloud", "link", "set", f"c{n}", "up")
            run("ip", "-n", router, "route", "add", CLOUD, "via", f"10.88.{n}.2")
            run("ip", "-n", "cloud", "route", "add", f"10.77.{n}.0/24", "via", f"10.88.{n}.1")
            self.spawn(f"dnsmasq{n}", inside(
                router, Programs.system("dnsmasq"), "-k", "--no-resolv", "--no-hosts",
                f"--address=/#/{CLOUD}", "--interface=eth0", "--bind-interfaces",
                f"--dhcp-range=10.77.{n}.50,10.77.{n}.99,5m",
                f"--dhcp-leasefile={self.folder}/leases{n}", f"--dhcp-option=3,10.77.{n}.1",
                f"--dhcp-option=6,10.77.{n}.1", "--user=root", "--pid-file="))

    def start_cloud(self):
        (self.folder / "broker.conf").write_text(
            f"listener 1883 {CLOUD}\nallow_anonymous true\nmax_keepalive 60\n", encoding="ascii")
        self.start_broker()
        self.spawn("pages", inside("cloud", sys.executable, "-B", __file__, self.folder / "portal"))

    def start_broker(self):
        self.spawn("broker", inside("cloud", Programs.system("mosquitto"), "-c",
                                    self.folder / "broker.conf"))

    def start_bus(self):
        bus = pathlib.Path("/run/dbus/system_bus_socket")
        bus.unlink(missing_ok=True)  # one that was killed leaves it
        self.spawn("bus", [Programs.system("dbus-daemon"), "--system", "--nofork", "--nopidfile"])

        def listens():
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.connect(str(bus))
                return True
        wait_for(listens, 20, "the system bus")

    def start_manager(self):
        folder = pathlib.Path("/etc/NetworkManager")
        if not (folder / "made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "system-connections").mkdir(parents=True)
            (folder / "NetworkManager.conf").write_text(CONFIGURATION, encoding="ascii")
        self.spawn("manager", [Programs.system("NetworkManager"), "--debug", "--log-level=INFO"])
        wait_for(lambda: self.nmcli("g", check=False).returncode == 0, 30, "NetworkManager")
        if not (folder / "made").exists():
            for n, priority, metric in ((1, 10, 100), (2, 5, 200)):
                self.nmcli("c", "add", "type", "ethernet", "con-name", f"wan{n}", "ifname", f"up{n}",
                           "ipv4.method", "auto", "ipv6.method", "disabled", "ipv4.route-metric",
                           metric, "connection.autoconnect-priority", priority,
                           "ipv4.dhcp-timeout", 10, "connection.autoconnect-retries", 0)
            (folder / "made").touch()
        self.wait_for_uplinks()

    def wait_for_uplinks(self, seconds=120):
        """Both are connected and lead to the internet, the first one first. NetworkManager puts one that
        it has once found to lead nowhere behind the other until it looks again: it is made to look."""
        def well():
            self.nmcli("networking", "connectivity", "check", check=False)
            return self.default_routes() == ["up1", "up2"] and self.connectivity() == "full"
        try:
            wait_for(well, seconds, "both uplinks")
        except Trouble as trouble:
            seen = run("ip", "route") + self.nmcli("d", check=False).stdout
            raise Trouble(f"{trouble}\n{seen}") from trouble

    @staticmethod
    def nmcli(*words, check=True):
        return subprocess.run([Programs.system("nmcli"), "-t", *map(str, words)], check=check,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)

    def connectivity(self):
        return self.nmcli("-f", "CONNECTIVITY", "g").stdout.strip()

    @staticmethod
    def default_routes():
        """The interfaces of default routes, the preferred one first. NetworkManager may leave the route
        with its penalty behind, beside the one without."""
        return list(dict.fromkeys(line.split(" dev ")[1].split()[0]
                                  for line in run("ip", "route", "show", "default").splitlines()))

    @staticmethod
    def pull(n, broken=True):
        run("ip", "-n", f"r{n}", "link", "set", "eth0", "down" if broken else "up")

    @staticmethod
    def silence(n, broken=True):
        """The link of an uplink stays, but nothing goes through its router any more."""
        run(*inside(f"r{n}", "sh", "-c",
                    f"echo {int(not broken)} >/proc/sys/net/ipv4/ip_forward"))

    def portal(self, on):
        path = self.folder / "portal"
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)


class KernelEvents:
    """When the kernel told of a lost carrier, and of the loss of a default route: the listener hears
    it as the agent does."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.bind((0, RTMGRP_LINK | RTMGRP_IPV4_ROUTE))
        self.socket.settimeout(0.2)
        self.carrier_lost, self.route_lost = [], []
        self.stopped = False
        self.thread = threading.Thread(target=self._listen)
        self.thread.start()

    def _listen(self):
        while not self.stopped:
            with contextlib.suppress(TimeoutError):
                data = self.socket.recv(65536)
                self._note(data, time.monotonic())

    def _note(self, data, now):
        while len(data) >= 16:
            length, kind = struct.unpack_from("=IH", data)
            if kind == RTM_NEWLINK and not struct.unpack_from("=I", data, 24)[0] & IFF_RUNNING:
                self.carrier_lost.append(now)
            elif kind == RTM_DELROUTE and data[17] == 0:  # rtm_dst_len
                self.route_lost.append(now)
            data = data[max((length + 3) & ~3, 16):]

    def end(self):
        self.stopped = True
        self.thread.join()
        self.socket.close()


def serve_pages(flag):
    """In the namespace cloud: what NetworkManager looks at, or a page to log in, while `flag` exists."""
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            body = b"<html>Please log in</html>" if flag.exists() else ONLINE
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass
    http.server.HTTPServer((CLOUD, 80), Page).serve_forever()


if __name__ == "__main__":
    serve_pages(pathlib.Path(sys.argv[1]))
