/* SPDX-License-Identifier: MIT */
/* resource.c - names of resources in one spelling, and the patterns over them. L1; any thread. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/net_host.h"
#include "lib/parse.h"
#include "policies/policy_i.h"

#define HOST_MAX 253

int policy_path_normal(const char *path, char out[POLICY_RESOURCE_MAX], struct err *e)
{
	size_t n = 0;
	if (path[0] != '/')
		return err_set(e, ERR_POLICY_RESOURCE, "'%.100s' is no absolute path", path);
	if (strlen(path) >= POLICY_RESOURCE_MAX)
		return err_set(e, ERR_POLICY_RESOURCE, "a path has less than %d bytes", POLICY_RESOURCE_MAX);
	for (const char *p = path; *p;) {
		p += strspn(p, "/");
		size_t len = strcspn(p, "/");
		if (len == 2 && p[0] == '.' && p[1] == '.')
			return err_set(e, ERR_POLICY_RESOURCE, "'%.100s' has '..' in it: name the file itself", path);
		if (len && !(len == 1 && p[0] == '.')) {
			out[n++] = '/';
			memcpy(out + n, p, len);
			n += len;
		}
		p += len;
	}
	if (!n)
		out[n++] = '/';
	out[n] = 0;
	return 0;
}

/* ---- hosts ---- */

struct host {
	char name[HOST_MAX + 1]; /* or the address in its one spelling, IPv6 in brackets */
	bool is_address;
	uint8_t address[16]; /* IPv4 mapped */
	int port;	     /* -1 none */
	const char *path;    /* what follows, from its slash on, or "" */
};

/* Any of 127/8, ::1, and the unspecified addresses, by which a host reaches itself too. */
static bool is_loopback(const uint8_t a[16])
{
	static const uint8_t zero[16], one[16] = {[15] = 1};
	if (net_is_v4(a))
		return a[12] == 127 || a[12] == 0;
	return memcmp(a, zero, 16) == 0 || memcmp(a, one, 16) == 0;
}

static void write_address(struct host *h)
{
	struct net_host one;
	net_host_of(h->address, &one);
	h->is_address = true;
	snprintf(h->name, sizeof h->name, net_is_v4(h->address) ? "%.250s" : "[%.250s]", one.name);
}

static int bad_host(struct err *e, const char *target, const char *what)
{
	return err_set(e, ERR_POLICY_RESOURCE, "'%.100s': %s", target, what);
}

static int read_port(struct host *h, const char *target, const char **at, struct err *e)
{
	char digits[8];
	uint64_t port;
	h->port = -1;
	if (**at != ':')
		return 0;
	size_t n = strcspn(++*at, "/");
	if (n == 1 && **at == '*') {
		*at += n;
		return 0;
	}
	snprintf(digits, sizeof digits, "%.*s", (int)(n < 7 ? n : 7), *at);
	if (parse_u64(digits, 1, 65535, &port, NULL) < 0)
		return bad_host(e, target, "a port is 1 to 65535");
	h->port = (int)port;
	*at += n;
	return 0;
}

/* host[:port][/path]. */
static int read_host(struct host *h, const char *target, struct err *e)
{
	const char *at = target;
	*h = (struct host){.port = -1};
	if (*at == '[') {
		size_t n = strcspn(++at, "]");
		char text[INET6_ADDRSTRLEN];
		snprintf(text, sizeof text, "%.*s", (int)(n < sizeof text ? n : sizeof text - 1), at);
		if (at[n] != ']' || inet_pton(AF_INET6, text, h->address) != 1)
			return bad_host(e, target, "no IPv6 address stands in the brackets");
		at += n + 1;
		write_address(h);
	} else {
		size_t n = strcspn(at, ":/");
		if (n == 0 || n > HOST_MAX)
			return bad_host(e, target, "it begins with no host of at most 253 bytes");
		for (size_t i = 0; i < n; i++)
			h->name[i] = (char)tolower((unsigned char)at[i]);
		if (h->name[n - 1] == '.')
			h->name[n - 1] = 0;
		if (!h->name[0] || h->name[strlen(h->name) - 1] == '.')
			return bad_host(e, target, "a part of the host's name is empty");
		at += n;
		if (net_v4_read(h->name, h->address))
			write_address(h);
	}
	int r = read_port(h, target, &at, e);
	if (r == 0 && *at && *at != '/')
		r = bad_host(e, target, "it is no host[:port][/path]; IPv6 stands in brackets");
	h->path = at;
	return r;
}

