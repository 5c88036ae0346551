/* row_json - see row_json.h for the contract. */
#include "analytics/row_json.h"

#include <math.h>

#include "base/codec/json_write.h"

static void begin(struct tars_json *json, struct tars_buf *out)
{
    tars_buf_clear(out);
    tars_json_init(json, out);
    tars_json_object(json, NULL);
}

static void put_known(struct tars_json *json, const char *name, const char *text)
{
    if (text)
        tars_json_text(json, name, text);
}

struct tars_row_relevance tars_row_scores(const struct tars_query_row *row, struct tars_buf *out)
{
    struct tars_row_relevance found = {NAN, NAN};
    struct tars_json json;
    double sum = 0;

    tars_buf_clear(out);
    tars_json_init(&json, out);
    tars_json_array(&json, NULL);
    for (size_t i = 0; i < row->access_count; i++) {
        double score = row->accesses[i].relevance_score;

        tars_json_double(&json, NULL, score);
        sum += score;
        found.greatest = fmax(found.greatest, score); /* of a NaN and a number, the number */
    }
    tars_json_end(&json);
    if (row->access_count)
        found.mean = sum / (double)row->access_count;
    return found;
}

void tars_row_query_metadata(const struct tars_query_row *row, double greatest,
                             struct tars_buf *out)
{
    struct tars_json json;

    begin(&json, out);
    put_known(&json, "request_id", row->request_id);
    put_known(&json, "conversation_id", row->conversation_id);
    tars_json_bool(&json, "used_history", row->used_history);
    if (row->access_count)
        tars_json_double(&json, "max_relevance_score", greatest);
    tars_json_end(&json);
}

void tars_row_import_metadata(const struct tars_logged_query *row, struct tars_buf *out)
{
    struct tars_json json;

    begin(&json, out);
    tars_json_text(&json, "query_id", row->query_id);
    tars_json_int(&json, "query_length", row->query_length);
    tars_json_double(&json, "max_relevance_score", row->max_relevance_score);
    tars_json_bool(&json, "imported", true);
    tars_json_end(&json);
}

void tars_row_error_metadata(const struct tars_error_row *row, struct tars_buf *out)
{
    struct tars_json json;

    begin(&json, out);
    put_known(&json, "request_id", row->request_id);
    tars_json_end(&json);
}
