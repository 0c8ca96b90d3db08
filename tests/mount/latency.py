# SPDX-License-Identifier: MIT
# latency.py FILE [N] - how long it takes to open, read and close FILE, in microseconds: median and longest of N.
# Exit status 1: a read gave nothing.
import os
import sys
import time

path, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 200
took = []
for _ in range(n):
    begin = time.monotonic_ns()
    fd = os.open(path, os.O_RDONLY)
    data = os.read(fd, 65536)
    os.close(fd)
    took.append((time.monotonic_ns() - begin) // 1000)
    if not data:
        sys.exit(f"{path} is empty")
took.sort()
print(f"median {took[n // 2]} us, 99 % {took[n * 99 // 100]} us, longest {took[-1]} us")
