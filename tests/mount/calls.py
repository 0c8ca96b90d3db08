#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# calls.py - 64 clients ask the same agent 10 questions each, all at once, in every form of a call file and
# from several shells and languages: each reads its own answer and nobody else's.
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from daemon import Daemon  # noqa: E402

CLIENTS, QUESTIONS = 64, 10

# Each script gets RUN (the file) and WHO, asks QUESTIONS questions and prints the answers, a line each.
SHELL = {
    "fd": 'i=0; while [ $i -lt $N ]; do exec 3<>"$RUN"; echo "$WHO-$i" >&3; CAT <&3; exec 3>&-; '
          'i=$((i+1)); done',
    "echo-cat": 'i=0; while [ $i -lt $N ]; do echo "$WHO-$i" > "$RUN"; CAT "$RUN"; i=$((i+1)); done',
    "named": 'i=0; while [ $i -lt $N ]; do echo "$WHO-$i" > "$RUN.d/$WHO"; CAT "$RUN.d/$WHO"; '
             'i=$((i+1)); done',
}
PYTHON = {
    "fd": """
for i in range(N):
    with open(RUN, "r+b", buffering=0) as f:
        f.write(f"{WHO}-{i}\\n".encode())
        while (b := f.read(65536)): sys.stdout.write(b.decode())
""",
    "echo-cat": """
for i in range(N):
    with open(RUN, "w") as f: f.write(f"{WHO}-{i}\\n")
    with open(RUN) as f: sys.stdout.write(f.read())
""",
    "named": """
for i in range(N):
    with open(f"{RUN}.d/{WHO}", "w") as f: f.write(f"{WHO}-{i}\\n")
    with open(f"{RUN}.d/{WHO}") as f: sys.stdout.write(f.read())
""",
}
NODE = {
    "fd": """for (let i = 0; i < N; i++) { const fd = fs.openSync(RUN, 'r+');
  fs.writeSync(fd, `${WHO}-${i}\\n`); const b = Buffer.alloc(4096); let n;
  while ((n = fs.readSync(fd, b, 0, 4096, null)) > 0) process.stdout.write(b.subarray(0, n));
  fs.closeSync(fd); }""",
    "echo-cat": """for (let i = 0; i < N; i++) { fs.writeFileSync(RUN, `${WHO}-${i}\\n`);
  process.stdout.write(fs.readFileSync(RUN)); }""",
    "named": """for (let i = 0; i < N; i++) { const f = `${RUN}.d/${WHO}`;
  fs.writeFileSync(f, `${WHO}-${i}\\n`); process.stdout.write(fs.readFileSync(f)); }""",
}


def clients():
    made = []
    for name, argv, cat in (("bash", ["bash", "-c"], "cat"), ("dash", ["dash", "-c"], "cat"),
                            ("busybox", ["busybox", "sh", "-c"], "busybox cat")):
        if shutil.which(argv[0]):
            made.append((name, lambda form, a=argv, c=cat: a + [SHELL[form].replace(
                # busybox's cat uses sendfile, which the kernel serves from the page cache and ends at the
                # size it knew before the answer: on a held descriptor only read(2) can see the answer.
                "CAT <&3" if c != "cat" and form == "fd" else "CAT",
                'read -r a <&3; echo "$a"' if c != "cat" and form == "fd" else c)]))
    head = "import os, sys\nRUN, WHO, N = os.environ['RUN'], os.environ['WHO'], int(os.environ['N'])"
    made.append(("python", lambda form: [sys.executable, "-c", head + PYTHON[form]]))
    if shutil.which("node"):
        head_js = "const fs = require('fs'); const {RUN, WHO} = process.env, N = +process.env.N;"
        made.append(("node", lambda form: ["node", "-e", head_js + NODE[form]]))
    return made


def main():
    d = Daemon("[scheduler]", "max_concurrent_tasks = 16")
    d.up()
    d.write("agents/echo.yaml", "tier: None\nruntime: sh\n"
            "code: 'read q; echo answer to $q'\nresource_limits: {memory_mb: 32}\n")
    kinds = clients()
    print("clients:", " ".join(k for k, _ in kinds))
    bad = 0
    for form in SHELL:
        begin = time.monotonic()
        procs = []
        for c in range(CLIENTS):
            kind, argv = kinds[c % len(kinds)]
            env = dict(os.environ, RUN=d.path("agents/echo/run"), WHO=f"{kind}.{c}", N=str(QUESTIONS))
            procs.append((kind, f"{kind}.{c}", subprocess.Popen(
                argv(form), env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)))
        right = 0
        for kind, who, p in procs:
            out, err = p.communicate(timeout=280)
            want = [f"answer to {who}-{i}" for i in range(QUESTIONS)]
            got = out.splitlines()
            right += sum(g == w for g, w in zip(got, want))
            if got != want or p.returncode or err:
                print(f"FAILED {form} {who}: exit {p.returncode}, {err[:200]!r}, got {got[:3]} ...")
        print(f"{form}: {right} of {CLIENTS * QUESTIONS} read their own answer "
              f"({time.monotonic() - begin:.1f} s)")
        bad += right != CLIENTS * QUESTIONS
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
