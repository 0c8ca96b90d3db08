/* SPDX-License-Identifier: MIT */
/* bench_create.c - durable creates a second: through the mount with 1, 8 and 32 writers, and in process with
 * as many in flight, beside the disk's own rate of writing and syncing that many records at once. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/engine.h"
#include "tests/bench/measure.h"
#include "tests/bench/server.h"

#define ROUNDS       6
#define ROUND_NS     250000000u
#define WRITERS_MAX  32
#define RECORD_BYTES 512 /* about what one create leaves in the journal */

static const char text[] = SPEC_TEXT;

/* ---- the disk alone: so many records in one write and one fdatasync ---- */

static double disk_rate(struct disk *d, unsigned group)
{
	uint64_t begin = now_ns(), n = 0;
	while (now_ns() - begin < ROUND_NS / 2) {
		disk_commit(d, group * RECORD_BYTES);
		n += group;
	}
	return (double)n * 1e9 / (double)(now_ns() - begin);
}

/* ---- through a mount ---- */

static const char *target; /* directory in which files are made */
static atomic_uint serial;
static atomic_bool stop;

static void *writer(void *arg)
{
	atomic_uint *made = arg;
	char path[PATH_MAX];
	while (!stop) {
		snprintf(path, sizeof path, "%s/made%07u.yaml", target,
			 atomic_fetch_add(&serial, 1));
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, text, sizeof text - 1) != sizeof text - 1 || close(fd) < 0)
			die("%s", path);
		atomic_fetch_add(made, 1);
	}
	return NULL;
}

static double mount_rate(const char *dir, unsigned writers)
{
	pthread_t thread[WRITERS_MAX];
	atomic_uint made = 0;
	target = dir;
	stop = false;
	uint64_t begin = now_ns();
	for (unsigned i = 0; i < writers; i++)
		if ((errno = pthread_create(&thread[i], NULL, writer, &made)) != 0)
			die("thread");
	usleep(ROUND_NS / 1000);
	stop = true;
	for (unsigned i = 0; i < writers; i++)
		pthread_join(thread[i], NULL);
	return (double)made * 1e9 / (double)(now_ns() - begin);
}

/* The floor is what the minimal program's round trips and the disk's share of one create take in turn;
 * overlapping them beats it. */
static void mount_row(const char *ours, const char *minimal, struct disk *d, unsigned writers)
{
	struct samples a = {0}, trips = {0}, commits = {0};
	char what[100];
	for (int i = 0; i < ROUNDS; i++) {
		samples_add(&a, mount_rate(ours, writers));
		samples_add(&trips, mount_rate(minimal, writers));
		samples_add(&commits, disk_rate(d, writers));
	}
	double floor = 1 / (1 / samples_median(&trips) + 1 / samples_median(&commits));
	snprintf(what, sizeof what, "durable creates on the mount, %u writer%s", writers,
		 writers > 1 ? "s" : "");
	figure_print(&(struct figure){what, "/s", samples_median(&a), floor,
				      writers == 1 ? GOAL_RATIO_MIN : GOAL_OURS_MIN,
				      writers == 1 ? 0.67 : 10000});
	samples_done(&a);
	samples_done(&trips);
	samples_done(&commits);
}

static void mount_rows(const struct scratch *s, struct disk *d)
{
	struct server ours, minimal;
	char dir[2][PATH_MAX];
	symbid_start(&ours, s, "mounted");
	floor_start(&minimal, s, 0);
	snprintf(dir[0], sizeof dir[0], "%s/agents", ours.mount);
	snprintf(dir[1], sizeof dir[1], "%s/dir", minimal.mount);
	double before = symbid_memory(&ours).rss, had = symbid_metric(&ours, "symbi_agents");
	mount_row(dir[0], dir[1], d, 1);
	mount_row(dir[0], dir[1], d, 8);
	mount_row(dir[0], dir[1], d, 32);
	double grown = symbid_memory(&ours).rss - before;
	double made = symbid_metric(&ours, "symbi_agents") - had;
	figure_print(&(struct figure){"memory for each agent that was made there", "B",
				      grown / made, 0, GOAL_OURS_MAX, 4096});
	server_stop(&minimal);
	server_stop(&ours);
}

/* ---- in process ---- */

static double engine_rate(struct engine *g, unsigned group)
{
	char file[32];
	unsigned before = g->done;
	uint64_t begin = now_ns();
	while (now_ns() - begin < ROUND_NS / 2) {
		for (unsigned i = 0; i < group; i++) {
			snprintf(file, sizeof file, "made%07u.yaml", g->asked);
			engine_put(g, file);
		}
		engine_wait(g, 0);
	}
	return (double)(g->done - before) * 1e9 / (double)(now_ns() - begin);
}

static void engine_row(struct engine *g, struct disk *d, unsigned group)
{
	struct samples a = {0}, b = {0};
	char what[100];
	for (int i = 0; i < ROUNDS; i++) {
		samples_add(&a, engine_rate(g, group));
		samples_add(&b, disk_rate(d, group));
	}
	snprintf(what, sizeof what, "durable creates in process, %u in flight", group);
	figure_print(
		&(struct figure){what, "/s", samples_median(&a), samples_median(&b), GOAL_NONE, 0});
	samples_done(&a);
	samples_done(&b);
}

static void engine_rows(const struct scratch *s, struct disk *d)
{
	struct engine g;
	engine_open(&g, s, "in-process", "fast");
	engine_row(&g, d, 1);
	engine_row(&g, d, 8);
	engine_row(&g, d, 32);
	engine_row(&g, d, 512);
	engine_close(&g);
}

int main(void)
{
	struct scratch s;
	struct disk d;
	scratch_init(&s);
	disk_open(&d, s.dir);
	mount_rows(&s, &d);
	engine_rows(&s, &d);
	disk_close(&d);
	scratch_done(&s);
	return 0;
}
