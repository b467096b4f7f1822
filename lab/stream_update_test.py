#!/usr/bin/env python3
"""Updates over MQTT file streams of a local IoT Core: blocks that are lost, doubled and shuffled, updaters
that are killed, URLs that are over, streams that are changed or gone.

    stream_update_test.py --bin DIR      DIR: the programs of a build
"""
import json
import os
import signal
import subprocess

from region_fixture import run
from tool import fault
from updater_fixture import UpdaterTest

BLOCK = 16 * 1024   # limits::kStreamBlock
ROLE = "arn:aws:iam::123456789012:role/r"


class StreamTest(UpdaterTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.lose, dropped=0, duplicated=0, shuffled=False)

    def lose(self, dropped, duplicated, shuffled):
        self.region.call("PutSwitches", streams_dropped_per_mille=dropped,
                         streams_duplicated_per_mille=duplicated, streams_shuffled=shuffled)

    def streamed(self, version, blocks=20, **files):
        """An update whose artifact is file 7 of a stream of its own, too; and the artifact."""
        update = self.artifact(version, data=os.urandom(blocks * BLOCK).hex()[:blocks * BLOCK])
        name = f"{self.name}-{version}.tar.gz"
        stream = f"{self.name}-{version}".replace(".", "_")
        self.region.call("CreateStream", streamId=stream, roleArn=ROLE, files=[
            {"fileId": 7, "s3Location": {"bucket": "firmware", "key": name}}])
        return {**update, "stream": stream, "file": 7}, self.region.file("files") / "firmware" / name

    def without_url(self, update):
        return {"holdfast": 1, "update": {k: v for k, v in update.items() if k != "url"}}

    def test_an_update_comes_by_a_stream_that_loses_doubles_and_shuffles(self):
        self.lose(dropped=200, duplicated=200, shuffled=True)
        self.start()
        update, file = self.streamed("1.0", blocks=40)
        made = subprocess.run(
            [self.bin / "holdfast-updater", "job", "make", file, "--application", "pump", "--release",
             "1.0", "--stream", update["stream"], "--file", "7", "--key", self.device / "sign.key"],
            check=True, capture_output=True).stdout
        self.assertEqual(json.loads(made), self.without_url(update))
        self.ends(self.queue(json.loads(made)), "SUCCEEDED", 120)
        self.assertEqual(self.current(), "1.0")
        # Nobody listens any more.
        self.wait(lambda: not any("/streams/" in one["filter"] for one in
                                  self.status(self.name)["filters"]), 20, "the end of listening")

    def test_a_killed_updater_and_a_lost_connection_go_on_where_they_were(self):
        self.start(rate="64KiB")
        update, _ = self.streamed("1.0", blocks=60)
        job = self.queue(self.without_url(update))
        part = self.device / "updater" / "artifact.part"

        def has(size):
            self.wait(lambda: part.exists() and part.stat().st_size >= size, 60, f"{size} bytes")
        has(8 * BLOCK)
        os.killpg(self.updater.pid, signal.SIGKILL)
        self.updater.wait()
        had = part.stat().st_size
        self.start(rate="64KiB")
        has(had + 1)
        fault.run_kick(self.place, [self.name])
        self.ends(job, "SUCCEEDED", 120)
        self.assertEqual(self.current(), "1.0")

    def test_a_url_that_fails_for_good_is_replaced_by_the_stream(self):
        self.start()
        update, file = self.streamed("1.0")
        gone = update | {"url": update["url"].replace(file.name, "gone.tar.gz")}
        self.ends(self.queue({"holdfast": 1, "update": gone}), "SUCCEEDED", 60)
        self.assertIn("the server says 404", self.words())
        # One that is always over, however often another one is asked for.
        update, file = self.streamed("1.1")
        fault.run_download(self.place, [f"firmware/{file.name}", "--expired"])
        self.ends(self.queue({"holdfast": 1, "update": update}), "SUCCEEDED", 90)
        self.assertEqual(self.current(), "1.1")
        self.assertIn("the server says 403", self.words())

    def test_a_stream_goes_on_where_the_url_was_cut(self):
        self.lose(dropped=1000, duplicated=0, shuffled=False)
        self.start()
        update, file = self.streamed("1.0", blocks=40)
        half = update["size"] // 2
        fault.run_download(self.place, [f"firmware/{file.name}", "--cut-at", str(half)])
        job = self.queue({"holdfast": 1, "update": update})
        self.wait(lambda: "its stream, then" in self.words(), 60, "the stream")
        part = self.device / "updater" / "artifact.part"
        self.assertEqual(part.stat().st_size, half)
        begun = part.read_bytes()
        self.lose(dropped=0, duplicated=0, shuffled=False)
        self.wait(lambda: not part.exists() or part.stat().st_size > half, 60, "a block")
        self.assertEqual(begun, file.read_bytes()[:half])
        self.ends(job, "SUCCEEDED", 60)

    def test_what_a_stream_does_not_have_or_has_otherwise_ends_the_job(self):
        self.start()
        update, file = self.streamed("1.0")
        for changes, words in (({"stream": "absent"}, "refuses the stream: ResourceNotFound"),
                               ({"file": 3}, "the stream has no file 3"),
                               ({"size": 5}, "bytes instead of 5")):
            with self.subTest(words=words):
                wrong = update | changes
                wrong["signature"] = self.sign_update(wrong)
                self.assertIn(words, self.ends(self.queue(self.without_url(wrong)), "FAILED")["reason"])
        wrong = update | {"sha256": "00" * 32}
        wrong["signature"] = self.sign_update(wrong)
        self.assertIn("SHA-256", self.ends(self.queue(self.without_url(wrong)), "REJECTED")["reason"])
        file.write_bytes(b"x" * update["size"])     # since the stream was made
        self.assertIn("ETagMismatch",
                      self.ends(self.queue(self.without_url(update)), "FAILED")["reason"])
        self.assertIsNone(self.current())
        self.assertFalse((self.device / "updater" / "artifact").exists())


if __name__ == "__main__":
    run(__doc__)
