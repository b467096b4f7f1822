"""The demo: a real device and a real broker, a minute of faults, and an honest account at the end.

Run it with tools/demo. docs/demo.md says what is done, what is checked and why the audit is sound.
Exit: 0 all checks passed, 1 a check failed, 2 wrong option or something is missing, 130 Ctrl-C.
"""

import argparse
import collections
import dataclasses
import pathlib
import random
import signal
import sys
import threading
import time

import demo_audit
import demo_world as world
import stage
from tool.place import Trouble
from tool.programs import Programs, wait_for


@dataclasses.dataclass
class Timing:
    connect: int = 4         # seconds, each
    silent_after: int = 6
    backoff_cap: int = 8

    @property
    def reconnect_bound(self):
        return self.backoff_cap + self.connect + 1


class Observer:
    """Polls the device's state ten times a second and remembers what matters."""

    def __init__(self, device, auditor, screen):
        self.api = world.LocalApi(device.socket)
        self.device, self.auditor, self.screen = device, auditor, screen
        self.state = None              # the last status, or None while the device is down
        self.unbalanced = 0
        self.polls = 0
        self.seen_lines = 0
        self.ended = threading.Event()
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        rest = b""
        with open(self.auditor.record, "rb") as record:
            while not self.ended.wait(0.1):
                state = self.api.status()
                *lines, rest = (rest + record.read()).split(b"\n")
                self.seen_lines += sum(b'"run":' in line for line in lines)
                with self.changed:
                    self.state = state
                    if state:
                        self.polls += 1
                        self.unbalanced += not balanced(state["ledger"])
                    self.changed.notify_all()
                self.screen.status(self._line(state))

    def _line(self, state):
        if not state:
            return f"{'down':<10} {'':<14} arrived {self.seen_lines:>6}"
        ledger = state["ledger"]
        return (f"{state['state']:<10} {state['verdict']:<14} backlog {ledger['pending']:>5}  "
                f"accepted {ledger['accepted']:>6}  delivered {ledger['delivered']:>6}  "
                f"arrived {self.seen_lines:>6}")

    def wait(self, condition, seconds):
        """Until condition(state) holds of a state of a running device; the state, or None."""
        with self.changed:
            ok = self.changed.wait_for(lambda: self.state and condition(self.state), seconds)
            return self.state if ok else None

    def close(self):
        self.ended.set()
        self.thread.join(5)
        self.api.close()


def balanced(ledger):
    return ledger["balanced"] and ledger["accepted"] == (
        ledger["delivered"] + ledger["pending"] + sum(ledger["dropped"].values()))


def new_verdicts(state, before):
    """Verdicts given since `before`, counted."""
    return collections.Counter(state["verdicts"]) - collections.Counter(before["verdicts"])


@dataclasses.dataclass
class Outcome:
    fault: str
    noticed: float = None
    verdicts: dict = None
    healed: float = None
    problems: list = dataclasses.field(default_factory=list)


