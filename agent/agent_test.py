#!/usr/bin/env python3
"""holdfastd and holdfast, as a user meets them: real mosquitto, real TLS, real signals.

Goal:   every command and every mistake a user can make ends as the manual says: a result, or one
        line that names the thing and what to do, with the documented exit code.
Method: each test starts its own broker and agent on loopback in a directory of its own.
Usage:  agent_test.py BIN_DIR [unittest arguments]
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BIN = ""
WAIT = 20.0  # seconds; an upper bound, not a measurement


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition, seconds=WAIT):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("not within %g s: %s" % (seconds, what))


def openssl(*args, cwd):
    subprocess.run(["openssl", *args], cwd=cwd, check=True, capture_output=True)


def make_certificates(folder):
    """A CA, a server certificate for localhost and 127.0.0.1, a client certificate, a stray key."""
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *ec, "-days", "30", "-subj", "/CN=Test CA", "-keyout", "ca.key",
            "-out", "ca.crt", cwd=folder)
    for name, extension in (("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
                            ("device", "extendedKeyUsage=clientAuth")):
        with open(os.path.join(folder, name + ".ext"), "w") as f:
            f.write(extension + "\n")
        openssl("req", *ec, "-subj", "/CN=" + name, "-keyout", name + ".key", "-out",
                name + ".csr", cwd=folder)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "30", "-extfile", name + ".ext", "-out",
                name + ".crt", cwd=folder)
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "stray.key",
            cwd=folder)


class Lab(unittest.TestCase):
    """A directory with certificates; brokers and agents that end with the test."""

    @classmethod
    def setUpClass(cls):
        cls.certs = tempfile.mkdtemp(prefix="hf-agent-")
        make_certificates(cls.certs)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.certs, ignore_errors=True)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="hf-agent-")
        self.children = []
        self.port = free_port()
        self.socket = os.path.join(self.dir, "api.sock")

    def tearDown(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream:
                    stream.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def start(self, *command, **kwargs):
        child = subprocess.Popen(command, text=True, **kwargs)
        self.children.append(child)
        return child

    def broker(self, tls=True):
        lines = ["listener %d 127.0.0.1" % self.port, "allow_anonymous true",
                 "persistence false", "log_type none"]
        if os.geteuid() == 0:
            lines.append("user root")
        if tls:
            lines += ["cafile %s/ca.crt" % self.certs, "certfile %s/server.crt" % self.certs,
                      "keyfile %s/server.key" % self.certs, "require_certificate true"]
        mosquitto = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        child = self.start(mosquitto, "-c", self.write("broker.conf", "\n".join(lines) + "\n"),
                           stderr=subprocess.DEVNULL)
        wait_until("the broker listens", self.listening)
        return child

    def listening(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def config(self, name="device.toml", extra="", **change):
        value = {"host": "127.0.0.1", "port": self.port, "client_id": "agent-test",
                 "ca": self.certs + "/ca.crt", "cert": self.certs + "/device.crt",
                 "key": self.certs + "/device.key", "outbox": self.path("outbox"),
                 "socket": self.socket, "tls": "true"}
        value.update(change)
        return self.write(name, """
