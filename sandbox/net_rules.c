/* SPDX-License-Identifier: MIT */
/* net_rules.c - an allow-list of hosts and ports. L1; any thread. */
#include "sandbox/net_rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/parse.h"

struct net_rule {
	enum { RULE_NAME, RULE_BELOW, RULE_ANY, RULE_ADDRESS } kind;
	struct net_host host; /* BELOW: what the names end in, with its dot */
	unsigned bits;	      /* ADDRESS: of 128 */
	uint16_t port;	      /* 0: any */
	unsigned list;
	char text[NET_RULE_TEXT];
};

struct net_rules {
	size_t n;
	unsigned lists;
	struct net_rule rules[];
};

static int wrong(struct err *e, const char *text, const char *why)
{
	return err_set(e, ERR_SEC_PROFILE, "destination '%.200s': %s", text, why);
}

/* What stands in front of the port, with its /BITS. */
static int read_host(const char *text, const char *whole, size_t len, struct net_rule *ret, struct err *e)
{
	char digits[8];
	uint64_t bits;
	const char *slash = memchr(whole, '/', len);
	size_t host = slash ? (size_t)(slash - whole) : len;
	if (len == 1 && *whole == '*') {
		ret->kind = RULE_ANY;
		return 0;
	}
	if (len > 2 && whole[0] == '*' && whole[1] == '.') {
		ret->kind = RULE_BELOW;
		if (net_host_read(whole + 2, len - 2, &ret->host) < 0 || ret->host.is_address)
			return wrong(e, text, "behind '*.' stands a name");
		memmove(ret->host.name + 1, ret->host.name, sizeof ret->host.name - 1);
		ret->host.name[0] = '.';
		return 0;
	}
	if (net_host_read(whole, host, &ret->host) < 0)
		return wrong(e, text, "a host is a name, '*.name', '*', or an address, IPv6 in brackets");
	ret->kind = ret->host.is_address ? RULE_ADDRESS : RULE_NAME;
	ret->bits = 128;
	if (!slash)
		return 0;
	unsigned most = strchr(ret->host.name, ':') ? 128 : 32;
	snprintf(digits, sizeof digits, "%.*s", (int)(len - host - 1 < 7 ? len - host - 1 : 7), slash + 1);
	if (ret->kind != RULE_ADDRESS || parse_u64(digits, 0, most, &bits, NULL) < 0)
		return wrong(e, text, "/BITS follow an address: at most 32, with IPv6 128");
	ret->bits = (unsigned)bits + 128 - most;
	return 0;
}

static void write_text(struct net_rule *r)
{
	bool v6 = r->kind == RULE_ADDRESS && strchr(r->host.name, ':');
	char bits[8] = "", port[8] = "*";
	if (r->kind == RULE_ADDRESS && r->bits < 128)
		snprintf(bits, sizeof bits, "/%u", v6 ? r->bits : r->bits - 96);
	if (r->port)
		snprintf(port, sizeof port, "%u", r->port);
	snprintf(r->text, sizeof r->text, "%s%s%s%s%s:%s", r->kind == RULE_ANY || r->kind == RULE_BELOW ? "*" : "",
		 v6 ? "[" : "", r->host.name, v6 ? "]" : "", bits, port);
}

static int read_rule(const char *text, size_t len, struct net_rule *ret, struct err *e)
{
	char copy[NET_RULE_TEXT];
	uint64_t port = 0;
	*ret = (struct net_rule){0};
	snprintf(copy, sizeof copy, "%.*s", (int)(len < sizeof copy ? len : sizeof copy - 1), text);
	if (len >= sizeof copy || strlen(copy) != len)
		return wrong(e, copy, "it is too long");
	char *colon = strrchr(copy, ':');
	if (!colon || colon == copy || (strchr(copy, ']') && colon < strchr(copy, ']')))
		return wrong(e, copy, "it is HOST:PORT");
	if (strcmp(colon + 1, "*") != 0 && parse_u64(colon + 1, 1, 65535, &port, NULL) < 0)
		return wrong(e, copy, "a port is 1 to 65535, or '*'");
	if (copy[0] != '[' && memchr(copy, ':', (size_t)(colon - copy)))
		return wrong(e, copy, "IPv6 stands in brackets, and a port follows");
	ret->port = (uint16_t)port;
	int r = read_host(copy, copy, (size_t)(colon - copy), ret, e);
	if (r == 0)
		write_text(ret);
	return r;
}

