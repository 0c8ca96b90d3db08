/* SPDX-License-Identifier: MIT */
/* audit_open.c - opening the audit trail: what its newest checkpoint says is there must be there, what stands behind that is
 * cut and added again from the journal. L2; one thread. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/sys.h"
#include "runtime/audit_trail.h"

#define TAIL	  (4u * NOTE_TEXT_MAX)
#define LINE_READ (64u << 20) /* bytes of the longest line that is believed */

static const char what_to_do[] = "restore the directory from a copy, or move it and the journal aside to begin anew";

static int altered(const struct trail *t, const char *what, struct err *e)
{
	return err_set(e, ERR_AUDIT_ALTERED, "the audit trail in '%s': %s; %s", t->dir, what, what_to_do);
}

/* ---- the newest checkpoint ---- */

/* Where the last whole note of text begins; NULL: there is none. An empty line ends it: what stands behind that is half a one. */
static const char *last_note(const char *text, size_t len)
{
	static const char sign[] = "\n\n\xe2\x80\x94 ";
	const char *end = text + len;
	for (const char *p = end; p > text; p--) {
		if ((size_t)(end - p) < sizeof sign - 1 || memcmp(p, sign, sizeof sign - 1) != 0 ||
		    !memmem(p + 2, (size_t)(end - p - 2), "\n\n", 2))
			continue;
		while (p > text + 1 && (p[-1] != '\n' || p[-2] != '\n')) /* back over its lines */
			p--;
		return p > text + 1 ? p : text;
	}
	return NULL;
}

static int read_checkpoint(struct trail *t, struct checkpoint *ret, struct err *e)
{
	static char tail[TAIL];
	uint64_t all = t->bytes[TRAIL_CHECKPOINTS], from = all > TAIL ? all - TAIL : 0;
	size_t len = (size_t)(all - from);
	int r = sys_pread_all(t->fd[TRAIL_CHECKPOINTS], tail, len, from);
	if (r < 0)
		return err_sys(e, ERR_AUDIT_IO, -r, "'%s/checkpoints'", t->dir);
	const char *note = last_note(tail, len);
	if (!note) {
		*ret = (struct checkpoint){.size = 0};
		return from == 0 ? 0 : altered(t, "its checkpoints end in none", e);
	}
	size_t note_len = checkpoint_len(note, (size_t)(tail + len - note));
	r = checkpoint_read(note, note_len, &t->key->pub, ret, e);
	if (r < 0)
		return err_wrap(e, "'%s/checkpoints'", t->dir);
	t->bytes[TRAIL_CHECKPOINTS] = from + (uint64_t)(note - tail) + note_len + 1;
	return buf_add(&t->pending[TRAIL_CHECKPOINTS], note, note_len);
}

/* ---- the files as of a checkpoint ---- */

static int line_at(const struct trail *t, const struct trail_entry *en, uint64_t *ret_seq, unsigned char leaf[MERKLE_HASH])
{
	unsigned char prev[MERKLE_HASH];
	autofree char *line = en->len && en->len < LINE_READ ? malloc(en->len) : NULL;
	int r = line ? sys_pread_all(t->fd[TRAIL_LOG], line, en->len, en->at) : -EBADMSG;
	if (r == 0 && (line[en->len - 1] != '\n' || !trail_line_read(line, en->len - 1, ret_seq, prev)))
		r = -EBADMSG;
	if (r == 0)
		merkle_leaf(line, en->len - 1, leaf);
	return r;
}

static int entry_at(const struct trail *t, uint64_t number, struct trail_entry *ret)
{
	return sys_pread_all(t->fd[TRAIL_INDEX], ret, sizeof *ret, number * sizeof *ret);
}

/* The first and the last line are looked at; all of them is what `verify` is for. */
static int check_lines(struct trail *t, uint64_t size, struct err *e)
{
	struct trail_entry first, last;
	uint64_t last_seq = 0;
	unsigned char leaf[MERKLE_HASH], stored[MERKLE_HASH];
	if (entry_at(t, 0, &first) < 0 || entry_at(t, size - 1, &last) < 0 || first.at != 0 ||
	    last.at + last.len > t->bytes[TRAIL_LOG])
		return altered(t, "it has fewer lines than its newest checkpoint says", e);
	if (line_at(t, &first, &t->first_seq, leaf) < 0 || line_at(t, &last, &last_seq, leaf) < 0 ||
	    trail_hash_read(&t->fd[TRAIL_HASHES], merkle_stored(0, size - 1), stored) < 0 ||
	    memcmp(leaf, stored, sizeof leaf) != 0 || last_seq != t->first_seq + size - 1)
		return altered(t, "a line is not the one that was signed", e);
	memcpy(t->prev, leaf, sizeof leaf);
	t->log_end = t->bytes[TRAIL_LOG] = last.at + last.len;
	return 0;
}

static int check_tree(struct trail *t, const struct checkpoint *c, struct err *e)
{
	unsigned char root[MERKLE_HASH];
	uint64_t hashes = merkle_stored_count(c->size) * MERKLE_HASH, index = c->size * sizeof(struct trail_entry);
	if (t->bytes[TRAIL_HASHES] < hashes || t->bytes[TRAIL_INDEX] < index ||
	    merkle_load(&t->tree, c->size, trail_hash_read, &t->fd[TRAIL_HASHES]) < 0)
		return altered(t, "its files are shorter than its newest checkpoint says", e);
	merkle_root(&t->tree, root);
	if (memcmp(root, c->root, sizeof root) != 0)
		return altered(t, "its hashes are not those that were signed", e);
	t->bytes[TRAIL_HASHES] = hashes;
	t->bytes[TRAIL_INDEX] = index;
	t->written = t->signed_size = c->size;
	return check_lines(t, c->size, e);
}

