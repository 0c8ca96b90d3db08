/* SPDX-License-Identifier: MIT */
/* settings.h - configurations for tests: made, loaded, looked at, in a directory of their own. */
#pragma once

#include <sys/stat.h>

#include "lib/mem.h"
#include "runtime/config_i.h"
#include "tests/support/check.h"
#include "tests/support/tempdir.h"

static char settings_dir[64];

static inline int settings_setup(void **state)
{
	(void)state;
	tempdir_make(settings_dir);
	return chdir(settings_dir);
}

static inline int settings_teardown(void **state)
{
	(void)state;
	tempdir_remove(settings_dir);
	return 0;
}

static inline struct config *settings_fresh(void)
{
	struct err e = {0};
	struct config *c = NULL;
	if (config_new(&c, &e) < 0)
		fail_msg("%s", e.msg);
	return c;
}

static inline void settings_write(const char *name, const char *text, size_t len)
{
	FILE *f = fopen(name, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static inline void settings_put(const char *name, const char *text)
{
	settings_write(name, text, strlen(text));
}

static inline void settings_load(struct config *c, const char *path)
{
	struct err e = {0};
	if (config_load_file(c, path, &e) < 0)
		fail_msg("%s", e.msg);
}

static inline struct config *settings_loaded(const char *path)
{
	struct config *c = settings_fresh();
	settings_load(c, path);
	return c;
}

/* What `symbi config show` says of key: a line "key value    # origin" without the padding. */
static inline void settings_shown(const struct config *c, const char *key, char out[static 512])
{
	autobuf struct buf b;
	buf_init(&b, 1 << 20);
	assert_int_equal(config_render(c, &b), 0);
	size_t n = strlen(key);
	for (char *line = b.data; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, key, n) != 0 || line[n] != ' ')
			continue;
		const char *value = line + n + strspn(line + n, " ");
		snprintf(out, 512, "%.*s", (int)strcspn(value, "\n"), value);
		return;
	}
	fail_msg("'%s' is not shown", key);
}

static inline void assert_shown(const struct config *c, const char *key, const char *want)
{
	char got[512];
	settings_shown(c, key, got);
	if (!strstr(got, want) || strstr(got, want) != got)
		fail_msg("%s: '%s', not '%s'", key, got, want);
}

static inline void settings_set(struct config *c, const char *key, const char *text)
{
	struct err e = {0};
	if (config_set(c, key, text, "--set", &e) < 0)
		fail_msg("%s", e.msg);
}

static inline int settings_load_one(struct config *c, const char *variable, struct err *e)
{
	char *copy = strdup(variable), *env[] = {copy, NULL};
	int r = config_load_env(c, env, e);
	free(copy);
	return r;
}
