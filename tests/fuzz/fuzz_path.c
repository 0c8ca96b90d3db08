/* SPDX-License-Identifier: MIT */
/* fuzz_path.c - paths and node ids: what is found is found again by its id and by its names one by one, what is opened
 * answers any read, and any number is a node or is refused. The first byte chooses caller and flags, the next eight are
 * an id. */
#include "tests/fuzz/grown.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	grown_make();
	return 0;
}

static void found_again(const struct actor *who, const char *path, const struct fs_attr *a)
{
	struct fs_attr again, step;
	struct err e = {0};
	assert((a->mode & S_IFMT) == (a->kind == FS_DIR ? S_IFDIR : S_IFREG));
	assert(tree_getattr(grown.t, who, a->id, &again, &e) == 0);
	assert(again.kind == a->kind && again.mode == a->mode && again.uid == a->uid);
	autofree char *copy = strdup(path);
	assert(tree_getattr(grown.t, who, FS_ROOT_ID, &step, &e) == 0);
	for (char *save, *name = strtok_r(copy, "/", &save); name; name = strtok_r(NULL, "/", &save))
		assert(tree_lookup(grown.t, who, step.id, name, &step, &e) == 0);
	assert(step.kind == a->kind && step.mode == a->mode);
}

static void read_some(struct handle *h, const struct actor *who, uint64_t off)
{
	struct grown_req g = grown_req(who);
	handle_read(h, &g.req, off, 1 + off % 70000, off & 1);
	int r = grown_wait(&g);
	assert(r >= 0 ? g.len <= 1 + off % 70000 : g.len == 0);
}

static bool counted(void *arg, const char *name, const struct fs_attr *a, uint64_t cookie)
{
	unsigned *n = arg;
	assert(*name && a->id && cookie);
	return ++*n < 10000;
}

static void any_id(const struct actor *who, fs_id id, const char *name, uint64_t off)
{
	struct fs_attr a;
	struct err e = {0};
	struct handle *h;
	unsigned n = 0;
	if (tree_getattr(grown.t, who, id, &a, &e) < 0)
		assert(e.code != ERR_NONE && e.msg[0]);
	tree_lookup(grown.t, who, id, name, &a, &e);
	tree_readdir(grown.t, who, id, off, counted, &n, &e);
	assert(n < 10000);
	if (tree_open(grown.t, who, id, O_RDONLY, &h, &e) == 0) {
		read_some(h, who, off);
		handle_release(h);
	}
	struct grown_req g = grown_req(who);
	tree_stat(grown.t, &g.req, id, off & 1 ? name : NULL);
	grown_wait(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int flags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT,
				    O_WRONLY | O_CREAT | O_EXCL, O_RDWR | O_CREAT | O_TRUNC, O_RDONLY};
	struct actor who = {.pid = getpid()};
	struct fs_attr a = {0};
	struct err e = {0};
	struct handle *h = NULL;
	uint64_t number;
	if (size < 9)
		return 0;
	if (data[0] & 8)
		who.uid = who.gid = 1000;
	memcpy(&number, data + 1, sizeof number);
	autofree char *path = strndup((const char *)data + 9, size - 9);
	if (tree_walk(grown.t, &who, path, &a, &e) == 0) {
		if (path[0] != '/' && !strstr(path, "//"))
			found_again(&who, path, &a);
	} else {
		assert(e.code != ERR_NONE && e.msg[0] && e.eno);
	}
	int r = tree_open_path(grown.t, &who, path, flags[data[0] & 7], &a, &h, NULL, &e);
	if (r == 0 && h) {
		read_some(h, &who, number);
		handle_release(h);
	}
	any_id(&who, data[0] & 16 ? number : (number & 0xff) | 1ull << (number >> 58), path, number);
	tree_turn(grown.t);
	grown_turn();
	return 0;
}
