# SPDX-License-Identifier: MIT
# asking.py - SHELLS processes ask one agent QUESTIONS questions each, at the same time, in one form of a
# call file and one language; every one must read its own answer.
# asking.py RUN FORM LANGUAGE SHELLS QUESTIONS, RUN being agents/NAME/run of an agent that echoes its input.
# Prints "RIGHT of ALL right, WRONG foreign"; exit status 0 when all are.
import subprocess
import sys

run, form, language, shells, questions = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])

SH = {
    "fd": 'exec 3<>"$1"; echo "$q" >&3; IFS= read -r a <&3; exec 3>&-',
    "cat": 'echo "$q" > "$1"; a=$(cat "$1")',
    "named": 'echo "$q" > "$1.d/$2-$i"; a=$(cat "$1.d/$2-$i"); rm "$1.d/$2-$i"',
}
PROGRAMS = {
    "sh": 'i=0; while [ $i -lt $3 ]; do q="q $2 $i"; %s; echo "$q=$a"; i=$((i + 1)); done',
    "python": '''
import os, sys
run, who, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
for i in range(n):
    q = f"q {who} {i}"
    if FORM == "fd":
        fd = os.open(run, os.O_RDWR)
        os.write(fd, q.encode() + b"\\n")
        a = os.read(fd, 4096)
        os.close(fd)
    else:
        path = run if FORM == "cat" else f"{run}.d/{who}-{i}"
        with open(path, "w") as f:
            f.write(q + "\\n")
        with open(path, "rb") as f:
            a = f.read()
    print(q + "=" + a.decode().rstrip("\\n"))
''',
    "node": '''
const fs = require("fs"), [run, who, n] = process.argv.slice(1);
let out = "";
for (let i = 0; i < n; i++) {
    const q = `q ${who} ${i}`;
    let a;
    if (FORM === "fd") {
        const fd = fs.openSync(run, "r+"), b = Buffer.alloc(4096);
        fs.writeSync(fd, q + "\\n");
        a = b.toString("utf8", 0, fs.readSync(fd, b, 0, 4096, null));
        fs.closeSync(fd);
    } else {
        const path = FORM === "cat" ? run : `${run}.d/${who}-${i}`;
        fs.writeFileSync(path, q + "\\n");
        a = fs.readFileSync(path, "utf8");
    }
    out += q + "=" + a.trimEnd() + "\\n";
}
fs.writeSync(1, out);
''',
}


def command(who):
    tail = [run, str(who), str(questions)]
    if language == "python":
        return ["python3", "-c", PROGRAMS["python"].replace("FORM", repr(form))] + tail
    if language == "node":
        return ["node", "-e", PROGRAMS["node"].replace("FORM", repr(form))] + tail
    return language.split() + ["-c", PROGRAMS["sh"] % SH[form], "sh"] + tail


started = [subprocess.Popen(command(w), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for w in range(shells)]
right, foreign, said = 0, 0, []
for who, p in enumerate(started):
    out, err = p.communicate()
    seen = out.decode().splitlines()
    for i in range(questions):
        q = f"q {who} {i}"
        line = next((s for s in seen if s.startswith(q + "=")), None)
        right += line == f"{q}={q}"
        if line is not None and line != f"{q}={q}":
            foreign += line != q + "="
            said.append(line)
    if err:
        said.append(err.decode()[:200])
print(f"{right} of {shells * questions} right, {foreign} foreign")
print("\n".join(said[:10]), file=sys.stderr)
sys.exit(right != shells * questions)
