/* SPDX-License-Identifier: MIT */
/* bench_rag.c - questions over 100,000 passages: taking the documents in, asking through the mount, what the search itself takes,
 * a start with all of it; beside the minimal FUSE program's exchange and, where SQLite is there, its full-text search with BM25
 * over the same passages. usage: bench_rag [PASSAGES] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif

enum { WORDS = 40000, TOPICS = 2000, OF_TOPIC = 150, PER_FILE = 1000, PASSAGE = 1250, QUESTIONS = 1000 };

static struct server ours, minimal;
static char words[WORDS][16];
static unsigned passages = 100000;

/* ---- texts: words of Zipf's frequencies, half of them from the passage's topic ---- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void make_words(void)
{
	static const char *const part[] = {"ba", "ke", "lo", "mi", "nur", "pra", "sto", "tev", "wix", "zan", "dor", "fen", "gul", "hap", "jor", "quin"};
	for (unsigned i = 0; i < WORDS; i++)
		snprintf(words[i], sizeof words[i], "%s%s%s%s", part[i & 15], part[i >> 4 & 15], part[i >> 8 & 15], part[i >> 12 & 15]);
}

static unsigned zipf(uint64_t *seed, unsigned n)
{
	*seed = mix(*seed + 0x9e3779b97f4a7c15);
	double u = (double)(*seed >> 11) / 9007199254740992.0, r = 1;
	for (double top = n; u > 0 && top > 1; u -= 0.07, top /= 2) /* each half of the ranks is met about as often */
		r = top;
	return (unsigned)(r * (double)(mix(*seed) % 1000) / 1000) % n;
}

static const char *word_of(unsigned passage, uint64_t *seed)
{
	uint64_t topic = mix(passage / 7) % TOPICS;
	if (mix(*seed) % 2)
		return words[mix(topic * OF_TOPIC + zipf(seed, OF_TOPIC)) % WORDS];
	return words[zipf(seed, WORDS)];
}

/* Passage i, ended by an empty line. Returns its length. */
static size_t passage_text(unsigned i, char out[PASSAGE + 64])
{
	uint64_t seed = i;
	size_t at = 0;
	for (unsigned n = 1; at < PASSAGE; n++) {
		const char *w = word_of(i, &seed);
		size_t len = strlen(w);
		memcpy(out + at, w, len);
		at += len;
		out[at++] = n % 12 == 0 ? '.' : ' ';
		if (out[at - 1] == '.')
			out[at++] = n % 24 == 0 ? '\n' : ' ';
	}
	memcpy(out + at, "\n\n", 3);
	return at + 2;
}

/* Six words of a passage. */
static size_t question_of(unsigned i, char out[256])
{
	uint64_t at = mix(i + 7919) % passages, seed = mix(i);
	size_t n = 0;
	for (int w = 0; w < 6; w++)
		n += (size_t)snprintf(out + n, 256 - n, "%s ", word_of((unsigned)at, &seed));
	out[n - 1] = '\n';
	return n;
}

/* ---- the daemon ---- */

static void path_at(char out[PATH_MAX], const struct server *s, const char *name)
{
	snprintf(out, PATH_MAX, "%s/%s", s->mount, name);
}

static uint64_t write_documents(void)
{
	static char text[PER_FILE * (PASSAGE + 64)];
	char path[PATH_MAX], name[64];
	uint64_t bytes = 0;
	for (unsigned i = 0; i < passages; i += PER_FILE) {
		size_t len = 0;
		for (unsigned j = i; j < i + PER_FILE && j < passages; j++)
			len += passage_text(j, text + len);
		snprintf(name, sizeof name, "rag/docs/%05u.txt", i / PER_FILE);
		path_at(path, &ours, name);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, text, len) != (ssize_t)len || close(fd) < 0)
			die("'%s'", path);
		bytes += len;
	}
	return bytes;
}

