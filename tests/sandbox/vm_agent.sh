#!/bin/bash
# Agents in microVMs, on a mount: what `sandbox/tiers` says of Tier3, an agent in Python through agents/NAME/run, its own /symbi
# inside, limits and ends told as in the other tiers. 77 where nothing can be mounted, or there is no Tier3.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/../cmd/lib.sh"
[ -c /dev/fuse ] || { echo "skipped: no /dev/fuse"; exit 77; }
chmod 755 "$dir"
mkdir "$dir/m"
trap 'cleanup; umount -l "$dir/m" 2>/dev/null || :' EXIT
"$bin/symbi" up --state "$state" --mount "$dir/m" >/dev/null
m=$dir/m
grep '^Tier3' "$m/sandbox/tiers" | grep -q available || { echo "skipped: $(grep '^Tier3' "$m/sandbox/tiers")"; exit 77; }
has "$(grep '^Tier3' "$m/sandbox/tiers")" own_kernel
ask() { printf '%s\n' "$2" >"$m/agents/$1/run" && cat "$m/agents/$1/run"; }

cat >"$m/agents/greet.yaml" <<'SPEC'
runtime: python3
tier: Tier3
code: |
  import os, sys
  print("hello", sys.stdin.read().strip(), os.uname().release)
  print(open("/symbi/self/state").read().strip(), *sorted(os.listdir("/symbi")))
  try:
      os.listdir("/symbi/agents")
  except OSError as e:
      print(e.strerror)
SPEC
answer=$(ask greet world)
has "$answer" "hello world $(sed -n 's/^kernel //p' "$SYMBI_VM_IMAGE/image")"
has "$answer" "Running README errors"
has "$answer" "No such file"
has "$(cat "$m/agents/greet/status")" "layers mount pid net"
has "$(grep '^layers ' "$m/agents/greet/status")" own_kernel

# ends and reasons
printf 'command: [sh, -c, "exit 3"]\ntier: Tier3\n' >"$m/agents/fails.yaml"
ask fails x && die "a run that failed is none"
cat >"$m/agents/eats.yaml" <<'SPEC'
command: [python3, -c, 'b"x" * (300 << 20)']
tier: Tier3
resource_limits: {memory_mb: 64}
SPEC
ask eats x && die "it had more memory than its limit"
has "$(cat "$m/errors")" RESOURCE_001
printf 'command: [sleep, "1000"]\ntier: Tier3\nresource_limits: {execution_timeout: 8s}\n' >"$m/agents/slow.yaml"
ask slow x && die "it ran on"
has "$(cat "$m/errors")" SCHED_002
nothing() { ! pgrep -f "[q]emu-system-x86_64 .*$(basename "$dir")" >/dev/null; }
eventually nothing
printf 'command: [true]\ntier: Tier3\nsandbox_driver: proc\n' >"$m/agents/wrong.yaml" && die "a driver of another tier was taken"
true
