# SPDX-License-Identifier: MIT
# walkers.py MOUNT ROUNDS WALKERS - processes that open and read every file below MOUNT, over and over, in pieces
# of random size from random places, without waiting (O_NONBLOCK); every other one as an ordinary user if that
# can be had. Each prints what it met; exit status 1: an error that no walker may see.
import errno
import os
import random
import sys

mount, rounds, walkers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
OTHER = 54321
# A file may go or change between readdir, open and read; may not be ours; may have nothing to read now; is no
# file to seek in. Nothing else may happen.
MAY = {errno.ENOENT, errno.ESTALE, errno.EACCES, errno.EAGAIN, errno.ENODATA, errno.ESPIPE}


def read_file(path, met):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        size = os.fstat(fd).st_size
        for _ in range(4):
            how, at = random.choice((1, 7, 100, 4096, 65536)), random.randrange(0, size + 2)
            try:
                if random.random() < 0.5:
                    met["bytes"] += len(os.pread(fd, how, at))
                else:
                    met["bytes"] += len(os.read(fd, how))
            except OSError as e:
                met[errno.errorcode[e.errno]] = met.get(errno.errorcode[e.errno], 0) + 1
                if e.errno not in MAY:
                    met["bad"].append(f"read {path}: {e}")
    finally:
        os.close(fd)
    met["files"] += 1


def walk(number):
    random.seed(number)
    if number % 2 and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(OTHER, OTHER, OTHER)
        os.setresuid(OTHER, OTHER, OTHER)
    met = {"files": 0, "bytes": 0, "bad": []}

    def on_error(e):
        met[errno.errorcode[e.errno]] = met.get(errno.errorcode[e.errno], 0) + 1
        if e.errno not in MAY:
            met["bad"].append(f"{e.filename}: {e}")

    for _ in range(rounds):
        for directory, _, files in os.walk(mount, onerror=on_error):
            random.shuffle(files)
            for name in files:
                try:
                    read_file(os.path.join(directory, name), met)
                except OSError as e:
                    on_error(e)
    print(f"walker {number} uid {os.geteuid()}: {met}", flush=True)
    os._exit(1 if met["bad"] or not met["files"] else 0)


pids = []
for n in range(walkers):
    pid = os.fork()
    if pid == 0:
        walk(n)
    pids.append(pid)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(p, 0)[1]) for p in pids))
