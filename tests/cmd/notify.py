#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# notify.py SYMBID STATE SOCKET - a service manager: READY=1 comes when the daemon serves and not before, STOPPING=1 when
# it begins to stop; by a path and by an abstract address.
import http.client
import os
import signal
import socket
import subprocess
import sys

symbid, state, path = sys.argv[1:]


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)


def serves():
    c = Unix("symbi")
    c.request("GET", "/fs/health")
    return c.getresponse().read() == b"ok\n"


def one(address, shown):
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(address)
    manager.settimeout(120)  # a hang is a failure
    env = dict(os.environ, NOTIFY_SOCKET=shown)
    daemon = subprocess.Popen([symbid, "--state", state, "--socket", path, "--no-fuse"], env=env, stderr=subprocess.DEVNULL)
    try:
        assert manager.recv(1000) == b"READY=1"
        assert serves()
        worker = [int(p) for p in open(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read().split()
                  if open(f"/proc/{p}/comm").read() == "symbid-worker\n"]
        os.kill(worker[0], signal.SIGKILL)  # a new worker is no new start
        while True:
            try:
                if serves():
                    break
            except (OSError, http.client.HTTPException):
                pass
        daemon.send_signal(signal.SIGTERM)
        assert manager.recv(1000) == b"STOPPING=1"
        assert daemon.wait(120) == 0
        manager.setblocking(False)
        try:
            sys.exit(f"another message: {manager.recv(1000)}")
        except BlockingIOError:
            pass
    finally:
        if daemon.poll() is None:
            daemon.kill()
        manager.close()


one(state + ".notify", state + ".notify")
one("\0symbi-notify-" + str(os.getpid()), "@symbi-notify-" + str(os.getpid()))
