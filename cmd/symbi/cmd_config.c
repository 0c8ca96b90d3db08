/* SPDX-License-Identifier: MIT */
/* cmd_config.c - show the settings and where each came from; check files of them. L4. */
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define SHOW_MAX (8u << 20)

static int load(struct config *c, char **files, struct err *e)
{
	int r = *files ? 0 : config_load_default(c, e);
	for (; r == 0 && *files; files++)
		r = config_load_file(c, *files, e);
	return r == 0 ? config_load_env(c, environ, e) : r;
}

static void print_warnings(const struct config *c)
{
	for (const char *const *w = config_warnings(c); *w; w++)
		fprintf(stderr, "symbi: CONFIG_001 %s\n", *w);
}

static int show(const struct config *c, bool json)
{
	autobuf struct buf text;
	buf_init(&text, SHOW_MAX);
	if (json)
		config_render_json(c, &text);
	else
		config_render(c, &text);
	return say_out(&text);
}

/* {"ok":true,"warnings":[...]} or {"ok":false,"code":...,"line":...,"message":...} */
static int checked(const struct config *c, int r, const struct err *e)
{
	autobuf struct buf text;
	buf_init(&text, SHOW_MAX);
	buf_printf(&text, "{\"ok\":%s,", r < 0 ? "false" : "true");
	if (r < 0) {
		buf_printf(&text,
			   "\"code\":\"%s\",\"line\":%u,\"message\":", err_code_name(e->code),
			   e->line);
		buf_json_string(&text, e->msg, strlen(e->msg));
		buf_adds(&text, ",");
	}
	buf_adds(&text, "\"warnings\":[");
	const char *const *w = config_warnings(c);
	for (size_t i = 0; w[i]; i++) {
		buf_adds(&text, i ? "," : "");
		buf_json_string(&text, w[i], strlen(w[i]));
	}
	buf_adds(&text, "]}\n");
	return say_out(&text) || r < 0 ? CLI_FAILED : 0;
}

int cmd_config(const struct command *c, int argc, char **argv)
{
	struct err e = {0};
	struct config *config = NULL;
	bool json = false;
	const struct opt opts[] = {{"json", NULL, &json}, {NULL, NULL, NULL}};
	int at = opts_read(c, argc, argv, opts, 1, argc);
	if (at < 0)
		return CLI_USAGE;
	bool check = strcmp(argv[at], "check") == 0;
	if (!check && strcmp(argv[at], "show") != 0)
		return opts_wrong(c, "'%s' is neither show nor check", argv[at]);
	if (config_new(&config, &e) < 0)
		return say_failed(&e);
	int r = load(config, argv + at + 1, &e), status = 0;
	if (check && json) {
		status = checked(config, r, &e);
	} else {
		print_warnings(config);
		if (r < 0)
			status = say_failed(&e);
		else if (check)
			puts("ok");
		else
			status = show(config, json);
	}
	config_free(config);
	return status;
}
