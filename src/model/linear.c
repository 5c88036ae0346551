/* linear - see linear.h for the contract.
 *
 * The layout of packed weights is what the primitive of 128 rows chooses; the primitives of fewer
 * rows are then made for that layout, so that one packed copy serves all of them. Scratch memory is
 * handed in by the run: a primitive's own may not be used by two threads.
 */
#include "model/linear.h"

#include <assert.h>
#include <math.h>
#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/gemm8.h"

#define BUCKETS      (TARS_LINEAR_ROWS / TARS_LINEAR_STEP)
#define SHAPES_MAX   8
#define NAME_BYTES   64
#define ALIGN_BYTES  TARS_LINEAR_ALIGN
#define WEIGHT_STEPS 127.0F /* greatest quantised weight */
#define GEMM8_ROWS   48     /* their floats and bytes and a panel stay in the second-level cache */
#define LEFT_OUT     12.0F  /* a range in root mean squares; a bell shape's is 6 or 7 */

/* OpenMP's, declared here because its header belongs to one compiler only. */
void omp_set_num_threads(int count);

struct bucket {
    dnnl_primitive_t primitive; /* NULL until needed */
    dnnl_memory_desc_t x, y;
    dnnl_memory_desc_t scratch;
    char name[NAME_BYTES];
};

struct shape {
    size_t k, n;
    dnnl_memory_desc_t packed;      /* layout of the weights */
    struct bucket buckets[BUCKETS]; /* [i] for (i + 1) * TARS_LINEAR_STEP rows */
};

struct tars_linear_set {
    enum tars_linear_type type;
    bool by_gemm8; /* int8 by gemm8.h instead of oneDNN */
    const struct tars_kernels *kernels;
    dnnl_engine_t engine;
    pthread_mutex_t lock; /* guards shapes and shape_count; a made bucket is never changed */
    struct shape shapes[SHAPES_MAX];
    size_t shape_count;
};

struct tars_linear_run {
    struct tars_linear_set *set;
    dnnl_stream_t stream;
    void *scratch; /* as malloc gave it */
    size_t scratch_bytes;
};

static const struct {
    dnnl_data_type_t x, weights, y;
    size_t x_bytes;
} types[] = {
    [TARS_LINEAR_INT8] = {dnnl_u8, dnnl_s8, dnnl_s32, 1},
    [TARS_LINEAR_BF16] = {dnnl_bf16, dnnl_bf16, dnnl_f32, 2},
    [TARS_LINEAR_FP32] = {dnnl_f32, dnnl_f32, dnnl_f32, 4},
};

/* ------------------------------------------------------------------ helpers */

static tars_status refused(dnnl_status_t status, const char *what, struct tars_err *err)
{
    if (status == dnnl_success)
        return TARS_OK;
    if (status == dnnl_out_of_memory)
        return TARS_ENOMEM;
    return tars_fail(TARS_EIO, err, "oneDNN refused %s (status %d)", what, (int)status);
}

static void *aligned(void *ptr)
{
    return (char *)ptr + (ALIGN_BYTES - (uintptr_t)ptr % ALIGN_BYTES) % ALIGN_BYTES;
}

/* oneDNN takes memory to read through a pointer to change. */
static void *mutable(const void *ptr)
{
    void *same;

    memcpy(&same, &ptr, sizeof(same));
    return same;
}

static dnnl_memory_desc_t plain(size_t rows, size_t columns, dnnl_data_type_t type,
                                dnnl_format_tag_t tag, dnnl_status_t *status)
{
    dnnl_memory_desc_t desc;
    const dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};

    memset(&desc, 0, sizeof(desc));
    *status = dnnl_memory_desc_init_by_tag(&desc, 2, dims, type, tag);
    return desc;
}

