#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""run.py --bin DIR --probe FILE [--write docs/SECURITY.md] [--check]: the probes of probe.c in every tier and driver that this
machine has, and beside them in bubblewrap, runc and runsc as they come. Prints a table, or puts it between the marks of a
page; --check ends with 1 where Tier1 or Tier2 hold less than they promise. Wants root; with less, what needs it is left out.
"""
import argparse, ctypes, glob, json, os, resource, shutil, signal, socket, subprocess, sys, tempfile, threading, time

LIMITS = {"memory": 256, "processes": 64, "cpu": 0.5}
GOALS = {"E": 0, "S": 3, "L": 1}  # of Tier1, at most
USER = 64321  # of nobody
CLASSES = {"E": "effects on the machine", "S": "parts of its kernel", "L": "limits and left-overs", "C": "controls"}


class World:
    """What there is to be found on the machine."""

    def __init__(self, probe):
        self.dir = tempfile.mkdtemp(prefix="symbi-probes-")
        os.chmod(self.dir, 0o755)
        self.work = os.path.join(self.dir, "work")
        os.mkdir(self.work)
        os.chmod(self.work, 0o777)
        shutil.copy(probe, os.path.join(self.work, "probe"))
        os.chmod(os.path.join(self.work, "probe"), 0o755)
        self.word = os.path.basename(self.dir)
        self.facts = {"host": socket.gethostname(), "env": "v-" + self.word, "abstract": self.word}
        os.environ["SYMBI_PROBES_ENV"] = self.facts["env"]
        self.files = []
        for name, path in (("secret", f"{self.dir}/secret"), ("tmp", f"/tmp/{self.word}.mark"),
                           ("devshm", f"/dev/shm/{self.word}.mark")):
            with open(path, "w") as f:
                f.write("found")
            os.chmod(path, 0o644)
            self.facts[name] = path
            self.files.append(path)
        self.sockets = []
        self.serve(socket.AF_INET6, ("::", 0), "tcp")
        self.serve(socket.AF_UNIX, f"{self.dir}/socket", "socket")
        os.chmod(f"{self.dir}/socket", 0o777)
        self.serve(socket.AF_UNIX, "\0" + self.word, None)
        udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        udp.bind(("::", 0))
        self.facts["udp"] = udp.getsockname()[1]
        threading.Thread(target=self.echo, args=(udp,), daemon=True).start()
        self.facts["address"] = self.own_address()
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.shm = self.libc.shmget(os.getpid(), 4096, 0o1666)
        self.facts["shm"] = os.getpid()
        self.queue = f"/{self.word}"
        if self.libc.mq_open(self.queue.encode(), os.O_CREAT | os.O_RDWR, 0o666, None) >= 0:
            self.facts["mq"] = self.queue
        self.fd = os.open(self.dir, os.O_RDONLY | os.O_DIRECTORY)
        os.set_inheritable(self.fd, True)
        self.victim = os.fork()
        if self.victim == 0:
            self.libc.prctl(1, signal.SIGKILL)
            self.libc.prctl(15, b"probe-victim")
            time.sleep(3600)
            os._exit(0)
        self.facts["pid"] = self.victim

    def serve(self, family, at, fact):
        s = socket.socket(family)
        s.bind(at)
        s.listen(64)
        self.sockets.append(s)
        if fact:
            self.facts[fact] = s.getsockname()[1] if family == socket.AF_INET6 else at

    @staticmethod
    def echo(udp):
        while True:
            data, at = udp.recvfrom(64)
            udp.sendto(data, at)

    @staticmethod
    def own_address():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.connect(("192.88.99.7", 9))
            return s.getsockname()[0]
        except OSError:
            return ""

    def close(self):
        os.kill(self.victim, signal.SIGKILL)
        os.waitpid(self.victim, 0)
        self.libc.shmctl(self.shm, 0, None)
        self.libc.mq_unlink(self.queue.encode())
        for path in self.files:
            os.unlink(path)
        for path in glob.glob("/tmp/probe-fill-*") + glob.glob("/dev/shm/probe-fill-*"):  # of one that a limit ended
            os.unlink(path)
        shutil.rmtree("/tmp/probe-inodes", ignore_errors=True)
        shutil.rmtree(self.dir)


class Tier:
    def __init__(self, name, argv, kernel=False, ours=None, after=None, ids=()):
        self.name, self.argv, self.kernel, self.ours, self.after, self.ids = name, argv, kernel, ours, after, ids


def bundle(world, name, limits):
    """As `runc spec` makes one, with the directory bound in and limits."""
    at = os.path.join(world.dir, name)
    os.makedirs(os.path.join(at, "rootfs"))
    for d in ("work", "tmp", "proc", "dev", "sys"):
        os.mkdir(os.path.join(at, "rootfs", d))
    subprocess.run(["runc", "spec"], cwd=at, check=True)
    path = os.path.join(at, "config.json")
    with open(path) as f:
        c = json.load(f)
    c["process"]["terminal"] = False
    c["process"]["cwd"] = "/work"
    c["mounts"] += [{"destination": "/work", "type": "bind", "source": world.work, "options": ["bind", "rw"]},
                    {"destination": "/tmp", "type": "tmpfs", "source": "tmp", "options": ["nosuid", "nodev"]}]
    if limits:
        c["linux"]["resources"].update({"memory": {"limit": LIMITS["memory"] << 20}, "pids": {"limit": LIMITS["processes"]},
                                        "cpu": {"quota": int(LIMITS["cpu"] * 100000), "period": 100000}})
    return at, path, c


def in_bundle(at, path, config, command):
    def argv(args):
        config["process"]["args"] = ["./probe"] + args
        with open(path, "w") as f:
            json.dump(config, f)
        return command + ["--bundle", at]
    return argv


def tiers(world, bin_dir):
    symbi = os.path.join(bin_dir, "symbi")
    run = [symbi, "sandbox", "run", "--dir", world.work, "--max-memory", str(LIMITS["memory"]), "--max-processes",
           str(LIMITS["processes"]), "--max-cpu", str(LIMITS["cpu"])]
    boxed = run + ["--profile", "standard"]
    root = os.geteuid() == 0

    def ours(*more, before=(), profile=True):
        base = list(before) + (boxed if profile else run) + list(more)
        return lambda args: base + ["./probe"] + args

    yield Tier("None", ours("--tier", "None", profile=False))
    yield Tier("Tier1 proc", ours("--driver", "proc"), ours="Tier1")
    web = os.path.join(world.dir, "web.yaml")
    with open(web, "w") as f:
        f.write("network: {access_mode: Restricted, allowed_destinations: ['*:*']}\n")
    yield Tier("Tier1 proc, Restricted", ours("--driver", "proc", "--profile", web, profile=False), ours="Tier1")
    if root:
        user = ("setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups")
        yield Tier("Tier1 proc, of a user", ours("--driver", "proc", "--allow-degraded", before=user), ours="Tier1 of a user")
        yield Tier("Tier1 crun", ours("--driver", "crun"), ours="Tier1")
        yield Tier("Tier1 runc", ours("--driver", "runc"), ours="Tier1")
        yield Tier("Tier1 docker", ours("--driver", "docker"), ours="Tier1")
        yield Tier("Tier1 podman", ours("--driver", "podman"), ours="Tier1")
        yield Tier("Tier2 runsc", ours("--tier", "Tier2"), kernel=True, ours="Tier2")
    yield Tier("Tier3 qemu", ours("--tier", "Tier3"), kernel=True, ours="Tier3")
    if shutil.which("bwrap"):
        wrap = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--unshare-all",
                "--die-with-parent", "--new-session", "--bind", world.work, world.work, "--chdir", world.work]
        yield Tier("bubblewrap", lambda args: wrap + ["./probe"] + args)
    for command in ("runc", "runsc"):
        if not (root and shutil.which(command) and shutil.which("runc")):
            continue
        name = f"{world.word}-{command}"
        at = bundle(world, name, command == "runc")
        state = os.path.join(world.dir, name + ".state")
        base = [command, "--root", state] + (["--network=none", "--ignore-cgroups", "--platform=ptrace"] if command == "runsc" else [])
        yield Tier(command, lambda args, at=at, base=base, name=name: in_bundle(*at, base + ["run", name])(args)[:],
                   kernel=command == "runsc", ids=(name,),
                   after=lambda base=base, name=name: subprocess.run(base + ["delete", "-force" if "runsc" in base[0] else "-f", name],
                                                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def command_of(tier, args):
    argv = tier.argv(args)
    if "--bundle" in argv:  # runc wants its options in front of the name
        i = argv.index("run")
        argv = argv[:i + 1] + argv[-2:] + argv[i + 1:-2]
    return argv


def left(words):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read()
            with open(f"/proc/{pid}/stat") as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if int(pid) != os.getpid() and state != "Z" and any(w.encode() in line for w in words):
            found.append(int(pid))
    return found


def left_after(tier, mark, kill):
    """Are there processes left: after it has ended, or after who started it was killed?"""
    words = (mark,) + tuple(tier.ids)
    p = subprocess.Popen(command_of(tier, ["--stay" if kill else "--leave", mark]), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    if kill:
        up = p.stdout.readline()
        p.kill()
        if not up:
            p.wait()
            return None
    else:
        p.stdout.read(0)
    p.wait()
    for _ in range(60):  # what ends by itself has a while for it
        if not left(words):
            return False
        time.sleep(0.05)
    for pid in left(words):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return True


def run_probe(world, tier, *more):
    own = tier.kernel and (tier.ours != "Tier3" or "only=processor_limit" in more)  # a clock, above all
    facts = [f"{k}={v}" for k, v in world.facts.items()] + (["gvisor=1"] if own else []) + list(more)
    p = subprocess.run(command_of(tier, facts), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400,
                       pass_fds=(world.fd,))
    result = {}
    for line in p.stdout.splitlines():
        word = line.split()
        if len(word) == 3 and word[2] in ("open", "closed"):
            result[word[1]] = word[2] == "open"
    if tier.after:
        tier.after()
    return result, (p.stderr.strip().splitlines() or ["it did not run"])[-1][:200]


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def probe(world, tier, probes):
    result, why = run_probe(world, tier, "without=L")
    if not result:
        return None, why
    for c, name, _ in probes:  # a limit may end all that is in the sandbox: each in one of its own
        if c == "L" and not name.startswith("leaves_"):
            before, since = processor_seconds(), time.monotonic()
            result[name] = run_probe(world, tier, f"only={name}")[0].get(name, False)
            if name == "processor_limit":  # gVisor's clock is its own
                result[name] |= (processor_seconds() - before) / (time.monotonic() - since) > 0.75
    for name, kill in (("leaves_processes", False), ("leaves_when_killed", True)):
        answer = left_after(tier, f"{world.word}-{name}", kill)
        if answer is not None:
            result[name] = answer
        if tier.after:
            tier.after()
    return result, None


def table(probes, results):
    names = [t.name for t, r in results]
    out = ["| probe | " + " | ".join(names) + " |", "|-|" + "-|" * len(names)]
    for c in "ESL":
        rows = [p for p in probes if p[0] == c]
        cells = []
        for t, r in results:
            n = sum(r.get(p[1], False) for p in rows)
            cells.append(f"**{n}**" if not (t.kernel and c == "S") else f"**0** ({n} its own)")
        out.append(f"| **{CLASSES[c]}, of {len(rows)}** | " + " | ".join(cells) + " |")
    for c in "CESL":
        for _, name, doc in (p for p in probes if p[0] == c):
            cells = []
            for t, r in results:
                word = "not run" if name not in r else "open" if r[name] else "-"
                cells.append("own" if word == "open" and c == "S" and t.kernel else word if c != "C" or word != "open" else "yes")
            out.append(f"| {c} {name}: {doc} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def broken(probes, results):
    """What holds less than it promises."""
    for t, r in results:
        if not t.ours:
            continue
        missing = [p[1] for p in probes if p[0] == "C" and not r.get(p[1])]
        if missing:
            yield f"{t.name}: controls do not work: {' '.join(missing)}"
        for c, most in GOALS.items():
            if c == "S" and t.kernel:
                continue
            most = 0 if t.ours in ("Tier2", "Tier3") and c == "E" else 3 if t.ours == "Tier1 of a user" and c == "L" else most
            seen = [p[1] for p in probes if p[0] == c and r.get(p[1])]
            if len(seen) > most:
                yield f"{t.name}: {len(seen)} {CLASSES[c]} open, at most {most}: {' '.join(seen)}"


def write(path, text):
    begin, end = "<!-- probes: begin -->\n", "<!-- probes: end -->\n"
    with open(path) as f:
        page = f.read()
    head, rest = page.split(begin, 1)
    with open(path, "w") as f:
        f.write(head + begin + text + end + rest.split(end, 1)[1])


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--bin", required=True)
    a.add_argument("--probe", required=True)
    a.add_argument("--write")
    a.add_argument("--check", action="store_true")
    a.add_argument("--only", help="tiers whose name begins so")
    args = a.parse_args()
    listed = subprocess.run([args.probe, "--list"], capture_output=True, text=True, check=True).stdout.splitlines()
    probes = [tuple(line.split(" ", 2)) for line in listed]
    probes += [("L", "leaves_processes", "a process that left its session is there after the end"),
               ("L", "leaves_when_killed", "processes are there after who started them was killed")]
    world, results, absent = World(args.probe), [], []
    try:
        for tier in tiers(world, os.path.abspath(args.bin)):
            if args.only and not tier.name.startswith(args.only):
                continue
            result, why = probe(world, tier, probes)
            if result:
                results.append((tier, result))
                print(tier.name, {c: sum(result.get(p[1], False) for p in probes if p[0] == c) for c in "ESLC"}, flush=True)
            else:
                absent.append((tier, why))
                print(f"{tier.name}: not here: {why}", flush=True)
    finally:
        world.close()
    if args.check:
        if not any(t.name == "Tier1 proc" for t, r in results):
            print("skipped: Tier1 cannot be had here")
            return 77
        wrong = list(broken(probes, results))
        print("\n".join(wrong))
        return 1 if wrong else 0
    text = table(probes, results) + "".join(f"\nNot run: {t.name}: {why}\n" for t, why in absent)
    if args.write:
        write(args.write, text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
