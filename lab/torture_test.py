"""Goal:   the torture's audit finds each kind of loss, and does not cry wolf.
Method: made-up books, records and ledgers with known faults.
"""

import pathlib
import random
import select
import socket
import tempfile
import json
import unittest

import torture_audit as audit
import torture_disk
import torture_world


def book_of(accepted, unanswered=()):
    book = audit.Book(lanes={seq: "normal" for seq in (*accepted, *unanswered)})
    book.accepted = set(accepted)
    book.unanswered = set(unanswered)
    return book


def arrivals_of(*seqs, first=100.0):
    lines = [f"{first + i:.6f} torture/w0/normal {audit.payload_of(seq)}\n"
             for i, seq in enumerate(seqs)]
    workers, damaged = audit.read_record(lines, "torture")
    assert damaged == 0
    return workers["w0"]


def ledger_of(accepted, delivered, pending=0, **dropped):
    return {"accepted": accepted, "delivered": delivered, "pending": pending,
            "dropped": {"corrupt": 0, **dropped}, "balanced": True}


def judge(book, arrived, ledger, cuts=()):
    return audit.judge(book, arrived, list(cuts), ledger, window=2, flush=0.5)


class Judge(unittest.TestCase):
    def test_all_arrived(self):
        account = judge(book_of([1, 2]), arrivals_of(1, 2), ledger_of(2, 2))
        self.assertEqual((account.lost, account.uncounted, account.problems), ([], 0, []))

    def test_lost(self):
        account = judge(book_of([1, 2, 3]), arrivals_of(1, 3), ledger_of(3, 3))
        self.assertEqual(account.lost, [2])
        self.assertEqual(account.uncounted, 1)

    def test_lost_although_the_agent_has_forgotten_it_everywhere(self):
        account = judge(book_of([1, 2, 3]), arrivals_of(1, 3), ledger_of(2, 2))
        self.assertEqual(account.lost, [2])

    def test_a_counted_drop_is_no_loss_but_a_problem_where_nothing_was_damaged(self):
        account = judge(book_of([1, 2]), arrivals_of(1), ledger_of(2, 1, corrupt=1))
        self.assertEqual((account.lost, account.uncounted), ([], 0))
        self.assertEqual(len(account.problems), 1)

    def test_one_counted_drop_does_not_excuse_two(self):
        account = judge(book_of([1, 2, 3]), arrivals_of(1), ledger_of(2, 1, corrupt=1))
        self.assertEqual(len(account.lost), 1)

    def test_unanswered_may_arrive_or_not(self):
        for arrived, ledger in ((arrivals_of(1), ledger_of(1, 1)),
                                (arrivals_of(1, 2), ledger_of(2, 2))):
            self.assertEqual(judge(book_of([1], [2]), arrived, ledger).problems, [])

    def test_the_ledger_must_balance(self):
        account = judge(book_of([1]), arrivals_of(1), ledger_of(3, 1))
        self.assertEqual(account.uncounted, 2)

    def test_repeats_need_a_cut_and_a_recent_first_arrival(self):
        arrived = arrivals_of(1, 1)                 # at 100 and 101
        self.assertEqual(judge(book_of([1]), arrived, ledger_of(1, 1), [100.3]).problems, [])
        self.assertEqual(len(judge(book_of([1]), arrived, ledger_of(1, 1)).problems), 1)
        many = arrivals_of(1, *[1] * 9)             # nine repeats, one cut: window 2 and one recent
        self.assertEqual(len(judge(book_of([1]), many, ledger_of(1, 1), [100.3]).problems), 1)

    def test_changed_bytes_are_no_arrival(self):
        arrived = arrivals_of(1)
        arrived.add(101.0, "normal", audit.payload_of(2) + "x")
        account = judge(book_of([1, 2]), arrived, ledger_of(2, 2))
        self.assertEqual(account.lost, [2])
        self.assertTrue(any("changed bytes" in problem for problem in account.problems))

    def test_what_was_never_sent_must_not_arrive(self):
        account = judge(book_of([1]), arrivals_of(1, 2), ledger_of(2, 2))
        self.assertTrue(any("never sent" in problem for problem in account.problems))

    def test_first_arrivals_are_in_order_within_a_lane(self):
        book = book_of([1, 2, 3])
        self.assertEqual(judge(book, arrivals_of(1, 2, 1, 2, 3), ledger_of(3, 3), [102.5]).problems,
                         [])
        self.assertTrue(any("out of order" in problem for problem in
                            judge(book, arrivals_of(1, 3, 2), ledger_of(3, 3)).problems))