/* Whether oneDNN has products of that type without a catch on this processor. */
static bool is_native(enum tars_linear_type type)
{
    const int isa = (int)dnnl_get_effective_cpu_isa();
    const int vnni512 = (int)dnnl_cpu_isa_avx512_core_vnni;
    const int vnni2 = (int)dnnl_cpu_isa_avx2_vnni;
    const int bf16 = (int)dnnl_cpu_isa_avx512_core_bf16;

    if (type == TARS_LINEAR_INT8)
        return (isa & vnni512) == vnni512 || (isa & vnni2) == vnni2;
    return type == TARS_LINEAR_FP32 || (isa & bf16) == bf16;
}

/* Whether the processor may use AVX2: it has it, and DNNL_MAX_CPU_ISA does not forbid it. */
static bool may_use_avx2(void)
{
    const int avx2 = (int)dnnl_cpu_isa_avx2;

    return ((int)dnnl_get_effective_cpu_isa() & avx2) == avx2 && tars_gemm8_has_avx2();
}

void tars_linear_one_thread(void)
{
    omp_set_num_threads(1);
}

/* ---------------------------------------------------------------------- set */

tars_status tars_linear_set_new(enum tars_linear_type type, struct tars_linear_set **set,
                                struct tars_err *err)
{
    struct tars_linear_set *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    made->by_gemm8 = type == TARS_LINEAR_INT8 && !is_native(type) && may_use_avx2();
    made->kernels = tars_kernels();
    made->type = is_native(type) || made->by_gemm8 ? type : TARS_LINEAR_FP32;
    status = refused(dnnl_engine_create(&made->engine, dnnl_cpu, 0), "to make an engine", err);
    if (status == TARS_OK && pthread_mutex_init(&made->lock, NULL) != 0) {
        (void)dnnl_engine_destroy(made->engine);
        status = TARS_ENOMEM;
    }
    if (status != TARS_OK) {
        free(made);
        return status;
    }
    *set = made;
    return TARS_OK;
}

void tars_linear_set_free(struct tars_linear_set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->shape_count; i++) {
        for (size_t b = 0; b < BUCKETS; b++) {
            if (set->shapes[i].buckets[b].primitive)
                (void)dnnl_primitive_destroy(set->shapes[i].buckets[b].primitive);
        }
    }
    (void)dnnl_engine_destroy(set->engine);
    (void)pthread_mutex_destroy(&set->lock);
    free(set);
}

enum tars_linear_type tars_linear_set_type(const struct tars_linear_set *set)
{
    return set->type;
}

size_t tars_linear_set_x_bytes(const struct tars_linear_set *set)
{
    return types[set->type].x_bytes;
}

int tars_linear_set_levels(const struct tars_linear_set *set)
{
    return set->by_gemm8 ? TARS_GEMM8_LEVELS : TARS_LINEAR_LEVELS;
}

/* --------------------------------------------------------------- primitives */

static void copy_name(const_dnnl_primitive_desc_t desc, char *name)
{
    const char *text = NULL;

    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&text) ==
            dnnl_success &&
        text)
        (void)snprintf(name, NAME_BYTES, "%s", text);
}

/* The primitive of one bucket, with *packed as the layout of its weights, which may be "any". */
static dnnl_status_t make_bucket(struct tars_linear_set *set, size_t k, size_t n, size_t rows,
                                 dnnl_memory_desc_t *packed, struct bucket *bucket)
{
    struct bucket made = {0};
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status;

    made.x = plain(rows, k, types[set->type].x, dnnl_ab, &status);
    if (status == dnnl_success)
        made.y = plain(rows, n, types[set->type].y, dnnl_ab, &status);
    if (status == dnnl_success)
        status = dnnl_matmul_desc_init(&matmul, &made.x, packed, NULL, &made.y);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&desc, &matmul, attr, set->engine, NULL);
    if (status == dnnl_success) {
        copy_name(desc, made.name);
        made.scratch = *dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
        *packed = *dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
        status = dnnl_primitive_create(&made.primitive, desc);
    }
    if (status == dnnl_success)
        *bucket = made;
    if (desc)
        (void)dnnl_primitive_desc_destroy(desc);
    if (attr)
        (void)dnnl_primitive_attr_destroy(attr);
    return status;
}

