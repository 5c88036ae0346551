/* config - see config.h for the contract.
 *
 * Optional files may be missing, but not damaged: a folder that is half written must not pass as a
 * model with other defaults.
 */
#include "model/config.h"

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/mem/buf.h"
#include "base/sys/file.h"

#define PATH_MAX_BYTES 4096
#define FILE_MAX       ((size_t)1 << 20) /* bytes of one JSON file */

/* Prefixes that the authors of a family document but do not ship in its folder. */
static const struct family {
    const char *part; /* of the folder's name or of _name_or_path, in any case */
    const char *query;
    const char *passage;
} families[] = {
    {"e5-", "query: ", "passage: "},
    {"bge-", "Represent this sentence for searching relevant passages: ", ""},
};

struct reader {
    const char *dir;
    struct tars_model_config *out;
    struct tars_err *err;
    char origin[TARS_MODEL_NAME_MAX]; /* _name_or_path of config.json */
};

/* ------------------------------------------------------------------ helpers */

/* dir/name as JSON. ENOTFOUND when the file is not there. */
static tars_status load(const struct reader *reader, const char *name, json_t **json)
{
    char path[PATH_MAX_BYTES];
    struct tars_buf text;
    json_error_t where;
    /* A tokenizer that knows of no longest text says 10^30. */
    size_t flags = strcmp(name, "tokenizer_config.json") == 0 ? JSON_DECODE_INT_AS_REAL : 0;
    tars_status status;
    int len = snprintf(path, sizeof(path), "%s/%s", reader->dir, name);

    if (len < 0 || (size_t)len >= sizeof(path))
        return tars_fail(TARS_EINVAL, reader->err, "the path of the model folder is too long");
    tars_buf_init(&text, FILE_MAX);
    status = tars_file_read(path, &text, reader->err);
    if (status != TARS_OK)
        goto out;
    *json = json_loadb(text.ptr ? text.ptr : "", text.len, flags, &where);
    if (!*json) {
        status =
            tars_fail(TARS_EFORMAT, reader->err, "%s: line %d: %s; fetch the model's folder again",
                      path, where.line, where.text);
    }
out:
    tars_buf_release(&text);
    return status;
}

/* The same where the file may be missing: *json is NULL then. */
static tars_status load_optional(const struct reader *reader, const char *name, json_t **json)
{
    struct reader quiet = *reader;
    struct tars_err why = {""};
    tars_status status;

    *json = NULL;
    quiet.err = &why;
    status = load(&quiet, name, json);
    if (status == TARS_ENOTFOUND)
        return TARS_OK;
    return status == TARS_OK ? TARS_OK : tars_fail(status, reader->err, "%s", why.text);
}

static tars_status read_size(const struct reader *reader, const json_t *json, const char *key,
                             size_t max, size_t *out)
{
    const json_t *value = json_object_get(json, key);
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 1 || (uint64_t)number > max) {
        return tars_fail(TARS_EFORMAT, reader->err,
                         "%s/config.json: '%s' should be a number from 1 to %zu; is this the "
                         "folder of a BERT model?",
                         reader->dir, key, max);
    }
    *out = (size_t)number;
    return TARS_OK;
}

static bool contains(const char *text, const char *part)
{
    size_t len = strlen(part);

    for (; *text; text++) {
        if (strncasecmp(text, part, len) == 0)
            return true;
    }
    return false;
}

static tars_status copy_text(const struct reader *reader, const char *what, const char *text,
                             size_t size, char *out)
{
    size_t len = strlen(text);

    if (len >= size) {
        return tars_fail(TARS_EFORMAT, reader->err, "%s: %s is longer than %zu bytes", reader->dir,
                         what, size - 1);
    }
    memcpy(out, text, len + 1);
    return TARS_OK;
}

/* -------------------------------------------------------------------- files */

