/* SPDX-License-Identifier: MIT */
/* cmd_secrets.c - seal files with the master key, open, edit and rotate them, import those of Symbiont; works without the
 * daemon. L4. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "lib/mem.h"
#include "lib/parse.h"
#include "lib/sys.h"
#include "runtime/runtime.h"
#include "runtime/secrets.h"

#define SEALED_MAX (SECRET_MAX + 4096u)

struct said { /* of a rotation */
	bool there;
	struct err why;
};

struct words { /* of the command; NULL: not said */
	const char *in, *out, *file, *name, *key, *new_key, *passphrase_fd;
	struct where where;
};

static const char *own_key(const struct words *w, char out[static PATH_MAX + 16])
{
	snprintf(out, PATH_MAX + 16, "%s/master.key", w->where.at.state);
	return out;
}

static int load_key(const struct words *w, const char *file, struct secret_key **ret, struct err *e)
{
	char in_use[PATH_MAX + 16];
	struct secret_key_places at = {.file = file, .passphrase_fd = -1, .in_use = own_key(w, in_use)};
	uint64_t fd;
	if (!file && w->passphrase_fd) {
		if (parse_u64(w->passphrase_fd, 0, 1024, &fd, e) < 0)
			return err_wrap(e, "--passphrase-fd");
		at.passphrase_fd = (int)fd;
	}
	return secret_key_find(ret, &at, e);
}

/* ---- files ---- */

static int read_plain(const char *path, struct secret_text *ret, struct err *e)
{
	bool standard = strcmp(path, "-") == 0;
	autoclose int opened = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	*ret = (struct secret_text){0};
	if (!standard && opened < 0)
		return err_sys(e, ERR_SYS_IO, errno, "'%.200s'", path);
	return secret_text_read(ret, standard ? STDIN_FILENO : opened, path, e);
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		p += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int write_out(const char *path, const void *data, size_t len, struct err *e)
{
	int r;
	if (strcmp(path, "-") != 0)
		return secret_file_write(path, data, len, true, e);
	r = write_all(STDOUT_FILENO, data, len);
	return r < 0 ? err_sys(e, ERR_SYS_IO, -r, "standard output") : 0;
}

/* The name that is sealed in: what was asked for, else the file's own without .enc. */
static const char *name_of(const struct words *w, const char *path, char out[PATH_MAX])
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof copy, "%s", path);
	snprintf(out, PATH_MAX, "%s", w->name ? w->name : basename(copy));
	size_t len = strlen(out);
	if (!w->name && len > 4 && strcmp(out + len - 4, ".enc") == 0)
		out[len - 4] = 0;
	return out;
}

/* ---- the commands: 0 or -errno ---- */

static int keygen(const struct words *w, struct err *e)
{
	char in_use[PATH_MAX + 16];
	const char *path = w->out ? w->out : own_key(w, in_use);
	int r = secret_key_make(path, e);
	if (r == 0)
		printf("%s\n", path);
	return r;
}

static int encrypt(const struct words *w, struct secret_key *k, struct err *e)
{
	char name[PATH_MAX];
	struct secret_text plain;
	autobuf struct buf sealed;
	buf_init(&sealed, SEALED_MAX);
	int r = read_plain(w->in, &plain, e);
	if (r == 0)
		r = secret_seal(k, name_of(w, strcmp(w->out, "-") == 0 ? w->in : w->out, name), 1, plain.data, plain.len,
				&sealed, e);
	if (r == 0)
		r = write_out(w->out, sealed.data, sealed.len, e);
	secret_text_free(&plain);
	return r;
}

static int decrypt(const struct words *w, struct secret_key *k, struct err *e)
{
	struct secret_text plain = {0};
	autobuf struct buf sealed;
	buf_init(&sealed, SEALED_MAX);
	int r = say_slurp(w->in, SEALED_MAX, &sealed, e);
	if (r == 0 && (r = secret_open(k, w->name, sealed.data, sealed.len, &plain, NULL, e)) < 0)
		err_wrap(e, "'%.200s'", w->in);
	if (r == 0)
		r = write_out(w->out ? w->out : "-", plain.data, plain.len, e);
	secret_text_free(&plain);
	return r;
}