/* The shape (k, n), made with its largest bucket if it is new. The lock is held. */
static tars_status find_shape(struct tars_linear_set *set, size_t k, size_t n, struct shape **out,
                              struct tars_err *err)
{
    struct shape *shape = set->shapes;
    dnnl_status_t status;

    for (size_t i = 0; i < set->shape_count; i++, shape++) {
        if (shape->k == k && shape->n == n) {
            *out = shape;
            return TARS_OK;
        }
    }
    assert(set->shape_count < SHAPES_MAX);
    memset(shape, 0, sizeof(*shape));
    shape->k = k;
    shape->n = n;
    shape->packed = plain(k, n, types[set->type].weights, dnnl_format_tag_any, &status);
    if (status == dnnl_success) {
        status =
            make_bucket(set, k, n, TARS_LINEAR_ROWS, &shape->packed, &shape->buckets[BUCKETS - 1]);
    }
    if (status != dnnl_success)
        return refused(status, "a matrix product", err);
    set->shape_count++;
    *out = shape;
    return TARS_OK;
}

static tars_status find_bucket(struct tars_linear_set *set, struct shape *shape, size_t rows,
                               const struct bucket **out, struct tars_err *err)
{
    size_t i = (rows + TARS_LINEAR_STEP - 1) / TARS_LINEAR_STEP - 1;
    struct bucket *bucket = &shape->buckets[i];
    dnnl_status_t status = dnnl_success;

    (void)pthread_mutex_lock(&set->lock);
    if (!bucket->primitive) {
        status = make_bucket(set, shape->k, shape->n, (i + 1) * TARS_LINEAR_STEP, &shape->packed,
                             bucket);
    }
    (void)pthread_mutex_unlock(&set->lock);
    *out = bucket;
    return refused(status, "a matrix product", err);
}

const char *tars_linear_set_implementation(struct tars_linear_set *set, size_t k, size_t n,
                                           size_t rows)
{
    struct shape *shape = NULL;
    const struct bucket *bucket = NULL;
    tars_status status;

    if (set->by_gemm8)
        return "gemm8:avx2";
    (void)pthread_mutex_lock(&set->lock);
    status = find_shape(set, k, n, &shape, NULL);
    (void)pthread_mutex_unlock(&set->lock);
    if (status != TARS_OK || find_bucket(set, shape, rows, &bucket, NULL) != TARS_OK)
        return "";
    return bucket->name;
}

/* ------------------------------------------------------------------ weights */

static float quantise_column(const float *weights, size_t k, int8_t *out, float *sum)
{
    float most = 0;
    float scale;
    int total = 0;

    for (size_t i = 0; i < k; i++)
        most = fabsf(weights[i]) > most ? fabsf(weights[i]) : most;
    scale = most > 0 ? most / WEIGHT_STEPS : 1.0F;
    for (size_t i = 0; i < k; i++) {
        float step = weights[i] / scale;

        out[i] = (int8_t)(step + (step < 0 ? -0.5F : 0.5F));
        total += out[i];
    }
    *sum = (float)total * scale;
    return scale;
}

/* Weights in the set's type but still (n, k); gives memory to free(), or NULL. */
static void *convert(const struct tars_linear_set *set, const float *weights,
                     struct tars_linear *linear)
{
    size_t count = linear->k * linear->n;
    void *made;

    if (set->type != TARS_LINEAR_INT8) {
        made = malloc(count * sizeof(float));
        if (made)
            memcpy(made, weights, count * sizeof(float));
        return made;
    }
    made = malloc(count);
    for (size_t i = 0; made && i < linear->n; i++) {
        linear->scale[i] = quantise_column(weights + i * linear->k, linear->k,
                                           (int8_t *)made + i * linear->k, &linear->sum[i]);
    }
    return made;
}

