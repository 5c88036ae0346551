/* client - see client.h.
 *
 * DESIGN
 *
 * One call is one child and one loop: wait for bytes, take whole frames off the front of a buffer
 * that holds at most one frame and a pipe's worth more, hand over a document whenever its frame
 * comes. The wait is cut into WAIT_MS slices, so that a cancellation is seen soon.
 *
 * The verdict: the child's own last frame if it sent one; else what we did to it (deadline,
 * cancel), else how it died.
 */
#include "extract/client.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys/child.h"
#include "base/sys/clock.h"
#include "extract/collect.h"
#include "extract/protocol.h"

#define PROGRAM_NAME "tars-extract"
#define WAIT_MS      50
#define GRACE_MS     2000 /* for the child to go by itself once it said its last word */
/* A frame of the largest size is always whole in it, with room left for what the pipe gives. */
#define BUFFER_BYTES  (TARS_PROTOCOL_FRAME_MAX + TARS_PROTOCOL_HEAD_BYTES + (size_t)64 * 1024)
#define TITLE_OF_FILE "the file"

struct tars_extract {
    struct tars_extract_config config; /* every default filled in; program is below */
    char program[PATH_MAX];
};

/* What one call holds. */
struct run {
    const struct tars_extract *extract;
    const char *file_name;
    atomic_bool *cancelled; /* or NULL */
    tars_extract_document_fn *each;
    void *ctx;
    struct tars_err *err; /* never NULL */
    struct tars_child child;
    char *bytes; /* (BUFFER_BYTES,) received; owned */
    size_t len;  /* of it that is not taken yet */
    struct tars_collect collect;
    struct tars_extract_outcome outcome;
    tars_status verdict; /* of the end frame; only if ended */
    char message[TARS_PROTOCOL_MESSAGE_MAX + 1];
    bool greeted; /* the magic has come */
    bool ended;   /* the end frame has come */
    int64_t deadline_ms;
};

/* ------------------------------------------------------------------ life cycle */

static bool is_program(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* The folder of the binary that runs now. */
static bool beside_us(char *path)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;
    int n;

    if (len <= 0)
        return false;
    self[len] = '\0';
    slash = strrchr(self, '/');
    if (!slash)
        return false;
    n = snprintf(path, PATH_MAX, "%.*s/" PROGRAM_NAME, (int)(slash - self), self);
    return n > 0 && n < PATH_MAX && is_program(path);
}

static bool in_path(char *path)
{
    const char *at = getenv("PATH");

    while (at && *at) {
        size_t len = strcspn(at, ":");
        int n = snprintf(path, PATH_MAX, "%.*s/" PROGRAM_NAME, (int)len, at);

        if (len > 0 && n > 0 && n < PATH_MAX && is_program(path))
            return true;
        at += len;
        at += *at == ':';
    }
    return false;
}

static bool find_program(const char *asked, char *path)
{
    if (!asked || !*asked)
        return beside_us(path) || in_path(path);
    return snprintf(path, PATH_MAX, "%s", asked) < PATH_MAX && is_program(path);
}

static void fill_defaults(struct tars_extract_config *config)
{
    if (!config->memory_bytes)
        config->memory_bytes = TARS_EXTRACT_MEMORY_DEFAULT;
    if (!config->timeout_ms)
        config->timeout_ms = TARS_EXTRACT_TIMEOUT_DEFAULT;
    if (!config->max_document_bytes)
        config->max_document_bytes = TARS_EXTRACT_DOCUMENT_DEFAULT;
    if (!config->max_documents)
        config->max_documents = TARS_EXTRACT_DOCUMENTS_DEFAULT;
}

tars_status tars_extract_open(const struct tars_extract_config *config,
                              struct tars_extract **extract, struct tars_err *err)
{
    struct tars_extract *made = calloc(1, sizeof(*made));

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "out of memory");
    made->config = *config;
    fill_defaults(&made->config);
    if (!find_program(config->program, made->program)) {
        free(made);
        if (config->program && *config->program) {
            return tars_fail(TARS_EUNAVAILABLE, err,
                             "%s is not a program that can be run; see TARS_EXTRACT",
                             config->program);
        }
        return tars_fail(TARS_EUNAVAILABLE, err,
                         "the program " PROGRAM_NAME " is neither beside this one nor in PATH; "
                         "set TARS_EXTRACT to where it is");
    }
    made->config.program = made->program;
    *extract = made;
    return TARS_OK;
}

void tars_extract_close(struct tars_extract *extract)
{
    free(extract);
}

/* True when name ends in "." and one of the extensions, joined by spaces. */
static bool ends_in(const char *name, const char *extensions)
{
    size_t name_len = strlen(name);

    while (*extensions) {
        size_t len = strcspn(extensions, " ");

        if (name_len > len && name[name_len - len - 1] == '.' &&
            strncasecmp(name + name_len - len, extensions, len) == 0)
            return true;
        extensions += len;
        extensions += strspn(extensions, " ");
    }
    return false;
}

