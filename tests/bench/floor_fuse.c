/* SPDX-License-Identifier: MIT */
/* floor_fuse.c - the floor of the mount's figures: the smallest low-level libfuse program that does the
 * same operations, with libfuse's own loop and threads, as its examples are written.
 *
 * usage: floor_fuse [-n NAMES] MOUNTPOINT
 *   hello     a text made when it is opened; direct_io and no timeouts, since it may change
 *   sink      takes what is written
 *   ask       takes a question, answers "ok"
 *   dir/      NAMES names, half files half directories; new files can be made and are forgotten */
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOT = 1, HELLO, SINK, ASK, DIR_INO, FIRST_NAME = 16, FIRST_NEW = 1 << 24 };

static unsigned names = 0;
static atomic_uint made;

static int attr_of(fuse_ino_t ino, struct stat *st)
{
	bool dir = ino == ROOT || ino == DIR_INO ||
		   (ino >= FIRST_NAME && ino < FIRST_NEW && ino % 2);
	*st = (struct stat){.st_ino = ino, .st_nlink = dir ? 2 : 1};
	st->st_mode = dir ? S_IFDIR | 0755 : S_IFREG | 0644;
	return 0;
}

static void name_of(unsigned i, char out[32])
{
	snprintf(out, 32, i % 2 ? "agent%06u" : "agent%06u.yaml", i / 2);
}

static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
	static const char *const top[] = {
		[HELLO] = "hello", [SINK] = "sink", [ASK] = "ask", [DIR_INO] = "dir"};
	char made_name[32];
	unsigned n;
	if (parent == ROOT)
		for (fuse_ino_t i = HELLO; i <= DIR_INO; i++)
			if (strcmp(name, top[i]) == 0)
				return i;
	if (parent != DIR_INO || sscanf(name, "agent%u", &n) != 1)
		return 0;
	n = 2 * n + !strchr(name, '.');
	name_of(n, made_name);
	return n < names && strcmp(name, made_name) == 0 ? FIRST_NAME + n : 0;
}

static void entry_of(fuse_ino_t ino, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){.ino = ino};
	e->attr_timeout = e->entry_timeout = ino >= DIR_INO ? 1.0 : 0;
	attr_of(ino, &e->attr);
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e;
	fuse_ino_t ino = find(parent, name);
	if (!ino) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	entry_of(ino, &e);
	fuse_reply_entry(req, &e);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	struct stat st;
	attr_of(ino, &st);
	fuse_reply_attr(req, &st, ino >= DIR_INO ? 1.0 : 0);
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int set,
		       struct fuse_file_info *fi)
{
	(void)attr, (void)set;
	do_getattr(req, ino, fi);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	char *text = malloc(64);
	snprintf(text, 64, ino == ASK ? "ok\n" : "a small text that was made when it opened\n");
	fi->fh = (uint64_t)(uintptr_t)text;
	fi->direct_io = 1;
	fuse_reply_open(req, fi);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	(void)ino;
	const char *text = (const char *)(uintptr_t)fi->fh;
	size_t len = strlen(text), from = (size_t)off < len ? (size_t)off : len;
	fuse_reply_buf(req, text + from, len - from < size ? len - from : size);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	(void)ino, (void)data, (void)off, (void)fi;
	fuse_reply_write(req, size);
}

static void do_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino, (void)fi;
	fuse_reply_err(req, 0);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	free((void *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)parent, (void)name, (void)mode;
	struct fuse_entry_param e;
	entry_of(FIRST_NEW + atomic_fetch_add(&made, 1), &e);
	fi->fh = (uint64_t)(uintptr_t)calloc(1, 64);
	fi->direct_io = 1;
	fuse_reply_create(req, &e, fi);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	(void)fi;
	char *data = malloc(size), name[32];
	size_t len = 0;
	for (unsigned i = (unsigned)off; ino == DIR_INO && i < names; i++) {
		struct stat st;
		name_of(i, name);
		attr_of(FIRST_NAME + i, &st);
		size_t n = fuse_add_direntry(req, data + len, size - len, name, &st, i + 1);
		if (n > size - len)
			break;
		len += n;
	}
	fuse_reply_buf(req, data, len);
	free(data);
}

static const struct fuse_lowlevel_ops ops = {
	.lookup = do_lookup,
	.getattr = do_getattr,
	.setattr = do_setattr,
	.open = do_open,
	.read = do_read,
	.write = do_write,
	.flush = do_flush,
	.release = do_release,
	.create = do_create,
	.readdir = do_readdir,
};

int main(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "n:")) == 'n')
		names = (unsigned)strtoul(optarg, NULL, 10);
	if (o != -1 || optind + 1 != argc) {
		fputs("usage: floor_fuse [-n NAMES] MOUNTPOINT\n", stderr);
		return 2;
	}
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *se = fuse_session_new(&args, &ops, sizeof ops, NULL);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	if (!se || fuse_set_signal_handlers(se) != 0 || fuse_session_mount(se, argv[optind]) != 0)
		return 1;
	int r = fuse_session_loop_mt(se, config);
	fuse_session_unmount(se);
	fuse_remove_signal_handlers(se);
	fuse_session_destroy(se);
	fuse_loop_cfg_destroy(config);
	return r < 0;
}
