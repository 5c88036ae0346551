/* vocab - see vocab.h for the contract. */
#include "model/vocab.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/file.h"
#include "text/wordpiece.h"

#define PATH_BYTES 4096

/* Pieces by id, lent by the JSON. TARS_EFORMAT: an id is missing, twice or too great. */
static tars_status by_id(json_t *vocab, const char **pieces, size_t count, struct tars_err *err)
{
    const char *piece;
    json_t *value;

    json_object_foreach(vocab, piece, value)
    {
        json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;

        if (id < 0 || (size_t)id >= count || pieces[id] || !piece[0] || strpbrk(piece, "\r\n")) {
            return tars_fail(
                TARS_EFORMAT, err,
                "the vocabulary of tokenizer.json is not %zu pieces from 0 on; '%.40s' "
                "does not fit",
                count, piece);
        }
        pieces[id] = piece;
    }
    return TARS_OK;
}

static tars_status write_pieces(json_t *vocab, struct tars_buf *out, struct tars_err *err)
{
    size_t count = json_object_size(vocab);
    const char **pieces;
    tars_status status;

    if (count == 0 || count > TARS_WORDPIECE_VOCAB_MAX)
        return tars_fail(TARS_EFORMAT, err, "tokenizer.json has %zu pieces", count);
    pieces = calloc(count, sizeof(*pieces));
    if (!pieces)
        return TARS_ENOMEM;
    status = by_id(vocab, pieces, count, err);
    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        tars_buf_append_text(out, pieces[i]);
        tars_buf_append_char(out, '\n');
    }
    free(pieces);
    return status == TARS_OK ? out->status : status;
}

/* Of a whole tokenizer.json. */
static tars_status take_vocab(const json_t *root, struct tars_buf *out, bool *cased,
                              struct tars_err *err)
{
    const json_t *model = json_object_get(root, "model");
    const char *type = json_string_value(json_object_get(model, "type"));
    const json_t *lower = json_object_get(json_object_get(root, "normalizer"), "lowercase");
    json_t *vocab = json_object_get(model, "vocab");
    tars_status status;

    if ((type && strcmp(type, "WordPiece") != 0) || !json_is_object(vocab)) {
        return tars_fail(TARS_EUNSUPPORTED, err,
                         "tokenizer.json is of the kind '%.40s'; only WordPiece is supported",
                         type ? type : "unknown");
    }
    status = write_pieces(vocab, out, err);
    if (status == TARS_OK && json_is_boolean(lower))
        *cased = json_is_false(lower);
    return status;
}

tars_status tars_vocab_of_json(struct tars_span json, struct tars_buf *out, bool *cased,
                               struct tars_err *err)
{
    json_error_t where;
    json_t *root = json_loadb(json.len ? json.ptr : "", json.len, 0, &where);
    tars_status status;

    if (!root) {
        return json_error_code(&where) == json_error_out_of_memory
                   ? TARS_ENOMEM
                   : tars_fail(TARS_EFORMAT, err, "tokenizer.json: line %d: %s", where.line,
                               where.text);
    }
    status = take_vocab(root, out, cased, err);
    json_decref(root);
    return status;
}

static tars_status read_file(const char *dir, const char *name, struct tars_buf *out,
                             struct tars_err *err)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (len < 0 || (size_t)len >= sizeof(path))
        return tars_fail(TARS_EINVAL, err, "the path of the model folder is too long");
    return tars_file_read(path, out, err);
}

tars_status tars_vocab_read(const char *dir, struct tars_buf *out, bool *cased,
                            struct tars_err *err)
{
    struct tars_buf json;
    struct tars_err why = {""};
    tars_status status = read_file(dir, "vocab.txt", out, err);

    if (status != TARS_ENOTFOUND)
        return status;
    tars_buf_init(&json, TARS_VOCAB_BYTES_MAX);
    status = read_file(dir, "tokenizer.json", &json, &why);
    if (status == TARS_OK) {
        status = tars_vocab_of_json(tars_buf_span(&json), out, cased, &why);
        if (status != TARS_OK && why.text[0])
            status = tars_fail(status, err, "%s/%s", dir, why.text);
    } else if (status == TARS_ENOTFOUND) {
        status = tars_fail(status, err, "%s has neither vocab.txt nor tokenizer.json", dir);
    } else if (why.text[0]) {
        status = tars_fail(status, err, "%s", why.text);
    }
    tars_buf_release(&json);
    return status;
}