int policy_host_normal(const char *target, char out[POLICY_RESOURCE_MAX], struct err *e)
{
	struct host h;
	char port[16] = "";
	int r = read_host(&h, target, e);
	if (r < 0)
		return r;
	if (h.port >= 0)
		snprintf(port, sizeof port, ":%d", h.port);
	int n = snprintf(out, POLICY_RESOURCE_MAX, "%s%s%s", h.name, port, h.path);
	return n < POLICY_RESOURCE_MAX ? 0 : bad_host(e, target, "it is too long");
}

/* ---- patterns ---- */

/* `/8` behind an address, before a port, the path or the end. */
static int read_bits(struct pattern *p, struct host *h, const char *text, struct err *e)
{
	char digits[8];
	uint64_t bits, most = net_is_v4(h->address) ? 32 : 128;
	size_t n = h->path[0] == '/' ? strspn(h->path + 1, "0123456789") : 0;
	p->net.bits = 128;
	if (!n || (h->path[n + 1] && h->path[n + 1] != '/' && h->path[n + 1] != ':'))
		return 0;
	snprintf(digits, sizeof digits, "%.*s", (int)(n < 7 ? n : 7), h->path + 1);
	if (parse_u64(digits, 0, most, &bits, NULL) < 0)
		return bad_host(e, text, "a network has at most 32 bits, with IPv6 128");
	p->net.bits = (uint8_t)(bits + 128 - most);
	h->path += n + 1;
	return *h->path == ':' ? read_port(h, text, &h->path, e) : 0;
}

static int read_net(struct pattern *p, const char *text, struct err *e)
{
	struct host h;
	int r = strncmp(text, "**", 2) == 0 ? 0 : read_host(&h, text, e);
	if (r < 0)
		return r;
	if (strncmp(text, "**", 2) == 0)
		h = (struct host){.name = "**", .port = -1, .path = text + 2};
	p->net.kind = NET_NAME;
	if (h.is_address) {
		memcpy(p->net.address, h.address, 16);
		r = read_bits(p, &h, text, e);
		p->net.kind = is_loopback(h.address) && p->net.bits == 128 ? NET_LOOPBACK : NET_ADDRESS;
	} else if (strcmp(h.name, "localhost") == 0) {
		p->net.kind = NET_LOOPBACK;
	}
	p->net.port = h.port;
	if (r == 0 && *h.path && strcmp(h.path, "/**") != 0)
		r = glob_new(&p->path, h.path, e);
	return r < 0 ? r : glob_new(&p->host, h.name, e);
}

int pattern_read(struct pattern *p, const char *text, uint32_t types, struct err *e)
{
	uint32_t net = 1u << POLICY_NETWORK;
	*p = (struct pattern){.text = strdup(text), .net.kind = NET_NOT};
	if (!p->text)
		return err_set(e, ERR_SYS_MEMORY, "no memory for a pattern");
	int r = 0;
	if (types & ~net) {
		r = glob_new(&p->glob, text, e);
		size_t len = strlen(text);
		p->prefix = glob_prefix(text, &p->plain);
		p->tree = p->prefix && strcmp(text + p->prefix, "/**") == 0 && len > 3;
		while (!p->plain && p->prefix && text[p->prefix - 1] == '/')
			p->prefix--;
	}
	/* A pattern over all types that names no host has nothing to say about networks. */
	if (r == 0 && (types & net)) {
		r = read_net(p, text, types == net ? e : NULL);
		if (r == -EINVAL && types != net)
			r = 0;
	}
	return r;
}

