# SPDX-License-Identifier: MIT
"""listing.py MOUNT SOCKET - changes agents and looks at once how the mount shows them. Exit status 0 when every
look was right."""
import http.client
import os
import socket
import sys

MOUNT, SOCKET = sys.argv[1], sys.argv[2]
AGENTS = MOUNT + "/agents"
ROUNDS = 60


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


client = Unix("localhost")


def ask(method, path, text=None):
    client.request(method, "/fs/" + path, text)
    reply = client.getresponse()
    body = reply.read()
    assert reply.status < 300, (method, path, reply.status, body)


def spec(length):
    text = 'tier: None\ncommand: ["true"]\n#'
    return (text + "x" * (length - len(text) - 1) + "\n").encode()


def show():
    """What a user sees, as ls -l does it; the kernel has reason to keep all of it."""
    names = sorted(os.listdir(AGENTS))
    return {n: os.lstat(AGENTS + "/" + n) for n in names}


def expect(what, fact):
    if not fact:
        sys.exit("FAILED: " + what + ": " + " ".join(sorted(os.listdir(AGENTS))))


def one_round(i):
    name = f"l{i % 3}"
    file = name + ".yaml"
    show()
    ask("PUT", "agents/" + file, spec(100))
    seen = show()
    expect("created on the socket", file in seen and name in seen and seen[file].st_size == 100)
    expect("listed below wait/", name in os.listdir(MOUNT + "/wait/agents"))
    ask("PUT", "agents/" + file, spec(200 + i))
    expect("changed on the socket", show()[file].st_size == 200 + i)
    expect("its text", len(open(AGENTS + "/" + file, "rb").read()) == 200 + i)
    os.chmod(AGENTS + "/" + file, 0o600)
    expect("its mode", show()[file].st_mode & 0o777 == 0o600)
    os.rename(AGENTS + "/" + file, AGENTS + "/other" + file)
    seen = show()
    expect("renamed", file not in seen and name not in seen and "other" + file in seen and "other" + name in seen)
    ask("DELETE", "agents/other" + file)
    expect("deleted on the socket", "other" + file not in show())
    for gone in ("other" + file, "other" + name):
        expect("gone by its name", not os.path.exists(AGENTS + "/" + gone))
    expect("gone below wait/", "other" + name not in os.listdir(MOUNT + "/wait/agents"))
    # a scratch file is nobody's agent, but a name like others
    with open(AGENTS + "/.scratch", "w") as f:
        expect("a scratch file", ".scratch" in os.listdir(AGENTS))
        f.write("x")
    os.rename(AGENTS + "/.scratch", AGENTS + "/.other")
    seen = os.listdir(AGENTS)
    expect("a scratch file renamed", ".scratch" not in seen and ".other" in seen)
    os.unlink(AGENTS + "/.other")
    expect("a scratch file removed", ".other" not in os.listdir(AGENTS))


for round_number in range(ROUNDS):
    one_round(round_number)
print(ROUNDS, "rounds")
