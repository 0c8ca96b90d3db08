#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# worker.py - the worker is killed -9 again and again under 8 writers and 8 blocked readers: no caller sees an error,
# every acknowledged agent is there, none half, none twice, every question is asked once, every event is told once to
# every reader, and what runs lives on. ROUNDS by argument.
import json
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from daemon import Daemon, wait_for  # noqa: E402

WRITERS, READERS = 8, 8


class Load:
    """Callers of the mount; each remembers what was acknowledged to it."""

    def __init__(self, d, seed):
        self.d, self.seed = d, seed
        self.stop = False
        self.errors = []
        self.acked = {}  # name -> text, or None when removed
        self.asked = 0
        self.slow_asked = 0
        self.events = {}  # reader -> all that it read, in pieces
        self.lock = threading.Lock()
        self.threads = []

    def spec(self, n):
        return f"tier: None\nruntime: sh\ncode: 'read q; echo {n} $q'\nresource_limits: {{memory_mb: 16}}\n"

    def failed(self, what, e):
        with self.lock:
            self.errors.append(f"{what}: {e}")

    def writer(self, w):
        rnd = random.Random(self.seed * 100 + w)
        n = 0
        while not self.stop:
            n += 1
            name = f"w{w}n{rnd.randrange(40)}"
            dice = rnd.randrange(10)
            what = f"writer {w} op {n} {name} {dice}"
            try:
                if dice < 6 or self.acked.get(name) is None:
                    text = self.spec(n)
                    what += " put"
                    what += f" (over {self.acked.get(name)!r})"
                    fd = os.open(self.d.path(f"agents/{name}.yaml"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                    what += " opened"
                    os.write(fd, text.encode())
                    what += " written"
                    os.close(fd)
                    self.acked[name] = text
                elif dice < 8:
                    what += " rm"
                    os.unlink(self.d.path(f"agents/{name}.yaml"))
                    self.acked[name] = None
                else:
                    what += " ask"
                    with open(self.d.path(f"agents/{name}/run"), "r+b", buffering=0) as f:
                        f.write(b"x%d\n" % n)
                        got = f.read(4096)
                    want = self.acked[name].split("echo ")[1].split(" ")[0] + f" x{n}\n"
                    if got != want.encode():
                        self.failed(what, f"answered {got!r}, not {want!r}")
                    self.asked += 1
            except OSError as e:
                self.failed(what, e)

    def event_reader(self, r):
        try:
            with open(self.d.path("wait/events"), "rb", buffering=0) as f:
                self.events[r] = []
                while not self.stop:
                    got = f.read(65536)
                    if not got:
                        self.failed(f"reader {r}", "end of wait/events")
                        return
                    self.events[r].append(got)
        except OSError as e:
            self.failed(f"reader {r} of wait/events", e)

    def run_reader(self, r):
        """Waits for runs that take their time."""
        n = 0
        while not self.stop:
            n += 1
            try:
                if n % 2:
                    with open(self.d.path(f"agents/slow/run.d/r{r}"), "w+b", buffering=0) as f:
                        f.write(b"r%d.%d\n" % (r, n))
                        got = f.read(4096)
                else:  # as a shell does: echo >; cat
                    with open(self.d.path(f"agents/slow/run.d/r{r}"), "wb", buffering=0) as f:
                        f.write(b"r%d.%d\n" % (r, n))
                    with open(self.d.path(f"agents/slow/run.d/r{r}"), "rb", buffering=0) as f:
                        got = f.read(4096)
                with self.lock:
                    self.slow_asked += 1
                if got != b"slow r%d.%d\n" % (r, n):
                    self.failed(f"reader {r}", f"answered {got!r} to r{r}.{n}")
            except OSError as e:
                self.failed(f"reader {r} of a run, {n}", e)

    def start(self):
        for i in range(WRITERS):
            self.threads.append(threading.Thread(target=self.writer, args=(i,), daemon=True))
        for i in range(READERS):
            fn = self.event_reader if i % 2 else self.run_reader
            self.threads.append(threading.Thread(target=fn, args=(i,), daemon=True))
        for t in self.threads:
            t.start()

    def end(self):
        self.stop = True
        time.sleep(0.3)
        self.d.write("agents/last.yaml", self.spec(0))  # an event frees the readers of events
        for t in self.threads:
            t.join(60)
        stuck = sum(t.is_alive() for t in self.threads)
        if stuck:
            self.errors.append(f"{stuck} callers are stuck")


def check_events(d, load):
    """What each reader was told is a piece of the feed, whole."""
    with open(d.path("events"), "rb") as f:
        feed = f.read().splitlines()
    place = {line: i for i, line in enumerate(feed)}
    seqs = [json.loads(line)["seq"] for line in feed]
    bad = []
    bad += [f"the feed tells {feed[i].decode()} before {feed[i + 1].decode()}"
            for i in range(len(seqs) - 1) if seqs[i] >= seqs[i + 1]]
    for r, text in load.events.items():
        lines = b"".join(text).splitlines()
        if not lines:
            bad.append(f"reader {r} of wait/events was told nothing")
        elif lines[0] not in place:
            bad.append(f"reader {r} was told {lines[0]}, which is not in the feed")
        else:
            first = place[lines[0]]
            for told, was in zip(lines, feed[first:first + len(lines)] + [None] * len(lines)):
                if told != was:
                    bad.append(f"reader {r} was told {told}, the feed has {was}")
                    break
    return bad


def check_slow(d, load):
    total = d.read("agents/slow/status").split("runs_total ")[1].split()[0]
    if int(total) != load.slow_asked:
        return [f"{load.slow_asked} slow questions made {total} runs"]
    return []


def check(d, load):
    bad = list(load.errors)
    there = {n[:-5] for n in os.listdir(d.path("agents")) if n.endswith(".yaml")}
    for name, text in load.acked.items():
        if text is None and name in there:
            bad.append(f"{name} was removed and is there")
        if text is not None and name not in there:
            bad.append(f"{name} was acknowledged and is gone")
        if text is not None and name in there and d.read(f"agents/{name}.yaml") != text:
            bad.append(f"{name} is not as it was acknowledged")
    for name in there - set(load.acked) - {"slow", "count", "last"}:
        bad.append(f"{name} was never asked for")
    return bad


def main():
    rounds = int(sys.argv[1]) if sys.argv[1:] and sys.argv[1] else 30
    seed = random.randrange(1 << 30)
    rnd = random.Random(seed)
    d = Daemon("[scheduler]", "max_concurrent_tasks = 64")
    d.up()
    d.write("agents/slow.yaml", "tier: None\nruntime: sh\ncode: 'read q; sleep 0.5; echo slow $q'\n"
            "resource_limits: {memory_mb: 16}\n")
    d.write("agents/count.yaml", "tier: None\nexecution_mode: persistent\nrestart: never\n"
            "command: [bash, -c, 'i=0; while sleep 0.02; do echo $((i=i+1)); done']\n")
    wait_for(lambda: d.read("agents/count/pid") != "", 10, "the counting agent")
    pid = d.read("agents/count/pid")
    load = Load(d, seed)
    load.start()
    longest = 0.0
    for n in range(rounds):
        time.sleep(rnd.random() * 0.3)
        os.kill(d.worker(), signal.SIGKILL)
        begin = time.monotonic()
        d.read("version")
        longest = max(longest, time.monotonic() - begin)
        if load.errors:
            break
    load.end()
    bad = check(d, load) + check_slow(d, load) + check_events(d, load)
    if d.read("agents/count/pid") != pid or not os.path.exists(f"/proc/{pid.strip()}"):
        bad.append("the counting agent did not live on")
    lines = d.read("agents/count/stdout").split()
    if lines != [str(i + 1) for i in range(len(lines))]:
        bad.append("the counting agent's output has a gap")
    print(f"{n + 1} kills, worker_restarts {d.status('worker_restarts')}, "
          f"{sum(t is not None for t in load.acked.values())} agents, {load.asked} asked, "
          f"{sum(p.count(10) for t in load.events.values() for p in t)} events read, counted to {lines[-1]}, "
          f"longest wait for an answer behind a kill {longest * 1000:.0f} ms, seed {seed}")
    for b in bad[:20]:
        print("FAILED:", b)
    if load.errors:
        print("errors of the tree:", *d.read("errors").splitlines()[-5:], sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
