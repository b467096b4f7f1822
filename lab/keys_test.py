#!/usr/bin/env python3
"""Agents on WebSocket with temporary keys of the credential provider: renewed under traffic, through
outages of the provider and with a clock that is wrong, nothing is lost and each failure has its name.

    keys_test.py --bin DIR      DIR: the programs of a build
"""
import signal
import time

from region_fixture import RegionTest, run
from tool.place import Control
from tool.programs import wait_for

CONFIGURATION = """
[connection]
host = "localhost"
port = {port}
client_id = "{name}"
transport = "websocket"
[tls]
ca_file = "ca.pem"
cert_file = "device.pem"
key_file = "device.key"
[timing]
backoff_first = "{backoff}"
backoff_cap = "5m"
connect = "2s"
[outbox]
directory = "outbox"
[local]
socket = "agent.sock"
{more}
"""
EVERYTHING = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
TAKEN = "temporary keys of the role alias"


class KeysTest(RegionTest):
    def agent(self, name, seconds=0, backoff="1s"):
        """A running agent, whose keys are good for so long."""
        self.region.call("PutSwitches", assumed_seconds=seconds)
        self.make(name)
        self.allow_role(name, self.make_role(name, EVERYTHING))
        (self.devices[name] / "device.toml").write_text(CONFIGURATION.format(
            name=name, port=self.region.endpoint()["mixed"], backoff=backoff,
            more=self.sigv4(name)), encoding="utf-8")
        return self.start_agent(self.devices[name])

    def break_provider(self, **how):
        """Its answers are so from now on, until the end of the test."""
        with Control(self.region.control_socket) as control:
            control.ask("credentials.fault", **how)
        if how:
            self.addCleanup(self.break_provider)

    def granted(self, name):
        return self.log(name).count(TAKEN)

    def assert_verdict(self, name, verdict, words, seconds=60):
        super().assert_verdict(name, verdict, words, seconds)
        self.assertIn("credential provider localhost: ", self.status(name)["detail"])

    def connected(self, name):
        wait_for(lambda: self.status(name)["state"] == "connected", 90, "connected")

    def assert_nothing_lost(self, name, accepted):
        wait_for(lambda: self.status(name)["backlog"] == 0, 30, "everything delivered")
        status = self.status(name)
        self.assertTrue(status["ledger"]["balanced"], status)
        self.assertEqual(status["ledger"]["delivered"], accepted)
        for secret in ("secretAccessKey", "X-Amz-Signature", "sessionToken"):
            self.assertNotIn(secret, self.log(name))
        print(f"{name}: {accepted} messages, none lost, {status['connects']} connects, "
              f"{self.granted(name)} times keys, {status['sends_repeated']} sends repeated")

    def test_renewed_under_traffic_also_after_an_outage_of_the_provider(self):
        # A lost connection would be missed: the next attempt would come minutes later.
        self.agent("renewing", seconds=45, backoff="5m")
        self.connected("renewing")
        end = self.traffic("renewing")
        self.break_provider(status=500)
        wait_for(lambda: "cannot be renewed yet" in self.log("renewing"), 60, "a renewal that fails")
        self.assertEqual(self.status("renewing")["state"], "connected")
        self.break_provider()
        wait_for(lambda: self.granted("renewing") == 2, 40, "new keys before the end of the old")
        self.connected("renewing")
        wait_for(lambda: self.status("renewing")["connects"] == 2, 10, "one connection for each")
        self.assert_nothing_lost("renewing", end())

    def test_without_the_provider_the_old_keys_serve_to_their_end_and_messages_wait(self):
        self.agent("waiting", seconds=15)
        self.connected("waiting")
        end = self.traffic("waiting")
        self.break_provider(status=500)
        self.assert_verdict("waiting", "server_gone", "it answers 500")
        self.assertIn("cannot be renewed yet", self.log("waiting"))
        backlog = self.status("waiting")["backlog"]
        wait_for(lambda: self.status("waiting")["backlog"] > backlog, 10, "messages that wait")
        self.break_provider()
        self.ask_agent(self.devices["waiting"], "reconnect")
        self.connected("waiting")
        self.assert_nothing_lost("waiting", end())

    def test_each_wrong_answer_has_its_verdict(self):
        self.break_provider(status=429)
        self.agent("answered", backoff="5m")
        self.assert_verdict("answered", "throttled", "it answers 429")
        for how, verdict, words in (
                ({"body": "<html>"}, "protocol_error", "holds no keys: it is no JSON object"),
                ({"body": '{"credentials":{}}'}, "protocol_error", "accessKeyId is missing"),
                ({"body": "x" * 20000}, "protocol_error", "longer than 16384 bytes"),
                ({"cut_at": 100}, "server_gone", ""),
                ({"delay_ms": 60000}, "silent_peer", "in time"),
                ({"status": 404}, "not_authorized", "it answers 404")):
            with self.subTest(how=how):
                self.break_provider(**how)
                self.ask_agent(self.devices["answered"], "reconnect")
                self.assert_verdict("answered", verdict, words)
        self.break_provider()
        self.ask_agent(self.devices["answered"], "reconnect")
        self.connected("answered")

    def test_an_alias_that_is_not_allowed_or_not_there(self):
        agent = self.agent("refused", backoff="5m")
        self.connected("refused")
        file = self.devices["refused"] / "device.toml"
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace('role_alias = "refused"', 'role_alias = "another"'),
                        encoding="utf-8")
        agent.send_signal(signal.SIGHUP)
        self.assert_verdict("refused", "not_authorized", "403 Forbidden: Access Denied")
        file.write_text(text, encoding="utf-8")
        agent.send_signal(signal.SIGHUP)
        self.connected("refused")

    def test_without_an_alias_any_more_the_provider_is_left_alone(self):
        agent = self.agent("changing", seconds=12)
        self.connected("changing")
        file = self.devices["changing"] / "device.toml"
        endpoint = self.region.endpoint()
        text = file.read_text(encoding="utf-8").split("[sigv4]")[0]
        file.write_text(text.replace('transport = "websocket"', "").replace(
            f"port = {endpoint['mixed']}", f"port = {endpoint['mqtt']}"), encoding="utf-8")
        agent.send_signal(signal.SIGHUP)
        wait_for(lambda: self.status("changing")["connects"] == 2, 20, "a connection without keys")
        time.sleep(12)  # the keys would have been renewed by now
        self.assertEqual((self.granted("changing"), self.status("changing")["connects"]), (1, 2))

    def test_a_clock_that_is_wrong_is_set_right_by_the_providers(self):
        # Without it each signature would be an hour old.
        self.region.call("PutSwitches", keys_clock_ahead=3600)
        self.addCleanup(self.region.call, "PutSwitches", keys_clock_ahead=0)
        self.agent("behind", seconds=30)
        self.connected("behind")
        end = self.traffic("behind")
        wait_for(lambda: self.granted("behind") == 2, 40, "new keys in time")
        self.assert_nothing_lost("behind", end())
        self.assertEqual(self.status("behind")["verdicts"]["not_authorized"], 0)


if __name__ == "__main__":
    run(__doc__)