/* The value of a key of rag/stats; -1: there is none. */
static double stat_of(const char *key)
{
	char path[PATH_MAX], line[512];
	double v = -1;
	path_at(path, &ours, "rag/stats");
	FILE *f = fopen(path, "re");
	if (!f)
		die("'%s'", path);
	while (fgets(line, sizeof line, f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ' ')
			v = line[strlen(key) + 1] == 'y' ? 1 : strtod(line + strlen(key) + 1, NULL);
	fclose(f);
	return v;
}

static size_t ask_at(const char *path, const char *q, size_t len, char *out, size_t cap)
{
	size_t n = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || write(fd, q, len) != (ssize_t)len)
		die("'%s'", path);
	for (ssize_t got = 1; got > 0 && n < cap - 1; n += got > 0 ? (size_t)got : 0)
		if ((got = read(fd, out + n, cap - 1 - n)) < 0)
			die("answer of '%s'", path);
	close(fd);
	out[n] = 0;
	return n;
}

static double step_of(const char *answer, const char *key)
{
	char name[32];
	snprintf(name, sizeof name, "\"%s\":", key);
	const char *at = strstr(answer, "\"steps_ms\"");
	at = at ? strstr(at, name) : NULL;
	if (!at)
		die("no step '%s' in an answer", key);
	return strtod(at + strlen(name), NULL);
}

static const char *const steps[] = {"analysis", "search", "retrieval", "ranking", "response"};
enum { STEPS = 5, OF_CONTEXT = 4 };
static struct samples step[STEPS];

static void ask_all(struct samples *whole, struct samples *context, struct samples *floor)
{
	static char answer[1 << 20];
	char q[256], path[PATH_MAX], floor_path[PATH_MAX];
	path_at(path, &ours, "rag/query.json");
	path_at(floor_path, &minimal, "ask");
	for (unsigned i = 0; i < QUESTIONS + 20; i++) {
		size_t len = question_of(i, q);
		uint64_t at = now_ns();
		ask_at(path, q, len, answer, sizeof answer);
		uint64_t took = now_ns() - at;
		if (i < 20) /* first ones find caches cold */
			continue;
		samples_add(whole, (double)took / 1e6);
		double sum = 0;
		for (int j = 0; j < STEPS; j++) {
			double ms = step_of(answer, steps[j]);
			samples_add(&step[j], ms);
			sum += j < OF_CONTEXT ? ms : 0;
		}
		samples_add(context, sum);
		at = now_ns();
		ask_at(floor_path, q, len, answer, sizeof answer);
		samples_add(floor, (double)(now_ns() - at) / 1e6);
	}
}

/* ---- SQLite ---- */

#ifdef HAVE_SQLITE
static double sqlite_search(struct samples *s, const struct scratch *scratch)
{
	char path[PATH_MAX], text[PASSAGE + 64], q[256], match[512];
	sqlite3 *db;
	sqlite3_stmt *put, *get;
	snprintf(path, sizeof path, "%s/fts.db", scratch->dir);
	uint64_t at = now_ns();
	if (sqlite3_open(path, &db) != SQLITE_OK ||
	    sqlite3_exec(db, "pragma journal_mode=wal; create virtual table t using fts5(x, tokenize='porter unicode61'); begin", NULL, NULL, NULL) !=
		    SQLITE_OK ||
	    sqlite3_prepare_v2(db, "insert into t values (?)", -1, &put, NULL) != SQLITE_OK)
		die("sqlite: %s", sqlite3_errmsg(db));
	for (unsigned i = 0; i < passages; i++) {
		sqlite3_bind_text(put, 1, text, (int)passage_text(i, text), SQLITE_STATIC);
		if (sqlite3_step(put) != SQLITE_DONE || sqlite3_reset(put) != SQLITE_OK)
			die("sqlite: %s", sqlite3_errmsg(db));
	}
	sqlite3_exec(db, "commit", NULL, NULL, NULL);
	double seconds = (double)(now_ns() - at) / 1e9;
	sqlite3_prepare_v2(db, "select rowid, x from t where t match ? order by bm25(t) limit 10", -1, &get, NULL);
	for (unsigned i = 0; i < QUESTIONS; i++) {
		size_t n = 0, len = question_of(i, q);
		for (char *save = NULL, *w = strtok_r(q, " \n", &save); w && len; w = strtok_r(NULL, " \n", &save))
			n += (size_t)snprintf(match + n, sizeof match - n, "%s\"%s\"", n ? " OR " : "", w);
		at = now_ns();
		sqlite3_bind_text(get, 1, match, -1, SQLITE_STATIC);
		while (sqlite3_step(get) == SQLITE_ROW)
			;
		sqlite3_reset(get);
		samples_add(s, (double)(now_ns() - at) / 1e6);
	}
	sqlite3_finalize(put);
	sqlite3_finalize(get);
	sqlite3_close(db);
	return seconds;
}
#else
static double sqlite_search(struct samples *s, const struct scratch *scratch)
{
	(void)s, (void)scratch;
	return 0;
}
#endif

