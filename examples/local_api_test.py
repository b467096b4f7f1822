#!/usr/bin/env python3
"""The helpers of examples/local-api, in programs that must not notice what happens to the agent.

Goal:   each message that a program published arrives, and each command reaches it, although the agent is
        killed and started again under it.
Method: the real agent with a real mosquitto and an independent subscriber; the helpers in programs of
        their language. The agent is killed (SIGKILL) three times while they publish.
Usage:  local_api_test.py BIN_DIR [unittest arguments]
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "agent"))
import agent_test  # noqa: E402
from agent_test import Lab, wait_until  # noqa: E402

COUNT = 200
PYTHON = """
import sys, time
sys.path.insert(0, sys.argv[1])
from holdfast import Agent, Refused
agent = Agent(sys.argv[2])
agent.subscribe("commands/#", lambda message: print("command", message["payload"], flush=True))
for number in range(int(sys.argv[3])):
    agent.publish("numbers", str(number))
    time.sleep(0.005)
try:
    agent.publish("a/#")
except Refused as refused:
    print("refused", refused, flush=True)
print("all", flush=True)
sys.stdin.read()
"""
NODE = """
const {Agent} = await import(process.argv[2] + "/holdfast.mjs");
const agent = new Agent(process.argv[3]);
agent.subscribe("commands/#", (message) => console.log("command", message.payload));
for (let number = 0; number < Number(process.argv[4]); ++number) {
  await agent.publish("numbers", String(number));
  await new Promise((done) => setTimeout(done, 5));
}
await agent.publish("a/#").catch((error) => console.log("refused", error.message));
console.log("all");
process.stdin.on("end", () => agent.close()).resume();
"""
NUMBERS = "i=0; while [ $i -lt %d ]; do echo $i; i=$((i+1)); sleep 0.005; done; sleep 600" % COUNT


class Helpers(Lab):
    def setUp(self):
        super().setUp()
        self.broker(tls=False)
        self.settings = self.config(tls="false", ca="", cert="", key="")
        self.keeper = self.agent(self.settings)
        self.arrived, self.said = set(), []
        self.programs, self.readers = [], []
        outside = self.start("mosquitto_sub", "-p", str(self.port), "-t", "numbers", "-q", "1",
                             "-i", "outside", "-c", stdout=subprocess.PIPE)
        self.read(outside, lambda line: self.arrived.add(int(line)))

    def tearDown(self):
        for child in self.programs:     # with what it has started, which holds its output open
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        for child, reader in self.readers:
            child.kill()
            reader.join(20)
        super().tearDown()

    def read(self, child, take):
        def run():
            for line in child.stdout:
                take(line)
        reader = threading.Thread(target=run, daemon=True)
        reader.start()
        self.readers.append((child, reader))

    def program(self, *command, **environment):
        child = self.start(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           start_new_session=True, env={**os.environ, **environment})
        self.programs.append(child)
        self.read(child, lambda line: self.said.append(line.strip()))
        return child

    def command(self, text):
        subprocess.run(["mosquitto_pub", "-p", str(self.port), "-t", "commands/x", "-q", "1",
                        "-m", text], check=True, timeout=60)

    def hears(self, text):
        """A command given now reaches the program; the first may come before it has subscribed."""
        def heard():
            self.command(text)
            return "command " + text in self.said or "command: " + text in self.said
        wait_until("the program hears: " + text, heard)

    def kill_thrice(self):
        for share in (0.1, 0.4, 0.7):
            wait_until("some have arrived", lambda: len(self.arrived) > COUNT * share)
            self.keeper.kill()
            self.keeper.wait()
            os.unlink(self.socket)
            self.keeper = self.agent(self.settings)

    def goes_on_through_three_kills(self, child, ends_by_itself=True):
        self.kill_thrice()
        wait_until("all numbers have arrived", lambda: len(self.arrived) == COUNT, 60)
        self.hears("last")
        self.assertEqual(self.arrived, set(range(COUNT)))
        if ends_by_itself:
            wait_until("it is through", lambda: "all" in self.said)
            self.assertIn("refused invalid_topic", self.said)
            child.stdin.close()
            self.assertEqual(child.wait(timeout=20), 0)

    def test_python(self):
        self.goes_on_through_three_kills(self.program(
            sys.executable, "-c", PYTHON, str(HERE / "local-api"), self.socket, str(COUNT)))

    @unittest.skipUnless(shutil.which("node"), "no Node.js")
    def test_node(self):
        self.write("program.mjs", NODE)
        self.goes_on_through_three_kills(self.program(
            "node", self.path("program.mjs"), str(HERE / "local-api"), self.socket, str(COUNT)))

    def test_shell(self):
        self.goes_on_through_three_kills(self.program(
            str(HERE / "local-api" / "pump.sh"), "numbers", "commands/#", "sh", "-c", NUMBERS,
            HOLDFAST=agent_test.BIN + "/holdfast", HOLDFAST_SOCKET=self.socket), False)


if __name__ == "__main__":
    agent_test.BIN = os.path.abspath(sys.argv[1])
    unittest.main(argv=[sys.argv[0]] + sys.argv[2:])
