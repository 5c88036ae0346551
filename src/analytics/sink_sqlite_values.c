/* sink_sqlite_values - times and words, as the tables hold them. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "analytics/sink_sqlite_internal.h"
#include "base/codec/json_write.h"
#include "text/normalize.h"

#define WORDS_MAX    ((size_t)1 << 20)
#define US_PER_S     INT64_C(1000000)
#define YEAR_1_US    (INT64_C(-62135596800) * US_PER_S)
#define YEAR_9999_US (INT64_C(253402300800) * US_PER_S - 1)

/* --------------------------------------------------------------------- time */

void sink_write_time(int64_t time_us, char *out)
{
    struct tm tm = {0};
    time_t seconds;
    int64_t us;

    /* Years of four digits alone keep the order of texts that of times. */
    if (time_us < YEAR_1_US)
        time_us = YEAR_1_US;
    if (time_us > YEAR_9999_US)
        time_us = YEAR_9999_US;
    us = time_us % US_PER_S;
    seconds = (time_t)(time_us / US_PER_S);
    if (us < 0) {
        us += US_PER_S;
        seconds--;
    }
    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(out, SINK_TIME_BYTES, "%04d-%02d-%02d %02d:%02d:%02d.%06d", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)us);
}

/* The number in n digits; whatever else stands there counts as 0. */
static int digits(const char *text, size_t n)
{
    int value = 0;

    for (size_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

int64_t sink_time(struct tars_sqlite_query *query)
{
    const char *text = (const char *)sqlite3_column_text(query->stmt, query->column++);
    struct tm tm = {0};
    int us = 0;

    if (!text || strlen(text) < 19)
        return 0;
    tm.tm_year = digits(text, 4) - 1900;
    tm.tm_mon = digits(text + 5, 2) - 1;
    tm.tm_mday = digits(text + 8, 2);
    tm.tm_hour = digits(text + 11, 2);
    tm.tm_min = digits(text + 14, 2);
    tm.tm_sec = digits(text + 17, 2);
    if (strlen(text) >= 26)
        us = digits(text + 20, 6);
    return (int64_t)timegm(&tm) * US_PER_S + us;
}

/* -------------------------------------------------------------------- words */

/* Up to the next white space: lower-cased into word, which has room for three bytes a byte. */
static size_t take_word(const char **at, const char *end, char *word)
{
    size_t len = 0;

    while (*at < end) {
        uint32_t code;
        size_t n = tars_utf8_decode(*at, (size_t)(end - *at), &code);

        if (tars_char_is_space(code)) {
            *at += n;
            if (len > 0)
                break;
            continue;
        }
        *at += n;
        len += tars_utf8_encode(tars_char_lower(code), word + len);
    }
    return len;
}

void sink_words(sqlite3_context *context, int count, sqlite3_value **values)
{
    const char *text = (const char *)sqlite3_value_text(values[0]);
    size_t bytes = (size_t)sqlite3_value_bytes(values[0]);
    char *word = sqlite3_malloc64(bytes * TARS_UTF8_MAX + 1);
    const char *end = text ? text + bytes : NULL;
    struct tars_json json;
    struct tars_buf out;
    size_t len;

    (void)count;
    tars_buf_init(&out, WORDS_MAX);
    tars_json_init(&json, &out);
    tars_json_array(&json, NULL);
    while (word && text && (len = take_word(&text, end, word)) > 0)
        tars_json_text_n(&json, NULL, word, len);
    tars_json_end(&json);
    if (!word || out.status == TARS_ENOMEM) {
        sqlite3_result_error_nomem(context);
    } else if (out.status != TARS_OK) {
        sqlite3_result_text(context, "[]", 2, TARS_SQLITE_LENT);
    } else {
        sqlite3_result_text64(context, out.ptr, out.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    tars_buf_release(&out);
    sqlite3_free(word);
}
