#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""vm.py --bin DIR [--rounds N]: from start to exit in a microVM (Tier3), begun anew and where an earlier guest was kept, beside a
bare QEMU that starts the same kernel with a program that ends at once, in turns. $SYMBI_VM_IMAGE, or the default, is the image.
Prints a row for each figure: what, ours, the bare one, ratio. Times are milliseconds: median (lowest).
"""
import argparse, os, shutil, statistics, subprocess, sys, tempfile, time

END_C = "#include <sys/reboot.h>\nint main(void) { return reboot(RB_AUTOBOOT); }\n"
MACHINE = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine",
           "microvm,isa-serial=off", "-accel", "tcg", "-cpu", "max,la57=off,erms=off,fsrm=off", "-m", "624"]
KERNEL_SAYS = ("rdinit=/init quiet panic=-1 reboot=t random.trust_cpu=on cryptomgr.notests 8250.nr_uarts=0 i8042.nokbd i8042.noaux "
               "audit=0 lsm= tsc_early_khz=2000000 lpj=4000000 mitigations=off nopti")


def cpio(files):
    """An archive of the form newc."""
    out = b""
    for i, (name, mode, data) in enumerate(files + [("TRAILER!!!", 0, b"")]):
        path = name.encode() + b"\0"
        head = b"070701" + b"".join(b"%08x" % n for n in (i + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0))
        out += head + path + b"\0" * (-(len(head) + len(path)) % 4) + data + b"\0" * (-len(data) % 4)
    return out


def bare_initrd(where):
    source, program, initrd = (os.path.join(where, n) for n in ("end.c", "end", "initrd"))
    with open(source, "w") as f:
        f.write(END_C)
    subprocess.run(["cc", "-O2", "-static", "-o", program, source], check=True)
    with open(program, "rb") as f, open(initrd, "wb") as out:
        out.write(cpio([("init", 0o100755, f.read())]))
    return initrd


def ms(argv):
    begin = time.monotonic()
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=300)
    return (time.monotonic() - begin) * 1000


def text(samples):
    return f"{statistics.median(samples):.0f} ({min(samples):.0f})"


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--bin", required=True)
    a.add_argument("--rounds", type=int, default=7)
    args = a.parse_args()
    image = os.environ.get("SYMBI_VM_IMAGE", "/var/lib/symbi/vm")
    symbi = [os.path.join(args.bin, "symbi"), "sandbox", "run", "--max-memory", "512"]
    vm = symbi + ["--tier", "Tier3", "--"]
    programs = {"true": ["/bin/true"], "python3 -c 'print(1)'": ["/usr/bin/python3", "-c", "print(1)"]}
    if subprocess.run(vm + ["/bin/true"]).returncode != 0:
        return 77
    with tempfile.TemporaryDirectory() as where:
        bare = MACHINE + ["-kernel", os.path.join(image, "vmlinux"), "-initrd", bare_initrd(where), "-append", KERNEL_SAYS]
        floor, got = [], {}
        for _ in range(args.rounds):
            floor.append(ms(bare))
            for name, argv in programs.items():
                shutil.rmtree(os.path.join(image, "warm"), ignore_errors=True)
                got.setdefault((name, "anew, and kept"), []).append(ms(vm + argv))
                got.setdefault((name, "kept"), []).append(ms(vm + argv))
                got.setdefault((name, "Tier1"), []).append(ms(symbi + ["--"] + argv))
        for (name, how), samples in got.items():
            print(f"{name}, {how}\t{text(samples)}\t{text(floor)}\t{statistics.median(samples) / statistics.median(floor):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