static void print(const char *what, const char *unit, double v, double floor, enum goal goal, double bound)
{
	figure_print(&(struct figure){.what = what, .unit = unit, .ours = v, .floor = floor, .goal = goal, .bound = bound});
}

static uint64_t first_answer(const struct scratch *s)
{
	static char answer[1 << 20];
	char q[256], path[PATH_MAX];
	server_stop(&ours);
	uint64_t at = now_ns();
	symbid_start(&ours, s, "ours");
	path_at(path, &ours, "rag/query.json");
	ask_at(path, q, question_of(3, q), answer, sizeof answer);
	if (!strstr(answer, "\"path\""))
		die("nothing was found after a start: %.200s", answer);
	return now_ns() - at;
}

int main(int argc, char **argv)
{
	static struct scratch scratch;
	struct samples whole = {0}, context = {0}, floor = {0}, sqlite = {0};
	if (argc > 1)
		passages = (unsigned)strtoul(argv[1], NULL, 10);
	make_words();
	scratch_init(&scratch);
	floor_start(&minimal, &scratch, 10);
	symbid_start(&ours, &scratch, "ours");
	uint64_t at = now_ns();
	double bytes = (double)write_documents();
	while (stat_of("pending") > 0)
		usleep(20000);
	double ingest = (double)(now_ns() - at) / 1e9;
	while (stat_of("learning") > 0)
		usleep(20000);
	double learnt = (double)(now_ns() - at) / 1e9;
	while (stat_of("vectors_unlinked") > 0) /* until then they are scanned */
		usleep(20000);
	ask_all(&whole, &context, &floor);
	double sqlite_seconds = sqlite_search(&sqlite, &scratch);
	print("passages", "", stat_of("passages"), 0, GOAL_NONE, 0);
	print("documents taken in, MB a second (floor: SQLite FTS5)", "/s", bytes / 1e6 / ingest, sqlite_seconds > 0 ? bytes / 1e6 / sqlite_seconds : 0,
	      GOAL_NONE, 0);
	print("seconds until the last model was learnt", "s", learnt, 0, GOAL_NONE, 0);
	print("memory of the index, MiB", "MiB", stat_of("memory_mb"), 0, GOAL_NONE, 0);
	double p50 = samples_median(&floor), p99 = samples_quantile(&floor, 0.99);
	print("question through the mount, p50 (floor: minimal exchange)", "ms", samples_median(&whole), p50, GOAL_NONE, 0);
	print("question through the mount, p99", "ms", samples_quantile(&whole, 0.99), p99, GOAL_OURS_MAX, 10);
	print("context retrieval in process, p50 (floor: SQLite FTS5)", "ms", samples_median(&context), samples_median(&sqlite), GOAL_NONE, 0);
	print("context retrieval in process, p99 (floor: SQLite FTS5)", "ms", samples_quantile(&context, 0.99), samples_quantile(&sqlite, 0.99),
	      GOAL_OURS_MAX, 1);
	for (int j = 0; j < STEPS; j++) {
		char what[64];
		snprintf(what, sizeof what, "  step %s, p50 (floor: its p99)", steps[j]);
		print(what, "ms", samples_median(&step[j]), samples_quantile(&step[j], 0.99), GOAL_NONE, 0);
	}
	print("start until the first answer", "ms", (double)first_answer(&scratch) / 1e6, 0, GOAL_NONE, 0);
	server_stop(&ours);
	server_stop(&minimal);
	scratch_done(&scratch);
	return 0;
}