static tars_status check_family(const struct reader *reader, const json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));
    const char *act = json_string_value(json_object_get(json, "hidden_act"));
    const char *position = json_string_value(json_object_get(json, "position_embedding_type"));

    if (type && strcmp(type, "bert") != 0) {
        return tars_fail(TARS_EUNSUPPORTED, reader->err,
                         "%s/config.json: a model of type '%.40s'; models of type 'bert' are "
                         "supported (all-MiniLM, bge, e5, gte in their small and base sizes)",
                         reader->dir, type);
    }
    if (act && strcmp(act, "gelu") != 0) {
        return tars_fail(TARS_EUNSUPPORTED, reader->err,
                         "%s/config.json: hidden_act '%.40s' is not supported, only 'gelu'",
                         reader->dir, act);
    }
    if (position && strcmp(position, "absolute") != 0) {
        return tars_fail(TARS_EUNSUPPORTED, reader->err,
                         "%s/config.json: position_embedding_type '%.40s' is not supported, only "
                         "'absolute'",
                         reader->dir, position);
    }
    return TARS_OK;
}

static tars_status read_shape(struct reader *reader, const json_t *json)
{
    struct tars_model_config *out = reader->out;
    const struct {
        const char *key;
        size_t max;
        size_t *to;
    } sizes[] = {
        {"hidden_size", 4096, &out->hidden},
        {"num_hidden_layers", 128, &out->layers},
        {"num_attention_heads", 256, &out->heads},
        {"intermediate_size", 16384, &out->intermediate},
        {"max_position_embeddings", 8192, &out->positions},
        {"vocab_size", 1000000, &out->vocab},
    };
    const json_t *eps = json_object_get(json, "layer_norm_eps");

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        tars_status status = read_size(reader, json, sizes[i].key, sizes[i].max, sizes[i].to);

        if (status != TARS_OK)
            return status;
    }
    if (out->hidden % out->heads != 0) {
        return tars_fail(TARS_EFORMAT, reader->err,
                         "%s/config.json: num_attention_heads does not divide hidden_size",
                         reader->dir);
    }
    out->layer_norm_eps = json_is_number(eps) ? (float)json_number_value(eps) : 1e-12F;
    out->max_tokens = out->positions;
    return TARS_OK;
}

static tars_status read_bert(struct reader *reader)
{
    json_t *json = NULL;
    const char *origin;
    tars_status status = load(reader, "config.json", &json);

    if (status == TARS_ENOTFOUND) {
        return tars_fail(TARS_ENOTFOUND, reader->err,
                         "%s/config.json is not there; point EMBED_MODEL at a folder as "
                         "sentence-transformers writes it, or run scripts/deps to fetch one",
                         reader->dir);
    }
    if (status != TARS_OK)
        goto out;
    status = check_family(reader, json);
    if (status == TARS_OK)
        status = read_shape(reader, json);
    origin = json_string_value(json_object_get(json, "_name_or_path"));
    if (origin)
        (void)snprintf(reader->origin, sizeof(reader->origin), "%s", origin);
out:
    json_decref(json);
    return status;
}

/* Name of the pooling's folder, from modules.json. */
static tars_status find_pooling(struct reader *reader, char *folder, size_t size)
{
    json_t *modules = NULL;
    json_t *module;
    size_t i;
    tars_status status = load_optional(reader, "modules.json", &modules);

    (void)snprintf(folder, size, "1_Pooling");
    json_array_foreach(modules, i, module)
    {
        const char *type = json_string_value(json_object_get(module, "type"));
        const char *path = json_string_value(json_object_get(module, "path"));

        /* It stays inside the model's folder. */
        if (type && path && contains(type, "Pooling") && !strchr(path, '/') && path[0] != '.')
            (void)snprintf(folder, size, "%.200s", path);
    }
    json_decref(modules);
    return status;
}

