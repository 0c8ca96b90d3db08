/* SPDX-License-Identifier: MIT */
/* bench_spawn.c - a start until its end is told, native and in a box (Tier1), through the real client and spawner
 * over the socket, beside posix_spawn and waitpid of the same program, and bubblewrap, in turns. All limits of an agent
 * are set. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/parse.h"
#include "measure.h"
#include "spawner.h"

#define ROUNDS 1000
#define BURST  200

static void measure(struct spawner *b, const char *what, unsigned rounds)
{
	struct samples us = {0}, floor = {0}, burst = {0}, burst_floor = {0};
	char text[80];
	for (unsigned i = 0; i < 20; i++)
		spawner_us(b, 1);
	for (unsigned i = 0; i < rounds; i++) {
		samples_add(&us, spawner_us(b, 1));
		samples_add(&floor, process_us(b->argv, 1));
	}
	for (unsigned i = 0; i < 5; i++) {
		samples_add(&burst, BURST / spawner_us(b, BURST) * 1e6);
		samples_add(&burst_floor, BURST / process_us(b->argv, BURST) * 1e6);
	}
	snprintf(text, sizeof text, "native start to exit, %s, p50", what);
	figure_print(&(struct figure){text, "us", samples_quantile(&us, 0.5),
				      samples_quantile(&floor, 0.5), GOAL_RATIO_MAX, 1.2});
	snprintf(text, sizeof text, "native start to exit, %s, p99", what);
	figure_print(&(struct figure){text, "us", samples_quantile(&us, 0.99),
				      samples_quantile(&floor, 0.99), GOAL_NONE, 0});
	snprintf(text, sizeof text, "native starts, %d at once, %s", BURST, what);
	figure_print(&(struct figure){text, "/s", samples_median(&burst),
				      samples_median(&burst_floor), GOAL_NONE, 0});
	samples_done(&us);
	samples_done(&floor);
	samples_done(&burst);
	samples_done(&burst_floor);
}

/* In turns, beside the floor and the sandbox that everybody knows. */
static void measure_box(struct spawner *b, const char *what, unsigned rounds)
{
	struct samples us = {0}, floor = {0}, bwrap = {0};
	struct err e = {0};
	char text[80];
	const struct sandbox_driver *const *d = sandbox_drivers;
	while (*d && (*d)->tier != TIER_1)
		d++;
	if (!*d || (*d)->available(&(struct sandbox_layers){0}, &e) < 0) {
		fprintf(stderr, "bench_spawn: no box: %s\n", e.msg);
		return;
	}
	bool have = bubblewrap_us(b, b->argv) > 0;
	b->tier = TIER_1;
	for (unsigned i = 0; i < 20; i++)
		spawner_us(b, 1);
	for (unsigned i = 0; i < rounds; i++) {
		samples_add(&us, spawner_us(b, 1));
		samples_add(&floor, process_us(b->argv, 1));
		if (have)
			samples_add(&bwrap, bubblewrap_us(b, b->argv));
	}
	double mine = samples_quantile(&us, 0.5);
	snprintf(text, sizeof text, "Tier1 start to exit, %s, beside posix_spawn", what);
	figure_print(&(struct figure){text, "us", mine, samples_quantile(&floor, 0.5), GOAL_RATIO_MAX, 4});
	snprintf(text, sizeof text, "Tier1 start to exit, %s, beside bubblewrap", what);
	figure_print(&(struct figure){text, "us", mine, samples_quantile(&bwrap, 0.5),
				      have ? GOAL_RATIO_MAX : GOAL_NONE, 0.6});
	struct samples burst = {0};
	for (unsigned i = 0; i < 3; i++)
		samples_add(&burst, BURST / spawner_us(b, BURST) * 1e6);
	snprintf(text, sizeof text, "Tier1 starts, %d at once, %s", BURST, what);
	figure_print(&(struct figure){text, "/s", samples_median(&burst), 0, GOAL_NONE, 0});
	b->tier = TIER_NONE;
	samples_done(&us);
	samples_done(&floor);
	samples_done(&bwrap);
	samples_done(&burst);
}

/* The smallest program, static or dynamic. */
static void measure_program(struct spawner *b, const char *name, const char *flag, const char *what, unsigned rounds)
{
	char *program = spawner_build(b, name, "int main(void) { return 0; }\n", flag), *argv[] = {program, NULL};
	b->argv = argv;
	measure(b, what, rounds);
	measure_box(b, what, (rounds + 3) / 4);
	free(program);
}

int main(int argc, char **argv)
{
	static struct spawner b;
	uint64_t rounds = ROUNDS;
	if (argc > 2 || (argc == 2 && parse_u64(argv[1], 1, 100000, &rounds, NULL) < 0)) {
		fputs("usage: bench_spawn [ROUNDS]\n", stderr);
		return 2;
	}
	spawner_open(&b);
	measure_program(&b, "true-static", "-static", "static program", (unsigned)rounds);
	measure_program(&b, "true-dynamic", "-pie", "dynamic program", (unsigned)rounds);
	spawner_close(&b);
	return 0;
}
