#!/usr/bin/env python3
"""How many messages a second pass through the local API, from many programs at once, each answered.

    local_api.py --bin DIR [--messages N] [--clients N] [--repeats N] [--json]

DIR holds holdfastd. The agent is offline, so that what is measured is the API and what stands behind it:
the commit to disk of durable messages, and RAM for volatile ones. Each client writes lines that were made
before and reads an answer to each; all must be receipts. Clients are processes. The outbox is emptied between the runs, and the
order of the runs alternates. Python 3 standard library.
"""
import argparse
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PATIENCE = 120
PAYLOAD = "x" * 100
# Without an answer: the agent takes 4096 of a client (docs/local-api.md), and 8192 of all.
WINDOW, WINDOW_OF_ALL = 4000, 8000
KINDS = (("durable", "api_durable_per_second"), ("memory", "api_volatile_per_second"))


def lines_of(durability, count):
    line = json.dumps({"op": "publish", "id": 1, "topic": "bench/a/b", "payload": PAYLOAD,
                       "durability": durability, "receipt": "accepted"}) + "\n"
    return line.encode() * count


def client(path, lines, count, window, begin, result):
    """Sends its lines, reads as many answers; tells how many were receipts, and the last."""
    answers, good, last, sent, rest = 0, 0, b"", 0, b""
    size, step = len(lines) // count, window // 16
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(PATIENCE)
        agent.connect(path)
        begin.wait(PATIENCE)
        while answers < count:
            while sent < count and sent - answers <= window - step:
                agent.sendall(lines[sent * size:(sent + step) * size])
                sent += min(step, count - sent)
            data = agent.recv(1 << 18)
            if not data:
                break
            whole, _, rest = (rest + data).rpartition(b"\n")
            answers += whole.count(b"\n") + (1 if whole else 0)
            good += whole.count(b'"receipt":"accepted"')
            last = whole[-200:] or last
    result.put((good, last))


def measure(folder, bin_dir, durability, messages, clients):
    """Messages a second, and the CPU of the agent for one, in µs."""
    outbox = os.path.join(folder, "outbox")
    subprocess.run(["rm", "-rf", outbox], check=True)
    path = os.path.join(folder, "api.sock")
    config = os.path.join(folder, "bench.toml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f'profile = "generic"\n[connection]\nhost = "127.0.0.1"\nport = 1\n'
                   f'client_id = "bench"\n[tls]\nenabled = false\n[limits]\nmemory = "512MiB"\n'
                   f'[outbox]\ndirectory = "{outbox}"\nmax_size = "1GiB"\n[local]\nsocket = "{path}"\n')
    agent = subprocess.Popen([os.path.join(bin_dir, "holdfastd"), "--config", config],
                             stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not listening(path):
            if agent.poll() is not None or time.monotonic() > until:
                sys.exit("local_api.py: the agent does not start; run it by hand with " + config)
            time.sleep(0.01)
        share, window = messages // clients, min(WINDOW, WINDOW_OF_ALL // clients)
        begin, result = multiprocessing.Barrier(clients + 1), multiprocessing.Queue()
        all_of = [multiprocessing.Process(
            target=client, daemon=True,
            args=(path, lines_of(durability, share), share, window, begin, result))
            for _ in range(clients)]
        for one in all_of:
            one.start()
        begin.wait(PATIENCE)
        before, start = cpu_of(agent.pid), time.monotonic()
        results = [result.get(timeout=PATIENCE) for _ in all_of]
        seconds, cpu = time.monotonic() - start, cpu_of(agent.pid) - before
        for good, last in results:
            if good != share:
                sys.exit(f"local_api.py: {good} receipts for {share} messages; the last answer: "
                         f"{last.decode(errors='replace')}")
        for one in all_of:
            one.join(PATIENCE)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(PATIENCE)
    return share * clients / seconds, cpu / (share * clients) * 1e6


def listening(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rates = {name: [] for _, name in KINDS}
    cpu = []
    with tempfile.TemporaryDirectory(prefix="hf-bench-") as folder:
        for turn in range(options.repeats):
            for durability, name in KINDS if turn % 2 == 0 else reversed(KINDS):
                rate, cost = measure(folder, options.bin, durability, options.messages,
                                     options.clients)
                rates[name].append(rate)
                if durability == "durable":
                    cpu.append(cost)
                print(f"{durability}: {rate:,.0f} a second, {cost:.1f} µs of CPU each",
                      file=sys.stderr, flush=True)
    figures = {name: [statistics.median(all_of), min(all_of), max(all_of)]
               for name, all_of in {**rates, "api_cpu_us_per_message": cpu}.items()}
    print(json.dumps(figures) if options.json else
          "\n".join(f"{name}: {value[0]:,.1f}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
