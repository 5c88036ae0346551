/* safetensors - see safetensors.h for the contract.
 *
 * The header comes from a stranger: before the JSON library sees it, its length is checked and its
 * nesting is counted, since the library would follow 2,048 levels. Every number of it is checked
 * before it is used in a sum. Overlaps are found by walking the tensors in the order of their
 * places; afterwards the array is sorted by name for the lookups.
 */
#include "model/safetensors.h"

#include <assert.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem/arena.h"
#include "base/sys/file.h"

#define LENGTH_BYTES 8
#define DEPTH_MAX    8                  /* a well-formed header has 3 levels */
#define ARENA_MAX    ((size_t)32 << 20) /* bytes: names and descriptions */

struct tars_safetensors {
    struct tars_arena arena;     /* holds tensors and their names */
    struct tars_map map;         /* ptr NULL when the caller owns the bytes */
    int fd;                      /* owned; of map, or -1 */
    struct tars_tensor *tensors; /* (count,) sorted by name once parsed */
    size_t count;
};

/* ------------------------------------------------------------------ header */

static uint64_t read_le64(const unsigned char *ptr)
{
    uint64_t value = 0;

    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        value = value << 8 | ptr[i];
    return value;
}

static bool is_shallow(const char *json, size_t len)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < len; i++) {
        char c = json[i];

        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '{' || c == '[')) {
            depth++;
        } else if (!in_string && (c == '}' || c == ']')) {
            depth--;
        }
        if (depth > DEPTH_MAX)
            return false;
    }
    return true;
}

/* Bytes of an element, or 0 for a type that is not known. */
static size_t type_of(const char *name, enum tars_tensor_type *type)
{
    static const struct {
        const char *name;
        enum tars_tensor_type type;
        size_t bytes;
    } types[] = {
        {"F32", TARS_TENSOR_F32, 4},   {"F16", TARS_TENSOR_F16, 2},   {"BF16", TARS_TENSOR_BF16, 2},
        {"F64", TARS_TENSOR_OTHER, 8}, {"I64", TARS_TENSOR_OTHER, 8}, {"I32", TARS_TENSOR_OTHER, 4},
        {"I16", TARS_TENSOR_OTHER, 2}, {"I8", TARS_TENSOR_OTHER, 1},  {"U8", TARS_TENSOR_OTHER, 1},
        {"U16", TARS_TENSOR_OTHER, 2}, {"U32", TARS_TENSOR_OTHER, 4}, {"U64", TARS_TENSOR_OTHER, 8},
        {"BOOL", TARS_TENSOR_OTHER, 1}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(name, types[i].name) == 0) {
            *type = types[i].type;
            return types[i].bytes;
        }
    }
    return 0;
}

static bool size_from(const json_t *json, size_t *value)
{
    json_int_t number;

    if (!json_is_integer(json))
        return false;
    number = json_integer_value(json);
    if (number < 0 || (uint64_t)number > SIZE_MAX)
        return false;
    *value = (size_t)number;
    return true;
}

static bool read_shape(const json_t *shape, struct tars_tensor *tensor)
{
    size_t count = 1;

    if (!json_is_array(shape) || json_array_size(shape) > TARS_SAFETENSORS_DIMS_MAX)
        return false;
    tensor->dim_count = json_array_size(shape);
    for (size_t i = 0; i < tensor->dim_count; i++) {
        if (!size_from(json_array_get(shape, i), &tensor->dims[i]) ||
            __builtin_mul_overflow(count, tensor->dims[i], &count))
            return false;
    }
    tensor->count = count;
    return true;
}

static bool read_place(const json_t *offsets, struct tars_span data, size_t element_bytes,
                       struct tars_tensor *tensor)
{
    size_t begin;
    size_t end;
    size_t need;

    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !size_from(json_array_get(offsets, 0), &begin) ||
        !size_from(json_array_get(offsets, 1), &end) || begin > end || end > data.len)
        return false;
    if (__builtin_mul_overflow(tensor->count, element_bytes, &need) || need != end - begin)
        return false;
    tensor->data = (const unsigned char *)data.ptr + begin;
    tensor->bytes = need;
    return true;
}

static tars_status read_tensor(const char *name, const json_t *json, struct tars_span data,
                               struct tars_tensor *tensor, struct tars_err *err)
{
    const char *dtype = json_string_value(json_object_get(json, "dtype"));
    size_t element_bytes = dtype ? type_of(dtype, &tensor->type) : 0;

