/* SPDX-License-Identifier: MIT */
/* cmd_journal.c - read the journal, with every check that a start makes. L4. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "lib/journal.h"

static int cat_json(const struct journal_record *rec)
{
	autobuf struct buf b;
	buf_init(&b, JOURNAL_BODY_MAX * 8);
	buf_printf(&b,
		   "{\"seq\":%" PRIu64 ",\"time_ms\":%" PRIu64 ",\"type\":%u,\"uid\":%u,\"pid\":%u,"
		   "\"view\":%u,\"object\":",
		   rec->seq, rec->time_ms, rec->type, rec->uid, rec->pid, rec->view);
	buf_json_string(&b, rec->object, strlen(rec->object));
	buf_adds(&b, ",\"body\":");
	buf_add(&b, rec->body_len ? rec->body : "null", rec->body_len ? rec->body_len : 4);
	buf_adds(&b, "}\n");
	return say_out(&b) ? -EPIPE : 0;
}

static int cat_text(const struct journal_record *rec)
{
	char when[40] = "?";
	struct tm tm;
	time_t t = (time_t)(rec->time_ms / 1000);
	if (gmtime_r(&t, &tm))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	printf("%" PRIu64 " %s.%03uZ type=%u uid=%u pid=%u %s %.*s\n", rec->seq, when,
	       (unsigned)(rec->time_ms % 1000), rec->type, rec->uid, rec->pid, rec->object,
	       (int)rec->body_len, rec->body);
	return ferror(stdout) ? -EPIPE : 0;
}

static int cat(void *arg, const struct journal_record *rec)
{
	return *(bool *)arg ? cat_json(rec) : cat_text(rec);
}

static void print_stat(const struct journal_stat *st, bool json)
{
	char head[2 * sizeof st->head + 1];
	for (size_t i = 0; i < sizeof st->head; i++)
		snprintf(head + 2 * i, 3, "%02x", st->head[i]);
	printf(json ? "{\"records\":%" PRIu64 ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
		      ",\"segments\":%" PRIu64 ",\"bytes\":%" PRIu64 ","
		    : "records %" PRIu64 "\nfirst_seq %" PRIu64 "\nlast_seq %" PRIu64
		      "\nsegments %" PRIu64 "\nbytes %" PRIu64 "\n",
	       st->records, st->first_seq, st->last_seq, st->segments, st->bytes);
	if (json)
		printf("\"torn\":%s,\"head\":\"%s\"}\n", st->torn ? "true" : "false", head);
	else
		printf("torn %s\nhead %s\n", st->torn ? "yes" : "no", head);
}

int cmd_journal(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct where w = {0};
	struct journal_stat st = {0};
	char dir[PATH_MAX + 16];
	bool json = false;
	const struct opt opts[] = {
		{"state", &w.state, NULL}, {"json", NULL, &json}, {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, 1);
	if (at < 0)
		return CLI_USAGE;
	const char *word = argv[at];
	bool print = strcmp(word, "cat") == 0;
	if (!print && strcmp(word, "verify") != 0 && strcmp(word, "stat") != 0)
		return opts_wrong(c, "'%s' is none of cat, verify, stat", word);
	if (where_find(&w, &e) < 0)
		return say_failed(&e);
	snprintf(dir, sizeof dir, "%s/journal", w.at.state);
	if (journal_scan(dir, print ? cat : NULL, &json, &st, &e) < 0)
		return say_failed(&e);
	if (!print)
		print_stat(&st, json);
	return 0;
}