/* Reorder (n, k) weights into the packed layout; bf16 is rounded on the way. */
static dnnl_status_t pack(struct tars_linear_set *set, void *from, struct tars_linear *linear)
{
    dnnl_status_t status;
    dnnl_data_type_t type = set->type == TARS_LINEAR_INT8 ? dnnl_s8 : dnnl_f32;
    dnnl_memory_desc_t source = plain(linear->k, linear->n, type, dnnl_ba, &status);
    dnnl_memory_t from_memory = NULL;
    dnnl_memory_t to_memory = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_stream_t stream = NULL;

    if (status == dnnl_success)
        status = dnnl_memory_create(&from_memory, &source, set->engine, from);
    if (status == dnnl_success) {
        status = dnnl_memory_create(&to_memory, &linear->shape->packed, set->engine,
                                    DNNL_MEMORY_ALLOCATE);
    }
    if (status == dnnl_success) {
        status = dnnl_reorder_primitive_desc_create(&desc, &source, set->engine,
                                                    &linear->shape->packed, set->engine, NULL);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_create(&reorder, desc);
    if (status == dnnl_success)
        status = dnnl_stream_create(&stream, set->engine, dnnl_stream_default_flags);
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from_memory}, {DNNL_ARG_TO, to_memory}};

        status = dnnl_primitive_execute(reorder, stream, 2, args);
    }
    if (status == dnnl_success) {
        linear->weights = to_memory;
        to_memory = NULL;
    }
    (void)dnnl_stream_destroy(stream);
    (void)dnnl_primitive_destroy(reorder);
    (void)dnnl_primitive_desc_destroy(desc);
    (void)dnnl_memory_destroy(to_memory);
    (void)dnnl_memory_destroy(from_memory);
    return status;
}

static size_t round_up(size_t bytes)
{
    return (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
}

/* Where in a room the scales begin; the sums lie behind them. */
static size_t scales_at(size_t k, size_t n)
{
    return round_up(tars_gemm8_packed_bytes(k, n));
}

size_t tars_linear_packed_bytes(const struct tars_linear_set *set, size_t k, size_t n)
{
    return set->by_gemm8 ? scales_at(k, n) + round_up(2 * n * sizeof(float)) : 0;
}

/* Quantise and pack weights for gemm8 into room, a column at a time. */
static tars_status pack_columns(const float *weights, size_t k, size_t n, void *room)
{
    const size_t k_padded = tars_gemm8_padded(k);
    float *scale = (void *)((char *)room + scales_at(k, n));
    float *sum = scale + n;
    int8_t *column = malloc(k_padded);

    if (!column)
        return TARS_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int total = 0;

        scale[i] = tars_gemm8_fit(weights + i * k, k, column);
        for (size_t j = 0; j < k; j++)
            total += column[j];
        sum[i] = (float)total * scale[i];
        tars_gemm8_pack(column, k_padded, i, room);
    }
    free(column);
    return TARS_OK;
}

static tars_status pack_for_dnnl(struct tars_linear_set *set, const float *weights,
                                 struct tars_linear *linear, struct tars_err *err)
{
    void *converted = convert(set, weights, linear);
    tars_status status =
        converted ? refused(pack(set, converted, linear), "to pack weights", err) : TARS_ENOMEM;

    free(converted);
    return status;
}

/* Everything but the weights. */
static tars_status begin(size_t k, size_t n, const float *bias, struct tars_linear *linear)
{
    *linear = (struct tars_linear){.k = k, .n = n};
    linear->bias = calloc(3 * n, sizeof(float));
    if (!linear->bias)
        return TARS_ENOMEM;
    memcpy(linear->bias, bias, n * sizeof(float));
    linear->scale = linear->bias + n;
    linear->sum = linear->scale + n;
    return TARS_OK;
}

tars_status tars_linear_init_packed(const struct tars_linear_set *set, size_t k, size_t n,
                                    const void *room, const float *bias, struct tars_linear *linear)
{
    struct tars_linear made;
    tars_status status = begin(k, n, bias, &made);

    assert(set->by_gemm8 && (uintptr_t)room % ALIGN_BYTES == 0);
    if (status != TARS_OK)
        return status;
    memcpy(made.scale, (const char *)room + scales_at(k, n), 2 * n * sizeof(float));
    made.bytes = room;
    *linear = made;
    return TARS_OK;
}

tars_status tars_linear_init_in(const struct tars_linear_set *set, size_t k, size_t n,
                                const float *weights, const float *bias, void *room,
                                struct tars_linear *linear)
{
    tars_status status = pack_columns(weights, k, n, room);