bool tars_extract_supports(const char *file_name)
{
    static const char *const extensions[] = {
#define TARS_FORMAT(id, name, list) list,
#include "extract/formats.def"
#undef TARS_FORMAT
    };

    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (ends_in(file_name, extensions[i]))
            return true;
    }
    return false;
}

/* -------------------------------------------------------------------- one call */

static void copy_span(char *to, size_t cap, struct tars_span from)
{
    size_t len = from.len < cap - 1 ? from.len : cap - 1;

    if (len)
        memcpy(to, from.ptr, len);
    to[len] = '\0';
}

static tars_status broke_protocol(struct run *run, const char *what)
{
    return tars_fail(TARS_EFORMAT, run->err, "%s: the reader answered nonsense (%s)",
                     run->file_name, what);
}

static tars_status take_document(struct run *run, const struct tars_protocol_document *frame)
{
    struct tars_document document;
    tars_status status;

    if (run->collect.count == 0)
        return broke_protocol(run, "a document without text");
    if (run->outcome.documents >= run->extract->config.max_documents) {
        return tars_fail(TARS_ETOOBIG, run->err, "%s: holds more than %llu documents",
                         run->file_name, (unsigned long long)run->extract->config.max_documents);
    }
    status = tars_collect_document(&run->collect, frame, &document);
    if (status != TARS_OK)
        return tars_fail(status, run->err, "%s: %s", run->file_name, tars_status_text(status));
    copy_span(run->outcome.format, sizeof(run->outcome.format), frame->format);
    status = run->each(run->ctx, &document, run->err);
    if (status == TARS_OK)
        run->outcome.documents++;
    tars_collect_clear(&run->collect);
    run->deadline_ms = tars_clock_mono_ms() + run->extract->config.timeout_ms;
    return status;
}

static tars_status take_block(struct run *run, const struct tars_protocol_block *block)
{
    tars_status status = tars_collect_block(&run->collect, block);

    if (status == TARS_ETOOBIG) {
        return tars_fail(status, run->err, "%s: has more than %zu MiB of text", run->file_name,
                         run->extract->config.max_document_bytes / ((size_t)1024 * 1024));
    }
    if (status != TARS_OK)
        return tars_fail(status, run->err, "%s: %s", run->file_name, tars_status_text(status));
    return TARS_OK;
}

static void take_end(struct run *run, const struct tars_protocol_end *end)
{
    run->ended = true;
    run->verdict = end->status;
    run->outcome.errors = end->errors;
    copy_span(run->message, sizeof(run->message), end->message);
    copy_span(run->outcome.first_error, sizeof(run->outcome.first_error), end->first_error);
    if (end->format.len)
        copy_span(run->outcome.format, sizeof(run->outcome.format), end->format);
}

static tars_status take_frame(struct run *run, const struct tars_protocol_frame *frame)
{
    if (run->ended)
        return broke_protocol(run, "words after the last one");
    if (frame->type == 'B')
        return take_block(run, &frame->block);
    if (frame->type == 'D')
        return take_document(run, &frame->document);
    take_end(run, &frame->end);
    return TARS_OK;
}

static tars_status take_magic(struct run *run, size_t *at)
{
    if (run->greeted || run->len < TARS_PROTOCOL_MAGIC_BYTES)
        return TARS_OK;
    if (memcmp(run->bytes, TARS_PROTOCOL_MAGIC, TARS_PROTOCOL_MAGIC_BYTES) != 0)
        return broke_protocol(run, "another version");
    run->greeted = true;
    *at = TARS_PROTOCOL_MAGIC_BYTES;
    return TARS_OK;
}

/* Take every whole frame off the buffer and keep what is left. */
static tars_status take_bytes(struct run *run)
{
    struct tars_protocol_frame frame;
    size_t at = 0;
    size_t used;
    tars_status status = take_magic(run, &at);

    while (status == TARS_OK && run->greeted) {
        status = tars_protocol_read(run->bytes + at, run->len - at, &frame, &used);
        if (status == TARS_EAGAIN) {
            status = TARS_OK;
            break;
        }
        if (status != TARS_OK)
            return broke_protocol(run, "a broken frame");
        at += used;
        status = take_frame(run, &frame);
    }
    if (at > 0) {
        memmove(run->bytes, run->bytes + at, run->len - at);
        run->len -= at;
    }
    return status;
}

