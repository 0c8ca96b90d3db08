#!/bin/bash
# SPDX-License-Identifier: MIT
# rag/ on a mount: documents dropped in, questions answered with file and line, what cannot be read told by name, and nothing
# of it lost when the worker is killed.
. "${0%/*}/lib.sh"
R=$M/rag
SRC=$(cd "$HERE/../.." && pwd)

ask_rag() { # QUESTION: the answer
  echo "$1" >"$R/query" && cat "$R/query"
}

cited() { # QUESTION: path:line of the first passage
  echo "$1" >"$R/query.json" && python3 -c '
import json, sys
c = json.load(sys.stdin)["citations"]
print("%s:%d-%d" % (c[0]["path"], c[0]["line"], c[0]["line_end"]) if c else "none")' <"$R/query.json"
}

rag_key() {
  key "$R/stats" "$1"
}

up
refused "a question without documents" bash -c "echo hello >$R/query && cat $R/query"
like "errors says what to do" "RAG_004.*there are no documents: cp FILES into rag/docs/" "$(last_error)"

# ---- an answer ----
mkdir "$R/docs/guide"
cat >"$R/docs/guide/engines.md" <<'TEXT'
# Engines

Two engines are sold.

## Diesel

The diesel engine is lubricated with oil of grade 15W-40. It is changed every ten thousand kilometres.

## Electric

The electric motor needs no lubrication. Its bearings are sealed for life.
TEXT
printf 'int answer(void)\n{\n\treturn 42; /* the meaning of maxRetryCount */\n}\n' >"$R/docs/answer.c"
out=$(ask_rag "How often is the oil of the diesel engine changed?")
like "the sentence that answers comes first" '^(It is changed every ten|The diesel engine is lub).* \[1\]$' "$(head -1 <<<"$out")"
like "with its file and line" '^\[1\] guide/engines.md:5-7  Engines > Diesel$' "$out"
eq "another question finds its own" "guide/engines.md:9-11" "$(cited "are the bearings sealed")"
eq "words are found in other forms" "guide/engines.md:9-11" "$(cited "bearing sealing")"
eq "a part of an identifier" "answer.c:1-4" "$(cited "retry count")"
eq "an identifier" "answer.c:1-4" "$(cited "maxRetryCount")"
eq "a file's name" "answer.c:1-4" "$(cited "answer.c")"
eq "nothing that is there" none "$(cited "zebra")"
like "is said" '^No document says anything about this' "$(ask_rag zebra)"
works "one descriptor" python3 -c "
import os
f = os.open('$R/query', os.O_RDWR)
os.write(f, b'bearings')
assert b'sealed for life' in os.read(f, 65536)"
works "a named exchange" bash -c "echo bearings >$R/query.d/mine && grep -q 'sealed for life' $R/query.d/mine"
works "over the socket" bash -c "curl -sf --unix-socket $T/s/symbi.sock -d bearings http://x/fs/rag/query | grep -q 'sealed for life'"
refused "an empty question" bash -c "echo >$R/query"
like "errors says so" "RAG_003.*an empty question" "$(last_error)"
head -c 100000 /dev/zero | tr '\0' 'w' >"$T/long"
refused "one of 100,000 bytes" cp "$T/long" "$R/query"

# ---- changes ----
sed -i 's/sealed for life/greased yearly/' "$R/docs/guide/engines.md"
unlike "what was replaced is not found" "sealed for life" "$(ask_rag "bearings")"
like "what replaced it is" "greased yearly" "$(ask_rag "bearings")"
mv "$R/docs/guide" "$R/docs/manual"
eq "a new name is told" "manual/engines.md:9-11" "$(cited bearings)"
rm "$R/docs/manual/engines.md"
eq "what was removed is not found" none "$(cited bearings)"

echo "a hidden tarsier" >"$R/docs/.hidden.txt"
eq "a hidden file is no document" none "$(cited tarsier)"
mv "$R/docs/.hidden.txt" "$R/docs/shown.txt"
eq "and one with a name is" "shown.txt:1-1" "$(cited tarsier)"