    return status == TARS_OK ? tars_linear_init_packed(set, k, n, room, bias, linear) : status;
}

static tars_status init_for_gemm8(const struct tars_linear_set *set, size_t k, size_t n,
                                  const float *weights, const float *bias,
                                  struct tars_linear *linear)
{
    void *room = calloc(1, tars_linear_packed_bytes(set, k, n) + ALIGN_BYTES);
    tars_status status = TARS_ENOMEM;

    if (room)
        status = tars_linear_init_in(set, k, n, weights, bias, aligned(room), linear);
    if (status == TARS_OK) {
        linear->room = room;
    } else {
        free(room);
    }
    return status;
}

tars_status tars_linear_init(struct tars_linear_set *set, size_t k, size_t n, const float *weights,
                             const float *bias, struct tars_linear *linear, struct tars_err *err)
{
    struct tars_linear made;
    tars_status status;

    if (set->by_gemm8)
        return init_for_gemm8(set, k, n, weights, bias, linear);
    status = begin(k, n, bias, &made);
    if (status != TARS_OK)
        return status;
    (void)pthread_mutex_lock(&set->lock);
    status = find_shape(set, k, n, &made.shape, err);
    (void)pthread_mutex_unlock(&set->lock);
    if (status == TARS_OK)
        status = pack_for_dnnl(set, weights, &made, err);
    if (status != TARS_OK) {
        tars_linear_release(&made);
    } else {
        *linear = made;
    }
    return status;
}

void tars_linear_release(struct tars_linear *linear)
{
    if (linear->weights)
        (void)dnnl_memory_destroy(linear->weights);
    free(linear->room);
    free(linear->bias);
    *linear = (struct tars_linear){0};
}

/* -------------------------------------------------------------------- runs */

tars_status tars_linear_run_new(struct tars_linear_set *set, struct tars_linear_run **run,
                                struct tars_err *err)
{
    struct tars_linear_run *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    made->set = set;
    status = refused(dnnl_stream_create(&made->stream, set->engine, dnnl_stream_default_flags),
                     "to make a stream", err);
    if (status != TARS_OK) {
        free(made);
        return status;
    }
    *run = made;
    return TARS_OK;
}

void tars_linear_run_free(struct tars_linear_run *run)
{
    if (!run)
        return;
    (void)dnnl_stream_destroy(run->stream);
    free(run->scratch);
    free(run);
}

static tars_status reserve_scratch(struct tars_linear_run *run, size_t need)
{
    void *made;

    if (need + ALIGN_BYTES <= run->scratch_bytes)
        return TARS_OK;
    made = malloc(need + ALIGN_BYTES);
    if (!made)
        return TARS_ENOMEM;
    free(run->scratch);
    run->scratch = made;
    run->scratch_bytes = need + ALIGN_BYTES;
    return TARS_OK;
}

static dnnl_status_t execute(struct tars_linear_run *run, const struct bucket *bucket,
                             const struct tars_linear *linear, const void *x, void *y)
{
    dnnl_engine_t engine = run->set->engine;
    dnnl_memory_t in = NULL;
    dnnl_memory_t out = NULL;
    dnnl_memory_t scratch = NULL;
    dnnl_status_t status = dnnl_memory_create(&in, &bucket->x, engine, mutable(x));

    if (status == dnnl_success)
        status = dnnl_memory_create(&out, &bucket->y, engine, y);
    if (status == dnnl_success)
        status = dnnl_memory_create(&scratch, &bucket->scratch, engine, aligned(run->scratch));
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, in},
                                        {DNNL_ARG_WEIGHTS, linear->weights},
                                        {DNNL_ARG_DST, out},
                                        {DNNL_ARG_SCRATCHPAD, scratch}};

        status = dnnl_primitive_execute(bucket->primitive, run->stream, 4, args);
    }
    (void)dnnl_memory_destroy(scratch);
    (void)dnnl_memory_destroy(out);
    (void)dnnl_memory_destroy(in);
    return status;
}