/* Until the end of the child's output, or something that stops us. */
static tars_status converse(struct run *run)
{
    for (;;) {
        size_t n = 0;
        tars_status status;

        if (run->cancelled && atomic_load(run->cancelled))
            return tars_fail(TARS_ECANCELED, run->err, "%s: cancelled", run->file_name);
        if (tars_clock_mono_ms() >= run->deadline_ms) {
            return tars_fail(TARS_ETIMEOUT, run->err, "%s: took longer than %lld s to read",
                             run->file_name,
                             (long long)((run->extract->config.timeout_ms + 999) / 1000));
        }
        status = tars_child_read(&run->child, run->bytes + run->len, BUFFER_BYTES - run->len,
                                 WAIT_MS, &n);
        if (status == TARS_EAGAIN)
            continue;
        if (status == TARS_ENOTFOUND)
            return TARS_OK;
        if (status != TARS_OK) {
            return tars_fail(status, run->err, "%s: the pipe from the reader failed",
                             run->file_name);
        }
        run->len += n;
        status = take_bytes(run);
        if (status != TARS_OK)
            return status;
    }
}

/* It went without a last word. */
static tars_status judge_death(const struct run *run, const struct tars_child_end *end)
{
    const char *name = run->file_name;

    if (end->signal == SIGXCPU || (end->signal == SIGKILL && !end->killed)) {
        return tars_fail(end->signal == SIGXCPU ? TARS_ETIMEOUT : TARS_ETOOBIG, run->err,
                         "%s: reading it took too much %s", name,
                         end->signal == SIGXCPU ? "processor time" : "memory; it was killed");
    }
    if (end->signal == SIGSYS) {
        return tars_fail(TARS_EFORMAT, run->err,
                         "%s: the reader tried what it must not do; the file may be an attack",
                         name);
    }
    if (end->signal) {
        return tars_fail(TARS_EFORMAT, run->err,
                         "%s: the reader crashed on it (%s); the file is probably damaged", name,
                         strsignal(end->signal));
    }
    return tars_fail(TARS_EFORMAT, run->err, "%s: the reader gave up without a word (exit %d)",
                     name, end->exit_code);
}

static tars_status judge(const struct run *run, const struct tars_child_end *end)
{
    if (!run->ended)
        return judge_death(run, end);
    if (run->verdict != TARS_OK) {
        return tars_fail(run->verdict, run->err, "%s: %s", run->file_name,
                         run->message[0] ? run->message : tars_status_text(run->verdict));
    }
    if (run->outcome.documents == 0)
        return tars_fail(TARS_ENOTEXT, run->err, "%s: holds no text", run->file_name);
    return TARS_OK;
}

/* The child's environment: nothing of ours but what steers sanitizers and coverage. */
static const char *const *make_environment(const char **envp, size_t cap)
{
    static const char *const passed[] = {
        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS=", "GCOV_PREFIX="};
    size_t count = 0;

    envp[count++] = "LANG=C.UTF-8";
    for (char **at = environ; at && *at; at++) {
        for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
            if (count < cap - 1 && strncmp(*at, passed[i], strlen(passed[i])) == 0)
                envp[count++] = *at;
        }
    }
    envp[count] = NULL;
    return envp;
}

static tars_status start(struct run *run, int fd)
{
    const struct tars_extract_config *config = &run->extract->config;
    char memory[32];
    char seconds[32];
    const char *envp[8];
    const char *argv[] = {PROGRAM_NAME, "--memory", memory, "--cpu", seconds, "--name", NULL, NULL};
    struct tars_child_config child = {.program = run->extract->program, .file_fd = fd};

    (void)snprintf(memory, sizeof(memory), "%zu", config->memory_bytes);
    (void)snprintf(seconds, sizeof(seconds), "%lld", (long long)config->timeout_ms / 1000 + 1);
    argv[6] = run->file_name;
    child.argv = argv;
    child.envp = make_environment(envp, sizeof(envp) / sizeof(envp[0]));
    return tars_child_start(&child, &run->child, run->err);
}

tars_status tars_extract_file(struct tars_extract *extract, int fd, const char *file_name,
                              atomic_bool *cancelled, tars_extract_document_fn *each, void *ctx,
                              struct tars_extract_outcome *outcome, struct tars_err *err)
{
    struct tars_child_end end = {0};
    struct tars_err words = {{0}};
    struct run run = {
        .extract = extract,
        .file_name = file_name && *file_name ? file_name : TITLE_OF_FILE,
        .cancelled = cancelled,
        .each = each,
        .ctx = ctx,
        .err = &words,
        .deadline_ms = tars_clock_mono_ms() + extract->config.timeout_ms,
    };
    tars_status status;

    tars_collect_init(&run.collect, extract->config.max_document_bytes);
    run.bytes = malloc(BUFFER_BYTES);
    status = run.bytes ? start(&run, fd) : tars_fail(TARS_ENOMEM, &words, "out of memory");
    if (status == TARS_OK) {
        status = converse(&run);
        tars_child_finish(&run.child, status == TARS_OK ? GRACE_MS : 0, &end);
        run.outcome.child_peak_bytes = end.peak_bytes;
        if (status == TARS_OK)
            status = judge(&run, &end);
    }
    tars_collect_release(&run.collect);
    free(run.bytes);
    if (outcome)
        *outcome = run.outcome;
    if (status != TARS_OK && err)
        *err = words;
    return status;
}