static int import(const struct words *w, struct secret_key *k, struct err *e)
{
	char name[PATH_MAX];
	struct secret_text plain = {0};
	struct secret_key *to = NULL;
	autobuf struct buf old, sealed;
	buf_init(&old, 2 * SEALED_MAX);
	buf_init(&sealed, SEALED_MAX);
	int r = say_slurp(w->in, 2 * SEALED_MAX, &old, e);
	if (r == 0 && (r = secret_open_legacy(k, old.data, old.len, &plain, e)) < 0)
		err_wrap(e, "'%.200s'", w->in);
	if (r == 0 && w->new_key)
		r = load_key(w, w->new_key, &to, e);
	if (r == 0)
		r = secret_seal(to ? to : k, name_of(w, w->out, name), 1, plain.data, plain.len, &sealed, e);
	if (r == 0)
		r = write_out(w->out, sealed.data, sealed.len, e);
	secret_text_free(&plain);
	secret_key_free(to);
	return r;
}

static int rotate(const struct words *w, struct secret_key *k, struct err *e)
{
	struct secret_key *to = NULL;
	autobuf struct buf old, sealed;
	buf_init(&old, SEALED_MAX);
	buf_init(&sealed, SEALED_MAX);
	int r = load_key(w, w->new_key, &to, e);
	if (r == 0)
		r = say_slurp(w->file, SEALED_MAX, &old, e);
	if (r == 0 && (r = secret_rewrap(k, to, old.data, old.len, &sealed, e)) < 0)
		err_wrap(e, "'%.200s'", w->file);
	if (r == 0)
		r = secret_file_write(w->file, sealed.data, sealed.len, true, e);
	secret_key_free(to);
	return r;
}

/* ---- rotating the store ---- */

static void rotated(void *arg, const struct err *why)
{
	struct said *s = arg;
	s->there = true;
	if (why)
		s->why = *why;
}

/* No daemon has the state: what it would do is done here. Its journal is locked meanwhile. */
static int rotate_here(const struct words *w, struct err *e)
{
	struct loop loop;
	struct config *c = NULL;
	struct runtime *rt = NULL;
	struct said said = {0};
	const struct actor self = {.uid = geteuid(), .gid = getegid(), .pid = getpid()};
	int r = config_new(&c, e);
	if (r == 0)
		r = config_load_default(c, e);
	if (r == 0)
		r = config_load_env(c, environ, e);
	if (r == 0 && (r = loop_init(&loop, e)) == 0) {
		struct runtime_opts o = {.state_dir = w->where.at.state, .config = c, .loop = &loop, .spawn_fd = -1, .still = true};
		r = runtime_open(&rt, &o, e);
		if (r == 0 && secrets_rotate(rt, &self, (struct runtime_done){rotated, &said}, e) < 0)
			r = -e->eno;
		while (r == 0 && !said.there) {
			uv_run(&loop.uv, UV_RUN_ONCE);
			loop_drain(&loop);
		}
		runtime_close(rt);
		loop_done(&loop);
	}
	config_free(c);
	if (r == 0 && said.why.code != ERR_NONE) {
		*e = said.why;
		r = -e->eno;
	}
	return r;
}

/* The new key's file comes first; whatever ends us behind that, the daemon or the next rotation goes on with it. */
static int rotate_store(const struct words *w, struct err *e)
{
	char next[PATH_MAX + 32];
	struct secret_key *to = NULL;
	snprintf(next, sizeof next, "%s/master.key.next", w->where.at.state);
	bool begun = access(next, F_OK) == 0;
	if (begun && w->new_key)
		return err_set(e, ERR_SECRET_INVALID, "a rotation to '%.200s' was begun: end it first, without --new-key", next);
	int r = begun ? 0 : w->new_key ? load_key(w, w->new_key, &to, e) : secret_key_make(next, e);
	if (to)
		r = secret_key_copy(to, next, e);
	secret_key_free(to);
	if (r == 0)
		r = where_write(&w->where, "ctl", "rotate secrets\n", e);
	if (r == -ECONNREFUSED || r == -ENOENT || r == -ENOTCONN) /* nobody listens */
		r = rotate_here(w, e);
	if (r == 0 && access(next, F_OK) == 0)
		fprintf(stderr, "symbi: every secret is under the new key '%s'; put it where the old one comes from\n", next);
	return r;
}

