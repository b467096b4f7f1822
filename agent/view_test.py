#!/usr/bin/env python3
"""What people look at: the agent's page in a real browser, and holdfast status --watch on a terminal.

Goal:   who has the token sees what holdfast status says, in words, live, through outages of the broker
        and restarts of the agent; who has not sees nothing; text from outside stays text; it can be
        read by everybody, on small screens too. The terminal is live alike, and left as it was.
Method: the real agent with a real mosquitto; headless Chromium, asked through the DevTools protocol; a
        pseudo-terminal. Without a Chromium only what HTTP shows is tested of the page;
        HOLDFAST_REQUIRE_CHROMIUM=1 forbids that.
Usage:  view_test.py BIN_DIR [--shots FOLDER] [unittest arguments]
"""
import fcntl
import http.client
import json
import os
import pathlib
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import unittest

sys.dont_write_bytecode = True
import agent_test  # noqa: E402
from agent_test import Lab, free_port, wait_until  # noqa: E402

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
import report_chromium  # noqa: E402

SHOTS = None
WIDE, NARROW = 1280, 390
HOSTILE = "a/<img src=x onerror=document.documentElement.dataset.broken=1>/<script>x</script>"


def keep(name, data):
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
        (SHOTS / name).write_bytes(data)


class PageLab(Lab):
    def setUp(self):
        super().setUp()
        self.web = free_port()

    def page_config(self, **change):
        return self.config(extra='[page]\nlisten = "127.0.0.1:%d"\n' % self.web, **change)

    def url(self):
        done = self.cli("page")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def get(self, path, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.web, timeout=20)
        connection.request("GET", path, headers={"Authorization": "Bearer " + token} if token else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


class Http(PageLab):
    def test_the_token_opens_the_state_and_nothing_else_does(self):
        self.broker()
        self.agent(self.page_config())
        self.until_state("connected")
        address, token = self.url().split("/#")
        self.assertEqual(address, "http://127.0.0.1:%d" % self.web)
        status, body = self.get("/state", token)
        self.assertEqual(status, 200, body)
        self.assertEqual(json.loads(body)["status"]["status"]["state"], "connected")
        for wrong in (None, "0" * 32, token[:-1]):
            status, body = self.get("/state", wrong)
            self.assertEqual(status, 401)
            self.assertNotIn("agent-test", body)
        self.assertNotIn(token, self.agent_log())

    def test_a_user_without_control_is_not_told_the_token(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to be somebody else")
        program = self.program_for_all("holdfast")
        self.agent(self.config(extra='[page]\nlisten = "127.0.0.1:%d"\n[client.somebody]\n'
                               'user = "nobody"\n' % self.web))
        os.chmod(self.socket, 0o666)
        done = subprocess.run(["setpriv", "--reuid=nobody", "--regid=root", "--clear-groups", program,
                               "page", "--socket", self.socket], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("permission denied", done.stderr)

    def test_without_a_page_the_command_says_what_to_do(self):
        self.agent()
        self.one_line_error(self.cli("page"), 1, "set page.listen")


@unittest.skipUnless(report_chromium.program() or os.environ.get("HOLDFAST_REQUIRE_CHROMIUM") == "1",
                     "no chromium; tools/setup report installs it")
class Browser(PageLab):
    def setUp(self):
        super().setUp()
        self.chromium = report_chromium.Chromium(report_chromium.program())
        self.addCleanup(self.chromium.close)

    def open(self, url=None, **how):
        self.chromium.open(url or self.url(), **how)

    def value(self, expression):
        return self.chromium.value(expression)

    def text(self, of):
        return self.value("document.querySelector('%s').innerText" % of)

    def until_text(self, of, words):
        wait_until("%s says: %s" % (of, words), lambda: words in self.text(of))

    def complaints(self):
        found = self.chromium.complaints(("http://127.0.0.1:%d/" % self.web, "data:"))
        return [line for line in found if "Failed to load resource" not in line]

    def test_shows_the_state_live_through_outage_and_restart(self):
        broker = self.broker()
        agent = self.agent(self.page_config())
        self.until_state("connected")
        self.open()
        self.until_text("#word", "Connected")
        self.assertEqual(self.value("location.hash"), "", "the token is not left in the address")
        self.assertEqual(self.text("#name"), "agent-test")
        self.cli("publish", "a/b", "x", "--wait", "delivered")
        self.until_text("#figures", "1\nDelivered")
        self.until_text("#health", "goes on")
        self.cli("heartbeat", "pump", "--every", "1h")
        self.until_text("#health", "Heartbeat: pump\nbeating")
        self.cli("heartbeat", "pump", "--every", "100ms")
        self.until_text("#health", "Heartbeat: pump\nmissed, silent for ")
        self.until_text("#identity-words", "valid for 29 more days")
        self.until_text("#log", "connection")
        broker.terminate()
        broker.wait()
        self.until_text("#word", "Not connected: tcp refused")
        self.assertNotEqual(self.text("#explanation"), "")
        self.cli("publish", "a/b", "x", "--wait", "accepted")
        self.until_text("#lanes", "normal\t1")
        agent.send_signal(signal.SIGTERM)
        agent.wait(timeout=20)
        self.until_text("#fresh", "Not current")
        self.broker()
        self.agent(self.page_config())
        self.until_text("#word", "Connected")
        self.until_text("#fresh", "live")
        self.until_text("#timeline-words", "; 2 starts")
        self.assertEqual(self.complaints(), [])
        keep("page-light.png", self.chromium.screenshot())

    def test_shows_what_the_updater_does_and_how_much_comes_and_goes(self):
        self.broker()
        self.agent(self.page_config())
        self.until_state("connected")
        self.open()
        self.until_text("#word", "Connected")
        self.assertTrue(self.value("document.querySelector('#jobs').hidden"))
        updater = socket.socket(socket.AF_UNIX)
        self.addCleanup(updater.close)
        updater.connect(self.socket)
        lines = updater.makefile("rw")

        def tell(**jobs):
            lines.write(json.dumps({"op": "jobs", **jobs}) + "\n")
            lines.flush()
            self.assertTrue(json.loads(lines.readline())["ok"])
        tell(job="update-7", words="2 of 6, download", step=2, steps=6, percent=40, last_job="update-6",
             last_status="FAILED", last_words="its check failed; the version before is back",
             versions={"pump": "1.1"})
        self.until_text("#job-now", "update-7: 2 of 6, download")
        self.until_text("#job-facts", "40 %")
        self.assertIn("update-6: failed", self.text("#job-facts"))
        self.assertIn("pump\t1.1", self.text("#versions"))
        self.assertEqual(self.value("['value', 'max'].map(a => document.querySelector('progress')[a])"),
                         [140, 600])
        said = self.cli("status").stdout
        self.assertIn("update-7: 2 of 6, download, 40 %", said)
        self.start(agent_test.BIN + "/holdfast", "subscribe", "a/b", "--socket", self.socket)
        self.until_text("#filters", "granted")
        self.cli("publish", "a/b", "--wait", "delivered", stdin="x\n" * 200)
        for curve in ("rate-accepted", "rate", "rate-inbound"):
            wait_until(curve + " has risen", lambda curve=curve: not self.value(
                "document.querySelector('#%s').getAttribute('aria-label')" % curve).endswith("most 0"))
        self.until_text("#figures", "200\nReceived")
        for scheme in ("light", "dark"):
            self.chromium.scheme(scheme)
            self.chromium.drawn()
            keep("page-jobs-%s.png" % scheme, self.chromium.screenshot())
            self.assertEqual(self.value(LOW_CONTRAST), [])
        updater.shutdown(socket.SHUT_RDWR)
        self.until_text("#job-facts", "gone for")
        self.assertEqual(self.complaints(), [])

    def test_the_last_days_show_outages_and_starts(self):
        now, hour = int(time.time() * 1000), 3600_000
        os.mkdir(self.path("outbox"), 0o700)
        outage = {"event": "outage", "over": True, "verdict": "dns_failed", "detail": "",
                  "verdicts": {"dns_failed": 9}, "attempts": 9, "accepted": 5, "dropped": 2,
                  "waiting": 5}
        self.write("outbox/history", "".join(json.dumps(line) + "\n" for line in (
            {"event": "started", "at_ms": now - 9 * 24 * hour, "unclean": False},
            {**outage, "began_ms": now - 8 * 24 * hour, "lasted_ms": hour},
            {"event": "started", "at_ms": now - 5 * 24 * hour, "unclean": True},
            {**outage, "began_ms": now - 2 * 24 * hour, "lasted_ms": 3 * hour})))
        self.broker()
        self.agent(self.page_config())
        self.until_state("connected")
        self.open()
        self.until_text("#timeline-words", "1 outage, 3 h 0 min away in all; 2 starts")
        self.assertEqual(self.value("document.querySelectorAll('#timeline .away').length"), 1)
        left, width = self.value("['x', 'width'].map(a => +document.querySelector('.away')"
                                 ".getAttribute(a))")
        self.assertAlmostEqual(left, 5 / 7 * 1000, delta=2)
        self.assertAlmostEqual(width, 3 / 24 / 7 * 1000, delta=1)
        self.value("document.querySelector('details').open = true")
        self.assertIn("dns failed", self.text("#outages"))
        self.assertEqual(self.complaints(), [])
        keep("page-history.png", self.chromium.screenshot())

    def test_asks_for_the_token_and_takes_it_by_hand(self):
        self.agent(self.page_config())
        address, token = self.url().split("#")
        self.open(address)
        self.assertTrue(self.value("document.querySelector('#state').hidden"))
        keep("page-token.png", self.chromium.screenshot())
        for typed, shown in (("0" * 32, "#login"), (token, "#state")):
            self.value("document.querySelector('#token').value = '%s';"
                       "document.querySelector('#login button').click()" % typed)
            wait_until(shown + " is shown", lambda: not self.value(
                "document.querySelector('%s').hidden" % shown))
            if shown == "#login":
                self.until_text("#login-why", "not the one of this agent")
        self.until_text("#word", "Not connected")
        self.assertEqual(self.complaints(), [])

    def test_text_from_outside_stays_text_and_scripts_of_others_do_not_run(self):
        self.broker()
        self.agent(self.page_config())
        self.until_state("connected")
        self.start(agent_test.BIN + "/holdfast", "subscribe", HOSTILE, "--socket", self.socket)
        self.open()
        self.until_text("#filters", HOSTILE)
        self.assertIsNone(self.value("document.documentElement.dataset.broken ?? null"))
        self.assertEqual(self.value("document.querySelectorAll('main script, img, iframe').length"), 0)
        self.assertEqual(self.complaints(), [])
        self.value("{const s = document.createElement('script');"
                   "s.textContent = 'document.documentElement.dataset.broken = 1';"
                   "document.body.append(s); 0}")
        self.assertIsNone(self.value("document.documentElement.dataset.broken ?? null"))
        self.assertTrue(any("Content Security Policy" in line for line in self.complaints()))

    def test_everybody_can_read_it(self):
        self.agent(self.page_config())
        self.open()
        self.until_text("#word", "Not connected")
        self.assertEqual(self.value(
            "[...document.querySelectorAll('button, input, summary, svg[role], #timeline')].filter("
            "e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length))"
            ".map(e => e.outerHTML)"), [])
        self.assertEqual(self.value("document.querySelectorAll('table:not(:has(caption))').length"), 0)
        colours = []
        for scheme in ("light", "dark"):
            self.chromium.scheme(scheme)
            self.chromium.drawn()
            colours.append(self.value("getComputedStyle(document.body).backgroundColor"))
            keep("page-%s-away.png" % scheme, self.chromium.screenshot())
            self.assertEqual(self.value(LOW_CONTRAST), [])
        self.assertNotEqual(*colours)
        for width in (NARROW, 768, WIDE):
            self.chromium.resize(width, 900)
            self.chromium.drawn()
            self.assertLessEqual(self.value("document.documentElement.scrollWidth"), width)
            if width == NARROW:
                keep("page-narrow.png", self.chromium.screenshot())


class Terminal(Lab):
    """holdfast status --watch on a pseudo-terminal of 40 rows and 100 columns."""

    def watch(self, *options):
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        child = self.start(agent_test.BIN + "/holdfast", "status", "--watch", "--interval", "100ms",
                           "--socket", self.socket, *options, stdin=slave, stdout=slave,
                           stderr=slave, env={**os.environ, "LC_ALL": "C.UTF-8"})
        os.close(slave)
        self.seen = ""
        return child

    def screen(self):
        """What the last picture shows."""
        while select.select([self.master], [], [], 0.05)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:     # nobody has the other end any more
                break
            self.seen += data.decode(errors="replace")
        return self.seen.rsplit("\033[H", 1)[-1]

    def test_is_renewed_in_place_through_outage_and_restart_and_leaves_the_terminal_as_it_was(self):
        broker = self.broker()
        agent = self.agent()
        self.until_state("connected")
        child = self.watch()
        wait_until("connected", lambda: "connected" in self.screen())
        self.cli("publish", "a/b", "--wait", "delivered", stdin="x\n" * 100)
        wait_until("a curve", lambda: "\u2588" in self.screen())
        broker.terminate()
        broker.wait()
        wait_until("the verdict", lambda: "tcp_refused" in self.screen())
        agent.terminate()
        agent.wait(timeout=20)
        wait_until("it says so", lambda: "not current: " in self.screen())
        self.assertIn("tcp_refused", self.screen())
        self.agent()
        wait_until("current again", lambda: self.screen() and "not current" not in self.screen())
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(timeout=20), 0)
        self.screen()
        self.assertTrue(self.seen.startswith("\033[?1049h\033[?25l\033[?7l"))
        self.assertTrue(self.seen.endswith("\033[?7h\033[?25h\033[?1049l"), self.seen[-80:])

    def test_without_a_terminal_the_states_follow_each_other(self):
        self.agent()
        child = self.start(agent_test.BIN + "/holdfast", "status", "--watch", "--json", "--interval",
                           "50ms", "--socket", self.socket, stdout=subprocess.PIPE)
        for _ in range(3):
            self.assertEqual(json.loads(child.stdout.readline())["client_id"], "agent-test")
        child.terminate()
        self.assertEqual(child.wait(timeout=20), 0)
        self.one_line_error(self.cli("status", "--interval", "1s"), 2, "--watch")


# Text whose contrast to its ground is below 4.5 (WCAG 2.2, 1.4.3).
LOW_CONTRAST = """(() => {
  const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (e) => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } };
  return [...document.querySelectorAll('main *')].filter((e) => e.offsetParent &&
    [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())).filter((e) => {
      const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
      return (a + 0.05) / (b + 0.05) < 4.5; }).map((e) => e.outerHTML.slice(0, 80));
})()"""


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv[1])
    rest = sys.argv[2:]
    if "--shots" in rest:
        at = rest.index("--shots")
        SHOTS = pathlib.Path(rest[at + 1])
        del rest[at:at + 2]
    unittest.main(argv=[sys.argv[0]] + rest)
