/* eval_report - what an evaluation gave, for people and as JSON; see eval.h. */
#include "app/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec/json_write.h"
#include "base/mem/buf.h"
#include "eval/significance.h"

#define JSON_MAX ((size_t)256 << 20)
#define P_SMALL  0.05

/* One figure of the sums, by name. */
struct figure {
    const char *text; /* for people */
    const char *key;  /* in JSON */
    size_t offset;    /* of a double in struct tars_eval_sums */
};

#define FIGURE(text, key, member)                          \
    {                                                      \
        text, key, offsetof(struct tars_eval_sums, member) \
    }
static const struct figure answer_figures[] = {
    FIGURE("answered", "answered", answered),
    FIGURE("right", "right", right),
    FIGURE("right, of answered", "right_of_answered", right_of_answered),
    FIGURE("no-answer recall", "no_answer_recall", no_answer_recall),
    FIGURE("no-answer precision", "no_answer_precision", no_answer_precision),
    FIGURE("citation precision", "citation_precision", citation_precision),
    FIGURE("support", "support", support),
};
#define ANSWER_FIGURES (sizeof(answer_figures) / sizeof(answer_figures[0]))

static double figure_of(const struct tars_eval_sums *sums, const struct figure *figure)
{
    double value;

    memcpy(&value, (const char *)sums + figure->offset, sizeof(value));
    return value;
}

/* ------------------------------------------------------------- significance */

/* Of one measure, over the questions that have it on both sides. */
static tars_status compare(const struct tars_eval_side *side, const struct tars_eval_side *against,
                           size_t measure, struct tars_significance *out)
{
    size_t count = side->count < against->count ? side->count : against->count;
    double *a = calloc(count + 1, sizeof(*a));
    double *b = calloc(count + 1, sizeof(*b));
    size_t n = 0;

    for (size_t i = 0; a && b && i < count; i++) {
        if (side->lines[i].ranked && against->lines[i].ranked) {
            a[n] = against->lines[i].measures[measure];
            b[n++] = side->lines[i].measures[measure];
        }
    }
    if (a && b)
        tars_significance_of(a, b, n, out);
    free(a);
    free(b);
    return a && b ? TARS_OK : TARS_ENOMEM;
}

/* -------------------------------------------------------------------- table */

static void print_value(double value, int places)
{
    if (isnan(value)) {
        printf("%12s", "-");
    } else {
        printf("%12.*f", places, value);
    }
}

static void print_figure(const char *text, double a, bool has_b, double b, int places)
{
    printf("%-22s", text);
    print_value(a, places);
    if (has_b) {
        print_value(b, places);
        printf("%+12.*f", places, b - a);
    }
    printf("\n");
}

static void print_measure(size_t m, const struct tars_eval_side *side,
                          const struct tars_eval_side *against)
{
    struct tars_significance test = {0};

    printf("%-22s", tars_measure_text((enum tars_measure)m));
    print_value(side->sums.measures[m], 4);
    if (against && compare(side, against, m, &test) == TARS_OK) {
        print_value(against->sums.measures[m], 4);
        printf("%+12.4f%7zu%7zu%9.4f%9.4f%s", test.mean, test.better, test.worse, test.p_random,
               test.p_t, test.p_random < P_SMALL ? " *" : "");
    }
    printf("\n");
}

static void print_head(const struct tars_eval_plan *plan, const struct tars_eval_side *side,
                       const struct tars_eval_side *against)
{
    printf("%s: %zu questions, %zu with judgements, %s\n", plan->folder, plan->judged.count,
           plan->judged.relevant_count < plan->judged.count ? plan->judged.relevant_count
                                                            : plan->judged.count,
           plan->mode);
    if (side->passages > 0) {
        printf("taken in: %.0f passages in %.1f s, kept in %s\n", side->passages, side->ingest_s,
               side->data);
    }
    printf("\n%-22s%12s", "", against ? "as set" : "");
    if (against) {
        printf("%12.11s%12s%7s%7s%9s%9s", against->label, "difference", "better", "worse",
               "p random", "p t");
    }
    printf("\n");
}

void tars_eval_print(const struct tars_eval_plan *plan, const struct tars_eval_side *side,
                     const struct tars_eval_side *against)
{
    const struct tars_eval_sums *a = &side->sums;
    const struct tars_eval_sums *b = against ? &against->sums : a;

    print_head(plan, side, against);
    for (size_t m = 0; a->ranked > 0 && m < TARS_MEASURES; m++)
        print_measure(m, side, against);
    if (a->answerable + a->unanswerable > 0) {
        printf("\n%zu questions answered by the documents, %zu not\n", a->answerable,
               a->unanswerable);
    }
    for (size_t i = 0; a->answerable + a->unanswerable > 0 && i < ANSWER_FIGURES; i++) {
        print_figure(answer_figures[i].text, figure_of(a, &answer_figures[i]), against,
                     figure_of(b, &answer_figures[i]), 4);
    }
    printf("\nmilliseconds, one at a time, no cache\n");
    if (a->search_p50_ms > 0) {
        print_figure("search for 100, P50", a->search_p50_ms, against, b->search_p50_ms, 2);
        print_figure("search for 100, P95", a->search_p95_ms, against, b->search_p95_ms, 2);
    }
    if (a->answer_p50_ms > 0) {
        print_figure("answer, P50", a->answer_p50_ms, against, b->answer_p50_ms, 2);
        print_figure("answer, P95", a->answer_p95_ms, against, b->answer_p95_ms, 2);
    }
    if (against)
        printf("\n* p below %.2f by randomisation (two-sided, paired): not luck\n", P_SMALL);
}

/* --------------------------------------------------------------------- JSON */

