"""Goal:   the demo's audit counts right, and its world does what the account rests on.
Method: made-up journals and records with known losses; a Region of the lab with the auditor, and a
        client that speaks MQTT byte for byte.

    demo_test.py [--bin DIR] [CLASS…]      DIR: the programs of a build; needed by World
"""

import pathlib
import shutil
import socket
import ssl
import sys
import tempfile
import time
import unittest

import demo_audit
import demo_world
from tool.programs import Programs, run, wait_for

BIN = None
SILENCE = 0.5   # seconds in which nothing must come
CONNECT = b"\x10\x18\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x0bdemo-device"
CONNACK, DISCONNECT = 0x20, 0xE0
NOT_AUTHORIZED = 0x87
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"


def journal(*lines):
    return demo_audit.read_journal(lines)


def arrivals(*keys):
    return demo_audit.read_record(
        f'1.5 demo/x {{"run":"{run}","seq":{seq},"ts":1,"value":2,"unit":"1"}}\n'
        for run, seq in keys)


def ledger(accepted, delivered, pending=0, **dropped):
    return {"accepted": accepted, "delivered": delivered, "pending": pending, "dropped": dropped,
            "rejected": {}}


def number(account, name):
    return dict(account.numbers)[name]


class Audit(unittest.TestCase):
    def test_all_arrived(self):
        account = demo_audit.compare(journal("A r 1 t 1", "A r 2 t 2", "D r 1 t 1", "D r 2 t 2"),
                                     arrivals(("r", 1), ("r", 2)), ledger(2, 2))
        self.assertEqual(account.faults, [])
        self.assertEqual(number(account, "lost"), 0)

    def test_one_lost(self):
        account = demo_audit.compare(journal("A r 1 t 1", "A r 2 t 2"), arrivals(("r", 2)),
                                     ledger(2, 2))
        self.assertEqual(account.lost, [("r", 1)])
        self.assertTrue(any("never arrived" in f for f in account.faults))

    def test_lost_although_the_ledger_hides_it(self):
        """A device that forgets a message in all its books is found out by its receipt."""
        account = demo_audit.compare(journal("A r 1 t 1", "A r 2 t 2"), arrivals(("r", 2)),
                                     ledger(1, 1))
        self.assertEqual(number(account, "lost"), 1)

    def test_lost_although_the_journal_hides_it(self):
        """A message without a receipt, killed before the note, is missed by the ledger."""
        account = demo_audit.compare(journal("A r 2 t 2"), arrivals(("r", 2)), ledger(2, 2))
        self.assertEqual(len(account.faults), 1)
        self.assertIn("accepted 2", account.faults[0])

    def test_duplicates_are_counted_not_blamed(self):
        account = demo_audit.compare(journal("A r 1 t 1"), arrivals(("r", 1), ("r", 1), ("r", 1)),
                                     ledger(1, 1))
        self.assertEqual(account.faults, [])
        self.assertEqual(number(account, "duplicates"), 2)

    def test_dropped_is_not_lost(self):
        account = demo_audit.compare(journal("A r 1 t 1", "A r 2 t 2", "X r 2 t 2 dropped:expired"),
                                     arrivals(("r", 1)), ledger(2, 1, expired=1))
        self.assertEqual(account.faults, [])
        self.assertEqual(number(account, "dropped: expired"), 1)

    def test_rejected_was_never_accepted(self):
        account = demo_audit.compare(journal("A r 1 t 1", "X r 2 t 0 rejected:queue_full"),
                                     arrivals(("r", 1)), ledger(1, 1))
        self.assertEqual(account.faults, [])
        self.assertEqual(number(account, "rejected: queue_full"), 1)

    def test_pending_is_a_fault_but_no_loss(self):
        account = demo_audit.compare(journal("A r 1 t 1", "A r 2 t 2"), arrivals(("r", 1)),
                                     ledger(2, 1, pending=1))
        self.assertEqual(number(account, "lost"), 0)
        self.assertEqual(len(account.faults), 1)

    def test_more_missing_than_pending_is_loss(self):
        account = demo_audit.compare(journal("A r 1 t 1", "A r 2 t 2", "A r 3 t 3"),
                                     arrivals(("r", 1)), ledger(3, 2, pending=1))
        self.assertEqual(number(account, "lost"), 1)

    def test_ledger_out_of_balance(self):
        account = demo_audit.compare(journal("A r 1 t 1"), arrivals(("r", 1)), ledger(1, 0))
        self.assertIn("the device's ledger does not balance", account.faults)

    def test_a_killed_run_may_lack_receipts_the_last_one_may_not(self):
        killed = journal("A r1 1 t 1", "A r2 1 t 3")
        account = demo_audit.compare(killed, arrivals(("r1", 1), ("r1", 2), ("r2", 1)), ledger(3, 3))
        self.assertEqual(account.faults, [])
        account = demo_audit.compare(killed, arrivals(("r1", 1), ("r2", 1), ("r2", 2)), ledger(3, 3))
        self.assertEqual(account.faults, ["the last run delivered messages without a receipt"])

    def test_more_arrived_than_accepted(self):
        account = demo_audit.compare(journal("A r1 1 t 1", "A r2 1 t 3"),
                                     arrivals(("r1", 1), ("r1", 2), ("r2", 1)), ledger(2, 2))
        self.assertEqual(len(account.faults), 1)

    def test_order_is_of_first_arrivals(self):
        self.assertEqual(arrivals(("r", 1), ("r", 2), ("r", 1), ("r", 3)).out_of_order, 0)
        self.assertEqual(arrivals(("r", 1), ("r", 3), ("r", 2)).out_of_order, 1)

    def test_what_is_no_reading_is_foreign(self):
        record = demo_audit.read_record(["1 demo/d/status here\n", "1 audit/mark 7-1\n", "x\n",
                                         '1 t {"run":"r"}\n'])
        self.assertEqual((record.foreign, len(record.seen)), (4, 0))

    def test_damaged_journal_is_told(self):
        self.assertEqual(journal("A r 1 t 1", "A r", "Q r 1 t 1", "").damaged, 3)

    def test_nothing_happened(self):
        account = demo_audit.compare(journal(), arrivals(), ledger(0, 0))
        self.assertNotEqual(account.faults, [])