static tars_status read_pooling(struct reader *reader)
{
    char name[256];
    char file[300];
    json_t *json = NULL;
    tars_status status = find_pooling(reader, name, sizeof(name));

    if (status != TARS_OK)
        return status;
    (void)snprintf(file, sizeof(file), "%s/config.json", name);
    status = load_optional(reader, file, &json);
    if (status != TARS_OK || !json)
        return status;
    if (json_is_true(json_object_get(json, "pooling_mode_cls_token"))) {
        reader->out->pooling = TARS_POOLING_CLS;
    } else if (json_is_true(json_object_get(json, "pooling_mode_mean_tokens"))) {
        reader->out->pooling = TARS_POOLING_MEAN;
    } else if (json_is_true(json_object_get(json, "pooling_mode_max_tokens"))) {
        reader->out->pooling = TARS_POOLING_MAX;
    } else {
        status =
            tars_fail(TARS_EUNSUPPORTED, reader->err,
                      "%s/%s: none of the poolings mean, cls and max is set", reader->dir, file);
    }
    json_decref(json);
    return status;
}

static tars_status read_limits(struct reader *reader)
{
    struct tars_model_config *out = reader->out;
    json_t *json = NULL;
    json_int_t tokens;
    tars_status status = load_optional(reader, "sentence_bert_config.json", &json);

    tokens = json_integer_value(json_object_get(json, "max_seq_length"));
    if (status == TARS_OK && tokens > 2 && (uint64_t)tokens < out->max_tokens)
        out->max_tokens = (size_t)tokens;
    json_decref(json);
    return status;
}

static tars_status read_case(struct reader *reader)
{
    json_t *json = NULL;
    tars_status status = load_optional(reader, "tokenizer_config.json", &json);

    reader->out->cased = json_is_false(json_object_get(json, "do_lower_case"));
    json_decref(json);
    return status;
}

static void known_prefixes(const struct reader *reader, const char **query, const char **passage)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (contains(reader->out->name, families[i].part) ||
            contains(reader->origin, families[i].part)) {
            *query = families[i].query;
            *passage = families[i].passage;
            return;
        }
    }
}

static tars_status read_prefixes(struct reader *reader)
{
    const char *query = "";
    const char *passage = "";
    json_t *json = NULL;
    const json_t *prompts;
    tars_status status = load_optional(reader, "config_sentence_transformers.json", &json);

    if (status != TARS_OK)
        return status;
    known_prefixes(reader, &query, &passage);
    prompts = json_object_get(json, "prompts");
    if (json_is_string(json_object_get(prompts, "query")))
        query = json_string_value(json_object_get(prompts, "query"));
    if (json_is_string(json_object_get(prompts, "document")))
        passage = json_string_value(json_object_get(prompts, "document"));
    if (json_is_string(json_object_get(prompts, "passage")))
        passage = json_string_value(json_object_get(prompts, "passage"));
    status = copy_text(reader, "the query prefix", query, TARS_MODEL_PREFIX_MAX,
                       reader->out->query_prefix);
    if (status == TARS_OK) {
        status = copy_text(reader, "the passage prefix", passage, TARS_MODEL_PREFIX_MAX,
                           reader->out->passage_prefix);
    }
    json_decref(json);
    return status;
}

static void read_name(struct reader *reader)
{
    size_t end = strlen(reader->dir);
    size_t begin;

    while (end > 0 && reader->dir[end - 1] == '/')
        end--;
    for (begin = end; begin > 0 && reader->dir[begin - 1] != '/'; begin--)
        ;
    (void)snprintf(reader->out->name, sizeof(reader->out->name), "%.*s", (int)(end - begin),
                   reader->dir + begin);
}

tars_status tars_model_config_read(const char *dir, struct tars_model_config *config,
                                   struct tars_err *err)
{
    static tars_status (*const steps[])(struct reader *) = {read_bert, read_pooling, read_limits,
                                                            read_case, read_prefixes};
    struct tars_model_config made = {0};
    struct reader reader = {.dir = dir, .out = &made, .err = err};

    read_name(&reader);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        tars_status status = steps[i](&reader);

        if (status != TARS_OK)
            return status;
    }
    *config = made;
    return TARS_OK;
}

const char *tars_model_pooling_text(enum tars_model_pooling pooling)
{
    static const char *const texts[] = {"mean", "cls", "max"};

    return texts[pooling];
}