/* The product by gemm8, which knows where it goes. Rows whose length is no multiple of its depth
 * are copied first. */
static tars_status apply_gemm8(struct tars_linear_run *run, const struct tars_linear *linear,
                               const uint8_t *x, struct tars_gemm8 *product)
{
    product->x = x;
    product->k_padded = tars_gemm8_padded(linear->k);
    product->packed = linear->bytes;
    product->n = linear->n;
    if (product->k_padded != linear->k) {
        uint8_t *padded;

        if (reserve_scratch(run, product->rows * product->k_padded) != TARS_OK)
            return TARS_ENOMEM;
        padded = aligned(run->scratch);
        memset(padded, 0, product->rows * product->k_padded);
        for (size_t r = 0; r < product->rows; r++)
            memcpy(padded + r * product->k_padded, x + r * linear->k, linear->k);
        product->x = padded;
    }
    tars_gemm8_avx2(product);
    return TARS_OK;
}

tars_status tars_linear_apply(struct tars_linear_run *run, const struct tars_linear *linear,
                              const void *x, size_t rows, void *y, struct tars_err *err)
{
    const struct bucket *bucket = NULL;
    tars_status status;

    assert(rows > 0 && rows <= TARS_LINEAR_ROWS);
    if (run->set->by_gemm8) {
        struct tars_gemm8 product = {.rows = rows, .y = y};

        return apply_gemm8(run, linear, x, &product);
    }
    status = find_bucket(run->set, linear->shape, rows, &bucket, err);
    if (status == TARS_OK)
        status = reserve_scratch(run, dnnl_memory_desc_get_size(&bucket->scratch));
    if (status != TARS_OK)
        return status;
    return refused(execute(run, bucket, linear, x, y), "to multiply", err);
}

/* Sums of a product by oneDNN, which lie in y, to what is wished for. */
static void finish_rows(const struct tars_linear_set *set, const struct tars_linear *linear,
                        const struct tars_finish *finish, size_t rows)
{
    const struct tars_kernels *kernels = set->kernels;

    for (size_t r = 0; r < rows; r++) {
        float *y = finish->y + r * linear->n;

        if (set->type == TARS_LINEAR_INT8) {
            const struct tars_tile tile = {.sums = (const int32_t *)(const void *)y,
                                           .step = linear->n,
                                           .first = r,
                                           .rows = 1,
                                           .columns = linear->n};

            kernels->finish(finish, &tile);
            continue;
        }
        kernels->add(y, linear->bias, linear->n);
        if (finish->has_gelu)
            kernels->gelu(y, linear->n);
    }
}

tars_status tars_linear_apply_whole(struct tars_linear_run *run, const struct tars_linear *linear,
                                    const struct tars_linear_wish *wish, float *y,
                                    struct tars_err *err)
{
    const struct tars_linear_set *set = run->set;
    const struct tars_finish finish = {.scale = linear->scale,
                                       .sum = linear->sum,
                                       .bias = linear->bias,
                                       .rows = wish->how,
                                       .weights = linear->bytes,
                                       .k = linear->k,
                                       .panel_bytes =
                                           tars_gemm8_padded(linear->k) * TARS_GEMM8_COLUMNS,
                                       .has_gelu = wish->has_gelu,
                                       .y = y,
                                       .n = linear->n};
    tars_status status;

    if (set->by_gemm8) {
        struct tars_gemm8 product = {
            .rows = wish->rows, .to = &finish, .finish = set->kernels->finish};

        return apply_gemm8(run, linear, wish->x, &product);
    }
    status = tars_linear_apply(run, linear, wish->x, wish->rows, y, err);
    if (status == TARS_OK)
        finish_rows(set, linear, &finish, wish->rows);
    return status;
}

size_t tars_linear_set_rows(const struct tars_linear_set *set)
{
    return set->by_gemm8 ? GEMM8_ROWS : TARS_LINEAR_ROWS;
}

float tars_linear_set_limit(const struct tars_linear_set *set)
{
    return set->by_gemm8 ? LEFT_OUT : 0;
}
