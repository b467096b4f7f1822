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

    def program_for_all(self, name):
        """A copy that other users may run: the build's folder may be closed to them."""
        os.chmod(self.dir, 0o755)
        return shutil.copy(os.path.join(BIN, name), self.dir)

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
        wait_until("the local API answers", self.answering)
        return child

    def answering(self):
        """A file alone may be another agent's, or not be listened on yet."""
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.socket) == 0

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

    # Field lesson 29.
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

    def test_what_became_of_a_message_is_known_across_restarts(self):
        agent = self.agent()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket)
            lines = client.makefile("rw")
            lines.write(json.dumps({"op": "publish", "topic": "fate/x", "payload": "v"}) + "\n")
            lines.flush()
            number = json.loads(lines.readline())["message_id"]
        self.assertEqual(self.cli("receipt", str(number)).stdout, "pending\n")
        agent.kill()
        agent.wait()
        os.unlink(self.socket)
        self.broker()
        self.agent()
        wait_until("delivered",
                   lambda: self.cli("receipt", str(number)).stdout == "delivered\n")
        unknown = self.cli("receipt", str(number + 1))
        self.assertEqual((unknown.returncode, unknown.stdout), (1, "unknown\n"))

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

    # Field lesson 30.
    def test_subscribe_survives_an_agent_that_is_started_anew(self):
        self.broker()
        agent = self.agent()
        self.until_state("connected")
        inside = self.start(BIN + "/holdfast", "subscribe", "cmd/+", "--count", "1", "--socket",
                            self.socket, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until("it is subscribed", lambda: self.open_clients(agent) == 1)
        agent.terminate()
        self.assertEqual(agent.wait(timeout=WAIT), 0)
        self.assertIn("waiting for it", inside.stderr.readline())
        self.agent()
        self.until_state("connected")
        def arrived():
            self.cli("publish", "cmd/a", "go", "--wait", "delivered")
            return inside.poll() is not None
        wait_until("a message came", arrived)
        self.assertEqual((inside.stdout.read(), inside.returncode), ("go\n", 0))

    # Field lesson 31.
    def test_a_broker_that_forgot_the_session_is_asked_for_the_subscriptions_again(self):
        broker = self.broker()
        self.agent()
        self.until_state("connected")
        inside = self.start(BIN + "/holdfast", "subscribe", "cmd/+", "--count", "1", "--socket",
                            self.socket, stdout=subprocess.PIPE)
        broker.kill()
        broker.wait()
        wait_until("the loss is seen", lambda: self.status()["state"] != "connected")
        self.broker()
        self.until_state("connected")
        self.assertFalse(self.status()["session_present"])
        def arrived():
            self.cli("publish", "cmd/a", "go", "--wait", "delivered")
            return inside.poll() is not None
        wait_until("a message came", arrived)
        self.assertEqual(inside.stdout.read(), "go\n")

    # Field lesson 5. To the process a suspend is what SIGSTOP is: time goes on, it does not.
    def test_a_device_that_slept_keeps_a_connection_that_lives_and_soon_sees_that_one_is_dead(self):
        broker = self.broker()
        with open(self.config()) as f:
            text = f.read().replace("[timing]", '[timing]\nsilent_after = "4s"')
        agent = self.agent(self.write("device.toml", text))
        self.until_state("connected")
        def sleep():
            agent.send_signal(signal.SIGSTOP)
            time.sleep(5)
            agent.send_signal(signal.SIGCONT)
        sleep()
        time.sleep(3)  # longer than the half of silent_after after which a dead one is given up
        self.assertEqual(self.status()["connects"], 1)
        broker.send_signal(signal.SIGSTOP)  # nothing comes from it any more, no reset either
        sleep()
        woke = time.monotonic()
        wait_until("the dead one is noticed", lambda: self.status()["state"] != "connected")
        self.assertLess(time.monotonic() - woke, WAIT)
        self.assertEqual(self.status()["verdicts"].get("silent_peer"), 1)
        broker.send_signal(signal.SIGCONT)
        self.until_state("connected")

    # Field lesson 54.
    def test_nothing_to_do_costs_nothing(self):
        broker = self.broker()
        agent = self.agent()
        self.until_state("connected")
        self.assertLess(self.wake_ups(agent, 5), 100)
        broker.kill()
        broker.wait()
        wait_until("the loss is seen", lambda: self.status()["state"] != "connected")
        # A look at a closed port each second (backoff_cap), and nothing in between.
        self.assertLess(self.wake_ups(agent, 5), 300)

    @staticmethod
    def wake_ups(agent, seconds):
        """How often a thread of the agent begins to run."""
        def count():
            total = 0
            for task in os.listdir("/proc/%d/task" % agent.pid):
                with open("/proc/%d/task/%s/status" % (agent.pid, task)) as f:
                    total += sum(int(line.split()[1]) for line in f if "ctxt_switches" in line)
            return total
        before = count()
        time.sleep(seconds)
        return count() - before

    def open_clients(self, agent):
        """Connections that the local API has open."""
        with open("/proc/net/unix") as f:
            return sum(line.endswith(" " + self.socket + "\n") for line in f) - 1

    def test_a_message_is_shown_whole_and_answered_from_the_shell(self):
        self.broker()
        self.agent()
        self.until_state("connected")
        inside = self.start(BIN + "/holdfast", "subscribe", "ask/+", "--count", "1", "--json",
                            "--socket", self.socket, stdout=subprocess.PIPE)
        question = ["publish", "ask/a", "how much?", "--response-topic", "answers/1",
                    "--correlation-data", "c-7", "--content-type", "text/plain",
                    "--user-property", "k=v", "--user-property", "k=w=x", "--wait", "delivered"]
        def asked():
            self.assertEqual(self.cli(*question).returncode, 0)
            return inside.poll() is not None
        wait_until("the question came", asked)
        message = json.loads(inside.stdout.read())
        self.assertEqual(message["user_properties"][:2], [["k", "v"], ["k", "w=x"]])
        self.assertEqual(message["user_properties"][2][0], "hf-id")
        del message["user_properties"]
        self.assertEqual(message, {
            "topic": "ask/a", "payload": "how much?", "qos": 1, "retain": False,
            "content_type": "text/plain", "response_topic": "answers/1",
            "correlation_data_base64": "Yy03"})
        self.one_line_error(self.cli("publish", "t", "x", "--user-property", "k"), 2, "NAME=VALUE")

    def test_requests_are_asked_and_answered_also_with_other_clients(self):
        self.broker()
        self.agent()
        path = self.subscribe_inside("ask/us", "--json")
        granted = lambda: [f["filter"] for f in self.status()["filters"] if f.get("granted") == 1]
        wait_until("the broker has the filter", lambda: granted() == ["ask/us"])

        def answer(number, text):
            def questions():
                with open(path) as f:
                    return f.read().splitlines()
            wait_until("the question came", lambda: len(questions()) > number)
            question = json.loads(questions()[number])
            line = {"op": "publish", "topic": question["response_topic"], "payload": text,
                    "correlation_data_base64": question["correlation_data_base64"]}
            done = self.cli("publish", "--json", stdin=json.dumps(line) + "\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            return question

        ours = self.start(BIN + "/holdfast", "request", "ask/us", "how much?", "--timeout", "20s",
                          "--socket", self.socket, stdout=subprocess.PIPE)
        question = answer(0, "21")
        self.assertEqual(question["payload"], "how much?")
        self.assertEqual(question["response_topic"], "agent-test/responses")
        self.assertEqual((ours.wait(), ours.stdout.read()), (0, "21\n"))
        self.assertIn("agent-test/responses", granted())

        tls = self.subscribe_outside("x", 1).args[1:11]
        theirs = self.start("mosquitto_rr", *tls, "-t", "ask/us", "-e", "answers/rr", "-m", "and now?",
                            "-q", "1", "-W", "20", "-D", "publish", "correlation-data", "c-7",
                            stdout=subprocess.PIPE)
        self.assertEqual(answer(1, "22")["payload"], "and now?")
        self.assertEqual(theirs.stdout.read(), "22\n")

        self.one_line_error(self.cli("request", "ask/nobody", "x", "--timeout", "300ms"), 4,
                            "no answer in time")
        words = self.cli("status").stdout
        self.assertIn("requests   answered 1, timed_out 1\n", words)
        self.assertIn("filter     ask/us: granted QoS 1", words)

    def subscribe_inside(self, *args):
        """A subscriber of the agent; gives the file that it prints to."""
        path = self.path("printed-%d" % len(self.children))
        with open(path, "w") as out:
            self.start(BIN + "/holdfast", "subscribe", *args, "--socket", self.socket, stdout=out)
        return path

    def until_heard(self, path, topic):
        def heard():
            self.cli("publish", topic, "hello", "--wait", "delivered")
            with open(path) as f:
                return "hello" in f.read()
        wait_until("the subscriber hears " + topic, heard)

    def test_what_an_old_session_brings_reaches_who_wants_it(self):
        self.broker()
        agent = self.agent()
        self.until_heard(self.subscribe_inside("later"), "later")
        agent.send_signal(signal.SIGSTOP)  # it must not unsubscribe for the program that goes
        self.children[-1].kill()  # or it subscribes again as soon as there is an agent
        agent.kill()
        agent.wait()
        os.unlink(self.socket)
        outside = self.subscribe_outside("x", 1)
        subprocess.run(["mosquitto_pub", *outside.args[1:11], "-t", "later", "-q", "1", "-m", "away"],
                       check=True, timeout=60)
        self.agent()
        wait_until("it came", lambda: self.status()["inbound_unmatched"] >= 1)
        self.until_heard(self.subscribe_inside("--unmatched"), "later")
        self.assertIn("without a subscription", self.cli("status").stdout)
        self.one_line_error(self.cli("subscribe"), 2, "--unmatched")

    def test_an_empty_retained_message_clears_the_topic(self):
        self.broker()
        self.agent()
        for payload, kept in (("on", "on\n"), ("", "")):
            done = self.cli("publish", "state", payload, "--retain", "--wait", "delivered")
            self.assertEqual(done.returncode, 0, done.stderr)
            late = self.subscribe_outside("state", 1)
            late.kill()
            done = subprocess.run([*late.args, "-W", "1"], capture_output=True, text=True)
            self.assertEqual(done.stdout, kept)

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

    def history(self, *args):
        done = self.cli("history", "--json", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_an_outage_is_in_the_history_and_told_to_the_cloud_once_it_is_over(self):
        broker = self.broker()
        config = self.config(extra='[history]\ntopic = "fleet/outages"\n')
        agent = self.agent(config)
        self.until_state("connected")
        self.assertEqual([entry["event"] for entry in self.history()], ["started"])
        listener = self.start(BIN + "/holdfast", "subscribe", "fleet/#", "-n", "1", "--socket",
                              self.socket, stdout=subprocess.PIPE)
        time.sleep(0.5)
        broker.kill()
        broker.wait()
        wait_until("the outage is noticed", lambda: self.status()["verdicts"].get("tcp_refused"))
        self.assertEqual(self.cli("publish", "a/b", "x").returncode, 0)
        self.broker()
        self.until_state("connected")
        entry = wait_until("the history has it", lambda: self.history()[1:])[0]
        self.assertTrue(entry["over"])
        self.assertEqual(entry["verdict"], "server_gone")
        self.assertGreaterEqual(entry["verdicts"]["tcp_refused"], 1)
        self.assertEqual((entry["accepted"], entry["dropped"]), (1, 0))
        self.assertEqual(json.loads(listener.communicate(timeout=WAIT)[0]), entry)
        shown = self.cli("history").stdout
        self.assertIn("server_gone, tcp_refused", shown)
        agent.kill()
        agent.wait()
        self.assertEqual(self.history(self.path("outbox"))[1], entry)
        os.unlink(self.socket)
        self.one_line_error(self.cli("history", self.path("elsewhere")), 3, "elsewhere",
                            "outbox.directory")
        self.agent(config)
        again = self.history(self.path("outbox"))
        self.assertEqual(again[1], entry)
        self.assertEqual((again[2]["event"], again[2]["unclean"]), ("started", True))

    def test_a_history_that_cannot_be_written_is_said_and_harms_nothing_else(self):
        os.makedirs(self.path("outbox/history"))  # where the file should be
        broker = self.broker()
        self.agent()
        self.until_state("connected")
        broker.kill()
        broker.wait()
        wait_until("the outage is noticed", lambda: self.status()["state"] != "connected")
        self.broker()
        self.until_state("connected")
        wait_until("it is said", lambda: "the history of outages was not written: cannot open "
                   + self.path("outbox/history") in self.agent_log())
        self.assertEqual(self.cli("publish", "a/b", "x", "--wait", "delivered").returncode, 0)
        self.one_line_error(self.cli("history"), 1, "history")

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

    def test_sigusr1_logs_the_state(self):
        agent = self.agent()
        wait_until("it has a verdict", lambda: self.status()["verdict"] == "tcp_refused")
        agent.send_signal(signal.SIGUSR1)
        line = wait_until("the state is logged", lambda: next(
            (each for each in self.agent_log().splitlines() if "state: {" in each), None))
        state = json.loads(line[line.index("{"):])["status"]
        self.assertEqual((state["verdict"], state["ledger"]["balanced"]), ("tcp_refused", True))
        self.assertIsNone(agent.poll())

    def test_health_is_about_the_agent_and_not_about_the_broker(self):
        self.one_line_error(self.cli("health"), 3, "start holdfastd")
        self.agent()
        wait_until("it has a verdict", lambda: self.status()["verdict"] == "tcp_refused")
        offline = self.cli("health")
        self.assertEqual(offline.returncode, 0, offline.stderr)
        self.assertRegex(offline.stdout, "^healthy: .*, tcp_refused: .*; storage ok\n$")
        self.one_line_error(self.cli("health", "--connected"), 1, "not connected")
        self.broker()
        self.cli("reconnect")
        self.until_state("connected")
        online = self.cli("health", "--connected")
        self.assertEqual(online.returncode, 0, online.stderr)
        self.assertIn("healthy: connected to ", online.stdout)


class Outbox(Lab):
    """holdfast outbox: online and offline answers are the same, and nothing is disturbed."""

    def offline(self, *args, code=0):
        done = subprocess.run([BIN + "/holdfast", "outbox", *args], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def online(self, *args):
        done = self.cli("outbox", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def filled(self):
        """An agent without a broker, and messages of all kinds in its outbox."""
        self.agent()
        requests = [{"topic": "plant/%d" % i, "payload": "value %d" % i,
                     "lane": ("urgent", "normal", "bulk")[i % 3]} for i in range(300)]
        requests[7].update(topic="a\x1b[2Jb", qos=0, retain=True, expiry=86400)
        requests[8] = {"topic": "bytes", "payload_base64": "AP/+", "content_type": "x/y",
                       "user_properties": [["k", "v"], ["k", "w"]], "response_topic": "answers",
                       "correlation_data_base64": "AP8="}
        lines = "".join(json.dumps({"op": "publish", **one}) + "\n" for one in requests)
        done = self.cli("publish", "--json", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.path("outbox")

    def test_agent_and_directory_give_the_same_answers(self):
        folder = self.filled()
        there, here = (json.loads(text) for text in (
            self.online("stat", "--json"), self.offline("stat", folder, "--json").stdout))
        for field in ("files", "recovery"):
            del here[field]
        self.assertEqual(there, here)
        self.assertEqual(here["ledger"]["pending"], 300)
        self.assertEqual(here["lanes"], {"urgent": 100, "normal": 101, "bulk": 99})
        for args in (["ls", "--json", "--all"], ["ls", "--json", "--limit", "3", "--lane", "bulk"],
                     ["export"], ["export", "--lane", "urgent"]):
            with self.subTest(args=args):
                self.assertEqual(self.online(*args),
                                 self.offline(*args, folder).stdout.decode())
        listed = [json.loads(line) for line in self.online("ls", "--all", "--json").splitlines()]
        self.assertEqual(len(listed), 300)
        for one in listed[6:10]:
            number = str(one["message_id"])
            self.assertEqual(self.online("cat", number, "--json"),
                             self.offline("cat", number, folder, "--json").stdout.decode())
        self.assertEqual(self.offline("cat", str(listed[8]["message_id"]), folder).stdout,
                         b"\x00\xff\xfe")
        self.assertIn("300 pending", self.online("stat"))
        self.assertEqual(self.status()["ledger"]["pending"], 300)

    def test_ls_is_a_line_a_message_and_harmless_on_a_terminal(self):
        folder = self.filled()
        done = self.offline("ls", folder)
        lines = done.stdout.decode().splitlines()
        self.assertEqual(len(lines), 100)
        self.assertIn(b"100 of 300 shown", done.stderr)
        self.assertIn("a\\x1b[2Jb", lines[7])
        self.assertEqual(lines[7].split("\t")[1:6:2], ["normal", "7", "24h"])
        self.assertNotIn("\x1b", done.stdout.decode())

    def test_export_can_be_published_again(self):
        folder = self.filled()
        exported = self.offline("export", folder).stdout.decode()
        self.children[-1].kill()
        self.children[-1].wait()
        os.unlink(self.socket)
        self.agent(self.config(outbox=self.path("second")))
        done = self.cli("publish", "--json", stdin=exported)
        self.assertEqual(done.returncode, 0, done.stderr)
        again = self.offline("export", self.path("second")).stdout.decode()
        strip = lambda text: [{k: v for k, v in json.loads(line).items() if k != "id"}
                              for line in text.splitlines()]
        self.assertEqual(strip(again), strip(exported))
        wrong = self.cli("publish", "--json", stdin='{"op":"publish","topik":"x"}\n')
        self.one_line_error(wrong, 1, "topik")
        self.one_line_error(self.cli("publish"), 2, "TOPIC")
        self.assertEqual(self.cli("publish", "a/b", stdin="").returncode, 0, "it once hung")

    def test_verify_beside_a_busy_agent_never_sees_damage(self):
        self.broker()
        self.agent()
        self.until_state("connected")
        lines = "".join("%d %s\n" % (i, "x" * (i % 900)) for i in range(12000))
        with open(self.path("lines"), "w") as f:
            f.write(lines)
        with open(self.path("lines")) as f:
            publisher = self.start(BIN + "/holdfast", "publish", "busy/data", "--wait", "accepted",
                                   "--socket", self.socket, stdin=f)
            looks = 0
            while publisher.poll() is None or looks < 3:
                result = json.loads(self.offline("verify", self.path("outbox"), "--json").stdout)
                self.assertTrue(result["clean"], result)
                self.online("ls", "--json", "--limit", "20")
                looks += 1
        self.assertEqual(publisher.returncode, 0)

    def test_damage_is_named_and_repaired_only_without_an_agent(self):
        folder = self.filled()
        # Damage in the last commit could not be told from a write that was cut: make a later one.
        self.assertEqual(self.cli("publish", "later", "x").returncode, 0)
        first = json.loads(self.offline("ls", folder, "--json", "--limit", "1").stdout)
        place = json.loads(self.offline("cat", str(first["message_id"]), folder, "--json").stdout)
        self.offline("repair", "--yes", folder, code=1)
        self.children[-1].kill()
        self.children[-1].wait()
        with open(os.path.join(folder, "slot-%04d.seg" % place["slot"]), "r+b") as f:
            f.seek(place["offset"] + 40)
            byte = f.read(1)[0]
            f.seek(place["offset"] + 40)
            f.write(bytes([byte ^ 0xFF]))  # any fixed byte is sometimes there already
        text = self.offline("verify", folder, code=1).stdout.decode()
        self.assertIn("bytes %d to " % place["offset"], text)
        self.assertIn("DAMAGED", text)
        self.assertIn("would give up 1", self.offline("repair", folder, code=1).stdout.decode())
        done = self.offline("repair", "--yes", folder).stdout.decode()
        self.assertIn("gave up 1 message, counted as corrupt", done)
        stat = json.loads(self.offline("stat", folder, "--json").stdout)
        self.assertEqual(stat["ledger"]["dropped"]["corrupt"], 1)
        self.assertEqual(stat["ledger"]["pending"], 300)

    def test_mistakes_are_named_in_one_line(self):
        folder = self.filled()
        os.mkdir(self.path("empty"))
        for args, code, words in (
                (["ls", self.path("none")], 3, ["none", "outbox.directory"]),
                (["stat", self.path("empty")], 3, ["empty", "holds no outbox"]),
                (["verify", self.path("device.toml")], 3, ["device.toml"]),
                (["verify"], 2, ["DIR"]), (["repair"], 2, ["DIR"]), ([], 2, ["subcommand"]),
                (["cat", "x"], 2, ["x"]), (["cat", "77", folder], 1, ["77", "ls"]),
                (["ls", folder, "--lane", "fast"], 2, ["urgent, normal, bulk"]),
                (["ls", folder, "--limit", "0"], 2, ["limit"])):
            with self.subTest(args=args):
                done = self.cli("outbox", *args)
                self.one_line_error(done, code, *words)
        gone = subprocess.run([BIN + "/holdfast", "outbox", "ls", "--socket", self.path("nobody")],
                              text=True, capture_output=True, timeout=60)
        self.one_line_error(gone, 3, "nobody", "directory")

    def test_a_reader_that_has_had_enough_is_no_error(self):
        folder = self.filled()
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([BIN + "/holdfast", "outbox", "ls", "--all", folder], stdout=writer,
                              stderr=subprocess.PIPE, timeout=60)
        os.close(writer)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        with open("/dev/full", "w") as full:
            done = subprocess.run([BIN + "/holdfast", "outbox", "export", folder], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)


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

    # Field lesson 57.
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
        # The engines of this build: the default is always among them.
        self.assertRegex(done.stdout, r"\nengines: mosquitto(, aws_crt)?\n")


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
