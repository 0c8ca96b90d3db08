#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# rag.py - the worker, or the whole daemon, is killed -9 again and again while documents are written, replaced and removed, entries are
# remembered and forgotten, and models are learnt: every acknowledged text is found afterwards, with the words that it has now, and
# nothing that was replaced, removed or forgotten is. Every fourth round a byte of what was kept over the restart is flipped before
# the start: documents are read again, and the log names the file. ROUNDS by argument.
import glob
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from daemon import Daemon  # noqa: E402

WRITERS, NAMES = 3, 12


def marker(writer, n):
    return f"mark{writer}x{n}"


def text_of(mark):
    return "".join(f"paragraph {i} of {mark}: the turbine, the valve and the pump are looked at every {i} weeks\n\n" for i in range(30)) + f"{mark}\n"


class Writer(threading.Thread):
    def __init__(self, d, number, state):
        super().__init__(daemon=True)
        self.d, self.number, self.state = d, number, state  # state: name -> marker or None
        self.doubt, self.stop, self.n = None, False, random.randrange(1 << 30)

    def run(self):
        rnd = random.Random(self.n)
        while not self.stop:
            self.n += 1
            name = f"w{self.number}n{rnd.randrange(NAMES)}.txt"
            mark = marker(self.number, self.n) if self.state.get(name) is None or rnd.random() < 0.7 else None
            self.doubt = (name, self.state.get(name), mark)
            try:
                if mark:
                    self.d.write(f"rag/docs/{name}", text_of(mark))
                else:
                    os.unlink(self.d.path(f"rag/docs/{name}"))
            except OSError:
                return
            self.state[name] = mark
            self.doubt = None


def ask(d, path, question):
    for _ in range(40):  # a worker that is killed meanwhile answers later or says so
        try:
            fd = os.open(d.path(path), os.O_RDWR)
            try:
                os.write(fd, question.encode())
                return os.read(fd, 1 << 20).decode()
            finally:
                os.close(fd)
        except OSError:
            time.sleep(0.1)
    sys.exit(f"FAILED: {path} does not answer")


def settle_doubt(w):
    """What was under way is there whole, or as before, or made and empty."""
    if not w.doubt:
        return
    name, before, after = w.doubt
    try:
        there = w.d.read(f"rag/docs/{name}")
    except FileNotFoundError:
        there = None
    known = {None if m is None else text_of(m): m for m in (before, after)}
    if there in known:
        w.state[name] = known[there]
    elif there == "" and before is None:
        w.state[name] = None
    else:
        sys.exit(f"FAILED: {name} is neither as it was nor as it was to be")


def flip(d, rnd):
    files = [f for f in glob.glob(d.state + "/rag/*") if os.path.basename(f) in ("index", "model")]
    if not files:
        return None
    path = rnd.choice(files)
    with open(path, "r+b") as f:
        at = rnd.randrange(os.path.getsize(path))
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 0x10]))
    return path


def main():
    rounds = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TEST_CRASH_ROUNDS", "10"))
    seed = random.randrange(1 << 30)
    rnd = random.Random(seed)
    random.seed(seed)
    d = Daemon()
    state, facts, gone, bad, named = {}, [], [], [], 0
    d.up()
    d.write("agents/a.yaml", "command: [/bin/true]\n")
    for n in range(rounds):
        writers = [Writer(d, w, state) for w in range(WRITERS)]
        before = dict(state)
        for w in writers:
            w.start()
        for _ in range(rnd.randrange(4)):
            fact = marker("f", rnd.randrange(1 << 30))
            d.write("agents/a/memory/facts", fact + "\n")
            facts.append(fact)
        time.sleep(rnd.random() * 0.8)
        whole = n % 2 == 1
        victims = [p for p in d.pids()] if whole else [d.worker()]
        for w in writers:
            w.stop = True
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        for w in writers:
            w.join(60)
        flipped = None
        if whole:
            if n % 4 == 3:
                flipped = flip(d, rnd)
            d.up()
        for w in writers:
            settle_doubt(w)
        for name, mark in before.items():
            if mark and state.get(name) != mark:
                gone.append(mark)
        there = [(name, mark) for name, mark in state.items() if mark]
        for name, mark in rnd.sample(there, min(10, len(there))):
            answer = ask(d, "rag/query", mark)
            if name not in answer:
                bad.append(f"round {n}: {mark} of {name} is not found:\n{answer}")
        for mark in gone[-10:]:
            answer = ask(d, "rag/query.json", '{"query":"%s","relevance_threshold":1}' % mark)
            if f": {mark}" in answer or f"{mark}\\n" in answer:
                bad.append(f"round {n}: {mark} is found and should not be:\n{answer}")
        for fact in facts[-5:]:
            if fact not in ask(d, "agents/a/query", fact):
                bad.append(f"round {n}: the fact {fact} is not found")
        if flipped:
            log = open(d.state + "/symbid.log").read()
            if flipped.endswith("index") and flipped not in log:  # a model that no index goes with is not read
                bad.append(f"round {n}: the log does not name {flipped}")
            named += 1
        if bad:
            break
        if n % 5 == 4 and facts:  # what is forgotten stays so
            d.write("agents/a/memory/facts", "-" + d.read("agents/a/memory/facts").split('"id":')[1].split(",")[0] + "\n")
            facts.pop(0)
            facts = [f for f in facts if f in d.read("agents/a/memory/facts")]
    print(f"{n + 1} rounds, {len(state)} names, {len(gone)} replaced or removed, {named} flipped bytes, seed {seed}")
    for b in bad[:10]:
        print("FAILED:", b)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
