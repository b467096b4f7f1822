"""Worker processes of one torture run, followed on the screen until the last has brought its tally."""

import multiprocessing
import multiprocessing.connection
import signal
import sys
import time
import traceback

from tool.place import Trouble


def shares(count, workers):
    """`count` split evenly."""
    return [count // workers + (number < count % workers) for number in range(workers)]


def _work(victim, share, until, pipe):
    """The body of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # by way of close()
    tally = victim.tally
    try:
        victim.begin()
        while tally.count < share if until is None else time.monotonic() < until:
            victim.run_once()
            pipe.send((tally.count, victim.accepted(), len(tally.problems)))
            if len(tally.problems) >= 5:
                break       # enough to look at
        victim.finish()
    except BrokenPipeError:
        return              # nobody is interested any more
    except Exception as error:      # its text is the finding; nothing is passed over
        told = isinstance(error, Trouble)
        victim.wrong(str(error) if told else traceback.format_exc())
    finally:
        victim.close()
    pipe.send(tally)


class Crew:
    """One process a victim. A victim has: name, tally (with count, problems), begin(), run_once(),
    finish(), close(), wrong(text), accepted()."""

    def __init__(self, victims, count, minutes):
        context = multiprocessing.get_context("fork")
        until = None if minutes is None else time.monotonic() + minutes * 60
        self.victims = victims
        self.pipes, self.processes = [], []
        self.seen = [(0, 0, 0)] * len(victims)
        for victim, share in zip(victims, shares(count, len(victims))):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(victim, share, until, there), daemon=True)
            process.start()
            there.close()
            self.pipes.append(here)
            self.processes.append(process)

    def tallies(self, view):
        """All of them, in the order of the victims."""
        tallies = [None] * len(self.pipes)
        began = time.monotonic()
        while None in tallies:
            waiting = [pipe for pipe, tally in zip(self.pipes, tallies) if tally is None]
            for pipe in multiprocessing.connection.wait(waiting, 1):
                at = self.pipes.index(pipe)
                try:
                    got = pipe.recv()
                except EOFError:
                    raise Trouble(f"worker {self.victims[at].name} has ended by itself") from None
                if isinstance(got, tuple):
                    self.seen[at] = got
                else:
                    tallies[at] = got
            count, accepted, problems = map(sum, zip(*self.seen))
            rate = count / (time.monotonic() - began)
            view.status(f"{count:>6} cuts  {rate:5.1f} a second  accepted {accepted:>8}  "
                        f"problems {problems}")
        return tallies

    def close(self):
        for process in self.processes:
            process.terminate()
            process.join(10)
