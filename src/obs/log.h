/* log - one line an event to standard error, for people (text) or for collectors (JSON).
 *
 * A line says when, how bad, which room, for which request, and what happened. It never carries the
 * text of a document, a question, an answer or a secret: callers pass names, counts and reasons.
 *
 *     {"timestamp": "2025-11-07T12:00:00.000001", "level": "INFO", "room": "net", "message": "..."}
 *     2025-11-07T12:00:00 INFO  net: listening on 127.0.0.1:8000
 *
 * Bounds    At most max_per_second lines of each second are written; what was held back is counted
 *           and told by the next line that gets through. Errors have a second allowance as large,
 *           so that a flood of warnings cannot hide them. A line is TARS_LOG_LINE_MAX bytes at
 *           most.
 * Threads   Safe to share; a line is one write(2), so lines of several threads never mix.
 * Failure   A line that cannot be written is lost: logging never fails its caller.
 *
 * A NULL log is allowed everywhere and drops every line.
 */
#ifndef TARS_OBS_LOG_H
#define TARS_OBS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_LOG_PER_SECOND_DEFAULT 200 /* used when max_per_second is 0 */

/* In order of weight; the texts are those of LOG_LEVEL. */
#define TARS_LOG_LEVEL_LIST(X)        \
    X(TARS_LOG_DEBUG, 1, "DEBUG")     \
    X(TARS_LOG_INFO, 2, "INFO")       \
    X(TARS_LOG_WARNING, 3, "WARNING") \
    X(TARS_LOG_ERROR, 4, "ERROR")     \
    X(TARS_LOG_CRITICAL, 5, "CRITICAL")

enum tars_log_level {
#define X(name, value, text) name = (value),
    TARS_LOG_LEVEL_LIST(X)
#undef X
};

struct tars_call; /* obs/call.h */
struct tars_log;

struct tars_log_config {
    enum tars_log_level level; /* lines below it are dropped; 0: TARS_LOG_INFO */
    bool text;                 /* lines for people instead of JSON */
    int fd;                    /* borrowed; 0: standard error */
    int max_per_second;        /* 0: TARS_LOG_PER_SECOND_DEFAULT */
    int64_t (*now_us)(void);   /* wall clock; NULL: tars_clock_wall_us */
};

/* TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_log_new(const struct tars_log_config *config, struct tars_log **log);
void tars_log_free(struct tars_log *log);

/* room names the part that speaks ("net"); request_id may be NULL. */
__attribute__((format(printf, 5, 6))) void tars_log_write(struct tars_log *log,
                                                          enum tars_log_level level,
                                                          const char *room, const char *request_id,
                                                          const char *format, ...);

/* The same for a call: with its request's id and its trace's. */
__attribute__((format(printf, 5, 6))) void
tars_log_call(struct tars_log *log, enum tars_log_level level, const char *room,
              const struct tars_call *call, const char *format, ...);

#define tars_log_debug(log, room, ...) tars_log_write(log, TARS_LOG_DEBUG, room, NULL, __VA_ARGS__)
#define tars_log_info(log, room, ...)  tars_log_write(log, TARS_LOG_INFO, room, NULL, __VA_ARGS__)
#define tars_log_warning(log, room, ...) \
    tars_log_write(log, TARS_LOG_WARNING, room, NULL, __VA_ARGS__)
#define tars_log_error(log, room, ...) tars_log_write(log, TARS_LOG_ERROR, room, NULL, __VA_ARGS__)

/* Another level from now on. Any thread. */
void tars_log_set_level(struct tars_log *log, enum tars_log_level level);

/* Lines held back since the log was made. */
uint64_t tars_log_dropped(struct tars_log *log);

/* "INFO", in any case, "WARN" included, to its level; false when it is none. */
bool tars_log_level_parse(const char *text, enum tars_log_level *level);
const char *tars_log_level_text(enum tars_log_level level);

#endif
