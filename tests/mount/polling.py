# SPDX-License-Identifier: MIT
# polling.py - poll(2), epoll level and edge triggered, and O_NONBLOCK on wait/ and on call files.
# polling.py MOUNT, where the agents `a` (cat) and `p` (persistent) are. Prints "ok FACT" or "FAIL FACT".
import errno
import os
import select
import sys

mount = sys.argv[1]
agents = mount + "/agents"
HANG = 60000  # ms after which something never comes


def fact(what, good, seen=""):
    print("ok " + what if good else f"FAIL {what}; seen: {seen}", flush=True)


def ask(text):
    fd = os.open(agents + "/a/run", os.O_RDWR)
    os.write(fd, text)
    answer = os.read(fd, 4096)
    os.close(fd)
    return answer


def would_block(fd):
    try:
        return False, os.read(fd, 4096)
    except OSError as e:
        return e.errno == errno.EAGAIN, e


def drain(fd):
    data = b""
    while True:
        try:
            part = os.read(fd, 4096)
        except BlockingIOError:
            return data
        if not part:
            return data
        data += part


# ---- wait/events ----
fd = os.open(mount + "/wait/events", os.O_RDONLY | os.O_NONBLOCK)
fact("O_NONBLOCK read of wait/events is EAGAIN", *would_block(fd))
p = select.poll()
p.register(fd, select.POLLIN)
fact("poll of wait/events: nothing yet", p.poll(0) == [], p.poll(0))
level = select.epoll()
level.register(fd, select.EPOLLIN)
fact("epoll: nothing yet", level.poll(0) == [], "")
ask(b"one\n")
fact("poll: ready after an event", p.poll(HANG) == [(fd, select.POLLIN)], p.poll(0))
fact("epoll level: ready", [e for _, e in level.poll(HANG / 1000)] == [select.EPOLLIN])
fact("epoll level: still ready, nothing was read", [e for _, e in level.poll(0)] == [select.EPOLLIN])
data = drain(fd)
fact("what was read are events", data.startswith(b'{"seq":') and data.endswith(b"}\n"), data[:80])
while level.poll(0.3):  # the run's last events may still come
    drain(fd)
fact("epoll level: quiet when all is read", level.poll(0) == [])
fact("poll: quiet when all is read", p.poll(0) == [])
level.close()

edge = select.epoll()
edge.register(fd, select.EPOLLIN | select.EPOLLET)
for n in range(5):
    ask(b"again\n")
    got = edge.poll(HANG / 1000)
    fact(f"epoll edge: event {n + 1}", [e for _, e in got] == [select.EPOLLIN], got)
    data = drain(fd)
    while edge.poll(0.3):
        data += drain(fd)
    fact(f"epoll edge: event {n + 1} brought lines", data.count(b"\n") > 0, data[:80])
edge.close()

both = os.open(mount + "/wait/events", os.O_RDONLY)
pid = os.fork()
if pid == 0:  # poll that waits, woken by another process
    q = select.poll()
    q.register(both, select.POLLIN)
    os._exit(0 if q.poll(HANG) else 1)
ask(b"wake\n")
fact("poll that waits is woken", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0)
os.close(both)
os.close(fd)

# ---- wait/agents/NAME ----
fd = os.open(mount + "/wait/agents/p", os.O_RDONLY | os.O_NONBLOCK)
fact("wait/agents/p: EAGAIN while nothing changes", *would_block(fd))
p = select.poll()
p.register(fd, select.POLLIN)
fact("wait/agents/p: poll says nothing yet", p.poll(0) == [])
with open(agents + "/p/ctl", "w") as f:
    f.write("suspend\n")
fact("wait/agents/p: ready when the state changes", p.poll(HANG) != [])
fact("wait/agents/p: the state", os.read(fd, 100) == b"Suspended\n")
fact("wait/agents/p: then the end", os.read(fd, 100) == b"")
os.close(fd)
with open(agents + "/p/ctl", "w") as f:
    f.write("resume\n")

# ---- run ----
fd = os.open(agents + "/slow/run", os.O_RDWR | os.O_NONBLOCK)
os.write(fd, b"question\n")
fact("run: O_NONBLOCK read of an unfinished run is EAGAIN", *would_block(fd))
p = select.poll()
p.register(fd, select.POLLIN)
fact("run: poll says unfinished", p.poll(0) == [], p.poll(0))
level, edge = select.epoll(), select.epoll()
level.register(fd, select.EPOLLIN)
edge.register(fd, select.EPOLLIN | select.EPOLLET)
fact("run: epoll level says unfinished", level.poll(0) == [])
fact("run: epoll edge says unfinished", edge.poll(0) == [])
open(os.environ["TEST_CASE_DIR"] + "/go", "w").close()
fact("run: poll says when it is done", p.poll(HANG) != [])
fact("run: epoll level says so", [e for _, e in level.poll(HANG / 1000)] == [select.EPOLLIN])
fact("run: epoll edge says so", [e & select.EPOLLIN for _, e in edge.poll(HANG / 1000)] == [select.EPOLLIN])
fact("run: the answer", os.read(fd, 100) == b"answer question\n")
os.close(fd)
fd = os.open(agents + "/a/run", os.O_RDWR)
p = select.poll()
p.register(fd, select.POLLOUT)
fact("run: may be written", p.poll(0) == [(fd, select.POLLOUT)], p.poll(0))
os.close(fd)
print("ok the end")