int net_rule_normal(const char *text, char out[static NET_RULE_TEXT], struct err *e)
{
	struct net_rule r;
	if (strchr(text, '\n'))
		return wrong(e, "", "it is one line");
	int n = read_rule(text, strlen(text), &r, e);
	if (n == 0)
		memcpy(out, r.text, sizeof r.text);
	return n;
}

int net_rules_read(const char *text, struct net_rules **ret, struct err *e)
{
	size_t most = 0;
	for (const char *p = text; *p; p++)
		most += *p == '\n' || !p[1];
	if (most > 2 * NET_RULES_MAX)
		return err_set(e, ERR_SEC_PROFILE, "there are more than %d destinations", NET_RULES_MAX);
	autofree struct net_rules *r = calloc(1, sizeof *r + most * sizeof r->rules[0]);
	if (!r)
		return err_set(e, ERR_SYS_MEMORY, "no memory for destinations");
	bool begun = false;
	while (*text) {
		size_t len = strcspn(text, "\n");
		if (len) {
			int n = read_rule(text, len, &r->rules[r->n], e);
			if (n < 0)
				return n;
			r->lists += !begun;
			r->rules[r->n++].list = r->lists - 1;
		}
		begun = len > 0;
		text += len + (text[len] == '\n');
	}
	*ret = take_ptr(r);
	return 0;
}

void net_rules_free(struct net_rules *r)
{
	free(r);
}

bool net_rules_any(const struct net_rules *r)
{
	return r->n > 0;
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);
	return n > k && strcmp(name + n - k, end) == 0;
}

static bool matches(const struct net_rule *r, const struct net_host *h, uint16_t port)
{
	if (r->port && r->port != port)
		return false;
	switch (r->kind) {
	case RULE_NAME: return !h->is_address && strcmp(h->name, r->host.name) == 0;
	case RULE_BELOW: return !h->is_address && ends_in(h->name, r->host.name);
	case RULE_ANY: return !h->is_address || !net_special(h->address);
	case RULE_ADDRESS: return h->is_address && net_same_bits(h->address, r->host.address, r->bits);
	}
	return false;
}

static bool names(const struct net_rule *r, const uint8_t address[16], uint16_t port)
{
	if (r->port && r->port != port)
		return false;
	if (r->kind == RULE_ADDRESS)
		return net_same_bits(address, r->host.address, r->bits);
	const char *what = net_special(address);
	return r->kind == RULE_NAME && strcmp(r->host.name, "localhost") == 0 && what && strcmp(what, "loopback") == 0;
}

const char *net_rules_find(const struct net_rules *r, const struct net_host *h, uint16_t port)
{
	const char *found = NULL;
	for (unsigned list = 0; list < r->lists; list++) {
		found = NULL;
		for (size_t i = 0; i < r->n && !found; i++)
			if (r->rules[i].list == list && matches(&r->rules[i], h, port))
				found = r->rules[i].text;
		if (!found)
			return NULL;
	}
	return found;
}

bool net_rules_names(const struct net_rules *r, const uint8_t address[16], uint16_t port)
{
	for (unsigned list = 0; list < r->lists; list++) {
		bool named = false;
		for (size_t i = 0; i < r->n; i++)
			named |= r->rules[i].list == list && names(&r->rules[i], address, port);
		if (!named)
			return false;
	}
	return r->lists > 0;
}
