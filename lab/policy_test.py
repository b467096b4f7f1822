#!/usr/bin/env python3
"""What the policy of a local IoT Core forbids does not take the agent down: it is named and set
aside, all else goes on, and it arrives once the policy is mended.

    policy_test.py --bin DIR      DIR: the programs of a build
"""
import json

from region_fixture import RegionTest, run
from tool.programs import wait_for

CONFIGURATION = """
[connection]
host = "localhost"
port = {port}
client_id = "{name}"
mqtt_version = "{version}"
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
[timing]
backoff_cap = "8s"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
"""
EVERYTHING = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


class PolicyTest(RegionTest):
    def agent(self, name, version):
        """A running agent that may use topics below its own name, and no others."""
        self.make(name)
        folder = self.devices[name]
        (folder / "device.toml").write_text(CONFIGURATION.format(
            name=name, version=version, port=self.region.endpoint()["mqtt"]), encoding="utf-8")
        self.start_agent(folder)

    def cli(self, name, *words):
        said = self.ask_agent(self.devices[name], *words)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr + self.log(name))
        return said.stdout

    def publish(self, name, topic, text, wait="accepted"):
        self.cli(name, "publish", topic, text, "--wait", wait, "--timeout", "50s")

    def aside(self, name, topic):
        """What the status says of this topic, if it is set aside."""
        return next((q for q in self.status(name)["quarantine"] if q["name"] == topic), None)

    def mend(self, name):
        """The policy allows everything, and the device gets its files anew."""
        self.region.call("CreatePolicyVersion", policyName=f"{name}-policy", setAsDefault=True,
                         policyDocument=json.dumps(EVERYTHING))
        (self.devices[name] / "device.pem").touch()

    def listener(self, *topics):
        """Somebody who may hear everything."""
        name = f"listener-{topics[0].split('/', 1)[0]}"
        self.make(name, EVERYTHING)
        return self.subscribed(name, *(word for topic in topics for word in ("-t", topic)),
                               "-C", "3", "-v")

    def assert_forbidden_is_named_and_all_else_goes_on(self, name, version, seconds):
        self.agent(name, version)
        listener = self.listener(f"{name}/x", "others/" + name)
        self.publish(name, f"others/{name}", "forbidden")
        self.publish(name, f"{name}/x", "allowed")

        def named():
            found = self.aside(name, f"others/{name}")
            return found and found["confirmed"]
        wait_for(named, seconds, "the name of the topic")
        self.publish(name, f"{name}/x", "allowed", "delivered")
        status = self.status(name)
        self.assertEqual(self.aside(name, f"others/{name}")["reason"], "publish_denied")
        self.assertIsNone(self.aside(name, f"{name}/x"))
        self.assertGreaterEqual(status["verdicts"]["publish_denied"], 1)
        self.assertEqual((status["backlog"], status["parked"]), (1, 1), "kept, and not lost")
        self.assertIn("publish_denied", self.log(name))
        self.assertIn(f"others/{name}, publish_denied", self.cli(name, "status"))
        self.mend(name)
        wait_for(lambda: self.status(name)["backlog"] == 0, 60, "the message that was parked")
        self.assertEqual(self.status(name)["quarantine"], [])
        self.assertEqual(listener.output().splitlines(),
                         [f"{name}/x allowed", f"{name}/x allowed", f"others/{name} forbidden"])

    def test_a_hang_up_of_mqtt_311_is_attributed(self):
        self.assert_forbidden_is_named_and_all_else_goes_on("curt", "3.1.1", 300)
        self.assertGreaterEqual(self.status("curt")["verdicts"]["server_gone"], 3)

    def test_an_answer_of_mqtt_5_is_believed(self):
        self.assert_forbidden_is_named_and_all_else_goes_on("frank", "5", 20)
        self.assertEqual(self.status("frank")["connects"], 1)


if __name__ == "__main__":
    run(__doc__)