class Client:
    """The device's certificate, and MQTT 5 byte for byte."""

    def __init__(self, world):
        context = ssl.create_default_context(cafile=world.files / "ca.pem")
        context.load_cert_chain(world.files / "device.pem", world.files / "device.key")
        self.socket = context.wrap_socket(
            socket.create_connection(("127.0.0.1", world.broker.port("mqtt")), 10),
            server_hostname="localhost")
        self.send(CONNECT)
        self.answer = self.socket.recv(1000)

    def send(self, data):
        self.socket.sendall(data)

    def heard(self, seconds=10):
        self.socket.settimeout(seconds)
        return self.socket.recv(1000)

    def close(self):
        self.socket.close()


class World(unittest.TestCase):
    def setUp(self):
        if BIN is None:
            self.skipTest("no --bin given")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-demo-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = demo_world.RelayPath()
        self.broker = demo_world.Broker(self.folder, self.path, Programs(BIN))
        self.addCleanup(self.broker.close)
        self.broker.start()
        self.files = self.folder / "device"
        self.broker.make(demo_world.CLIENT_ID, self.files)

    def auditor(self):
        auditor = demo_world.Auditor(self.folder, self.path, self.broker)
        self.addCleanup(auditor.close)
        auditor.start()
        auditor.caught_up()
        return auditor

    def client(self):
        client = Client(self)
        self.addCleanup(client.close)
        return client

    def test_passes_bytes_both_ways(self):
        client = self.client()
        self.assertEqual((client.answer[0], client.answer[3]), (CONNACK, 0))
        client.send(PINGREQ)
        self.assertEqual(client.heard(), PINGRESP)

    def test_silence_holds_bytes_and_ends_back_and_speech_gives_them(self):
        client = self.client()
        self.path.silence(self.broker)
        client.send(PINGREQ)
        with self.assertRaises(TimeoutError):  # neither bytes nor FIN nor RST
            client.heard(SILENCE)
        self.assertTrue(self.connected())
        self.path.speak(self.broker)
        self.assertEqual(client.heard(), PINGRESP)
        self.path.silence(self.broker)
        client.close()
        time.sleep(SILENCE)
        self.assertTrue(self.connected())
        self.path.speak(self.broker)
        wait_for(lambda: not self.connected(), 10, "the end of the connection")

    def connected(self):
        return any(one["clientId"] == demo_world.CLIENT_ID
                   for one in self.broker.place.call("ListConnections")["connections"])

    def test_silence_and_refusal_spare_the_auditor(self):
        auditor = self.auditor()
        self.path.silence(self.broker)
        auditor.caught_up()
        self.path.speak(self.broker)
        self.broker.set_faults("not-authorized")
        auditor.caught_up()
        self.assertEqual(len(auditor.program.starts), 1)

    def test_refuses_the_device_until_allowed_again(self):
        self.broker.set_faults("not-authorized")
        refused = self.client().answer
        self.assertEqual((refused[0], refused[3]), (CONNACK, NOT_AUTHORIZED))
        self.broker.clear_faults()
        self.assertEqual(self.client().answer[3], 0)

    def test_a_kick_is_a_disconnect_packet(self):
        client = self.client()
        self.broker.kick_all()
        heard = client.heard()
        self.assertEqual((heard[0], heard[2]), (DISCONNECT, demo_world.ADMINISTRATIVE_ACTION))
        self.assertEqual(client.heard(), b"")

    def test_broker_down_ends_the_connection_and_refuses_another_until_it_is_back(self):
        client = self.client()
        ports = [self.broker.port(name) for name in ("mqtt", "mixed")]
        self.broker.kill()
        try:
            self.assertEqual(client.heard(), b"")
        except OSError:
            pass  # a reset ends it as well
        with self.assertRaises(ConnectionRefusedError):
            Client(self)
        self.broker.start()
        self.assertEqual([self.broker.port(name) for name in ("mqtt", "mixed")], ports)
        self.assertEqual(self.client().answer[3], 0)

    def test_what_is_published_while_the_auditor_is_away_reaches_it_after_the_brokers_death(self):
        auditor = self.auditor()
        self.broker.save()
        auditor.settle_and_pause_broker()
        auditor.program.hold()
        self.broker.kill()
        self.assertIsNotNone(auditor.program.wait_exit(0, 20))
        self.broker.start()
        # At once: more than AWS keeps in a second, and than may be on the way.
        run(*auditor.client("mosquitto_pub", "-i", "auditor-other", "-t", "audit/away", "-l"),
            text="".join(f"{number}\n" for number in range(300)))
        auditor.program.hold(False)
        auditor.caught_up()
        record = auditor.record.read_text().splitlines()
        self.assertEqual([line.split()[2] for line in record if " audit/away " in line],
                         [str(number) for number in range(300)])


if __name__ == "__main__":
    if "--bin" in sys.argv:
        at = sys.argv.index("--bin")
        BIN = pathlib.Path(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
