/* SPDX-License-Identifier: MIT */
/* cmd_doctor.c - run the checks and print what they found. L4. */
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "lib/mem.h"

static const char *const verdicts[] = {
	[VERDICT_OK] = "ok", [VERDICT_WARN] = "warn", [VERDICT_MISSING] = "missing"};

void finding_set(struct finding *f, enum verdict v, const char *advice, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->found, sizeof f->found, fmt, ap);
	va_end(ap);
	snprintf(f->advice, sizeof f->advice, "%s", advice ? advice : "");
	f->verdict = v;
}

static void print_text(const struct check *k, const struct finding *f)
{
	printf("%-8s %-18s %s\n", verdicts[f->verdict], k->name, f->found);
	if (f->advice[0])
		printf("%-27s -> %s\n", "", f->advice);
}

static void add_json(const struct check *k, const struct finding *f, struct buf *out)
{
	buf_adds(out, out->len > 1 ? ",\n" : "");
	buf_printf(out, "{\"name\":\"%s\",\"status\":\"%s\",\"found\":", k->name,
		   verdicts[f->verdict]);
	buf_json_string(out, f->found, strlen(f->found));
	buf_adds(out, ",\"advice\":");
	buf_json_string(out, f->advice, strlen(f->advice));
	buf_adds(out, "}");
}

static void load_settings(struct checkup *c)
{
	if (config_new(&c->config, &c->config_error) < 0)
		return;
	int r = config_load_default(c->config, &c->config_error);
	if (r == 0)
		config_load_env(c->config, environ, &c->config_error);
}

int cmd_doctor(const struct command *c, int argc, char **argv)
{
	static const struct check *const tables[] = {checks_machine, checks_place};
	struct checkup up = {0};
	bool json = false, missing = false;
	const struct opt opts[] = {
		WHERE_SOCKET_OPTS(up.where), {"json", NULL, &json}, {NULL, NULL, NULL}};
	if (opts_read(c, argc, argv, opts, 0, 0) < 0)
		return CLI_USAGE;
	autobuf struct buf out;
	buf_init(&out, 1 << 20);
	load_settings(&up);
	struct err e = {0};
	if (!up.config ||
	    places_find(&up.where.at, up.config, NULL, up.where.state, up.where.socket, &e) < 0)
		return say_failed(e.code ? &e : &up.config_error);
	buf_adds(&out, "[");
	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		for (const struct check *k = tables[t]; k->name; k++) {
			struct finding f = {0};
			k->fn(&up, &f);
			missing = missing || f.verdict == VERDICT_MISSING;
			if (json)
				add_json(k, &f, &out);
			else
				print_text(k, &f);
		}
	buf_adds(&out, "]\n");
	config_free(up.config);
	if (json && say_out(&out) != 0)
		return CLI_FAILED;
	return missing ? CLI_FAILED : 0;
}
