#!/bin/bash
# symbi rag: documents in, questions asked, and the measures of a collection whose figures are known.
# shellcheck source=tests/cmd/lib.sh
. "$(dirname "$0")/lib.sh"

# ---- eval ----
mkdir -p "$dir/beir/qrels"
cat >"$dir/beir/corpus.jsonl" <<'TEXT'
{"_id":"d1","title":"","text":"alpha beta"}
{"_id":"d2","title":"","text":"alpha gamma gamma"}
{"_id":"d3","title":"delta","text":"epsilon"}
{"_id":"d4","title":"","text":"zeta eta theta"}
TEXT
cat >"$dir/beir/queries.jsonl" <<'TEXT'
{"_id":"q1","text":"beta"}
{"_id":"q2","text":"gamma"}
{"_id":"q3","text":"nothing of it"}
{"_id":"q4","text":"not judged"}
TEXT
printf 'query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td3\t1\nq2\td2\t2\nq2\td4\t0\nq3\td3\t1\n' >"$dir/beir/qrels/test.tsv"
# q1 finds d1, one of its two; q2 finds d2, which is all; q3 finds nothing: nDCG (1 / (1 + 1 / log2 3) + 1 + 0) / 3, recall
# (1/2 + 1 + 0) / 3, reciprocal rank (1 + 1 + 0) / 3.
expect 0 rag eval "$dir/beir"
for line in "documents 4" "queries 3" "ndcg@10 0.5377" "recall@10 0.5000" "recall@100 0.5000" "mrr 0.6667"; do
  has "$out" "$line"
done
expect 0 rag eval "$dir/beir" --json
same "$(head -1 <<<"$out" | json 'round(d["ndcg@10"], 4)')" 0.5377
for retriever in lexical dense fused; do has "$out" "\"retriever\":\"$retriever\""; done
expect 1 rag eval "$dir/none"
has "$err" "a collection has corpus.jsonl"
echo '{"_id":"d5"}' >>"$dir/beir/corpus.jsonl"
expect 1 rag eval "$dir/beir"
has "$err" "corpus.jsonl:5: an object with _id and text"
expect 2 rag eval
expect 2 rag query
expect 2 rag stats more
expect 2 rag nothing

# ---- the daemon ----
expect 1 rag query "is anybody there"
has "$err" "API_002"
start
expect 1 rag query "is anything there"
has "$err" "RAG_004"
printf '# Tides\n\nSpring tides come with the new moon.\n' >"$dir/tides.md"
expect 0 rag add "$dir/tides.md"
expect 0 rag query "when do spring tides come"
has "$out" "Spring tides come with the new moon. [1]"
has "$out" "[1] tides.md:1-3  Tides"
expect 0 rag query --json tides
same "$(json 'd["citations"][0]["path"]' <<<"$out")" tides.md
expect 0 rag stats
has "$out" "documents 1"
head -c 2000000 /dev/zero >"$dir/big"
expect 1 rag add "$dir/big"
has "$err" "RESOURCE_003"
has "$err" "copy it to rag/docs/"
