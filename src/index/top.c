/* top - see top.h. */
#include "index/top.h"

#include <stdbool.h>
#include <stdlib.h>

tars_status tars_top_init(struct tars_top *top, size_t k)
{
    *top = (struct tars_top){.k = k};
    top->hits = malloc((k + 1) * sizeof(*top->hits));
    return top->hits ? TARS_OK : TARS_ENOMEM;
}

void tars_top_release(struct tars_top *top)
{
    free(top->hits);
    *top = (struct tars_top){0};
}

static bool worse(struct tars_index_hit a, struct tars_index_hit b)
{
    return a.score != b.score ? a.score < b.score : a.id > b.id;
}

static void sift_down(struct tars_top *top, struct tars_index_hit hit)
{
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= top->count)
            break;
        if (child + 1 < top->count && worse(top->hits[child + 1], top->hits[child]))
            child++;
        if (!worse(top->hits[child], hit))
            break;
        top->hits[at] = top->hits[child];
        at = child;
    }
    top->hits[at] = hit;
}

void tars_top_offer(struct tars_top *top, uint64_t id, float score)
{
    struct tars_index_hit hit = {id, score};
    size_t at = top->count;

    if (top->count == top->k) {
        if (top->k > 0 && worse(top->hits[0], hit))
            sift_down(top, hit);
        return;
    }
    top->count++;
    while (at > 0 && worse(hit, top->hits[(at - 1) / 2])) {
        top->hits[at] = top->hits[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    top->hits[at] = hit;
}

double tars_top_floor(const struct tars_top *top)
{
    return top->count < top->k || top->k == 0 ? -1 : top->hits[0].score;
}

size_t tars_top_sorted(struct tars_top *top, struct tars_index_hit *hits)
{
    size_t count = top->count;

    while (top->count > 0) {
        struct tars_index_hit worst = top->hits[0];

        top->count--;
        if (top->count > 0)
            sift_down(top, top->hits[top->count]);
        hits[top->count] = worst;
    }
    return count;
}