static void write_side(struct tars_json *json, const struct tars_eval_side *side)
{
    const struct tars_eval_sums *sums = &side->sums;

    tars_json_object(json, "settings");
    for (size_t i = 0; i < side->setting_count; i++)
        tars_json_text(json, side->settings[i].name, side->settings[i].value);
    tars_json_end(json);
    tars_json_text(json, "data", side->data);
    tars_json_int(json, "passages_taken_in", (int64_t)side->passages);
    tars_json_fixed(json, "ingest_s", side->ingest_s, 3);
    tars_json_int(json, "ranked", (int64_t)sums->ranked);
    tars_json_object(json, "measures");
    for (size_t m = 0; m < TARS_MEASURES; m++)
        tars_json_double(json, tars_measure_text((enum tars_measure)m), sums->measures[m]);
    tars_json_end(json);
    tars_json_object(json, "answers");
    tars_json_int(json, "answerable", (int64_t)sums->answerable);
    tars_json_int(json, "unanswerable", (int64_t)sums->unanswerable);
    for (size_t i = 0; i < ANSWER_FIGURES; i++)
        tars_json_double(json, answer_figures[i].key, figure_of(sums, &answer_figures[i]));
    tars_json_end(json);
    tars_json_object(json, "latency_ms");
    tars_json_fixed(json, "search_p50", sums->search_p50_ms, 3);
    tars_json_fixed(json, "search_p95", sums->search_p95_ms, 3);
    tars_json_fixed(json, "answer_p50", sums->answer_p50_ms, 3);
    tars_json_fixed(json, "answer_p95", sums->answer_p95_ms, 3);
    tars_json_end(json);
}

static tars_status write_comparison(struct tars_json *json, const struct tars_eval_side *side,
                                    const struct tars_eval_side *against)
{
    tars_json_array(json, "comparison");
    for (size_t m = 0; m < TARS_MEASURES; m++) {
        struct tars_significance test = {0};

        if (compare(side, against, m, &test) != TARS_OK)
            return TARS_ENOMEM;
        tars_json_object(json, NULL);
        tars_json_text(json, "measure", tars_measure_text((enum tars_measure)m));
        tars_json_double(json, "difference", test.mean);
        tars_json_int(json, "better", (int64_t)test.better);
        tars_json_int(json, "worse", (int64_t)test.worse);
        tars_json_double(json, "p_randomisation", test.p_random);
        tars_json_double(json, "t", test.t);
        tars_json_double(json, "p_t", test.p_t);
        tars_json_end(json);
    }
    tars_json_end(json);
    return TARS_OK;
}

static tars_status flush_line(FILE *file, struct tars_buf *text, struct tars_err *err)
{
    if (text->status != TARS_OK)
        return tars_fail(text->status, err, "no memory for the result");
    tars_buf_append_char(text, '\n');
    if (text->status != TARS_OK || fwrite(text->ptr, 1, text->len, file) != text->len)
        return tars_fail(TARS_EIO, err, "cannot write the result");
    tars_buf_clear(text);
    return TARS_OK;
}

tars_status tars_eval_write_json(FILE *file, const struct tars_eval_plan *plan,
                                 const struct tars_eval_side *side,
                                 const struct tars_eval_side *against, struct tars_err *err)
{
    struct tars_buf text;
    struct tars_json json;
    tars_status status = TARS_OK;

    tars_buf_init(&text, JSON_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "folder", plan->folder);
    tars_json_text(&json, "mode", plan->mode);
    tars_json_int(&json, "questions", (int64_t)plan->judged.count);
    write_side(&json, side);
    if (against) {
        tars_json_object(&json, "against");
        write_side(&json, against);
        status = write_comparison(&json, side, against);
        tars_json_end(&json);
    }
    tars_json_end(&json);
    if (status == TARS_OK)
        status = flush_line(file, &text, err);
    tars_buf_release(&text);
    return status;
}

static void write_line(struct tars_json *json, const struct tars_eval_line *line,
                       const char *setting)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "id", line->id);
    if (setting)
        tars_json_text(json, "setting", setting);
    for (size_t m = 0; line->ranked && m < TARS_MEASURES; m++)
        tars_json_double(json, tars_measure_text((enum tars_measure)m), line->measures[m]);
    if (line->search_ms > 0)
        tars_json_fixed(json, "search_ms", line->search_ms, 3);
    if (line->asked) {
        tars_json_bool(json, "has_answer", !line->has_none);
        tars_json_bool(json, "refused", line->refused);
        tars_json_bool(json, "right", line->right);
        tars_json_int(json, "claims", (int64_t)line->claims);
        tars_json_int(json, "supported", (int64_t)line->supported);
        tars_json_int(json, "citations", (int64_t)line->citations);
        tars_json_int(json, "citations_good", (int64_t)line->citations_good);
        tars_json_fixed(json, "answer_ms", line->answer_ms, 3);
    }
    tars_json_end(json);
}

tars_status tars_eval_write_lines(FILE *file, const struct tars_eval_side *side,
                                  const struct tars_eval_side *against, struct tars_err *err)
{
    const struct tars_eval_side *sides[] = {side, against};
    struct tars_buf text;
    tars_status status = TARS_OK;

    tars_buf_init(&text, JSON_MAX);
    for (size_t s = 0; s < 2 && sides[s]; s++) {
        for (size_t i = 0; i < sides[s]->count && status == TARS_OK; i++) {
            struct tars_json json;

            tars_json_init(&json, &text);
            write_line(&json, &sides[s]->lines[i], against ? sides[s]->label : NULL);
            status = flush_line(file, &text, err);
        }
    }
    tars_buf_release(&text);
    return status;
}
