# SPDX-License-Identifier: MIT
# daemon.py - a daemon of its own for a test written in Python: state, mount, what it runs, and its end.
import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("TEST_BIN_DIR") or os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "../../build/release/bin")


def skip(why):
    print("skipped:", why)
    sys.exit(77)


class Daemon:
    def __init__(self, *settings):
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            skip("/dev/fuse cannot be opened")
        self.dir = tempfile.mkdtemp(prefix="symbi-test-")
        os.chmod(self.dir, 0o755)
        self.mount, self.state = self.dir + "/m", self.dir + "/s"
        self.conf = self.dir + "/test.toml"
        with open(self.conf, "w") as f:
            f.write(f'[native_execution]\nenabled = true\nworking_directory = "{self.dir}/work"\n'
                    + "".join(s + "\n" for s in settings))
        os.environ["TEST_MARK"] = self.dir  # found again in /proc/PID/environ
        atexit.register(self.end)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a test's time ran out: its daemon ends with it

    def up(self):
        subprocess.run([BIN + "/symbi", "up", "--mount", self.mount, "--state", self.state,
                        "--config", self.conf], check=True, stdout=subprocess.DEVNULL)

    def path(self, name):
        return self.mount + "/" + name

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def status(self, key):
        for line in self.read("status").splitlines():
            if line.startswith(key + " "):
                return line[len(key) + 1:]
        return None

    def worker(self):
        return int(self.status("worker_pid"))

    def pids(self):
        """The daemon's own processes, whoever their parents are."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
                env = open(f"/proc/{pid}/environ", "rb").read()
            except OSError:
                continue
            if os.path.basename(exe).startswith("symbi") and self.dir.encode() in env:
                found.append(int(pid))
        return found

    def agents_pids(self):
        """Processes of agents: their HOME is below our working directory."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                env = open(f"/proc/{pid}/environ", "rb").read()
            except OSError:
                continue
            if b"HOME=" + self.dir.encode() + b"/work" in env:
                found.append(int(pid))
        return found

    def end(self):
        subprocess.run([BIN + "/symbi", "down", "--mount", self.mount], timeout=60,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for pid in self.pids() + self.agents_pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        subprocess.run(["umount", "-l", self.mount], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


def settles(fact, seconds):
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def wait_for(fact, seconds, what):
    if not settles(fact, seconds):
        sys.exit(f"FAILED: {what} did not come true in {seconds} s")