static int take_up(struct trail *t, struct checkpoint *c, struct err *e)
{
	int r = read_checkpoint(t, c, e);
	if (r == 0 && c->size)
		r = check_tree(t, c, e);
	else if (r == 0)
		memset(t->bytes, 0, sizeof t->bytes);
	for (enum trail_file f = 0; r == 0 && f < TRAIL_FILES; f++)
		if (ftruncate(t->fd[f], (off_t)t->bytes[f]) < 0)
			r = err_sys(e, ERR_AUDIT_IO, errno, "'%s/%s'", t->dir, trail_names[f]);
	return r;
}

/* ---- the key ---- */

static int get_key(struct trail *t, const char *key_file, const char *name, struct err *e)
{
	if (access(key_file, F_OK) < 0 && errno == ENOENT) {
		if (t->bytes[TRAIL_CHECKPOINTS])
			return err_set(e, ERR_AUDIT_KEY, "the audit trail in '%s' has checkpoints, but their signing key '%s' is "
				       "missing: restore it from a copy; a new key would sign another trail", t->dir, key_file);
		int r = note_key_make(key_file, name, e);
		if (r < 0)
			return r;
	}
	return note_key_read(key_file, &t->key, e);
}

/* A public key beside the trail, so that a copy of the directory has it. */
static bool says(const char *path, const char *text, size_t len)
{
	char is[NOTE_TEXT_MAX + 1];
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, is, sizeof is);
	return n >= 0 && (size_t)n == len && memcmp(is, text, len) == 0;
}

static int put_public(const struct trail *t, const struct note_public *k, const char *name, struct err *e)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	autobuf struct buf text;
	buf_init(&text, NOTE_TEXT_MAX);
	note_public_text(k, &text);
	snprintf(path, sizeof path, "%s/%s", t->dir, name);
	if (says(path, text.data, text.len)) /* a full disk is no reason not to start */
		return 0;
	snprintf(tmp, sizeof tmp, "%s/%s.new", t->dir, name);
	autoclose int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	int r = fd < 0 ? -errno : sys_pwrite_all(fd, text.data, text.len, 0);
	if (r == 0 && (fdatasync(fd) < 0 || rename(tmp, path) < 0))
		r = -errno;
	return r < 0 ? err_sys(e, ERR_AUDIT_IO, -r, "'%s'", path) : 0;
}

/* The key that the newest checkpoint names, or the first one, whose public half is what verifying begins with. */
static int get_seal(struct trail *t, const struct trail_place *at, const struct checkpoint *c, struct err *e)
{
	char name[NOTE_NAME_MAX];
	if (snprintf(name, sizeof name, "%s/seal", t->key->pub.name) >= (int)sizeof name)
		return err_set(e, ERR_AUDIT_KEY, "the name of the key '%s' is too long to be sealed", at->key_file);
	int r = seal_open(&t->seal, at->seal_file, name, c->sealed ? c->next : NULL, e);
	return r < 0 || c->sealed ? r : put_public(t, seal_public(t->seal), "seal.pub", e);
}

/* ---- life ---- */

static int open_files(struct trail *t, struct err *e)
{
	if (mkdir(t->dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, ERR_AUDIT_IO, errno, "'%s' cannot be made", t->dir);
	for (enum trail_file f = 0; f < TRAIL_FILES; f++) {
		char path[PATH_MAX];
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", t->dir, trail_names[f]);
		t->fd[f] = sys->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (t->fd[f] < 0 || fstat(t->fd[f], &st) < 0)
			return err_sys(e, ERR_AUDIT_IO, errno, "'%s'", path);
		t->bytes[f] = (uint64_t)st.st_size;
	}
	int r = sys_sync_dir(t->dir);
	return r < 0 ? err_sys(e, ERR_AUDIT_IO, -r, "'%s'", t->dir) : 0;
}

int trail_open(struct trail *t, const struct trail_place *at, struct err *e)
{
	struct checkpoint c = {.size = 0};
	*t = (struct trail){.dir = strdup(at->dir)};
	for (int f = 0; f < TRAIL_FILES; f++) {
		t->fd[f] = -1;
		buf_init(&t->pending[f], 1u << 30);
	}
	buf_init(&t->line, 1u << 28);
	pthread_mutex_init(&t->mu, NULL);
	int r = t->dir ? open_files(t, e) : err_set(e, ERR_SYS_MEMORY, "no memory for the audit trail");
	if (r == 0)
		r = get_key(t, at->key_file, at->name, e);
	if (r == 0)
		r = take_up(t, &c, e);
	if (r == 0)
		r = put_public(t, &t->key->pub, "key.pub", e);
	if (r == 0)
		r = get_seal(t, at, &c, e);
	return r;
}

void trail_close(struct trail *t)
{
	for (int f = 0; f < TRAIL_FILES; f++) {
		if (t->dir && t->fd[f] >= 0)
			close(t->fd[f]);
		buf_done(&t->pending[f]);
	}
	buf_done(&t->line);
	note_key_free(t->key);
	seal_close(t->seal);
	pthread_mutex_destroy(&t->mu);
	free(t->heads);
	free(t->dir);
	*t = (struct trail){0};
}
