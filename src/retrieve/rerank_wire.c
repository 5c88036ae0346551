/* rerank_wire - see rerank_wire.h for the contract. */
#include "retrieve/rerank_wire.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdbool.h>

#include "base/codec/json_write.h"

const char *tars_rerank_api_text(enum tars_rerank_api api)
{
    return api == TARS_RERANK_TEI ? "tei" : "cohere";
}

void tars_rerank_write(struct tars_buf *out, enum tars_rerank_api api, const char *model,
                       struct tars_span question, const struct tars_span *passages, size_t n)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    if (api == TARS_RERANK_COHERE && model[0])
        tars_json_text(&json, "model", model);
    tars_json_text_n(&json, "query", question.ptr, question.len);
    tars_json_array(&json, api == TARS_RERANK_TEI ? "texts" : "documents");
    for (size_t i = 0; i < n; i++)
        tars_json_text_n(&json, NULL, passages[i].ptr, passages[i].len);
    tars_json_end(&json);
    if (api == TARS_RERANK_TEI) {
        tars_json_bool(&json, "truncate", true);
    } else {
        tars_json_int(&json, "top_n", (int64_t)n);
    }
    tars_json_end(&json);
}

/* One result into its place; bit i of seen: passage i has been there. */
static tars_status read_result(const json_t *result, size_t n, bool *seen, float *scores,
                               struct tars_err *err)
{
    const json_t *index = json_object_get(result, "index");
    const json_t *score = json_object_get(result, "relevance_score");
    json_int_t at = json_is_integer(index) ? json_integer_value(index) : -1;
    double value;

    if (!score)
        score = json_object_get(result, "score");
    if (at < 0 || (size_t)at >= n || seen[at] || !json_is_number(score))
        return tars_fail(TARS_EFORMAT, err, "the reranker gave a result without a place or score");
    value = json_number_value(score);
    if (!(fabs(value) < 1e30))
        return tars_fail(TARS_EFORMAT, err, "the reranker gave a score that is out of all bounds");
    seen[at] = true;
    scores[at] = (float)value;
    return TARS_OK;
}

/* Logits become chances. */
static void settle(float *scores, size_t n)
{
    bool are_chances = true;

    for (size_t i = 0; i < n; i++)
        are_chances = are_chances && scores[i] >= 0 && scores[i] <= 1;
    for (size_t i = 0; i < n && !are_chances; i++)
        scores[i] = 1 / (1 + expf(-scores[i]));
}

tars_status tars_rerank_read(struct tars_span body, size_t n, float *scores, struct tars_err *err)
{
    bool seen[TARS_RERANK_PASSAGES_MAX] = {false};
    json_error_t where;
    json_t *root = json_loadb(body.len ? body.ptr : "", body.len, 0, &where);
    const json_t *results = json_is_object(root) ? json_object_get(root, "results") : root;
    size_t count = json_array_size(results);
    tars_status status = TARS_OK;

    assert(n >= 1 && n <= TARS_RERANK_PASSAGES_MAX);
    if (!root && json_error_code(&where) == json_error_out_of_memory)
        return TARS_ENOMEM;
    if (!json_is_array(results) || count != n) {
        status = tars_fail(TARS_EFORMAT, err,
                           "the reranker answered with no list of %zu results, but %zu", n, count);
    }
    for (size_t i = 0; i < count && status == TARS_OK; i++)
        status = read_result(json_array_get(results, i), n, seen, scores, err);
    if (status == TARS_OK)
        settle(scores, n);
    json_decref(root);
    return status;
}
