/* history - see history.h for the contract. */
#include "ingest/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "base/mem/buf.h"
#include "base/sys/file.h"
#include "index/index.h"

#define HEAD        "tars-history 1\n"
#define FILE_MAX    256 /* bytes of a file of marks */
#define PATH_BYTES  4096
#define ARENA_BYTES 65536
#define NAME_CHARS  (TARS_HISTORY_NAME_BYTES - 1)

/* What is still to be read. */
struct rest {
    const char *ptr; /* (len,) */
    size_t len;
};

static bool take(struct rest *rest, const char *text)
{
    size_t len = strlen(text);

    if (rest->len < len || memcmp(rest->ptr, text, len) != 0)
        return false;
    rest->ptr += len;
    rest->len -= len;
    return true;
}

static bool take_name(struct rest *rest, char *name)
{
    if (rest->len < NAME_CHARS)
        return false;
    for (size_t i = 0; i < NAME_CHARS; i++) {
        char c = rest->ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        name[i] = c;
    }
    name[NAME_CHARS] = '\0';
    rest->ptr += NAME_CHARS;
    rest->len -= NAME_CHARS;
    return true;
}

static bool take_number(struct rest *rest, uint64_t *number)
{
    uint64_t value = 0;
    size_t i = 0;

    for (; i < rest->len && rest->ptr[i] >= '0' && rest->ptr[i] <= '9'; i++) {
        uint64_t digit = (uint64_t)(rest->ptr[i] - '0');

        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    rest->ptr += i;
    rest->len -= i;
    *number = value;
    return i > 0;
}

tars_status tars_history_parse(const char *ptr, size_t len, struct tars_history *history)
{
    struct tars_history read = {.count = 0};
    struct rest rest = {ptr, len};

    if (!take(&rest, HEAD) || !take_name(&rest, read.name) || !take(&rest, "\n"))
        return TARS_EFORMAT;
    while (rest.len > 0) {
        struct tars_history_mark *mark = &read.marks[read.count];

        if (read.count == 2 || !take_number(&rest, &mark->seq) || !take(&rest, " ") ||
            !take_name(&rest, mark->token) || !take(&rest, "\n"))
            return TARS_EFORMAT;
        read.count++;
    }
    if (read.count == 0)
        return TARS_EFORMAT;
    *history = read;
    return TARS_OK;
}

static tars_status path_of(const char *dir, char *path, struct tars_err *err)
{
    int len = snprintf(path, PATH_BYTES, "%s/history", dir);

    if (len < 0 || len >= PATH_BYTES)
        return tars_fail(TARS_EINVAL, err, "the folder of the index has too long a name");
    return TARS_OK;
}

/* TARS_ENOTFOUND: there is none. */
static tars_status read_file(const char *dir, struct tars_history *history, struct tars_err *err)
{
    char path[PATH_BYTES];
    struct tars_buf text;
    tars_status status = path_of(dir, path, err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, FILE_MAX);
    status = tars_file_read(path, &text, err);
    if (status == TARS_OK)
        status = tars_history_parse(text.ptr, text.len, history);
    if (status == TARS_ETOOBIG)
        status = TARS_EFORMAT;
    tars_buf_release(&text);
    return status;
}

static tars_status write_file(const char *dir, const struct tars_history *history,
                              struct tars_err *err)
{
    char path[PATH_BYTES];
    struct tars_buf text;
    tars_status status = path_of(dir, path, err);

    if (status == TARS_OK)
        status = tars_dir_make(dir, err);
    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, FILE_MAX);
    tars_buf_appendf(&text, HEAD "%s\n", history->name);
    for (size_t i = 0; i < history->count; i++)
        tars_buf_appendf(&text, "%" PRIu64 " %s\n", history->marks[i].seq, history->marks[i].token);
    status = text.status;
    if (status == TARS_OK)
        status = tars_file_replace(path, text.ptr, text.len, 0600, err);
    tars_buf_release(&text);
    return status;
}

static void key_of(const struct tars_history *history, char *key, size_t size)
{
    (void)snprintf(key, size, "index.%s", history->name);
}

