#!/bin/bash
# run.sh - all figures of DESIGN beside their floors, in one table. usage: tests/bench/run.sh [NAME]...
# NAMEs pick programs (mount create engine spawn tiers journal audit policy secret api rag scale); PRESET=dev|release picks the
# build (release), AGENTS=N the crowd of `scale` (100000). Needs root or fusermount3, and some minutes. For Docker and podman
# among the tiers, DOCKER_HOST and CONTAINER_HOST must name sockets at which they answer.
# Exit status: 0 everything was measured, met or not; 1 a program failed; 77 nothing can be mounted here.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$root/build/${PRESET:-release}/bench
names=("$@")
[ $# -gt 0 ] || names=(mount create engine spawn tiers journal audit policy secret api rag scale)

say() { printf '%s\n' "$*" >&2; }
[ -c /dev/fuse ] || { say "run.sh: /dev/fuse is missing, nothing can be mounted (modprobe fuse)"; exit 77; }
[ -x "$bin/bench_mount" ] || {
	say "run.sh: build first: cmake --preset release && cmake --build --preset release"
	exit 1
}

TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/symbi-bench.XXXXXX") || exit 1
export TMPDIR
clean() { # the programs clean up by themselves; this is for those that could not
	local left
	while read -r left; do umount -l "$left"; done < <(awk -v d="$TMPDIR/" 'index($2, d) == 1 {print $2}' /proc/mounts)
	rm -rf "$TMPDIR"
}
trap clean EXIT
trap 'exit 1' INT TERM

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
echo "cpu      $(nproc) x ${cpu:-$(uname -m)}"
echo "kernel   $(uname -sr)"
echo "disk     $(findmnt -n -o FSTYPE,SOURCE -T "$TMPDIR" 2>/dev/null || echo unknown), $TMPDIR"
echo "load     $(cut -d' ' -f1-3 /proc/loadavg) before the first figure"
echo "date     $(date -u +%Y-%m-%dT%H:%M:%SZ)"
echo "version  $(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)"
echo "command  $0 $*"
echo

rows=$TMPDIR/rows
failed=()
printf 'what\tours\tfloor\tratio\tgoal\tmet\n' >"$rows"
for name in "${names[@]}"; do
	[ -x "$bin/bench_$name" ] || continue
	args=()
	[ "$name" = scale ] && args=("${AGENTS:-100000}")
	begin=$SECONDS
	timeout -k 10 600 "$bin/bench_$name" "${args[@]}" >"$TMPDIR/out" || failed+=("$name")
	say "bench_$name took $((SECONDS - begin)) s"
	printf '%s\t \t \t \t \t \n' "-- $name" >>"$rows"
	awk -F'\t' 'NF == 6' "$TMPDIR/out" >>"$rows"
	awk -F'\t' 'NF != 6' "$TMPDIR/out" >>"$TMPDIR/other"
done
awk -F'\t' '
	{ for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > w[i]) w[i] = length($i) } n = NF }
	END {
		for (r = 1; r <= NR; r++) {
			line = sprintf("%-*s", w[1], cell[r, 1])
			for (i = 2; i <= n; i++)
				line = line "  " sprintf(i < 5 ? "%*s" : "%-*s", w[i], cell[r, i])
			sub(/ +$/, "", line)
			print line
		}
	}' "$rows"
[ ! -s "$TMPDIR/other" ] || { echo; cat "$TMPDIR/other"; }
awk -F'\t' '$6 == "yes" { y++ } $6 == "NO" { n++ } END { printf "\n%d goals met, %d not\n", y, n }' "$rows"
if [ ${#failed[@]} -gt 0 ]; then
	say "run.sh: failed: ${failed[*]}"
	exit 1
fi
