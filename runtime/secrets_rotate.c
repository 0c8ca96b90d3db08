/* SPDX-License-Identifier: MIT */
/* secrets_rotate.c - a new master key for the secrets of an installation. L2; loop thread only.
 *
 * STATE/master.key.next, once it is there, seals what is written; what the key before it sealed is wrapped anew, a record
 * each. Both keys open until the last one is durable; then the file takes the place of the old one. So a kill at any point
 * leaves every value under one of two keys that are both there, and a start goes on with it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/sys.h"
#include "runtime/runtime_i.h"
#include "runtime/secret_i.h"

#define STEP_BYTES (256u << 10) /* of sealed values in one turn of the loop */
#define STEP_MOST  64

struct rotation {
	struct runtime *rt;
	struct actor who;
	struct runtime_done done;
	struct rt_timer timer;
	uint32_t at;   /* number of the last one that was looked at */
	unsigned left; /* records that are not durable yet */
	bool all_seen;
	struct err why; /* the first failure */
};

static void key_path(const struct runtime *rt, const char *name, char out[static PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%s", rt->state_dir, name);
}

/* ---- the keys ---- */

static int load_next(struct runtime *rt, struct err *e)
{
	char next[PATH_MAX];
	key_path(rt, SECRETS_NEXT_KEY, next);
	if (rt->secrets.next || (access(next, F_OK) < 0 && errno == ENOENT))
		return 0;
	return secret_key_find(&rt->secrets.next, &(struct secret_key_places){.file = next, .passphrase_fd = -1}, e);
}

int secrets_keys(struct runtime *rt, struct err *e)
{
	char file[PATH_MAX];
	if (rt->secrets.key)
		return 0;
	key_path(rt, SECRETS_KEY, file);
	int r = load_next(rt, e);
	if (r == 0)
		r = secret_key_find(&rt->secrets.key, &(struct secret_key_places){.passphrase_fd = -1, .in_use = file}, e);
	if (r == 0)
		secret_harden_process();
	return r;
}

/* ---- the values ---- */

static unsigned char *decoded(const struct secret *s, size_t *ret_len)
{
	size_t len = strlen(s->sealed);
	unsigned char *raw = malloc(len + 1);
	if (raw && sodium_base642bin(raw, len, s->sealed, len, NULL, ret_len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
		*ret_len = 0; /* which is no sealed form */
	return raw;
}

static void fail(struct rotation *g, const struct err *why)
{
	if (g->why.code == ERR_NONE)
		g->why = *why;
}

static void settle(struct rotation *g);

static void is_durable(void *arg, const struct err *why)
{
	struct rotation *g = arg;
	if (why)
		fail(g, why);
	if (--g->left == 0 && g->all_seen)
		settle(g);
}

static int wrap(struct rotation *g, const struct secret *s, const unsigned char *raw, size_t len, struct err *e)
{
	struct runtime *rt = g->rt;
	autobuf struct buf sealed;
	buf_init(&sealed, SECRET_MAX + 4096u);
	int r = secret_rewrap(rt->secrets.key, rt->secrets.next, raw, len, &sealed, e);
	if (r < 0)
		return r;
	size_t cap = sodium_base64_ENCODED_LEN(sealed.len, sodium_base64_VARIANT_ORIGINAL);
	autofree char *text = malloc(cap);
	autofree char *path = strdup(s->path);
	if (!text || !path)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a secret");
	sodium_bin2base64(text, cap, (const unsigned char *)sealed.data, sealed.len, sodium_base64_VARIANT_ORIGINAL);
	struct facts f = {.type = REC_SECRET_REWRAPPED, .object = path, .serial = s->serial, .content = s->generation, .text = text};
	g->left++;
	r = record(rt, &g->who, &f, (struct runtime_done){is_durable, g}, e);
	g->left -= r < 0;
	return r;
}

/* Its bytes; 0: there was nothing to do. */
static size_t rewrap(struct rotation *g, const struct secret *s)
{
	struct err e = {0};
	struct secret_head h;
	size_t len = 0;
	autofree unsigned char *raw = s->sealed ? decoded(s, &len) : NULL;
	if (!s->sealed)
		return 0;
	int r = raw ? secret_head_read(&h, raw, len, &e) : err_set(&e, ERR_SYS_MEMORY, "no memory for a secret");
	if (r == 0 && memcmp(h.key_id, g->rt->secrets.next->id, sizeof h.key_id) == 0)
		return 0;
	if (r == 0)
		r = wrap(g, s, raw, len, &e);
	if (r < 0) {
		err_wrap(&e, "'%.100s'", s->path);
		fail(g, &e);
	}
	return len + 1;
}

static const struct secret *behind(const struct secrets *p, uint32_t number)
{
	size_t i = sorted_place(p->all, p->n, s, SECRET_NUMBER(s), number + 1);
	return i < p->n ? p->all[i] : NULL;
}

static void step(void *arg)
{
	struct rotation *g = arg;
	size_t bytes = 0, n = 0;
	const struct secret *s = behind(&g->rt->secrets, g->at);
	for (; s && bytes < STEP_BYTES && n < STEP_MOST; s = behind(&g->rt->secrets, g->at)) {
		size_t took = rewrap(g, s);
		bytes += took;
		n += took > 0;
		g->at = SECRET_NUMBER(s);
	}
	if (s) {
		timer_set(&g->rt->timers, &g->timer, 0, step, g);
		return;
	}
	g->all_seen = true;
	if (!g->left)
		settle(g);
}

/* ---- the end ---- */

/* The bytes of a key file that has no name any more. What the disk makes of it is the disk's. */
static void wipe(int fd)
{
	static const char zeros[KEY_TEXT_MAX];
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0 && sys_pwrite_all(fd, zeros, sizeof zeros, 0) == 0)
		fdatasync(fd);
}

/* The next key is the key: its file takes the place of that of the old one. A key that came from elsewhere is its keeper's
 * to replace; until then the file stays, and both are read. */
static int take_place(struct runtime *rt, struct err *e)
{
	struct secrets *p = &rt->secrets;
	char file[PATH_MAX], next[PATH_MAX];
	key_path(rt, SECRETS_KEY, file);
	key_path(rt, SECRETS_NEXT_KEY, next);
	bool same = memcmp(p->key->id, p->next->id, sizeof p->key->id) == 0;
	if (!same && strncmp(p->key->from, file, sizeof p->key->from - 1) != 0) {
		log_warn("secrets.new_key_waits", "file", next, "instead_of", p->key->from, NULL);
		return 0;
	}
	autoclose int old = open(same ? next : file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (same ? unlink(next) < 0 : rename(next, file) < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%.200s'", next);
	int r = sys_sync_dir(rt->state_dir);
	if (r < 0)
		return err_sys(e, ERR_SYS_IO, -r, "'%.200s'", rt->state_dir);
	wipe(old);
	snprintf(p->next->from, sizeof p->next->from, "%.*s", (int)sizeof p->next->from - 1, file);
	secret_key_free(same ? p->next : p->key);
	p->key = same ? p->key : p->next;
	p->next = NULL;
	return 0;
}

static void settle(struct rotation *g)
{
	struct runtime *rt = g->rt;
	struct err e = {0};
	if (g->why.code == ERR_NONE && take_place(rt, &e) < 0)
		g->why = e;
	if (g->why.code == ERR_NONE) {
		struct facts f = {.type = REC_DAEMON, .object = "daemon", .why = "the master key of secrets was rotated"};
		record(rt, &g->who, &f, done_nobody, NULL);
	} else {
		err_wrap(&g->why, "the secrets are under two keys, and both stay: mend this and rotate again");
		log_err(LOG_LEVEL_ERROR, "secrets.not_rotated", &g->why, NULL, NULL);
	}
	rt->secrets.rotation = NULL;
	g->done.fn(g->done.arg, g->why.code == ERR_NONE ? NULL : &g->why);
	free(g);
}

/* ---- the beginning ---- */

int secrets_rotate(struct runtime *rt, const struct actor *who, struct runtime_done done, struct err *e)
{
	int r = rt->stopping ? err_set(e, ERR_SYS_STOPPING, "the daemon is stopping") : secrets_keys(rt, e);
	if (r == 0 && rt->secrets.rotation)
		r = err_sys(e, ERR_SECRET_INVALID, EBUSY, "a rotation goes on");
	if (r == 0)
		r = load_next(rt, e);
	if (r == 0 && !rt->secrets.next)
		r = err_set(e, ERR_SECRET_INVALID, "there is no new key '%.200s/" SECRETS_NEXT_KEY "'; `symbi secrets rotate` makes it",
			    rt->state_dir);
	struct rotation *g = r == 0 ? calloc(1, sizeof *g) : NULL;
	if (r == 0 && !g)
		r = err_set(e, ERR_SYS_MEMORY, "no memory for a rotation");
	if (r < 0)
		return r;
	*g = (struct rotation){.rt = rt, .who = *who, .done = done};
	g->who.req = 0; /* it is done by its last record; asked for again it goes on */
	g->who.groups = NULL;
	rt->secrets.rotation = g;
	timer_set(&rt->timers, &g->timer, 0, step, g);
	return 0;
}

void secrets_start(struct runtime *rt)
{
	char next[PATH_MAX];
	struct err e = {0};
	key_path(rt, SECRETS_NEXT_KEY, next);
	if (access(next, F_OK) == 0 && secrets_rotate(rt, &actor_self, done_nobody, &e) < 0)
		log_err(LOG_LEVEL_ERROR, "secrets.not_rotated", &e, NULL, NULL);
}

struct rotation *secrets_rotate_stop(struct runtime *rt)
{
	struct rotation *g = take_ptr(rt->secrets.rotation);
	if (g) {
		timer_clear(&rt->timers, &g->timer);
		g->all_seen = false; /* records that become durable meanwhile end nothing; the next start goes on */
	}
	return g;
}