    if (element_bytes == 0) {
        return tars_fail(TARS_EFORMAT, err, "tensor '%.100s' has the unknown type '%.20s'", name,
                         dtype ? dtype : "");
    }
    if (!read_shape(json_object_get(json, "shape"), tensor))
        return tars_fail(TARS_EFORMAT, err, "tensor '%.100s' has no sensible shape", name);
    if (!read_place(json_object_get(json, "data_offsets"), data, element_bytes, tensor)) {
        return tars_fail(TARS_EFORMAT, err,
                         "tensor '%.100s' lies outside the file or does not fit its shape; the "
                         "file may be cut off",
                         name);
    }
    return TARS_OK;
}

/* ----------------------------------------------------------------- ordering */

static int by_place(const void *a, const void *b)
{
    const struct tars_tensor *x = a;
    const struct tars_tensor *y = b;

    if (x->data != y->data)
        return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tars_tensor *)a)->name, ((const struct tars_tensor *)b)->name);
}

static tars_status check_overlaps(struct tars_safetensors *file, struct tars_err *err)
{
    qsort(file->tensors, file->count, sizeof(file->tensors[0]), by_place);
    for (size_t i = 1; i < file->count; i++) {
        const struct tars_tensor *last = &file->tensors[i - 1];

        if (last->data + last->bytes > file->tensors[i].data) {
            return tars_fail(TARS_EFORMAT, err, "tensors '%.100s' and '%.100s' overlap", last->name,
                             file->tensors[i].name);
        }
    }
    return TARS_OK;
}

/* ------------------------------------------------------------------ parsing */

static tars_status read_tensors(struct tars_safetensors *file, json_t *header,
                                struct tars_span data, struct tars_err *err)
{
    const char *name;
    json_t *value;

    file->tensors =
        tars_arena_calloc(&file->arena, json_object_size(header) + 1, sizeof(file->tensors[0]));
    if (!file->tensors)
        return TARS_ENOMEM;
    json_object_foreach(header, name, value)
    {
        struct tars_tensor *tensor = &file->tensors[file->count];
        tars_status status;

        if (strcmp(name, "__metadata__") == 0)
            continue;
        if (strlen(name) > TARS_SAFETENSORS_NAME_MAX) {
            return tars_fail(TARS_ETOOBIG, err, "a tensor's name is longer than %d bytes",
                             TARS_SAFETENSORS_NAME_MAX);
        }
        status = read_tensor(name, value, data, tensor, err);
        if (status != TARS_OK)
            return status;
        tensor->name = tars_arena_strdup(&file->arena, name);
        if (!tensor->name)
            return TARS_ENOMEM;
        file->count++;
    }
    return check_overlaps(file, err);
}

static tars_status load_header(struct tars_span bytes, json_t **header, struct tars_span *data,
                               struct tars_err *err)
{
    const char *json = bytes.ptr + LENGTH_BYTES;
    json_error_t where;
    uint64_t len;

    if (bytes.len < LENGTH_BYTES) {
        return tars_fail(TARS_EFORMAT, err, "too short for a safetensors file (%zu bytes)",
                         bytes.len);
    }
    len = read_le64((const unsigned char *)bytes.ptr);
    if (len > bytes.len - LENGTH_BYTES) {
        return tars_fail(TARS_EFORMAT, err,
                         "the header is longer than the file; not a safetensors file, or cut off");
    }
    if (len > TARS_SAFETENSORS_HEADER_MAX) {
        return tars_fail(TARS_ETOOBIG, err, "the header is larger than %zu bytes",
                         TARS_SAFETENSORS_HEADER_MAX);
    }
    if (!is_shallow(json, (size_t)len))
        return tars_fail(TARS_EFORMAT, err, "the header is nested too deep");
    *header = json_loadb(json, (size_t)len, JSON_REJECT_DUPLICATES, &where);
    if (!*header)
        return tars_fail(TARS_EFORMAT, err, "the header is not JSON: %s", where.text);
    *data = tars_span(json + len, bytes.len - LENGTH_BYTES - (size_t)len);
    return TARS_OK;
}

