#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# govern.py - the daemon, or its worker alone, is killed -9 while policies are reloaded, secrets are written and their master key
# is rotated, and runs wait for approvals: what was acknowledged is there, what was not is there whole or not at all, nothing runs
# that was not approved, and every secret opens. ROUNDS by argument.
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from daemon import BIN, Daemon, settles  # noqa: E402

RULE = """version: "1.0"
policies:
  - name: r{n}
    effect: {effect}
    resources: ["/data/**"]
    operations: [Read]
"""
GATE = """version: "1.0"
policies:
  - name: gate
    effect: Escalate
    conditions: [{resource_type: Agent}]
    resources: ["gated"]
    operations: [Execute]
"""


class Round:
    """What the writers of one round were told, and what they were not told the end of."""

    def __init__(self, d, number, secrets):
        self.d, self.number, self.stop = d, number, threading.Event()
        self.rule = self.rule_doubt = None
        self.secrets, self.secret_doubt = secrets, {}
        self.approved, self.approve_doubt = set(), None

    def policies(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            text = RULE.format(n=f"{self.number}x{n}", effect="Allow" if n % 2 else "Deny")
            self.rule_doubt = text
            try:
                self.d.write("policies/r.yaml", text)
            except OSError:
                return
            self.rule, self.rule_doubt = text, None

    def values(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            name, value = f"s{n % 30}", f"{self.number}.{n}"
            self.secret_doubt = {name: value}
            try:
                self.d.write(f"secrets/{name}", value)
            except OSError:
                return
            self.secrets[name], self.secret_doubt = value, {}

    def rotations(self):
        while not self.stop.is_set():
            subprocess.run([BIN + "/symbi", "secrets", "rotate", "--state", self.d.state], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

    def approvals(self):
        while not self.stop.is_set():
            try:
                self.d.write("agents/gated/run", "x\n")
                for name in os.listdir(self.d.path("approvals/pending")):
                    run = next(line.split()[1] for line in self.d.read(f"approvals/pending/{name}/request").splitlines()
                               if line.startswith("run "))
                    self.approve_doubt = (name, run)
                    self.d.write(f"approvals/pending/{name}/decision", "approve\n")
                    self.approved.add((name, run))
                    self.approve_doubt = None
            except (OSError, StopIteration):
                if not self.stop.is_set():
                    time.sleep(0.02)


def check(d, r, ran, bad):
    n = r.number
    if r.rule or r.rule_doubt:
        text = d.read("policies/r.yaml") if os.path.exists(d.path("policies/r.yaml")) else None
        if text not in (r.rule, r.rule_doubt):
            bad.append(f"round {n}: the policy file is neither the acknowledged one nor the one under way: {text!r}")
        elif text:
            want = text.split("effect: ")[1].split()[0]
            fd = os.open(d.path("policies/check"), os.O_RDWR)
            os.write(fd, b"Read /data/x\n")
            answer = os.read(fd, 4096).decode()
            os.close(fd)
            if f"effect {want}\n" not in answer:
                bad.append(f"round {n}: the file says {want}, decided is {answer!r}")
    if not settles(lambda: not os.path.exists(d.state + "/master.key.next"), 30):
        bad.append(f"round {n}: a rotation that was under way does not end")
    for name, value in list(r.secrets.items()):
        seen = d.read(f"secrets/{name}")
        if seen == r.secret_doubt.get(name):
            r.secrets[name] = seen
        elif seen != value:
            bad.append(f"round {n}: secret {name} is {seen!r}, acknowledged was {value!r}")
    for name, value in r.secret_doubt.items():
        if name not in r.secrets and os.path.exists(d.path(f"secrets/{name}")) and d.read(f"secrets/{name}") not in (value, ""):
            bad.append(f"round {n}: secret {name} is half written")
    for name, run in r.approved:
        if os.path.exists(d.path(f"approvals/pending/{name}")):
            bad.append(f"round {n}: approval {name} was given, and is pending again")
        ran.add(run)
    if r.approve_doubt:
        ran.add(r.approve_doubt[1])
    began = {line.strip() for line in open(d.dir + "/began")} if os.path.exists(d.dir + "/began") else set()
    for run in began - ran:
        bad.append(f"round {n}: run {run} of the gated agent began without an approval")


def main():
    rounds = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TEST_CRASH_ROUNDS", "10"))
    seed = random.randrange(1 << 30)
    rnd = random.Random(seed)
    for name in ("SYMBIONT_MASTER_KEY", "SYMBIONT_MASTER_KEY_FILE", "CREDENTIALS_DIRECTORY"):
        os.environ.pop(name, None)
    d = Daemon("[approvals]", "keep = 100000", "[runs]", "keep = 100000")
    bad, ran, secrets = [], set(), {}
    d.up()
    subprocess.run([BIN + "/symbi", "secrets", "keygen", "--state", d.state], check=True, stdout=subprocess.DEVNULL)
    d.write("policies/gate.yaml", GATE)
    d.write("agents/gated.yaml", f"tier: None\nruntime: sh\ncode: |\n  echo $SYMBI_RUN >> {d.dir}/began\n")
    rotated = 0
    for n in range(rounds):
        r = Round(d, n, secrets)
        before = open(d.state + "/master.key").read()
        threads = [threading.Thread(target=t, daemon=True) for t in (r.policies, r.values, r.rotations, r.approvals)]
        for t in threads:
            t.start()
        time.sleep(0.1 + rnd.random() * 0.6)
        names = {pid: open(f"/proc/{pid}/comm").read().strip() for pid in d.pids()}
        for pid, comm in names.items():
            if comm == "symbid-worker" or (n % 2 and not comm.startswith("symbi-spawn")):
                os.kill(pid, signal.SIGKILL)
        r.stop.set()
        for t in threads:
            t.join(30)
        if n % 2:
            d.up()
        if not settles(lambda: os.path.exists(d.path("status")), 30):
            bad.append(f"round {n}: the daemon does not come back")
            break
        check(d, r, ran, bad)
        rotated += open(d.state + "/master.key").read() != before
        if bad:
            break
    print(f"{n + 1} rounds, {len(secrets)} secrets, {rotated} with another key behind them, {len(ran)} approvals, seed {seed}")
    if not bad:
        d.write("audit/verify", "now\n")
        print(d.read("audit/verify"))
    for b in bad[:20]:
        print("FAILED", b)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