void pattern_free(struct pattern *p)
{
	free(p->text);
	glob_free(p->glob);
	glob_free(p->host);
	glob_free(p->path);
}

/* ---- matching of networks ---- */

static bool same_bits(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (memcmp(a, b, whole) != 0)
		return false;
	return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool address_in(const struct pattern *p, const char *text)
{
	struct host h;
	if (read_host(&h, text, NULL) < 0 || !h.is_address)
		return false;
	return p->net.kind == NET_LOOPBACK ? is_loopback(h.address)
					   : same_bits(h.address, p->net.address, p->net.bits);
}

/* A Deny of an address holds when any of the host's is it, anything else only when all are. */
static bool addresses_in(const struct pattern *p, const struct policy_request *q, const struct host *h, bool deny)
{
	if (h->is_address)
		return address_in(p, h->name);
	if (p->net.kind == NET_LOOPBACK && strcmp(h->name, "localhost") == 0)
		return true;
	size_t in = 0;
	for (size_t i = 0; i < q->addresses_n; i++)
		in += address_in(p, q->addresses[i]);
	return deny ? in > 0 : in > 0 && in == q->addresses_n;
}

static bool net_matches(const struct pattern *p, const struct policy_request *q, bool deny)
{
	struct host h;
	if (p->net.kind == NET_NOT || read_host(&h, q->resource, NULL) < 0)
		return false;
	if (p->net.port >= 0 && p->net.port != h.port)
		return false;
	if (p->path && !glob_match(p->path, h.path, strlen(h.path)))
		return false;
	return p->net.kind == NET_NAME ? glob_match(p->host, h.name, strlen(h.name))
				       : addresses_in(p, q, &h, deny);
}

bool pattern_matches(const struct pattern *p, const struct policy_request *q, size_t len, bool deny)
{
	if (q->type == POLICY_NETWORK)
		return net_matches(p, q, deny);
	return p->glob && glob_match(p->glob, q->resource, len);
}

size_t net_keys(const struct policy_request *q, char out[][HOST_KEY_MAX], size_t most)
{
	struct host h;
	size_t n = 0;
	bool loopback = false;
	if (read_host(&h, q->resource, NULL) < 0)
		return 0;
	snprintf(out[n++], HOST_KEY_MAX, "%s", h.name);
	loopback = h.is_address ? is_loopback(h.address) : strcmp(h.name, "localhost") == 0;
	for (size_t i = 0; i < q->addresses_n && n < most - 1; i++) {
		struct host a;
		if (read_host(&a, q->addresses[i], NULL) < 0 || !a.is_address)
			continue;
		snprintf(out[n++], HOST_KEY_MAX, "%s", a.name);
		loopback |= is_loopback(a.address);
	}
	if (loopback)
		snprintf(out[n++], HOST_KEY_MAX, "loopback");
	return n;
}

/* What stands in front of the path, when exactly this names what the pattern means; else "". */
void net_key(const struct pattern *p, char out[HOST_KEY_MAX])
{
	struct host h = {0};
	bool plain;
	out[0] = 0;
	if (p->net.kind == NET_LOOPBACK) {
		snprintf(out, HOST_KEY_MAX, "loopback");
	} else if (p->net.kind == NET_ADDRESS && p->net.bits == 128) {
		memcpy(h.address, p->net.address, 16);
		write_address(&h);
		snprintf(out, HOST_KEY_MAX, "%s", h.name);
	} else if (p->net.kind == NET_NAME && read_host(&h, p->text, NULL) == 0) {
		glob_prefix(h.name, &plain);
		if (plain)
			snprintf(out, HOST_KEY_MAX, "%s", h.name);
	}
}