tars_status tars_safetensors_parse(struct tars_span bytes, struct tars_safetensors **file,
                                   struct tars_err *err)
{
    struct tars_safetensors *made = calloc(1, sizeof(*made));
    struct tars_span data = {0};
    json_t *header = NULL;
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    made->fd = -1;
    tars_arena_init(&made->arena, ARENA_MAX);
    status = load_header(bytes, &header, &data, err);
    if (status != TARS_OK)
        goto out;
    if (!json_is_object(header)) {
        status = tars_fail(TARS_EFORMAT, err, "the header is not a JSON object");
        goto out;
    }
    if (json_object_size(header) > TARS_SAFETENSORS_TENSORS_MAX) {
        status = tars_fail(TARS_ETOOBIG, err, "more than %d tensors", TARS_SAFETENSORS_TENSORS_MAX);
        goto out;
    }
    status = read_tensors(made, header, data, err);
    if (status != TARS_OK)
        goto out;
    qsort(made->tensors, made->count, sizeof(made->tensors[0]), by_name);
    *file = made;
    made = NULL;
out:
    json_decref(header);
    tars_safetensors_close(made);
    return status;
}

tars_status tars_safetensors_open(const char *path, struct tars_safetensors **file,
                                  struct tars_err *err)
{
    struct tars_safetensors *made = NULL;
    struct tars_err why = {""};
    struct tars_map map = {0};
    int fd = -1;
    tars_status status = tars_map_open_fd(path, &map, &fd, err);

    if (status != TARS_OK)
        return status;
    status = tars_safetensors_parse(tars_span(map.ptr, map.len), &made, &why);
    if (status != TARS_OK) {
        tars_map_close(&map);
        (void)close(fd);
        return tars_fail(status, err, "%s: %.400s", path,
                         why.text[0] ? why.text : tars_status_text(status));
    }
    made->map = map;
    made->fd = fd;
    *file = made;
    return TARS_OK;
}

int tars_safetensors_fd(const struct tars_safetensors *file)
{
    return file->fd;
}

void tars_safetensors_close(struct tars_safetensors *file)
{
    if (!file)
        return;
    tars_arena_release(&file->arena);
    if (file->map.ptr)
        tars_map_close(&file->map);
    if (file->fd >= 0)
        (void)close(file->fd);
    free(file);
}

/* ------------------------------------------------------------------ reading */

const struct tars_tensor *tars_safetensors_find(const struct tars_safetensors *file,
                                                const char *name)
{
    struct tars_tensor key = {.name = name};

    return bsearch(&key, file->tensors, file->count, sizeof(key), by_name);
}

size_t tars_safetensors_count(const struct tars_safetensors *file)
{
    return file->count;
}

/* The system takes pages to read through a pointer to change. */
static void *mutable(const void *ptr)
{
    void *same;

    memcpy(&same, &ptr, sizeof(same));
    return same;
}

void tars_safetensors_forget_pages(const struct tars_safetensors *file)
{
    /* Advice only: where it is not taken, the pages stay, and nothing else changes. */
    if (file->map.ptr)
        (void)madvise(mutable(file->map.ptr), file->map.len, MADV_DONTNEED);
}

static float float_from_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float float_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000U) << 16;
    uint32_t exponent = half >> 10 & 0x1FU;
    uint32_t fraction = half & 0x3FFU;

    if (exponent == 0x1F) /* infinity or not a number */
        return float_from_bits(sign | 0x7F800000U | fraction << 13);
    if (exponent == 0) { /* zero, or too small for a leading one: fraction * 2^-24 */
        float value = (float)fraction * 0x1p-24F;

        return sign ? -value : value;
    }
    return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

tars_status tars_tensor_read_f32(const struct tars_tensor *tensor, size_t first, size_t count,
                                 float *out)
{
    size_t element_bytes = tensor->type == TARS_TENSOR_F32 ? 4 : 2;
    const unsigned char *from = tensor->data + first * element_bytes;

    assert(first <= tensor->count && count <= tensor->count - first);
    if (tensor->type == TARS_TENSOR_OTHER)
        return TARS_EUNSUPPORTED;
    if (tensor->type == TARS_TENSOR_F32) {
        memcpy(out, from, count * sizeof(*out));
        return TARS_OK;
    }
    for (size_t i = 0; i < count; i++) {
        uint16_t bits = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);

        out[i] = tensor->type == TARS_TENSOR_F16 ? float_from_half(bits)
                                                 : float_from_bits((uint32_t)bits << 16);
    }
    return TARS_OK;
}