class Demo:
    def __init__(self, options, folder, path, parts, screen):
        self.options, self.folder, self.path, self.screen = options, folder, path, screen
        self.random = random.Random(options.seed)
        self.timing = Timing()
        self.broker = world.Broker(folder, path, Programs(options.bin))
        self.auditor = world.Auditor(folder, path, self.broker)
        parts.append(self.broker)
        parts.append(self.auditor)
        self.device = None
        self.observer = None
        self.outcomes = []
        self.parts = parts
        self.problems = []

    # --- the beginning ---

    def begin(self):
        self.broker.start()
        self.auditor.start()
        self.auditor.caught_up()
        self.device = world.Device(self.folder, self.path, self.broker,
                                   self.options.bin / "host-telemetry", self.options.rate,
                                   self.timing)
        self.parts.append(self.device)
        self.device.start()
        self.observer = Observer(self.device, self.auditor, self.screen)
        self.parts.append(self.observer)
        if not self.observer.wait(lambda s: s["state"] == "connected" and
                                  s["ledger"]["delivered"] > 0, 20):
            raise Trouble(f"the device does not deliver; see {self.device.log}")
        self.auditor.caught_up()
        self.broker.save()  # the auditor's session now survives the broker's death
        self.screen.say(f"device connected; {self.options.rate:g} readings a second, "
                        f"seed {self.options.seed}")

    # --- the faults. Each returns when it is healed; `allowed` verdicts may also be given ---

    def kill_broker(self):
        self.auditor.settle_and_pause_broker()
        self.broker.kill()
        time.sleep(self.random.uniform(3.5, 4.5))
        self.broker.start()

    def kick_clients(self):
        self.broker.kick_all()

    def black_hole(self):
        self.path.silence(self.broker)
        time.sleep(self.timing.silent_after + self.random.uniform(2.5, 4.5))
        self.path.speak(self.broker)

    def refuse(self):
        self.broker.set_faults("not-authorized")
        self.broker.kick_all()
        time.sleep(10)
        self.broker.clear_faults()

    def faults(self):
        gone = {"server_gone", "tcp_refused"}
        return [
            ("broker killed (SIGKILL), down about 4 s", self.kill_broker, gone, gone),
            ("every client disconnected by the server", self.kick_clients, {"server_gone"},
             {"server_gone"}),
            ("black hole, no FIN, no RST", self.black_hole, {"silent_peer"},
             self.path.silent_verdicts),
            ("authentication refused for 10 s", self.refuse, {"not_authorized"},
             {"server_gone", "not_authorized"}),
            ("device killed (SIGKILL) while publishing", None, None, None),
        ]

    def inject(self, name, act, expected, allowed):
        before = self.observer.wait(lambda s: s["state"] == "connected", 20)
        if before is None:
            self.problems.append(f"{name}: the device was not connected before")
            return
        self.screen.say(f"FAULT   {name}")
        if act is None:
            outcome = self.kill_device(name, before)
        else:
            outcome = self.break_connection(name, act, expected, allowed, before)
        self.outcomes.append(outcome)
        for problem in outcome.problems:
            self.screen.say(f"WRONG   {problem}")

    def break_connection(self, name, act, expected, allowed, before):
        outcome = Outcome(name)
        # Watch while the fault is going on, so that "noticed after" is a true time.
        began = time.monotonic()
        noticed = []

        def watch():
            if self.observer.wait(lambda s: any(v in expected for v in new_verdicts(s, before)), 40):
                noticed.append(time.monotonic() - began)
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        act()
        healed = time.monotonic()
        self.screen.say("HEALED  now the time to come back counts")
        after = self.observer.wait(lambda s: s["state"] == "connected" and
                                   s["connects"] > before["connects"],
                                   self.timing.reconnect_bound + 10)
        outcome.healed = time.monotonic() - healed
        watcher.join(0.5)
        outcome.noticed = noticed[0] if noticed else None
        outcome.verdicts = dict(new_verdicts(after or self.observer.state or before, before))
        self.judge(outcome, after, expected, allowed)
        return outcome

    def judge(self, outcome, after, expected, allowed):
        given = set(outcome.verdicts)
        if not given & expected:
            outcome.problems.append(f"{outcome.fault}: expected {' or '.join(sorted(expected))}, "
                                    f"was given {', '.join(sorted(given)) or 'nothing'}")
        if given - allowed:
            outcome.problems.append(f"{outcome.fault}: unexpected verdict "
                                    f"{', '.join(sorted(given - allowed))}")
        if "silent_peer" in expected and outcome.noticed and (
                outcome.noticed > self.timing.silent_after + 1):
            outcome.problems.append(f"{outcome.fault}: noticed after {outcome.noticed:.1f} s")
        self.judge_return(outcome, after)

    def judge_return(self, outcome, after):
        if after is None:
            outcome.problems.append(f"{outcome.fault}: not connected again")
        elif outcome.healed > self.timing.reconnect_bound:
            outcome.problems.append(f"{outcome.fault}: connected {outcome.healed:.1f} s after "
                                    f"healing, bound {self.timing.reconnect_bound} s")
        else:
            self.screen.say(f"BACK    {outcome.healed:.1f} s after healing; verdicts "
                            f"{outcome.verdicts}")

    def kill_device(self, name, before):
        outcome = Outcome(name)
        runs = len(self.device.starts)
        grows = self.observer.wait(lambda s: s["ledger"]["accepted"] >
                                   before["ledger"]["accepted"], 10)
        if grows is None:
            outcome.problems.append(f"{name}: the device was not publishing")
        self.device.kill()
        wait_for(lambda: len(self.device.starts) > runs, 10, "the supervisor restarts")
        healed = self.device.starts[-1]
        after = self.observer.wait(lambda s: s["recovered_unclean"] and
                                   s["state"] == "connected",
                                   self.timing.reconnect_bound + 10)
        outcome.healed = time.monotonic() - healed
        state = self.observer.state or {}
        outcome.verdicts = {"recovered_unclean": 1} if state.get("recovered_unclean") else {}
        if not outcome.verdicts:
            outcome.problems.append(f"{name}: the next start did not see that the last one was "
                                    "killed")
        self.judge_return(outcome, after)
        return outcome

    def torment(self):
        """Rounds of all faults in a new order, until the time is up; always one whole round."""
        until = time.monotonic() + self.options.minutes * 60
        longest = 0
        while not longest or time.monotonic() + longest < until:
            began = time.monotonic()
            faults = self.faults()
            self.random.shuffle(faults)
            for fault in faults:
                time.sleep(self.random.uniform(1, 3))
                self.inject(*fault)
            longest = max(longest, time.monotonic() - began)
        while time.monotonic() < until:
            time.sleep(max(0.0, min(0.5, until - time.monotonic())))

    # --- the end ---

    def finish(self):
        """Has the device stop publishing, drains, stops it; its last ledger."""
        topic = f"{world.PREFIX}/{world.CLIENT_ID}/cmd/interval"
        self.screen.say("command {\"rate\":0}: the device stops publishing; draining")
        if not self.auditor.publish(topic, '{"rate":0}'):
            self.problems.append("the broker did not take the command")
        calm = {"accepted": None, "since": 0.0}

        def drained(state):
            ledger = state["ledger"]
            if calm["accepted"] != ledger["accepted"]:
                calm.update(accepted=ledger["accepted"], since=time.monotonic())
            return (ledger["pending"] == 0 and state["in_flight"] == 0 and
                    time.monotonic() - calm["since"] > 1)
        state = self.observer.wait(drained, 60)
        if state is None:
            self.problems.append("the device did not stop publishing and drain within 60 s")
            state = self.observer.state
        if state is None:
            raise Trouble(f"the device does not answer at the end; see {self.device.log}")
        if any(m != 0 and m != -signal.SIGKILL for m in self.device.exits):
            self.problems.append(f"the device ended by itself: {self.device.exits}")
        status, seconds = self.device.stop()
        self.screen.say(f"SIGTERM: exit status {status} after {seconds:.2f} s")
        if status != 0 or seconds > 5:
            self.problems.append(f"SIGTERM: exit status {status} after {seconds:.1f} s; "
                                 "expected 0 within 5 s")
        self.auditor.caught_up()
        self.observer.close()
        return state

    def report(self, state):
        journal = demo_audit.read_journal(
            self.device.journal.read_text(errors="replace").splitlines())
        record = demo_audit.read_record(
            self.auditor.record.read_text(errors="replace").splitlines())
        account = demo_audit.compare(journal, record, state["ledger"])
        self.problems += account.faults
        for outcome in self.outcomes:
            self.problems += outcome.problems
        if self.observer.unbalanced:
            self.problems.append(f"{self.observer.unbalanced} of {self.observer.polls} snapshots "
                                 "of the ledger did not balance")
        lines = ["", f"{'fault':<42} {'noticed':>8} {'back':>7}  verdicts"]
        for o in self.outcomes:
            noticed = "" if o.noticed is None else f"{o.noticed:.1f} s"
            lines.append(f"{o.fault:<42} {noticed:>8} {o.healed:>5.1f} s  "
                         + ", ".join(f"{k} x{v}" if v > 1 else k for k, v in o.verdicts.items()))
        lines += ["", "ledger"] + [f"  {name:<34} {value:>8}" for name, value in account.numbers]
        lines.append(f"  {'ledger balanced in snapshots':<34} "
                     f"{self.observer.polls - self.observer.unbalanced:>8} of "
                     f"{self.observer.polls}")
        lines.append("")
        lines += [f"FAILED: {problem}" for problem in self.problems]
        if not self.problems:
            lines.append(f"PASSED: lost = 0, books balanced, every fault named, back within "
                         f"{self.timing.reconnect_bound} s (seed {self.options.seed})")
        self.screen.table(lines)
        return 1 if self.problems else 0


