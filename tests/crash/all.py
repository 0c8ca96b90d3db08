#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# all.py - parent and worker, and every third time the spawner too, are killed -9 together: the next start finds
# every acknowledged agent, no process is left over, and the dead mount is replaced. ROUNDS by argument.
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from daemon import Daemon, settles  # noqa: E402


def writer(d, w, acked, doubt, stop):
    n = 0
    while not stop.is_set():
        n += 1
        name = f"w{w}n{n % 20}"
        text = f"tier: None\ncommand: [cat, '{w}.{n}']\n"
        doubt[w] = (name, text)
        try:
            d.write(f"agents/{name}.yaml", text)
        except OSError:
            return
        acked[name] = text
        doubt[w] = None


def main():
    rounds = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TEST_CRASH_ROUNDS", "10"))
    seed = random.randrange(1 << 30)
    rnd = random.Random(seed)
    d = Daemon()
    acked, bad = {}, []
    d.up()
    d.write("agents/stay.yaml", "tier: None\nexecution_mode: persistent\ncommand: [bash, -c, 'exec sleep 100000']\n")
    d.write("agents/wild.yaml", "tier: None\nexecution_mode: persistent\ncommand: [bash, -c, "
            "'trap \"\" TERM; (setsid sleep 100001 &); while :; do sleep 1; done']\n")
    for n in range(rounds):
        doubt, stop = [None] * 4, threading.Event()
        threads = [threading.Thread(target=writer, args=(d, w, acked, doubt, stop), daemon=True)
                   for w in range(4)]
        for t in threads:
            t.start()
        time.sleep(0.2 + rnd.random() * 0.6)
        names = {}
        for pid in d.pids():
            names[pid] = open(f"/proc/{pid}/comm").read().strip()
        before = set(d.agents_pids())
        victims = [p for p, c in names.items() if n % 3 == 2 or not c.startswith("symbi-spawn")]
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        stop.set()
        for t in threads:
            t.join(30)
        d.up()
        for w in range(4):  # what was under way is there whole or not at all
            if doubt[w] and os.path.exists(d.path(f"agents/{doubt[w][0]}.yaml")):
                if d.read(f"agents/{doubt[w][0]}.yaml") == doubt[w][1]:
                    acked[doubt[w][0]] = doubt[w][1]
        there = {f[:-5] for f in os.listdir(d.path("agents")) if f.endswith(".yaml")}
        for name, text in acked.items():
            if name not in there:
                bad.append(f"round {n}: {name} was acknowledged and is gone")
            elif d.read(f"agents/{name}.yaml") != text:
                bad.append(f"round {n}: {name} is not as it was acknowledged")
        for name in there - set(acked) - {"stay", "wild"}:
            bad.append(f"round {n}: {name} was never acknowledged")
        left = before & set(d.agents_pids())
        if left:
            bad.append(f"round {n}: processes {sorted(left)} outlived the daemon that had started them")
        if not settles(lambda: d.read("agents/stay/state") == "Running\n", 20):
            bad.append(f"round {n}: the persistent agent did not recover:\n{d.read('agents/stay/status')}"
                       f"{d.read('agents/stay/events')}{d.read('agents/stay/error')}")
        if bad:
            break
    print(f"{n + 1} rounds, {len(acked)} agents, seed {seed}")
    for b in bad[:20]:
        print("FAILED:", b)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