static int info(const struct words *w, struct err *e)
{
	struct secret_head h;
	char id[2 * SECRET_ID_BYTES + 1];
	autobuf struct buf sealed;
	buf_init(&sealed, SEALED_MAX);
	int r = say_slurp(w->file, SEALED_MAX, &sealed, e);
	if (r == 0 && (r = secret_head_read(&h, sealed.data, sealed.len, e)) < 0)
		err_wrap(e, "'%.200s'", w->file);
	if (r < 0)
		return r;
	sodium_bin2hex(id, sizeof id, h.key_id, sizeof h.key_id);
	printf("name %s\ngeneration %llu\n", h.name, (unsigned long long)h.generation);
	if (h.passphrase)
		printf("key passphrase, Argon2id %u passes %u KiB\n", h.passes, h.kib);
	else
		printf("key %s\n", id);
	return 0;
}

/* ---- edit: the plain text never touches a disk ---- */

/* A directory of our own on a tmpfs. */
static int make_dir(char out[PATH_MAX], struct err *e)
{
	const char *const places[] = {getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/run"};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct statfs fs;
		if (!places[i] || statfs(places[i], &fs) < 0 || fs.f_type != TMPFS_MAGIC)
			continue;
		if (snprintf(out, PATH_MAX, "%s/symbi-edit-XXXXXX", places[i]) < PATH_MAX && mkdtemp(out))
			return 0;
	}
	return err_set(e, ERR_SECRET_INVALID, "neither XDG_RUNTIME_DIR nor /dev/shm is a tmpfs that you may write: the text would "
		       "touch a disk");
}

static void wipe(int dir, const char *name)
{
	static const char zeros[4096];
	autoclose int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	for (off_t at = 0; fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && at < st.st_size; at += sizeof zeros)
		if (pwrite(fd, zeros, sizeof zeros, at) < 0)
			break;
	unlinkat(dir, name, 0);
}

/* With what editors leave beside it. */
static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	for (struct dirent *ent; d && (ent = readdir(d));)
		if (ent->d_type == DT_REG)
			wipe(dirfd(d), ent->d_name);
	if (d)
		closedir(d);
	rmdir(path);
}

/* 0 when the editor ended well. */
static int run_editor(const char *file, struct err *e)
{
	const char *editor = getenv("VISUAL");
	int status;
	if (!editor || !*editor)
		editor = getenv("EDITOR");
	if (!editor || !*editor)
		editor = "vi";
	autobuf struct buf line;
	buf_init(&line, 65536);
	buf_printf(&line, "%s \"$1\"", editor); /* it may hold options, as everywhere */
	pid_t pid = line.fail ? -1 : fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", line.data, "symbi", file, (char *)NULL);
		_exit(127);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			pid = -1;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_SECRET_INVALID, "the editor '%.100s' ended with a failure: nothing was changed", editor);
	return 0;
}

