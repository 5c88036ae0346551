/* significance - see significance.h for the contract. */
#include "eval/significance.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SEED  UINT64_C(0x9e3779b97f4a7c15)
#define NEAR  1e-12 /* sums of the same numbers in other order differ by less */
#define STEPS 300   /* of the continued fraction: it needs some ten */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The continued fraction of the incomplete beta function, after Lentz (Numerical methods call it
 * modified Lentz): it converges quickly for x below (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    double c = 1;
    double d = 1 - (a + b) * x / (a + 1);
    double h;

    d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
    h = d;
    for (int m = 1; m <= STEPS; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

        for (int part = 0; part < 2; part++) {
            double term = part ? odd : even;

            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (fabs(d) < 1e-300 ? 1e-300 : d);
            c = fabs(c) < 1e-300 ? 1e-300 : c;
            h *= d * c;
        }
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return h;
}

/* The regularised incomplete beta function. */
static double beta(double a, double b, double x)
{
    double front;

    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double tars_student_p(double t, double degrees)
{
    return beta(degrees / 2, 0.5, degrees / (degrees + t * t));
}

/* The share of random signs that give a sum as far from 0 as the one that was seen. */
static double randomise(const double *a, const double *b, size_t count, double seen)
{
    uint64_t state = SEED;
    size_t as_far = 0;

    for (size_t round = 0; round < TARS_SIGNIFICANCE_ROUNDS; round++) {
        double sum = 0;
        uint64_t bits = 0;

        for (size_t i = 0; i < count; i++) {
            if (i % 64 == 0)
                bits = next_random(&state);
            sum += bits & 1U ? a[i] - b[i] : b[i] - a[i];
            bits >>= 1U;
        }
        as_far += fabs(sum) >= fabs(seen) - NEAR;
    }
    return (double)(as_far + 1) / (TARS_SIGNIFICANCE_ROUNDS + 1);
}

void tars_significance_of(const double *a, const double *b, size_t count,
                          struct tars_significance *out)
{
    double sum = 0;
    double squares = 0;

    *out = (struct tars_significance){.p_random = 1, .p_t = 1};
    for (size_t i = 0; i < count; i++) {
        sum += a[i] - b[i];
        out->better += a[i] > b[i];
        out->worse += a[i] < b[i];
    }
    if (count == 0 || out->better + out->worse == 0)
        return;
    out->mean = sum / (double)count;
    out->p_random = randomise(a, b, count, sum);
    for (size_t i = 0; i < count; i++) {
        double apart = a[i] - b[i] - out->mean;

        squares += apart * apart;
    }
    if (count < 2 || squares <= NEAR * NEAR)
        return;
    out->t = out->mean / sqrt(squares / (double)(count - 1) / (double)count);
    out->p_t = tars_student_p(out->t, (double)(count - 1));
}
