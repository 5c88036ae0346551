/* wiring_bench - the parts that `tars bench` times; see bench.h. */
#include "app/bench.h"
#include "app/wiring_internal.h"
#include "index/index.h"
#include "model/encoder.h"

struct tars_bench_parts tars_wiring_bench_parts(const struct tars_wiring *wiring)
{
    struct tars_index_stats stats;

    tars_index_stats(wiring->index, &stats);
    return (struct tars_bench_parts){
        .store = wiring->store,
        .encoder = wiring->encoder,
        .wordpiece = wiring->encoder ? tars_encoder_wordpiece(wiring->encoder) : wiring->plain,
        .retriever = wiring->retriever,
        .last_passage = stats.last_id,
    };
}
