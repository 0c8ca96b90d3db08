/* SPDX-License-Identifier: MIT */
/* lsa.c - randomised subspace iteration over sparse rows. L1; any thread. */
#include "vectors/lsa.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "vectors/kernel.h"

#define PASSES	  2
#define SUM_ROWS  256	/* rows that are summed in f32 before f64 takes them */
#define SWEEPS	  30	/* of Jacobi: it ends after some 8 */
#define RANK_LEAST 1e-10 /* a direction whose square is less than this share of the greatest is none */

struct work {
	const struct sparse *a;
	const struct vec_kernel *k;
	const _Atomic bool *stop;
	size_t m;     /* directions */
	float *y;     /* rows x m */
	float *z;     /* cols x m */
	double *gram; /* m x m */
	float *sums;  /* m x m */
};

static bool stopped(const struct work *w)
{
	return w->stop && atomic_load_explicit(w->stop, memory_order_relaxed);
}

/* y = A z */
static void multiply(struct work *w)
{
	memset(w->y, 0, w->a->rows * w->m * sizeof *w->y);
	for (uint32_t r = 0; r < w->a->rows && !stopped(w); r++)
		for (uint64_t i = w->a->begin[r]; i < w->a->begin[r + 1]; i++)
			w->k->axpy_f32(w->y + r * w->m, w->a->weight[i], w->z + w->a->col[i] * w->m, w->m);
}

/* z = A' y */
static void multiply_back(struct work *w)
{
	memset(w->z, 0, w->a->cols * w->m * sizeof *w->z);
	for (uint32_t r = 0; r < w->a->rows && !stopped(w); r++)
		for (uint64_t i = w->a->begin[r]; i < w->a->begin[r + 1]; i++)
			w->k->axpy_f32(w->z + w->a->col[i] * w->m, w->a->weight[i], w->y + r * w->m, w->m);
}

/* gram = x'x of n rows */
static void gram_of(struct work *w, const float *x, uint32_t n)
{
	size_t m = w->m;
	memset(w->gram, 0, m * m * sizeof *w->gram);
	for (uint32_t at = 0; at < n && !stopped(w); at += SUM_ROWS) {
		memset(w->sums, 0, m * m * sizeof *w->sums);
		for (uint32_t r = at; r < n && r < at + SUM_ROWS; r++)
			for (size_t i = 0; i < m; i++)
				w->k->axpy_f32(w->sums + i * m + i, x[r * m + i], x + r * m + i, m - i);
		for (size_t i = 0; i < m; i++)
			for (size_t j = i; j < m; j++)
				w->gram[i * m + j] += (double)w->sums[i * m + j];
	}
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < i; j++)
			w->gram[i * m + j] = w->gram[j * m + i];
}

/* gram = R'R in its upper triangle; a direction that depends on others gets a row of zeros. */
static void cholesky(double *g, size_t m)
{
	double most = 0;
	for (size_t i = 0; i < m; i++)
		most = fmax(most, g[i * m + i]);
	for (size_t i = 0; i < m; i++) {
		double d = g[i * m + i];
		for (size_t l = 0; l < i; l++)
			d -= g[l * m + i] * g[l * m + i];
		bool none = d <= most * RANK_LEAST;
		g[i * m + i] = none ? 0 : sqrt(d);
		for (size_t j = i + 1; j < m; j++) {
			double s = g[i * m + j];
			for (size_t l = 0; l < i; l++)
				s -= g[l * m + i] * g[l * m + j];
			g[i * m + j] = none ? 0 : s / g[i * m + i];
		}
	}
}

/* The columns of y made orthonormal; twice, for the first time leaves errors where they were nearly dependent. */
static void orthonormalise(struct work *w)
{
	size_t m = w->m;
	for (int time = 0; time < 2 && !stopped(w); time++) {
		gram_of(w, w->y, w->a->rows);
		cholesky(w->gram, m);
		for (size_t i = 0; i < m * m; i++)
			w->sums[i] = (float)w->gram[i];
		for (uint32_t r = 0; r < w->a->rows; r++) {
			float *y = w->y + r * m;
			for (size_t j = 0; j < m; j++) {
				float d = w->sums[j * m + j];
				y[j] = d > 0 ? y[j] / d : 0;
				if (j + 1 < m)
					w->k->axpy_f32(y + j + 1, -y[j], w->sums + j * m + j + 1, m - j - 1);
			}
		}
	}
}

/* Turn the rows p and q of x, m long. */
static void turn(double *p, double *q, size_t m, double c, double s)
{
	for (size_t i = 0; i < m; i++) {
		double a = p[i], b = q[i];
		p[i] = c * a - s * b;
		q[i] = s * a + c * b;
	}
}