static int edit_in(const char *dir, const struct words *w, const struct secret_head *h, const struct secret_key *k,
		   struct secret_text *plain, struct err *e)
{
	char path[PATH_MAX], base[PATH_MAX];
	struct secret_text now = {0};
	autobuf struct buf sealed;
	buf_init(&sealed, SEALED_MAX);
	snprintf(base, sizeof base, "%s", h->name);
	if (snprintf(path, sizeof path, "%s/%s", dir, basename(base)) >= (int)sizeof path)
		return err_sys(e, ERR_SYS_IO, ENAMETOOLONG, "'%.100s'", h->name);
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : write_all(fd, plain->data, plain->len);
	if (r < 0)
		return err_sys(e, ERR_SYS_IO, -r, "'%.200s'", path);
	r = run_editor(path, e);
	if (r == 0)
		r = read_plain(path, &now, e);
	bool same = r == 0 && now.len == plain->len && memcmp(now.data, plain->data, now.len) == 0;
	if (r == 0 && !same)
		r = secret_seal(k, h->name, h->generation + 1, now.data, now.len, &sealed, e);
	if (r == 0 && !same)
		r = secret_file_write(w->file, sealed.data, sealed.len, true, e);
	secret_text_free(&now);
	if (same)
		fputs("symbi: nothing was changed\n", stderr);
	return r;
}

static int edit(const struct words *w, struct secret_key *k, struct err *e)
{
	char dir[PATH_MAX];
	struct secret_head h;
	struct secret_text plain = {0};
	autobuf struct buf sealed;
	buf_init(&sealed, SEALED_MAX);
	int r = say_slurp(w->file, SEALED_MAX, &sealed, e);
	if (r == 0 && (r = secret_open(k, w->name, sealed.data, sealed.len, &plain, &h, e)) < 0)
		err_wrap(e, "'%.200s'", w->file);
	if (r == 0)
		r = make_dir(dir, e);
	if (r == 0) {
		r = edit_in(dir, w, &h, k, &plain, e);
		remove_dir(dir);
	}
	secret_text_free(&plain);
	return r;
}

/* ---- the table ---- */

static const struct action {
	const char *name;
	int (*fn)(const struct words *w, struct secret_key *k, struct err *e);
	bool in, out, file, new_key; /* needed */
} actions[] = {
	{"encrypt", encrypt, .in = true, .out = true},	{"decrypt", decrypt, .in = true},
	{"edit", edit, .file = true},			{"import", import, .in = true, .out = true},
	{"rotate", rotate, .file = true, .new_key = true}, /* without --file: rotate_store */
};

static int with_key(const struct command *c, const struct action *a, const struct words *w)
{
	struct err e = {0};
	struct secret_key *k = NULL;
	if ((a->in && !w->in) || (a->out && !w->out) || (a->file && !w->file) || (a->new_key && !w->new_key))
		return opts_wrong(c, "%s needs%s%s%s%s", a->name, a->in ? " --in FILE" : "", a->out ? " --out FILE" : "",
				  a->file ? " --file FILE" : "", a->new_key ? " --new-key FILE" : "");
	int r = load_key(w, w->key, &k, &e);
	if (r == 0)
		r = a->fn(w, k, &e);
	secret_key_free(k);
	return r < 0 ? say_failed(&e) : 0;
}

int cmd_secrets(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct words w = {0};
	const struct opt opts[] = {{"in", &w.in, NULL},
				   {"out", &w.out, NULL},
				   {"file", &w.file, NULL},
				   {"name", &w.name, NULL},
				   {"key", &w.key, NULL},
				   {"new-key", &w.new_key, NULL},
				   {"passphrase-fd", &w.passphrase_fd, NULL},
				   {"state", &w.where.state, NULL},
				   {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, 1);
	if (at < 0)
		return CLI_USAGE;
	secret_harden_process();
	if (where_find(&w.where, &e) < 0)
		return say_failed(&e);
	if (strcmp(argv[at], "keygen") == 0)
		return keygen(&w, &e) < 0 ? say_failed(&e) : 0;
	if (strcmp(argv[at], "info") == 0)
		return !w.file ? opts_wrong(c, "info needs --file FILE") : info(&w, &e) < 0 ? say_failed(&e) : 0;
	if (strcmp(argv[at], "rotate") == 0 && !w.file)
		return rotate_store(&w, &e) < 0 ? say_failed(&e) : 0;
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(actions[i].name, argv[at]) == 0)
			return with_key(c, &actions[i], &w);
	return opts_wrong(c, "'%s' is none of keygen, encrypt, decrypt, edit, import, rotate, info", argv[at]);
}
