"""Goal:   the demo's audit counts right, and its relay falls silent without FIN or RST.
Method: made-up journals and records with known losses; the real relay between two real sockets.
"""

import socket
import sys
import tempfile
import pathlib
import unittest

import demo_audit
import demo_world

RELAY = None


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


class Relay(unittest.TestCase):
    def setUp(self):
        if RELAY is None:
            self.skipTest("no --relay given")
        self.broker = socket.create_server(("127.0.0.1", 0))
        self.broker.settimeout(10)
        self.path = demo_world.RelayPath(RELAY)
        self.path.open(self.broker.getsockname()[1])
        self.device = socket.create_connection(("127.0.0.1", self.path.device_port), 10)
        self.served, _ = self.broker.accept()
        self.served.settimeout(10)

    def tearDown(self):
        for part in (self.device, self.served, self.broker, self.path):
            part.close()

    def test_passes_bytes_both_ways(self):
        self.device.sendall(b"up")
        self.assertEqual(self.served.recv(10), b"up")
        self.served.sendall(b"down")
        self.assertEqual(self.device.recv(10), b"down")

    def test_silence_holds_bytes_and_ends_back_and_speech_gives_them(self):
        self.path.silence()
        self.device.sendall(b"late")
        self.device.shutdown(socket.SHUT_WR)
        self.served.settimeout(0.2)
        with self.assertRaises(TimeoutError):  # neither bytes nor FIN nor RST
            self.served.recv(10)
        self.path.speak()
        self.served.settimeout(10)
        self.assertEqual(self.served.recv(10), b"late")
        self.assertEqual(self.served.recv(10), b"")

    def test_end_of_one_side_reaches_the_other(self):
        self.served.close()
        self.assertEqual(self.device.recv(10), b"")

    def test_broker_down_is_a_reset(self):
        self.broker.close()
        with self.assertRaises(ConnectionResetError):  # at once, or as soon as it is used
            with socket.create_connection(("127.0.0.1", self.path.device_port), 10) as second:
                second.recv(10)


class Certificates(unittest.TestCase):
    def test_chain_verifies(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            demo_world.make_certificates(folder, ["127.0.0.1"])
            for purpose, leaf in (("sslserver", "server"), ("sslclient", "client")):
                demo_world.run(demo_world.program("openssl"), "verify", "-purpose", purpose,
                               "-CAfile", folder / "ca.crt", folder / f"{leaf}.crt")
            self.assertEqual((folder / "client.key").stat().st_mode & 0o077, 0)


if __name__ == "__main__":
    if "--relay" in sys.argv:
        at = sys.argv.index("--relay")
        RELAY = sys.argv[at + 1]
        del sys.argv[at:at + 2]
    unittest.main()