/* What the store has of this folder; "": nothing. */
static tars_status read_store(struct tars_store *store, const struct tars_history *history,
                              struct tars_arena *arena, const char **value, struct tars_err *err)
{
    char key[32];
    tars_status status;

    key_of(history, key, sizeof(key));
    *value = "";
    status = tars_store_meta_get(store, key, arena, value, err);
    return status == TARS_ENOTFOUND ? TARS_OK : status;
}

/* The number of the snapshot that is in dir; 0: none that can be read. */
static uint64_t held_in(const char *dir)
{
    const struct tars_index_config config = {.dir = dir};
    uint64_t seq = 0;

    return tars_index_peek(&config, &seq, NULL) == TARS_OK ? seq : 0;
}

/* Keep one of the marks that the store knows: one that it has given up must not come into it again,
 * and one that never reached it is nobody's. That of the snapshot which is there, since saves that
 * were marked may have failed after it; else the newest. */
static tars_status keep_known(struct tars_store *store, const char *dir,
                              struct tars_history *history, struct tars_err *err)
{
    const struct tars_history_mark *kept = NULL;
    uint64_t held = held_in(dir);
    struct tars_arena arena;
    const char *value;
    tars_status status;

    tars_arena_init(&arena, ARENA_BYTES);
    status = read_store(store, history, &arena, &value, err);
    for (size_t i = 0; status == TARS_OK && i < history->count; i++) {
        const struct tars_history_mark *mark = &history->marks[i];

        if (strstr(value, mark->token) && (!kept || mark->seq == held))
            kept = mark;
    }
    if (kept)
        history->marks[0] = *kept;
    history->count = kept ? 1 : 0;
    tars_arena_release(&arena);
    return status;
}

tars_status tars_history_mark(struct tars_store *store, const char *dir, uint64_t seq,
                              struct tars_err *err)
{
    struct tars_history history = {.count = 0};
    char key[32];
    char value[2 * TARS_HISTORY_NAME_BYTES + 1];
    tars_status status = read_file(dir, &history, err);

    if (status == TARS_OK) {
        status = keep_known(store, dir, &history, err);
    } else if (status == TARS_ENOTFOUND || status == TARS_EFORMAT) {
        status = tars_random_hex(history.name, NAME_CHARS / 2);
    }
    if (status != TARS_OK)
        return status;
    history.marks[1] = history.marks[0];
    history.marks[0].seq = seq;
    history.count++;
    status = tars_random_hex(history.marks[0].token, NAME_CHARS / 2);
    if (status == TARS_OK)
        status = write_file(dir, &history, err);
    if (status != TARS_OK)
        return status;
    key_of(&history, key, sizeof(key));
    (void)snprintf(value, sizeof(value), "%s %s", history.marks[0].token,
                   history.count > 1 ? history.marks[1].token : "");
    return tars_store_meta_set(store, key, value, err);
}

/* Some mark of this number is one that the store knows; *marked: there is one of this number. */
static bool is_known(const struct tars_history *history, uint64_t seq, const char *value,
                     bool *marked)
{
    bool known = false;

    *marked = false;
    for (size_t i = 0; i < history->count; i++) {
        if (history->marks[i].seq != seq)
            continue;
        *marked = true;
        known = known || strstr(value, history->marks[i].token);
    }
    return known;
}

tars_status tars_history_check(struct tars_store *store, const char *dir, uint64_t seq,
                               struct tars_err *err)
{
    struct tars_history history;
    struct tars_arena arena;
    const char *value;
    bool marked = false;
    tars_status status = read_file(dir, &history, err);

    if (status == TARS_ENOTFOUND)
        return TARS_OK;
    if (status == TARS_EFORMAT)
        return tars_fail(TARS_EMISMATCH, err, "%s/history is damaged", dir);
    if (status != TARS_OK)
        return status;
    tars_arena_init(&arena, ARENA_BYTES);
    status = read_store(store, &history, &arena, &value, err);
    if (status == TARS_OK && !is_known(&history, seq, value, &marked) && marked) {
        status = tars_fail(TARS_EMISMATCH, err,
                           "the database went back to an earlier state than the index has seen");
    }
    tars_arena_release(&arena);
    return status;
}