/* Jacobi: the eigenvalues of the symmetric g onto its diagonal, the vectors into the rows of v. */
static void eigen(double *g, double *v, size_t m)
{
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < m; j++)
			v[i * m + j] = i == j;
	for (int sweep = 0; sweep < SWEEPS; sweep++) {
		double off = 0, on = 0;
		for (size_t i = 0; i < m; i++) {
			on += g[i * m + i] * g[i * m + i];
			for (size_t j = i + 1; j < m; j++)
				off += g[i * m + j] * g[i * m + j];
		}
		if (off <= on * 1e-18)
			return;
		for (size_t p = 0; p + 1 < m; p++)
			for (size_t q = p + 1; q < m; q++) {
				double b = g[p * m + q];
				if (fabs(b) <= 1e-15 * sqrt(fabs(g[p * m + p] * g[q * m + q])) || b == 0)
					continue;
				double t = (g[q * m + q] - g[p * m + p]) / (2 * b);
				t = (t >= 0 ? 1 : -1) / (fabs(t) + sqrt(t * t + 1));
				double c = 1 / sqrt(t * t + 1), s = t * c;
				turn(g + p * m, g + q * m, m, c, s);
				for (size_t i = 0; i < m; i++) {
					double a = g[i * m + p], d = g[i * m + q];
					g[i * m + p] = c * a - s * d;
					g[i * m + q] = s * a + c * d;
				}
				turn(v + p * m, v + q * m, m, c, s);
			}
	}
}

struct eigenvalue {
	double value;
	size_t at;
};

static int by_value(const void *a, const void *b)
{
	const struct eigenvalue *x = a, *y = b;
	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* z holds A'Q for an orthonormal Q: its own directions, k of them, are those of A. */
static int finish(struct work *w, unsigned k, float *ret, float *ret_sigma, struct err *e)
{
	size_t m = w->m;
	autofree double *v = malloc(m * m * sizeof *v);
	autofree struct eigenvalue *order = malloc(m * sizeof *order);
	if (!v || !order)
		return err_set(e, ERR_SYS_MEMORY, "no memory for %zu directions", m);
	gram_of(w, w->z, w->a->cols);
	eigen(w->gram, v, m);
	for (size_t i = 0; i < m; i++)
		order[i] = (struct eigenvalue){w->gram[i * m + i], i};
	qsort(order, m, sizeof *order, by_value);
	memset(w->sums, 0, m * k * sizeof *w->sums); /* m rows of k: how the k are made of the m */
	for (unsigned i = 0; i < k; i++) {
		double value = order[i].value;
		if (ret_sigma)
			ret_sigma[i] = value > 0 ? (float)sqrt(value) : 0;
		for (size_t j = 0; value > order[0].value * RANK_LEAST && j < m; j++)
			w->sums[j * k + i] = (float)(v[order[i].at * m + j] / sqrt(value));
	}
	memset(ret, 0, (size_t)w->a->cols * k * sizeof *ret);
	for (uint32_t c = 0; c < w->a->cols && !stopped(w); c++)
		for (size_t j = 0; j < m; j++)
			w->k->axpy_f32(ret + (size_t)c * k, w->z[c * m + j], w->sums + j * k, k);
	return 0;
}

static float start_at(uint64_t i) /* -1 or 1 */
{
	i = (i + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
	i = (i ^ i >> 27) * 0x94d049bb133111eb;
	return i >> 63 ? 1 : -1;
}

int lsa_directions(const struct sparse *a, unsigned k, const _Atomic bool *stop, float *ret, float *ret_sigma, struct err *e)
{
	if (!k || k > LSA_K_MAX)
		return err_set(e, ERR_VDB_INVALID, "%u directions; 1 to %u are found", k, LSA_K_MAX);
	size_t m = (k + LSA_MORE + 15) / 16 * 16;
	autofree float *y = malloc((a->rows + 1) * m * sizeof *y), *z = malloc((a->cols + 1) * m * sizeof *z);
	autofree double *gram = malloc(m * m * sizeof *gram);
	autofree float *sums = malloc(m * m * sizeof *sums);
	struct work w = {a, vec_kernel_best(), stop, m, y, z, gram, sums};
	if (!y || !z || !gram || !sums)
		return err_set(e, ERR_SYS_MEMORY, "no memory for %zu directions of %u texts and %u words", m, a->rows, a->cols);
	for (uint64_t i = 0; i < (uint64_t)a->cols * m; i++)
		z[i] = start_at(i);
	for (int pass = 0; pass <= PASSES; pass++) {
		multiply(&w);
		orthonormalise(&w);
		multiply_back(&w);
	}
	int r = stopped(&w) ? 0 : finish(&w, k, ret, ret_sigma, e);
	return stopped(&w) ? err_sys(e, ERR_SYS_STOPPING, ECANCELED, "directions of %u texts", a->rows) : r;
}