class Answers(unittest.TestCase):
    def test_each_answer_ends_in_one_place(self):
        book = audit.Book(waiting={1: 11, 2: 12, 3: 13})
        book.answer({"id": 1, "ok": True, "receipt": "accepted", "message_id": 7})
        book.answer({"id": 2, "ok": False, "error": "outbox_full"})
        book.cut()
        self.assertEqual((book.accepted, dict(book.rejected), book.unanswered),
                         ({11}, {"outbox_full": 1}, {13}))
        self.assertEqual(book.strange, [])

    def test_an_id_given_twice_and_an_answer_to_nothing_are_noticed(self):
        book = audit.Book(waiting={1: 11, 2: 12})
        for request in (1, 2, 3):
            book.answer({"id": request, "ok": True, "receipt": "accepted", "message_id": 7})
        self.assertEqual(len(book.strange), 2)


class Store(unittest.TestCase):
    """The writer's side: what was promised must be there at each opening, until it is settled."""

    def book(self, *lives):
        book = audit.StoreBook()
        for life in lives:
            book.life(life)
        return book

    FIRST = "O 0 0 0 0 0\nR\nP 1 3\nA 1 2 3\nS 1\n"

    def test_all_is_there(self):
        book = self.book(self.FIRST, "O 3 1 2 0 0\nM 2 3\nR\n")
        self.assertEqual((book.lost, book.uncounted, book.problems), (0, 0, []))

    def test_a_soft_settlement_may_come_back(self):
        book = self.book(self.FIRST, "O 3 0 3 0 0\nM 1 2 3\nR\n")
        self.assertEqual((book.problems, book.repeats), ([], 1))

    def test_a_settlement_before_a_later_commit_may_not(self):
        book = self.book(self.FIRST + "P 4 4\nA 4\n", "O 4 0 4 0 0\nM 1 2 3 4\nR\n")
        self.assertEqual(len(book.problems), 1)

    def test_lost(self):
        book = self.book(self.FIRST, "O 2 1 1 0 0\nM 3\nR\n")
        self.assertEqual((book.lost, book.uncounted), (1, 1))

    def test_lost_in_a_later_life_although_only_seen_never_promised(self):
        book = self.book("O 0 0 0 0 0\nR\nP 1 1\n", "O 1 0 1 0 0\nM 1\nR\n",
                         "O 1 1 0 0 0\nR\n")
        self.assertEqual(book.lost, 1)

    def test_a_drop_is_uncounted_where_nothing_was_damaged(self):
        book = self.book(self.FIRST, "O 3 1 1 1 0\nM 3\nR\n")
        self.assertGreaterEqual(book.uncounted, 1)

    def test_a_line_that_the_cut_left_unfinished_does_not_count(self):
        book = self.book("O 0 0 0 0 0\nR\nP 1 1\nA 1", "O 0 0 0 0 0\nR\n")
        self.assertEqual((book.lost, book.problems), (0, []))

    def test_wrong_bytes_twice_listed_and_never_put_are_problems(self):
        for life, problem in (("F id 1 topic x\n", "F id 1"),
                              ("O 1 0 1 0 0\nM 1 1\nR\n", "listed twice"),
                              ("O 2 0 2 0 0\nM 1 9\nR\n", "never put")):
            problems = self.book("P 1 1\nA 1\n", life).problems
            self.assertTrue(any(problem in found for found in problems), problems)

    def test_the_end_must_be_a_close_with_everything_delivered(self):
        book = self.book(self.FIRST, "O 3 1 2 0 0\nM 2 3\nR\nS 2 3\nA\nC 3 3 0 0\n")
        book.end()
        self.assertEqual(book.problems, [])
        book = self.book(self.FIRST)
        book.end()
        self.assertEqual(len(book.problems), 1)


class Choice(random.Random):
    """A cut that keeps as much of the cache as is said, in pieces of the size that is said."""

    def __init__(self, size, kept):
        super().__init__(1)
        self.answers = [size, kept]

    def choice(self, _):
        return self.answers.pop(0)


