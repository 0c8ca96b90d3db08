/* SPDX-License-Identifier: MIT */
/* net_host.c - hosts in one spelling; ranges of addresses. L0; any thread. */
#include "lib/net_host.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"

#define NAME_MAX_BYTES 253

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool net_is_v4(const uint8_t a[16])
{
	return memcmp(a, v4_prefix, sizeof v4_prefix) == 0;
}

void net_host_of(const uint8_t address[16], struct net_host *ret)
{
	ret->is_address = true;
	memmove(ret->address, address, 16);
	if (net_is_v4(ret->address))
		inet_ntop(AF_INET, ret->address + 12, ret->name, sizeof ret->name);
	else
		inet_ntop(AF_INET6, ret->address, ret->name, sizeof ret->name);
}

bool net_v4_read(const char *text, uint8_t ret[16])
{
	struct in_addr a;
	if (!isdigit((unsigned char)text[0]) || inet_aton(text, &a) == 0)
		return false;
	memcpy(ret, v4_prefix, sizeof v4_prefix);
	memcpy(ret + 12, &a, 4);
	return true;
}

int net_host_read(const char *text, size_t len, struct net_host *ret)
{
	struct net_host h = {0};
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
		if (!memchr(text, ':', len))
			return -EINVAL;
	}
	if (len == 0 || len > NAME_MAX_BYTES)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (!isascii(c) || (!isalnum(c) && !strchr("-_.:", c)) || !c)
			return -EINVAL;
		h.name[i] = (char)tolower(c);
	}
	uint8_t address[16];
	if (strchr(h.name, ':')) {
		if (inet_pton(AF_INET6, h.name, address) != 1)
			return -EINVAL;
		net_host_of(address, &h);
		*ret = h;
		return 0;
	}
	if (h.name[len - 1] == '.')
		h.name[--len] = 0;
	if (len == 0 || h.name[0] == '.' || h.name[len - 1] == '.' || strstr(h.name, ".."))
		return -EINVAL;
	if (net_v4_read(h.name, address))
		net_host_of(address, &h);
	*ret = h;
	return 0;
}

static int read_port(const char *text, size_t len, uint16_t *ret)
{
	unsigned n = 0;
	if (len == 0 || len > 5)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]))
			return -EINVAL;
		n = n * 10 + (unsigned)(text[i] - '0');
	}
	if (n == 0 || n > 65535)
		return -EINVAL;
	*ret = (uint16_t)n;
	return 0;
}

int net_target_read(const char *text, size_t len, uint16_t port_else, struct net_host *ret, uint16_t *ret_port)
{
	const char *end = text + len, *colon = NULL;
	uint16_t port = port_else;
	if (len && text[0] == '[') {
		const char *close = memchr(text, ']', len);
		if (!close || (close + 1 < end && close[1] != ':'))
			return -EINVAL;
		colon = close + 1 < end ? close + 1 : NULL;
	} else {
		colon = memchr(text, ':', len);
	}
	if (colon && read_port(colon + 1, (size_t)(end - colon - 1), &port) < 0)
		return -EINVAL;
	if (!port || net_host_read(text, (size_t)((colon ? colon : end) - text), ret) < 0)
		return -EINVAL;
	*ret_port = port;
	return 0;
}

void net_target_text(const struct net_host *h, uint16_t port, char out[static NET_TARGET_TEXT])
{
	bool v6 = strchr(h->name, ':');
	snprintf(out, NET_TARGET_TEXT, "%s%.254s%s:%u", v6 ? "[" : "", h->name, v6 ? "]" : "", port);
}

bool net_address_of(const struct sockaddr *sa, uint8_t ret[16])
{
	if (sa->sa_family == AF_INET) {
		memcpy(ret, v4_prefix, sizeof v4_prefix);
		memcpy(ret + 12, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
		return true;
	}
	if (sa->sa_family == AF_INET6)
		memcpy(ret, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
	return sa->sa_family == AF_INET6;
}

bool net_same_bits(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	return memcmp(a, b, whole) == 0 && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* The first row that holds an address names it: single addresses stand before the ranges they lie in. */
static const struct range {
	uint8_t v4[4];
	unsigned bits;
	const char *word;
} ranges4[] = {
	{{169, 254, 169, 254}, 32, "metadata"}, {{100, 100, 100, 200}, 32, "metadata"},
	{{168, 63, 129, 16}, 32, "metadata"},	{{192, 0, 0, 192}, 32, "metadata"},
	{{127}, 8, "loopback"},			{{0}, 8, "unspecified"},
	{{169, 254}, 16, "link-local"},		{{10}, 8, "private"},
	{{172, 16}, 12, "private"},		{{192, 168}, 16, "private"},
	{{100, 64}, 10, "private"},		{{198, 18}, 15, "private"},
	{{192, 0, 0}, 24, "reserved"},		{{224}, 4, "multicast"},
	{{240}, 4, "reserved"},
};

static const struct range6 {
	uint8_t v6[16];
	unsigned bits;
	const char *word;
} ranges6[] = {
	{{0xfd, 0, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}, 128, "metadata"},
	{{[15] = 1}, 128, "loopback"},
	{{0xfe, 0x80}, 10, "link-local"},
	{{0xfe, 0xc0}, 10, "private"},
	{{0xfc}, 7, "private"},
	{{0xff}, 8, "multicast"},
	{{0, 0x64, 0xff, 0x9b, 0, 1}, 48, "private"}, /* NAT64 of somebody's own */
	{{0x01}, 8, "reserved"},		      /* discard-only and what lies beside it */
	{{0}, 96, "unspecified"},		      /* ::, and IPv4 in the old way */
};

static const char *special4(const uint8_t a[4])
{
	for (size_t i = 0; i < ARRAY_LEN(ranges4); i++) {
		const struct range *r = &ranges4[i];
		uint32_t have = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
		uint32_t want = (uint32_t)r->v4[0] << 24 | (uint32_t)r->v4[1] << 16 | (uint32_t)r->v4[2] << 8 | r->v4[3];
		if ((have ^ want) >> (32 - r->bits) == 0)
			return r->word;
	}
	return NULL;
}

const char *net_special(const uint8_t a[16])
{
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b}, teredo[4] = {0x20, 0x01};
	uint8_t wrapped[4];
	if (net_is_v4(a))
		return special4(a + 12);
	if (memcmp(a, nat64, sizeof nat64) == 0)
		return special4(a + 12);
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
		return special4(a + 2);
	if (memcmp(a, teredo, sizeof teredo) == 0) { /* the client's address, inverted */
		for (int i = 0; i < 4; i++)
			wrapped[i] = a[12 + i] ^ 0xff;
		return special4(wrapped);
	}
	for (size_t i = 0; i < ARRAY_LEN(ranges6); i++)
		if (net_same_bits(a, ranges6[i].v6, ranges6[i].bits))
			return ranges6[i].word;
	return NULL;
}