# ---- kinds ----
echo '<html><body><h1>Menu</h1><p>Soup of the day: gazpacho &amp; bread</p></body></html>' >"$R/docs/menu.html"
eq "HTML" "menu.html:1-1" "$(cited gazpacho)"
unlike "without tags" "<p>" "$(ask_rag gazpacho)"
printf '{"title":"first"}\n{"title":"second","body":"xylophone lessons"}\n' >"$R/docs/rows.jsonl"
eq "JSONL by its line" "rows.jsonl:2-2" "$(cited xylophone)"
printf 'caf\xe9 ol\xe9 \xff\xfe broken utf eight quagga\n' >"$R/docs/latin.txt"
eq "bytes that are no UTF-8" "latin.txt:1-1" "$(cited quagga)"
printf '%%PDF-1.7\n' >"$R/docs/a.pdf"
cp "$TEST_BIN/symbi-spawn" "$R/docs/program"
cited nothing >/dev/null # waits for them
eq "two cannot be read" 2 "$(rag_key unreadable)"
like "why" "^unread a.pdf: RAG_002 .*pdftotext" "$(cat "$R/stats")"
if command -v pdftotext >/dev/null; then
  like "damaged" "^unread a.pdf: RAG_002 pdftotext cannot open it" "$(cat "$R/stats")"
  python3 - "$R/docs/two.pdf" <<'PDF'
import sys
def stream(text): return b"BT /F1 12 Tf 72 720 Td (" + text + b") Tj ET"
pages = [b"The first page is about tapirs.", b"The second page says that lemurs sleep at noon."]
objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R 5 0 R]/Count 2>>"]
for i, text in enumerate(pages):
    data = stream(text)
    objects.append(b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 7 0 R>>>>/Contents %d 0 R>>" % (4 + 2 * i))
    objects.append(b"<</Length %d>>stream\n" % len(data) + data + b"\nendstream")
objects.append(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
out, at = b"%PDF-1.4\n", []
for i, o in enumerate(objects):
    at.append(len(out))
    out += b"%d 0 obj\n" % (i + 1) + o + b"\nendobj\n"
start = len(out)
out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(b"%010d 00000 n \n" % a for a in at)
out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
open(sys.argv[1], "wb").write(out)
PDF
  like "a PDF file, with its page" '^\[1\] two.pdf:.*  page 2$' "$(ask_rag "when do lemurs sleep")"
  like "its text" 'lemurs sleep at noon' "$(ask_rag "when do lemurs sleep")"
  rm "$R/docs/two.pdf"
  eq "and gone" none "$(cited lemurs)"
fi
like "which" "^unread program: RAG_002 it is a program" "$(cat "$R/stats")"
head -c 70000000 /dev/zero | tr '\0' 'a' >"$R/docs/line"
cited nothing >/dev/null
like "what is too large" "^unread line: RAG_002 it has 66 MiB" "$(cat "$R/stats")"
rm "$R/docs/line"
{ head -c 5000000 /dev/zero | tr '\0' 'b'; echo " okapi end"; } >"$R/docs/long"
eq "one line of five megabytes" "long:1-1" "$(cited okapi)"
rm "$R/docs/long"

# ---- many, and the end of the worker ----
mkdir "$R/docs/many"
for i in $(seq 300); do echo "number$i stands in file $i alone" >"$R/docs/many/$i.txt"; done
cp -r "$SRC/docs" "$R/docs/symbi"
eq "the one of many" "many/217.txt:1-1" "$(cited number217)"
kill -9 "$(key "$M/status" worker_pid)"
eq "behind the end of the worker" "many/111.txt:1-1" "$(cited number111)"
down
up
eq "behind the end of the daemon" "many/299.txt:1-1" "$(cited number299)"
like "the manual answers" "symbi/" "$(cited "what does allow_degraded do")"
rm -r "$R/docs/many"
eq "all are gone" none "$(cited number299)"

# ---- who may read what ----
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
  other=(setpriv --reuid "$OTHER" --regid "$OTHER" --clear-groups --)
  echo "the password is tapir" >"$R/docs/secret.txt"
  as_them() { "${other[@]}" sh -c "echo '$1' >$R/query; cat $R/query"; }
  like "another user finds what all may read" "tapir" "$(as_them "password")"
  chmod 600 "$R/docs/secret.txt"
  unlike "and not what one may read alone" "tapir" "$(as_them "password")"
  like "who does" "tapir" "$(ask_rag "password")"
  mkdir -m 700 "$R/docs/closed" && mv "$R/docs/secret.txt" "$R/docs/closed/" && chmod 644 "$R/docs/closed/secret.txt"
  unlike "nor what lies in a closed folder" "tapir" "$(as_them "password")"
fi
finish
