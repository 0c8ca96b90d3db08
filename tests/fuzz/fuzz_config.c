/* SPDX-License-Identifier: MIT */
/* fuzz_config.c - configuration files and variables: what is refused changes nothing, what is accepted can be shown
 * and is the same after a reload. The first byte chooses: 0 YAML, 1 JSON, 2 TOML, 3 variables, one a line. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "runtime/config.h"

static char dir[] = "/dev/shm/symbi-fuzz.XXXXXX";
static char path[64];

static void remove_all(void)
{
	unlink(path);
	rmdir(dir);
}

static void put(const char *suffix, const char *text, size_t len)
{
	if (!*path) {
		if (!mkdtemp(dir))
			abort();
		atexit(remove_all);
	}
	unlink(path);
	snprintf(path, sizeof path, "%s/c.%s", dir, suffix);
	FILE *f = fopen(path, "w");
	if (!f || fwrite(text, 1, len, f) != len || fclose(f) != 0)
		abort();
}

static int load_env(struct config *c, const char *text, size_t len, struct err *e)
{
	char *env[65] = {0}, *save = NULL;
	autofree char *copy = strndup(text, len);
	size_t n = 0;
	for (char *line = strtok_r(copy, "\n", &save); line && n < 64; line = strtok_r(NULL, "\n", &save))
		env[n++] = line;
	return config_load_env(c, env, e);
}

static void show(const struct config *c, struct buf *out)
{
	buf_init(out, 16 << 20);
	assert(config_render(c, out) == 0);
}

static void check_json(const struct config *c)
{
	struct value *v = NULL;
	struct err e;
	autobuf struct buf out;
	buf_init(&out, 16 << 20);
	assert(config_render_json(c, &out) == 0);
	if (out.len <= VALUE_TEXT_MAX)
		assert(value_parse(VALUE_JSON, out.data, out.len, &v, NULL, &e) == 0);
	value_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const suffixes[] = {"yaml", "json", "toml"};
	struct config *c = NULL;
	struct err e = {0};
	autobuf struct buf before, after;
	buf_init(&before, 0);
	buf_init(&after, 0);
	if (size < 1 || config_new(&c, &e) < 0)
		return 0;
	const char *text = (const char *)data + 1;
	unsigned kind = data[0] % 4;
	show(c, &before);
	if (kind < 3)
		put(suffixes[kind], text, size - 1);
	int r = kind < 3 ? config_load_file(c, path, &e) : load_env(c, text, size - 1, &e);
	show(c, &after);
	if (r < 0) {
		assert(e.code != ERR_NONE && e.msg[0]);
		assert(strcmp(before.data, after.data) == 0);
	} else {
		check_json(c);
		assert(config_reload(c, &e) == 0);
		buf_done(&before);
		show(c, &before);
		assert(strcmp(before.data, after.data) == 0);
	}
	for (const char *const *w = config_warnings(c); *w; w++)
		assert(**w);
	config_free(c);
	return 0;
}
