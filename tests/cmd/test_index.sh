#!/bin/bash
# `symbi index`: built from a file of vectors, searched with its recall, compacted, verified; what is wrong is said.
set -eu
symbi=$TEST_BIN_DIR/symbi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() { echo "$*"; exit 1; }

# 3,000 vectors of 16 numbers, 20 of them as queries, and the truth: a vector's own row is its nearest.
python3 - "$dir" <<'PY'
import random, struct, sys
d, n, q, dim = sys.argv[1], 3000, 20, 16
r = random.Random(4)
rows = [[r.gauss(0, 1) for _ in range(dim)] for _ in range(n)]
def fbin(name, rows):
    with open(f"{d}/{name}", "wb") as f:
        f.write(struct.pack("<II", len(rows), dim))
        for x in rows: f.write(struct.pack(f"<{dim}f", *x))
fbin("base.fbin", rows)
fbin("query.fbin", rows[:q])
def near(x):
    return sorted(range(n), key=lambda i: sum((a - b) ** 2 for a, b in zip(rows[i], x)))[:10]
with open(f"{d}/gt.ibin", "wb") as f:
    f.write(struct.pack("<II", q, 10))
    for x in rows[:q]: f.write(struct.pack("<10i", *near(x)))
with open(f"{d}/base.fvecs", "wb") as f:
    for x in rows[:100]: f.write(struct.pack(f"<i{dim}f", dim, *x))
with open(f"{d}/ints.bvecs", "wb") as f:
    for i in range(50): f.write(struct.pack("<i8B", 8, *[(i * 7 + j) % 251 for j in range(8)]))
with open(f"{d}/short.fvecs", "wb") as f:
    f.write(struct.pack("<i16f", 16, *rows[0]) + b"torn")
PY

out=$("$symbi" index build --base "$dir/base.fbin" --out "$dir/index" --metric l2)
grep -q '^rows 3000$' <<<"$out" && grep -q '^unlinked 0$' <<<"$out" && grep -q '^build_seconds ' <<<"$out" || fail "build: $out"
out=$("$symbi" index search --index "$dir/index" --query "$dir/query.fbin" --gt "$dir/gt.ibin" -k 10 --recall 0.99)
awk '/^recall@10 / { found = 1; exit $2 >= 0.95 ? 0 : 1 } END { if (!found) exit 1 }' <<<"$out" || fail "search: $out"
for word in qps p50_us p99_us open_seconds hot_bytes disk_bytes; do
  grep -q "^$word [0-9.]*$" <<<"$out" || fail "no $word: $out"
done
"$symbi" index search --index "$dir/index" --query "$dir/query.fbin" --gt "$dir/gt.ibin" --recall 1 | grep -q '^recall@10 1.0000$' || fail "exact"
"$symbi" index verify --index "$dir/index" | grep -q '^ok, 3000 rows' || fail "verify"
"$symbi" index compact --index "$dir/index" | grep -q '^dead 0$' || fail "compact"
"$symbi" index stats --index "$dir/index" | grep -q '^metric l2$' || fail "stats"

# The other formats. An index that is there is added to: the same ids are replaced.
"$symbi" index build --base "$dir/base.fvecs" --out "$dir/small" | grep -q '^rows 100$' || fail "fvecs"
"$symbi" index build --base "$dir/base.fvecs" --out "$dir/small" | grep -q '^rows 100$' || fail "fvecs again"
"$symbi" index build --base "$dir/ints.bvecs" --out "$dir/bytes" --metric l2 | grep -q '^dim 8$' || fail "bvecs"

# refused STATUS WORDS...: exits so, says so on stderr, prints nothing.
refused() {
  local want=$1 words=$2 status=0
  shift 2
  "$symbi" index "$@" >"$dir/out" 2>"$dir/err" || status=$?
  [ "$status" = "$want" ] && [ ! -s "$dir/out" ] && grep -q "$words" "$dir/err" || fail "index $*: $status $(cat "$dir/out" "$dir/err")"
}
refused 2 'needs --base' build --out "$dir/x"
refused 2 'is not build' frobnicate
refused 2 "metric 'manhattan'" build --base "$dir/base.fbin" --out "$dir/x" --metric manhattan
refused 1 'VDB_003 .*short.fvecs.*within a vector' build --base "$dir/short.fvecs" --out "$dir/x"
refused 1 'does not end in' build --base "$dir" --out "$dir/x"
refused 1 'VDB_006 there is no index' stats --index "$dir/none"
refused 1 'VDB_002 .*of 8.*of 16\|VDB_002 .*16.*8' search --index "$dir/index" --query "$dir/ints.bvecs"
refused 1 'has the metric l2, not cosine' build --base "$dir/base.fbin" --out "$dir/index"
[ ! -e "$dir/x" ] || fail "a refused build left something"

# A flipped byte is refused by file and offset.
file=$(echo "$dir"/index/graph-*.vec)
printf '\x55' | dd of="$file" bs=1 seek=5000 conv=notrunc status=none
refused 1 "VDB_003 .*graph-.*offset" verify --index "$dir/index"
