/* SPDX-License-Identifier: MIT */
/* cmd_audit.c - verify an audit trail and its proofs, offline, with nothing but copies and the public key. L4. */
#include <errno.h>
#include <string.h>

#include "cli.h"
#include "runtime/audit_verify.h"

#define CHECKPOINTS_MAX 64
#define PROOF_MAX	(64u << 20)
#define DIR_MAX		(PATH_MAX + 16)

struct audit_cli {
	struct where w;
	const char *log, *key, *seal, *proof;
	const char *checkpoint; /* comma-separated */
	bool json;
};

/* The trail's directory: --log, else that of the state. */
static int find_dir(struct audit_cli *a, char out[DIR_MAX], struct err *e)
{
	if (a->log) {
		snprintf(out, DIR_MAX, "%s", a->log);
		return 0;
	}
	int r = where_find(&a->w, e);
	if (r == 0)
		snprintf(out, DIR_MAX, "%s/audit", a->w.at.state);
	return r;
}

/* --key, else the one beside the log; that says only that the log fits to itself, which is said. */
static int find_key(const struct audit_cli *a, const char *dir, struct note_public *ret, struct err *e)
{
	char path[DIR_MAX + 16];
	if (a->key)
		return note_public_read(a->key, ret, e);
	snprintf(path, sizeof path, "%s/key.pub", dir);
	fprintf(stderr, "symbi: no --key: the one beside the log is taken, which who altered the log could have replaced\n");
	return note_public_read(path, ret, e);
}

static size_t split(char *list, const char *out[CHECKPOINTS_MAX + 1])
{
	size_t n = 0;
	char *save = NULL;
	for (char *one = strtok_r(list, ",", &save); one && n < CHECKPOINTS_MAX; one = strtok_r(NULL, ",", &save))
		out[n++] = one;
	out[n] = NULL;
	return n;
}

static int verify(const struct audit_files *f, const struct note_public *key, bool json)
{
	struct err e = {0};
	struct audit_report report = {0};
	autobuf struct buf text;
	buf_init(&text, 4096);
	if (audit_verify_files(f, key, &report, &e) < 0)
		return say_failed(&e);
	if (!json)
		buf_adds(&text, "ok\n");
	(json ? audit_report_json : audit_report_text)(&report, &text);
	return say_out(&text);
}

static int prove(const struct audit_files *f, const struct note_public *key, char **words, int n)
{
	struct err e = {0};
	char question[64];
	struct audit_question q;
	autobuf struct buf text;
	buf_init(&text, PROOF_MAX);
	snprintf(question, sizeof question, "%s%s%s", words[0], n > 1 ? " " : "", n > 1 ? words[1] : "");
	if (audit_question_parse(question, strlen(question), &q, &e) < 0 || audit_prove_files(f, key, &q, &text, &e) < 0)
		return say_failed(&e);
	return say_out(&text);
}

static int check(const struct audit_cli *a, const struct note_public *key, const char *old)
{
	struct err e = {0};
	autobuf struct buf proof, note, text;
	buf_init(&proof, PROOF_MAX);
	buf_init(&note, NOTE_TEXT_MAX);
	buf_init(&text, 4096);
	int r = say_slurp(a->proof, PROOF_MAX, &proof, &e);
	if (r == 0 && old)
		r = say_slurp(old, NOTE_TEXT_MAX, &note, &e);
	if (r == 0)
		r = audit_proof_check(proof.data, proof.len, key, old ? note.data : NULL, &text, &e);
	return r < 0 ? say_failed(&e) : say_out(&text);
}

int cmd_audit(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct audit_cli a = {0};
	struct note_public key, seal;
	char dir[DIR_MAX], list[4096];
	const char *more[CHECKPOINTS_MAX + 1];
	const struct opt opts[] = {{"log", &a.log, NULL},	{"key", &a.key, NULL},
				   {"seal", &a.seal, NULL},
				   {"proof", &a.proof, NULL},	{"checkpoint", &a.checkpoint, NULL},
				   {"state", &a.w.state, NULL}, {"json", NULL, &a.json},
				   {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, 3);
	if (at < 0)
		return CLI_USAGE;
	const char *what = argv[at];
	bool is_verify = strcmp(what, "verify") == 0, is_check = strcmp(what, "check") == 0;
	int words = argc - at - 1;
	if (!is_verify && !is_check && strcmp(what, "proof") != 0)
		return opts_wrong(c, "'%s' is none of verify, proof, check", what);
	if (is_check && (!a.proof || !a.key))
		return opts_wrong(c, "check needs --proof FILE and --key FILE");
	if (is_verify || is_check ? words : !words)
		return opts_wrong(c, words ? "nothing may follow %s" : "%s needs SEQ, or OLD NEW", what);
	snprintf(list, sizeof list, "%s", a.checkpoint ? a.checkpoint : "");
	split(list, more);
	if ((!is_check && find_dir(&a, dir, &e) < 0) || find_key(&a, dir, &key, &e) < 0)
		return say_failed(&e);
	if (a.seal && note_public_read(a.seal, &seal, &e) < 0)
		return say_failed(&e);
	struct audit_files f = {.dir = dir, .more = more, .seal = a.seal ? &seal : NULL};
	return is_verify ? verify(&f, &key, a.json) : is_check ? check(&a, &key, more[0]) : prove(&f, &key, argv + at + 1, words);
}
