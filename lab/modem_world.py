"""A real ModemManager with a modem that is none: it answers AT commands on an abstract socket, as
ModemManager's own test profile wants it. In the namespaces of network_world.enter()."""
import contextlib
import pathlib
import socket
import subprocess
import threading

from managers_fixture import Daemons
from network_world import mount_copies
from tool.programs import Programs, run, wait_for

NEEDED = ("ModemManager", "mmcli", "dbus-daemon", "busctl", "unshare")
PORT = "abstract:port0"  # the name of the socket, literally
OBJECT = "org.freedesktop.ModemManager1 /org/freedesktop/ModemManager1"
ANSWERS = {
    "AT": "", "ATE0": "", "ATV1": "", "AT+CMEE=1": "", "ATX4": "", "AT&C1": "", "AT+CFUN=1": "",
    "AT+CREG=2": "", "AT+CGREG=2": "", "AT+CEREG=2": "", "AT+COPS=0": "", "AT+COPS=3,2": "",
    "AT+COPS=3,0": "", "AT+CNUM": "",
    "AT+GCAP": "+GCAP: +CGSM", "ATI": "Fake modem", "AT+CGMI": "Fake", "AT+CGMM": "M1", "AT+CGMR": "r1",
    "AT+CGSN": "123456789012347", "AT+GSN": "123456789012347", "AT+WS46=?": "+WS46: (12,22,25)",
    "AT+CPIN?": "+CPIN: READY", "AT+CFUN?": "+CFUN: 1", "AT+CIMI": "998899889988997",
    "AT+CRSM=176,12258,0,0,10": '+CRSM: 144,0,"98889909889988999909"',
    "AT+CGDCONT=?": '+CGDCONT: (1-3),"IP",,,(0),(0)\r\n+CGDCONT: (1-3),"IPV6",,,(0),(0)',
    "AT+CGDCONT?": '+CGDCONT: 1,"IP","internet","",0,0', "AT+CSQ": "+CSQ: 20,99",
    "AT+CREG?": '+CREG: 2,1,"1234","001122BB",7', "AT+CGREG?": '+CGREG: 2,1,"1234","001122BB",7',
    "AT+CEREG?": "+CEREG: 0,1", "AT+COPS=3,2;+COPS?": '+COPS: 0,2,"99899"',
    "AT+COPS=3,0;+COPS?": '+COPS: 0,0,"FakeNet"', "AT+COPS?": '+COPS: 0,0,"FakeNet",2',
    "AT+CSCS=?": '+CSCS: ("IRA","UCS2","GSM")', "AT+CSCS?": '+CSCS: "UCS2"', "AT+CMGF=?": "+CMGF: (0,1)",
    "AT+CPMS=?": '+CPMS: ("SM"),("SM"),("SM")', "AT+CLCK=?": '+CLCK: ("SC")',
    'AT+CLCK="SC",2': "+CLCK: 0", "AT+CIND=?": '+CIND: ("signal",(0-5)),("service",(0,1))',
    "AT+CMER=?": "+CMER: (0-3),(0),(0),(0-1),(0,1)",
}


class Modem:
    """Answers what it knows, and ERROR else; tells by itself what it is made to tell."""

    def __init__(self):
        self.answers = dict(ANSWERS)
        self.asked = []
        self.clients = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind("\0" + PORT)
        self.listener.listen(5)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self.clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        rest = b""
        with contextlib.suppress(OSError):
            while data := client.recv(4096):
                rest += data
                *lines, rest = rest.split(b"\r")
                for line in lines:
                    self._answer(client, line.strip().decode("ascii", "replace"))

    def _answer(self, client, command):
        if not command:
            return
        self.asked.append(command)
        if command.startswith("AT+COPS=3,"):  # how an operator is named from now on
            name = '2,"99899"' if command.startswith("AT+COPS=3,2") else '0,"FakeNet"'
            self.answers["AT+COPS?"] = f"+COPS: 0,{name},2"
        known = self.answers.get(command)
        client.sendall(b"\r\nERROR\r\n" if known is None else f"\r\n{known}\r\nOK\r\n".encode())

    def roam(self, roaming):
        """It is in another network now, and says so."""
        state = 5 if roaming else 1
        for name in ("CREG", "CGREG"):
            self.answers[f"AT+{name}?"] = f'+{name}: 2,{state},"1234","001122BB",7'
            for client in self.clients:
                with contextlib.suppress(OSError):
                    client.sendall(f'\r\n+{name}: {state},"1234","001122BB",7\r\n'.encode())


class ModemWorld(Daemons):
    """Bus, ModemManager and the modem."""

    def __init__(self, folder):
        super().__init__(folder)
        mount_copies()
        self.spawn("bus", [Programs.system("dbus-daemon"), "--system", "--nofork", "--nopidfile"])
        wait_for(pathlib.Path("/run/dbus/system_bus_socket").exists, 20, "the system bus")
        self.modem = Modem()
        self.start_manager()

    def start_manager(self):
        self.spawn("manager", [Programs.system("ModemManager"), "--debug", "--test-enable",
                               "--test-no-udev", "--no-auto-scan"])
        wait_for(lambda: self.mmcli("-L").returncode == 0, 30, "ModemManager")
        run("busctl", "--system", "call", *OBJECT.split(), "org.freedesktop.ModemManager1.Test", "SetProfile",
            "ssas", "test-modem", "generic", "1", PORT)
        wait_for(lambda: "Modem/" in self.mmcli("-L").stdout, 60, "the modem")
        wait_for(lambda: self.mmcli("-m", "any", "-e").returncode == 0, 60, "the modem, enabled")

        def known():
            said = self.mmcli("-m", "any").stdout
            return all(word in said for word in ("FakeNet", "99899", "lte", "64%"))
        wait_for(known, 60, "the modem's network")

    @staticmethod
    def mmcli(*words):
        return subprocess.run([Programs.system("mmcli"), *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)

    def start_logind(self):
        """A stand-in for the one who restarts machines: python-dbusmock's."""
        self.spawn("logind", ["/usr/bin/python3", "-m", "dbusmock", "--system", "--template", "logind"])

    def said(self, name):
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
