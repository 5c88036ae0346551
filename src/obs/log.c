/* log - see log.h for the contract.
 *
 * A line is built on the caller's stack and leaves in one write(2); the lock only guards the
 * allowance of the running second.
 */
#include "obs/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/codec/json_write.h"
#include "base/sys/clock.h"
#include "obs/call.h"

#define MESSAGE_MAX 1024 /* bytes of a message before escaping */

struct tars_log {
    struct tars_log_config config; /* with every default filled in */
    atomic_int level;              /* config.level, or what was set since */
    pthread_mutex_t lock;          /* guards the fields below */
    int64_t second;                /* the running one */
    int lines[2];                  /* written in it: below TARS_LOG_ERROR, and from it on */
    uint64_t held;                 /* held back since the last line that got through */
    uint64_t dropped;              /* held back in all */
};

const char *tars_log_level_text(enum tars_log_level level)
{
    switch (level) {
#define X(name, value, text) \
    case name:               \
        return text;
        TARS_LOG_LEVEL_LIST(X)
#undef X
    }
    return "INFO";
}

bool tars_log_level_parse(const char *text, enum tars_log_level *level)
{
    if (strcasecmp(text, "WARN") == 0) {
        *level = TARS_LOG_WARNING;
        return true;
    }
#define X(name, value, label)             \
    if (strcasecmp(text, (label)) == 0) { \
        *level = name;                    \
        return true;                      \
    }
    TARS_LOG_LEVEL_LIST(X)
#undef X
    return false;
}

tars_status tars_log_new(const struct tars_log_config *config, struct tars_log **log)
{
    struct tars_log *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->config = *config;
    if (!made->config.level)
        made->config.level = TARS_LOG_INFO;
    if (made->config.fd == 0)
        made->config.fd = STDERR_FILENO;
    if (made->config.max_per_second <= 0)
        made->config.max_per_second = TARS_LOG_PER_SECOND_DEFAULT;
    if (!made->config.now_us)
        made->config.now_us = tars_clock_wall_us;
    atomic_init(&made->level, made->config.level);
    pthread_mutex_init(&made->lock, NULL);
    *log = made;
    return TARS_OK;
}

void tars_log_free(struct tars_log *log)
{
    if (!log)
        return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

void tars_log_set_level(struct tars_log *log, enum tars_log_level level)
{
    if (log)
        atomic_store(&log->level, level);
}

uint64_t tars_log_dropped(struct tars_log *log)
{
    uint64_t dropped;

    if (!log)
        return 0;
    pthread_mutex_lock(&log->lock);
    dropped = log->dropped;
    pthread_mutex_unlock(&log->lock);
    return dropped;
}

/* True when the line may go; *held is then how many were held back before it. */
static bool allow(struct tars_log *log, enum tars_log_level level, int64_t now_us, uint64_t *held)
{
    int64_t second = now_us / 1000000;
    int kind = level >= TARS_LOG_ERROR;
    bool allowed;

    pthread_mutex_lock(&log->lock);
    if (second != log->second) {
        log->second = second;
        log->lines[0] = log->lines[1] = 0;
    }
    allowed = log->lines[kind] < log->config.max_per_second;
    if (allowed) {
        log->lines[kind]++;
        *held = log->held;
        log->held = 0;
    } else {
        log->held++;
        log->dropped++;
    }
    pthread_mutex_unlock(&log->lock);
    return allowed;
}

struct line {
    enum tars_log_level level;
    const char *room;
    const char *request_id; /* or NULL */
    const char *trace_id;   /* or NULL */
    const char *message;
    int64_t now_us;
    uint64_t held;
};

static void write_json(struct tars_buf *out, const struct line *line)
{
    struct tars_json json;
    char when[TARS_ISO8601_BYTES];

    tars_clock_iso8601(line->now_us, when);
    tars_json_init(&json, out);
    json.spaced = true;
    json.ascii = true;
    tars_json_object(&json, NULL);
    tars_json_text(&json, "timestamp", when);
    tars_json_text(&json, "level", tars_log_level_text(line->level));
    tars_json_text(&json, "room", line->room);
    if (line->request_id && line->request_id[0])
        tars_json_text(&json, "request_id", line->request_id);
    if (line->trace_id && line->trace_id[0])
        tars_json_text(&json, "trace_id", line->trace_id);
    tars_json_text(&json, "message", line->message);
    if (line->held)
        tars_json_int(&json, "held_back", (int64_t)line->held);
    tars_json_end(&json);
}

/* Control bytes would let a file name forge a second line; they become spaces. */
static void append_plain(struct tars_buf *out, const char *text)
{
    for (; *text; text++) {
        bool is_control = (unsigned char)*text < 0x20 || *text == 0x7f;

        tars_buf_append(out, is_control ? " " : text, 1);
    }
}

static void write_text(struct tars_buf *out, const struct line *line)
{
    char when[TARS_ISO8601_BYTES];

    tars_clock_iso8601(line->now_us - line->now_us % 1000000, when);
    tars_buf_appendf(out, "%s %-8s %s: ", when, tars_log_level_text(line->level), line->room);
    append_plain(out, line->message);
    if (line->request_id && line->request_id[0])
        tars_buf_appendf(out, " [%s]", line->request_id);
    if (line->trace_id && line->trace_id[0])
        tars_buf_appendf(out, " [trace %s]", line->trace_id);
    if (line->held)
        tars_buf_appendf(out, " (%llu lines held back before)", (unsigned long long)line->held);
}

static void put(int fd, const char *ptr, size_t len)
{
    ssize_t n;

    do {
        n = write(fd, ptr, len);
    } while (n < 0 && errno == EINTR);
}

/* True when the line may go. */
static bool begin_line(struct tars_log *log, struct line *line)
{
    if (!log || (int)line->level < atomic_load_explicit(&log->level, memory_order_relaxed))
        return false;
    line->now_us = log->config.now_us();
    return allow(log, line->level, line->now_us, &line->held);
}

static void put_line(struct tars_log *log, const struct line *line)
{
    struct tars_buf out;

    /* A message of MESSAGE_MAX bytes may grow sixfold when escaped; one that does not fit goes as
     * plain text, cut, rather than not at all. */
    tars_buf_init(&out, (size_t)MESSAGE_MAX * 8);
    if (log->config.text) {
        write_text(&out, line);
    } else {
        write_json(&out, line);
    }
    tars_buf_append_char(&out, '\n');
    if (out.status == TARS_OK)
        put(log->config.fd, out.ptr, out.len);
    tars_buf_release(&out);
}

void tars_log_write(struct tars_log *log, enum tars_log_level level, const char *room,
                    const char *request_id, const char *format, ...)
{
    char message[MESSAGE_MAX];
    struct line line = {.level = level, .room = room, .request_id = request_id, .message = message};
    va_list args;

    if (!begin_line(log, &line))
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    put_line(log, &line);
}

void tars_log_call(struct tars_log *log, enum tars_log_level level, const char *room,
                   const struct tars_call *call, const char *format, ...)
{
    char message[MESSAGE_MAX];
    struct line line = {.level = level,
                        .room = room,
                        .request_id = call->request_id,
                        .trace_id = call->trace.id,
                        .message = message};
    va_list args;

    if (!begin_line(log, &line))
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    put_line(log, &line);
}