profile = "generic"
[connection]
host = "{host}"
port = {port}
client_id = "{client_id}"
[tls]
enabled = {tls}
ca_file = "{ca}"
cert_file = "{cert}"
key_file = "{key}"
[timing]
backoff_first = "200ms"
backoff_cap = "1s"
[outbox]
directory = "{outbox}"
[local]
socket = "{socket}"
{extra}""".format(extra=extra, **value))

    def agent(self, config=None):
        with open(self.path("agent.log"), "a") as log:
            child = self.start(BIN + "/holdfastd", "--config", config or self.config(), stderr=log)
        wait_until("the local API answers", lambda: os.path.exists(self.socket))
        return child

    def agent_log(self):
        with open(self.path("agent.log")) as f:
            return f.read()

    def cli(self, *args, stdin=None):
        return subprocess.run([BIN + "/holdfast", *args, "--socket", self.socket], text=True,
                              input=stdin, capture_output=True, timeout=60)

    def status(self):
        done = self.cli("status", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def until_state(self, state):
        wait_until("state " + state, lambda: self.status()["state"] == state)

    def one_line_error(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, done.stderr)
        for word in words:
            self.assertIn(word, lines[0])


class MainJob(Lab):
    def subscribe_outside(self, topic, count):
        return self.start("mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "--cafile",
                          self.certs + "/ca.crt", "--cert", self.certs + "/device.crt", "--key",
                          self.certs + "/device.key", "-t", topic, "-q", "1", "-C", str(count),
                          "-i", "outside", stdout=subprocess.PIPE)

    def test_publish_from_the_shell_reaches_an_independent_subscriber(self):
        self.broker()
        self.agent()
        self.until_state("connected")
        outside = self.subscribe_outside("plant/#", 1)
        # The subscriber gives no sign of being ready: publish until it has one.
        def delivered():
            done = self.cli("publish", "plant/line1", "hello", "--wait", "delivered")
            self.assertEqual(done.returncode, 0, done.stderr)
            return outside.poll() is not None
        wait_until("the outside subscriber has it", delivered)
        self.assertEqual(outside.stdout.read(), "hello\n")

    def test_ten_thousand_lines_from_standard_input_are_all_delivered(self):
        self.broker()
        self.agent()
        self.until_state("connected")
        lines = "".join("line %d\n" % i for i in range(10000))
        done = self.cli("publish", "bulk/lines", "--wait", "delivered", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        ledger = self.status()["ledger"]
        self.assertEqual((ledger["accepted"], ledger["delivered"], ledger["pending"]),
                         (10000, 10000, 0))

    def test_messages_accepted_offline_survive_kill_and_arrive_after_the_restart(self):
        agent = self.agent()
        lines = "".join("%d\n" % i for i in range(500))
        done = self.cli("publish", "offline/data", "--wait", "accepted", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        agent.kill()
        agent.wait()
        os.unlink(self.socket)
        self.broker()
        outside = self.subscribe_outside("offline/#", 500)
        self.agent()
        wait_until("the backlog is empty", lambda: self.status()["ledger"]["pending"] == 0)
        self.assertTrue(self.status()["recovered_unclean"])
        ledger = self.status()["ledger"]
        self.assertEqual(ledger["accepted"], ledger["delivered"])
        self.assertEqual(ledger["accepted"], 500)
        if outside.poll() is not None:  # it may have subscribed after the first were delivered
            self.assertEqual(outside.stdout.read(), lines)

    def test_subscribe_prints_what_arrives(self):
        self.broker()
        self.agent()
        self.until_state("connected")
        inside = self.start(BIN + "/holdfast", "subscribe", "cmd/+", "--count", "2", "--socket",
                            self.socket, stdout=subprocess.PIPE)
        def both():
            self.cli("publish", "cmd/a", "go", "--wait", "delivered")
            return inside.poll() is not None
        wait_until("two messages came", both)
        self.assertEqual(inside.stdout.read(), "go\ngo\n")
        self.assertEqual(inside.returncode, 0)

    def test_a_broker_killed_and_restarted_is_found_again_with_its_verdicts(self):
        broker = self.broker()
        self.agent()
        self.until_state("connected")
        broker.kill()
        broker.wait()
        wait_until("the loss is named", lambda: self.status()["verdict"] == "tcp_refused")
        self.broker()
        self.until_state("connected")
        status = self.status()
        self.assertGreaterEqual(status["verdicts"]["server_gone"], 1)
        self.assertEqual(status["verdict"], "none")

    def test_sighup_takes_over_a_changed_client_id_and_keeps_the_old_one_if_it_is_wrong(self):
        self.broker()
        agent = self.agent()
        self.until_state("connected")
        self.config(client_id="second-name")
        agent.send_signal(signal.SIGHUP)
        wait_until("it has connected again", lambda: self.status()["connects"] == 2)
        self.write("device.toml", "[connection]\nhos = 1\n")
        agent.send_signal(signal.SIGHUP)
        wait_until("the mistake is logged", lambda: "hos" in self.agent_log())
        self.assertEqual(self.status()["state"], "connected")


class Leaving(Lab):
    def leaves_in_order(self, agent):
        agent.send_signal(signal.SIGTERM)
        try:
            self.assertEqual(agent.wait(timeout=WAIT), 0)
        except subprocess.TimeoutExpired:
            self.fail("the agent did not end")
        self.assertNotIn("left behind", self.agent_log())

    def test_connected(self):
        self.broker()
        agent = self.agent()
        self.until_state("connected")
        self.leaves_in_order(agent)
        self.assertFalse(os.path.exists(self.socket))

    def test_broker_down(self):
        self.leaves_in_order(self.agent())

    def test_broker_silent(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", self.port))
            silent.listen()
            agent = self.agent()
            self.until_state("connecting")
            self.leaves_in_order(agent)

    def test_a_second_signal_during_the_stop_ends_it_at_once_and_loses_nothing(self):
        """Both signals wait when the process goes on; the kernel gives SIGINT, the lower one, first.
        So SIGTERM comes second, and no stop can be quick enough to be over by then."""
        agent = self.agent()
        done = self.cli("publish", "a/b", "kept", "--wait", "accepted")
        self.assertEqual(done.returncode, 0, done.stderr)
        agent.send_signal(signal.SIGSTOP)
        with open("/proc/%d/stat" % agent.pid) as stat:
            wait_until("it stands still",
                       lambda: stat.seek(0) == 0 and stat.read().rsplit(")", 1)[1].split()[0] == "T")
        agent.send_signal(signal.SIGTERM)
        agent.send_signal(signal.SIGINT)
        agent.send_signal(signal.SIGCONT)
        self.assertEqual(agent.wait(timeout=WAIT), 143)
        self.assertIn("stopping: SIGINT", self.agent_log())
        self.assertNotIn("stopped;", self.agent_log())
        os.unlink(self.socket)
        self.agent()
        status = self.status()
        self.assertEqual(status["ledger"]["pending"], 1)
        self.assertTrue(status["recovered_unclean"])

    def test_backlog_is_kept_and_the_next_start_knows_it_was_clean(self):
        agent = self.agent()
        done = self.cli("publish", "a/b", "kept", "--wait", "accepted")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.leaves_in_order(agent)
        self.agent()
        status = self.status()
        self.assertEqual(status["ledger"]["pending"], 1)
        self.assertFalse(status["recovered_unclean"])


class Mistakes(Lab):
    def agent_refuses(self, config, code, *words):
        done = subprocess.run([BIN + "/holdfastd", "--config", config], text=True,
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        errors = [line for line in done.stderr.strip().splitlines() if "holdfastd:" in line]
        self.assertEqual(len(errors), 1, done.stderr)
        for word in words:
            self.assertIn(word, errors[0])

    def check_refuses(self, config, *words):
        self.one_line_error(subprocess.run([BIN + "/holdfast", "check-config", config], text=True,
                                           capture_output=True, timeout=60), 2, *words)

    def test_good_configuration(self):
        done = subprocess.run([BIN + "/holdfast", "check-config", self.config()], text=True,
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(os.path.exists(self.path("outbox")), "check-config must write nothing")

    def test_wrong_toml_names_the_line(self):
        config = self.write("bad.toml", "[connection]\nhost = \n")
        self.check_refuses(config, "bad.toml:2")
        self.agent_refuses(config, 2, "bad.toml:2")

    def test_unknown_key_names_it_and_its_neighbour(self):
        config = self.config(extra="[flow]\nmax_in_fligth = 5\n")
        self.check_refuses(config, "flow.max_in_fligth", "max_in_flight")
        self.agent_refuses(config, 2, "flow.max_in_fligth")

    def test_missing_configuration_file(self):
        self.check_refuses(self.path("none.toml"), "none.toml")
        self.agent_refuses(self.path("none.toml"), 2, "none.toml")

    def test_missing_certificate(self):
        self.check_refuses(self.config(cert=self.path("none.crt")), "none.crt")

    def test_key_that_does_not_fit(self):
        self.check_refuses(self.config(key=self.certs + "/stray.key"), "stray.key")

    def test_key_that_does_not_fit_is_a_verdict_while_running(self):
        self.broker()
        self.agent(self.config(key=self.certs + "/stray.key"))
        wait_until("named", lambda: self.status()["verdict"] == "no_credentials")
        self.assertIn("stray.key", self.status()["detail"])

    def test_unusable_directory(self):
        self.write("file", "")
        config = self.config(outbox=self.path("file") + "/outbox")
        self.check_refuses(config, "outbox")
        self.agent_refuses(config, 1, "outbox")

    def test_outbox_in_use(self):
        self.agent()
        config = self.config(name="other.toml", socket=self.path("other.sock"))
        self.agent_refuses(config, 4, "outbox", "in use")

    def test_local_socket_in_use(self):
        self.agent()
        config = self.config(name="other.toml", outbox=self.path("outbox2"))
        self.agent_refuses(config, 4, "api.sock")

    def test_broker_that_is_not_a_broker(self):
        with socket.socket() as web:
            web.bind(("127.0.0.1", self.port))
            web.listen()
            self.agent()
            self.until_state("connecting")
            peer, _ = web.accept()
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.close()
            wait_until("named", lambda: self.status()["verdicts"]["tls_failed"] >= 1)

    def test_agent_not_running(self):
        self.one_line_error(self.cli("status"), 3, "api.sock")

    def test_bad_topic(self):
        self.agent()
        self.one_line_error(self.cli("publish", "a/+/b", "x"), 1, "invalid_topic")

    def test_oversize_payload(self):
        self.agent()
        done = self.cli("publish", "a/b", stdin="x" * (130 * 1024) + "\n")
        self.one_line_error(done, 1, "too_large")
        self.assertEqual(self.status()["ledger"]["accepted"], 0)

    def test_malformed_local_line_is_answered_and_the_connection_stays(self):
        self.agent()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WAIT)
            s.connect(self.socket)
            lines = s.makefile("rw")
            lines.write('{"op":\n{"op":"fly","id":1}\n{"op":"ping","id":2}\n')
            lines.flush()
            answers = [json.loads(lines.readline()) for _ in range(3)]
            lines.close()
        self.assertEqual([a["ok"] for a in answers], [False, False, True])
        self.assertIn("fly", answers[1]["error"])

    def test_an_unknown_command_or_option_is_named(self):
        for program, words, name in (("holdfast", ["fly"], "fly"),
                                     ("holdfast", ["status", "--fast"], "--fast"),
                                     ("holdfastd", ["--fast"], "--fast"),
                                     ("host-telemetry", ["--rate", "x"], "--rate")):
            done = subprocess.run([BIN + "/" + program, *words], text=True, capture_output=True,
                                  timeout=60)
            self.one_line_error(done, 2, program + ":", name, "--help")

    def test_help_and_version(self):
        for program in ("holdfast", "holdfastd"):
            for flag in ("--help", "--version"):
                done = subprocess.run([BIN + "/" + program, flag], text=True,
                                      capture_output=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout.strip())


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