def options_of(arguments):
    parser = argparse.ArgumentParser(
        prog="tools/demo", description="Does to a device what the field will do to it, and counts.")
    parser.add_argument("--minutes", type=float, default=1,
                        help="how long; at least one round of all faults is done (default 1)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1000000),
                        help="order and times of the faults (default: a new one, printed)")
    parser.add_argument("--rate", type=float, default=50, help="readings a second (default 50)")
    parser.add_argument("--network", choices=["auto", "namespace", "relay"], default="auto",
                        help="how the black hole is made (default: namespace when root)")
    parser.add_argument("--keep", action="store_true",
                        help="keep the work directory (it is also kept when a check fails)")
    parser.add_argument("--bin", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rate <= 0 or options.minutes <= 0:
        parser.error("--rate and --minutes must be above 0")
    if not options.bin:
        return None    # only the options were to be checked, before building
    for name in ("host-telemetry", "hf_lab_region", "hf_lab_broker.so"):
        if not (options.bin / name).exists():
            parser.error(f"{options.bin / name} is missing; tools/demo builds it")
    return options


def play(options, folder, parts, screen):
    path, why = world.make_path(options.network)
    parts.append(path)
    screen.say(f"network: {path.kind}" + (f" ({why})" if why else ""))
    demo = Demo(options, folder, path, parts, screen)
    demo.begin()
    demo.torment()
    return demo.report(demo.finish())


def main(arguments):
    options = options_of(arguments)
    if not options:
        return 0
    return stage.perform("tools/demo", play, options, world.make_folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
