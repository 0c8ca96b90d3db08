/* SPDX-License-Identifier: MIT */
/* net_value.c - destinations as specifications and profiles write them, and two networks made one. L1. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sandbox/net_rules.h"
#include "sandbox/profile.h"

/* ---- {host: NAME, port: N, protocol: TCP} or "NAME:PORT" ---- */

static int bad(struct err *e, const struct value *v, const char *what)
{
	return err_at(e, ERR_SEC_PROFILE, v->line, "line %u: a destination %s", v->line, what);
}

static int read_member(const struct value_member *m, char host[NET_RULE_TEXT], char port[8], struct err *e)
{
	const struct value *v = &m->value;
	const char *text = v->type == VALUE_STRING ? v->string.data : "";
	if (strcmp(m->key, "host") == 0) {
		if (!*text || strlen(text) != v->string.len)
			return bad(e, v, "has a host: a name, '*.name', '*' or an address");
		snprintf(host, NET_RULE_TEXT, "%s", text);
		return 0;
	}
	if (strcmp(m->key, "port") == 0) {
		if (v->type != VALUE_INT || v->integer < 1 || v->integer > 65535)
			return bad(e, v, "has a port from 1 to 65535");
		snprintf(port, 8, "%u", (unsigned)v->integer);
		return 0;
	}
	if (strcmp(m->key, "protocol") != 0)
		return bad(e, v, "has the keys host, port and protocol");
	if (strcasecmp(text, "TCP") != 0)
		return bad(e, v, "has the protocol TCP: nothing else gets through a proxy");
	return 0;
}

static int read_one(const struct value *v, char text[static NET_RULE_TEXT], struct err *e)
{
	char host[NET_RULE_TEXT] = "", port[8] = "*";
	if (v->type == VALUE_STRING && v->string.len < NET_RULE_TEXT && strlen(v->string.data) == v->string.len) {
		snprintf(text, NET_RULE_TEXT, "%s", v->string.data);
		return 0;
	}
	if (v->type != VALUE_MAP)
		return bad(e, v, "is \"HOST:PORT\" or {host: HOST, port: PORT}");
	for (size_t i = 0; i < v->map.n; i++) {
		int r = read_member(&v->map.members[i], host, port, e);
		if (r < 0)
			return r;
	}
	if (!*host)
		return bad(e, v, "has a host");
	bool v6 = strchr(host, ':') && host[0] != '[';
	if ((size_t)snprintf(text, NET_RULE_TEXT, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) >= NET_RULE_TEXT)
		return bad(e, v, "has a host of at most 253 bytes");
	return 0;
}

int sandbox_destination_read(const struct value *v, struct buf *out, struct err *e)
{
	char text[NET_RULE_TEXT], normal[NET_RULE_TEXT];
	struct err why = {0};
	int r = read_one(v, text, e);
	if (r < 0)
		return r;
	if (net_rule_normal(text, normal, &why) < 0)
		return err_at(e, ERR_SEC_PROFILE, v->line, "line %u: %s", v->line, why.msg);
	r = buf_printf(out, "%s\n", normal);
	return r < 0 ? bad(e, v, "is too much: the list is too long") : 0;
}

/* ---- two of them ---- */

int sandbox_network_join(enum sandbox_network a, const char *a_list, enum sandbox_network b, const char *b_list,
			 enum sandbox_network *ret, struct buf *list)
{
	*ret = a < b ? a : b;
	if (*ret != NETWORK_RESTRICTED)
		return 0;
	bool both = a == b && *a_list && *b_list;
	if (a == NETWORK_RESTRICTED)
		buf_adds(list, a_list);
	if (both)
		buf_adds(list, "\n");
	if (b == NETWORK_RESTRICTED)
		buf_adds(list, b_list);
	return list->fail;
}