class CachedDisk(unittest.TestCase):
    """What is synced survives a cut; what is not, only as far as the cut says. Through the socket, as
    QEMU does it."""

    BLANK = bytes(4 * torture_disk.PAGE)

    def disk(self, *requests, lying=False, freeze_after=None):
        """The disk after these requests, (kind, offset, bytes) each, and a machine that then died."""
        disk = torture_disk.Disk(self.BLANK, lying)
        disk.freeze_after = freeze_after
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "disk"
            listener = torture_disk.listen(path)
            disk.serve(listener)
            with socket.socket(socket.AF_UNIX) as machine:
                machine.connect(str(path))
                machine.settimeout(20)
                hello = machine.recv(torture_disk.HELLO.size, socket.MSG_WAITALL)
                self.assertEqual(torture_disk.HELLO.unpack(hello)[2], len(self.BLANK))
                self.answers = [self.ask(disk, machine, *request) for request in requests]
            disk.join()
            listener.close()
        self.assertEqual(disk.error, "")
        return disk

    @staticmethod
    def ask(disk, machine, kind, offset=0, data=b""):
        """(error, bytes); None where the machine waits for ever."""
        machine.sendall(torture_disk.REQUEST.pack(torture_disk.REQUEST_MAGIC, 0, kind, 7, offset,
                                                  len(data)))
        if kind == torture_disk.WRITE:
            machine.sendall(data)
        while not select.select([machine], [], [], 0.01)[0]:
            if disk.frozen.is_set():
                disk.thread.join(0.2)
                return None if disk.thread.is_alive() else "hung up"
        head = machine.recv(torture_disk.REPLY.size, socket.MSG_WAITALL)
        if not head:
            return "hung up"
        error = torture_disk.REPLY.unpack(head)[1]
        wanted = len(data) if kind == torture_disk.READ and error == 0 else 0
        return error, machine.recv(wanted, socket.MSG_WAITALL) if wanted else b""

    ONE = (torture_disk.WRITE, 4096, b"a" * 4096)
    TWO = (torture_disk.WRITE, 8192, b"b" * 4096)
    SYNC = (torture_disk.FLUSH,)

    def test_a_read_sees_what_is_only_in_the_cache(self):
        self.disk(self.ONE, (torture_disk.READ, 4096, bytes(4096)))
        self.assertEqual(self.answers[1], (0, b"a" * 4096))

    def test_only_what_was_synced_is_there_after_a_cut_that_keeps_nothing(self):
        disk = self.disk(self.ONE, self.SYNC, self.TWO)
        self.assertEqual(disk.cut(Choice(512, 0)), (8, 8))
        self.assertEqual(disk.seen, bytes(4096) + b"a" * 4096 + bytes(8192))

    def test_a_cut_that_keeps_all_loses_nothing(self):
        disk = self.disk(self.ONE, self.TWO)
        self.assertEqual(disk.cut(Choice(4096, 1)), (2, 0))
        self.assertEqual(disk.seen[4096:12288], b"a" * 4096 + b"b" * 4096)

    def test_a_write_can_be_torn_within_a_block(self):
        disk = self.disk(self.ONE)
        pieces, lost = disk.cut(Choice(512, 0.5))
        self.assertEqual(pieces, 8)
        self.assertTrue(0 < lost < 8)
        self.assertEqual(disk.seen.count(b"a"), 512 * (8 - lost))

    def test_superblocks_are_not_torn(self):
        journal = torture_disk.JOURNAL_MAGIC + (4).to_bytes(4, "big") + bytes(4088)
        disk = self.disk((torture_disk.WRITE, 0, b"s" * 4096), (torture_disk.WRITE, 8192, journal))
        self.assertEqual(disk.cut(Choice(512, 0.5))[0], 2)

    # It hung up once: a machine that was killed late told of I/O errors, and that failed a run.
    def test_the_write_that_a_cut_meets_is_under_way_and_never_answered(self):
        disk = self.disk(self.ONE, self.TWO, freeze_after=1)
        self.assertEqual(self.answers, [(0, b""), None])
        self.assertTrue(disk.frozen.is_set())
        self.assertEqual(disk.cut(Choice(4096, 0)), (2, 2))

    def test_the_lying_disk_loses_what_was_synced(self):
        disk = self.disk(self.ONE, self.SYNC, lying=True)
        self.assertEqual(self.answers[1], (0, b""))
        disk.cut(Choice(4096, 0))
        self.assertEqual(disk.seen, self.BLANK)

    def test_beyond_its_end_it_refuses(self):
        disk = self.disk((torture_disk.WRITE, len(self.BLANK) - 10, b"x" * 11))
        self.assertEqual(self.answers, [(torture_disk.EINVAL, b"")])
        self.assertEqual(disk.writes, 0)


class Ledger(unittest.TestCase):
    def test_entries_are_added_one_a_line(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "ledger.json"
            for seed in (1, 2):
                torture_world.record_total({"kind": "kill", "seed": seed}, file)
            self.assertEqual([one["seed"] for one in json.loads(file.read_text())], [1, 2])
            self.assertEqual(len(file.read_text().splitlines()), 4)


if __name__ == "__main__":
    unittest.main()
