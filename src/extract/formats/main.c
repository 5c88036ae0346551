/* tars-extract - reads one document, confined, and writes what it holds to standard output.
 *
 *     tars-extract [--memory BYTES] [--cpu SECONDS] --name NAME    file on descriptor 3, frames out
 *     tars-extract [...] --text FILE                               for people
 *     tars-extract --self-test                                     shows that confinement holds
 *     tars-extract --limits                                        "strict" or "relaxed"
 *
 * Order: open everything that will be needed, confine, and only then look at a foreign byte.
 *
 * Out of memory: the libraries in here abort, exit or crash when an allocation fails, each in its
 * way. So allocation is wrapped to remember that one did, and the last breath of the process says
 * "out of memory" instead of "crashed".
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mem/buf.h"
#include "base/sys/child.h"
#include "extract/confine.h"
#include "extract/formats/charset.h"
#include "extract/formats/format.h"
#include "extract/formats/pdf.h"
#include "extract/protocol.h"

#define MEMORY_DEFAULT ((size_t)1024 * 1024 * 1024)
#define CPU_DEFAULT    60
#define PDF_HEAD       1024 /* bytes in which the mark of a PDF must appear */

struct options {
    size_t memory_bytes;
    unsigned cpu_seconds;
    const char *name; /* NULL: none */
    const char *text; /* file to show, or NULL */
    bool self_test;
    bool limits;
};

/* --------------------------------------------------------------- out of memory */

/* File scope because wrappers and signal handlers have no argument. */
static struct {
    char bytes[256]; /* the end frame, made while there is memory */
    size_t len;
} last_words;

static atomic_bool memory_failed;

#ifndef TARS_RELAXED_LIMITS
/* NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name):
 * glibc's own names of what is wrapped. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);

void *malloc(size_t size)
{
    void *ptr = __libc_malloc(size);

    if (!ptr)
        atomic_store(&memory_failed, true);
    return ptr;
}

void *calloc(size_t count, size_t size)
{
    void *ptr = __libc_calloc(count, size);

    if (!ptr)
        atomic_store(&memory_failed, true);
    return ptr;
}

void *realloc(void *old, size_t size)
{
    void *ptr = __libc_realloc(old, size);

    if (!ptr && size > 0)
        atomic_store(&memory_failed, true);
    return ptr;
}
/* NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name) */
#endif

static void say_last_words(void)
{
    size_t at = 0;

    while (at < last_words.len) {
        ssize_t n = write(STDOUT_FILENO, last_words.bytes + at, last_words.len - at);

        if (n <= 0)
            return;
        at += (size_t)n;
    }
}

static void on_crash(int signal_number)
{
    if (atomic_load(&memory_failed)) {
        say_last_words();
        _exit(1);
    }
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* A library called exit(). */
static void on_exit_by_library(void)
{
    if (atomic_load(&memory_failed))
        say_last_words();
}

static tars_status prepare_last_words(void)
{
    static const int signals[] = {SIGABRT, SIGTRAP, SIGSEGV, SIGBUS};
    struct tars_protocol_end end = {
        .status = TARS_ETOOBIG,
        .message = tars_span_of("reading it takes more memory than is allowed; "
                                "see TARS_EXTRACT_MEMORY_MB"),
    };
    struct tars_buf frame;
    struct sigaction action = {.sa_handler = on_crash};
    tars_status status;

    tars_buf_init(&frame, sizeof(last_words.bytes));
    tars_protocol_write_end(&frame, &end);
    status = frame.status;
    if (status == TARS_OK) {
        memcpy(last_words.bytes, frame.ptr, frame.len);
        last_words.len = frame.len;
    }
    tars_buf_release(&frame);
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        (void)sigaction(signals[i], &action, NULL);
    return status;
}

/* --------------------------------------------------------------------- writing */

static tars_status write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);

        if (n < 0 && errno != EINTR)
            return TARS_EIO;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return TARS_OK;
}

static tars_status write_frames(void *ctx, const char *bytes, size_t len)
{
    (void)ctx;
    return write_all(bytes, len);
}

static void show_block(const struct tars_protocol_block *block, struct tars_buf *out)
{
    if (block->page) {
        tars_buf_appendf(out, "[%s, page %d] ", tars_block_kind_text(block->kind), block->page);
    } else {
        tars_buf_appendf(out, "[%s] ", tars_block_kind_text(block->kind));
    }
    for (int i = 0; i < block->level; i++)
        tars_buf_append_char(out, '#');
    if (block->level)
        tars_buf_append_char(out, ' ');
    tars_buf_append(out, block->text.ptr, block->text.len);
    tars_buf_append_char(out, '\n');
}

static void show_frame(const struct tars_protocol_frame *frame, struct tars_buf *out)
{
    if (frame->type == 'B') {
        show_block(&frame->block, out);
    } else if (frame->type == 'D') {
        tars_buf_appendf(out, "[document, %.*s, id \"%.*s\", %d pages] %.*s %.*s\n",
                         (int)frame->document.format.len, frame->document.format.ptr,
                         (int)frame->document.external_id.len, frame->document.external_id.ptr,
                         frame->document.page_count, (int)frame->document.title.len,
                         frame->document.title.ptr, (int)frame->document.metadata.len,
                         frame->document.metadata.len ? frame->document.metadata.ptr : "");
    } else {
        tars_buf_appendf(out, "[end] %s: %.*s", tars_status_text(frame->end.status),
                         (int)frame->end.message.len, frame->end.message.ptr);
        if (frame->end.errors) {
            tars_buf_appendf(out, " (%llu passed over, first: %.*s)",
                             (unsigned long long)frame->end.errors, (int)frame->end.first_error.len,
                             frame->end.first_error.ptr);
        }
        tars_buf_append_char(out, '\n');
    }
}

/* The sink writes whole frames only, so each call can be read by itself. */
static tars_status write_shown(void *ctx, const char *bytes, size_t len)
{
    bool *started = ctx;
    size_t at = *started ? 0 : TARS_PROTOCOL_MAGIC_BYTES;
    struct tars_buf out;
    tars_status status = TARS_OK;

    *started = true;
    tars_buf_init(&out, 4 * TARS_PROTOCOL_FRAME_MAX);
    while (status == TARS_OK && at < len) {
        struct tars_protocol_frame frame;
        size_t used = 0;

        status = tars_protocol_read(bytes + at, len - at, &frame, &used);
        if (status == TARS_OK)
            show_frame(&frame, &out);
        at += used;
    }
    if (status == TARS_OK)
        status = out.status;
    if (status == TARS_OK)
        status = write_all(out.ptr, out.len);
    tars_buf_release(&out);
    return status;
}

/* ------------------------------------------------------------------------ main */

static bool parse_flag(struct options *options, const char *name)
{
    if (strcmp(name, "--self-test") == 0) {
        options->self_test = true;
    } else if (strcmp(name, "--limits") == 0) {
        options->limits = true;
    } else {
        return false;
    }
    return true;
}

static bool parse_value(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--memory") == 0) {
        options->memory_bytes = (size_t)strtoull(value, NULL, 10);
    } else if (strcmp(name, "--cpu") == 0) {
        options->cpu_seconds = (unsigned)strtoul(value, NULL, 10);
    } else if (strcmp(name, "--name") == 0) {
        options->name = value;
    } else if (strcmp(name, "--text") == 0) {
        options->text = value;
    } else {
        return false;
    }
    return true;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){.memory_bytes = MEMORY_DEFAULT, .cpu_seconds = CPU_DEFAULT};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;

        if (parse_flag(options, argv[i]))
            continue;
        if (!value || !parse_value(options, argv[i], value))
            return false;
        i++;
    }
    return options->self_test || options->limits || options->name || options->text;
}

static int usage(void)
{
    (void)fputs("usage: tars-extract [--memory BYTES] [--cpu SECONDS] --text FILE\n"
                "       tars-extract --self-test\n"
                "Shows what is found in a document. The server starts it with --name.\n",
                stderr);
    return 2;
}

/* A look at the first bytes, before confinement: copying and comparing only. */
static bool is_pdf(int fd)
{
    char head[PDF_HEAD];
    ssize_t n = pread(fd, head, sizeof(head), 0);

    return n > 0 && memmem(head, (size_t)n, "%PDF-", 5) != NULL;
}

static tars_status confine(const struct options *options, int fd, struct tars_err *err)
{
    struct tars_confine_config config = {
        .memory_bytes = options->memory_bytes,
        .cpu_seconds = options->cpu_seconds,
    };

    if (fd >= 0 && is_pdf(fd)) {
        tars_confine_keep("/usr/share/poppler");
        tars_pdf_prepare();
    }
    return tars_confine(&config, err);
}

static tars_status extract(const struct options *options, int fd, struct tars_charsets *charsets)
{
    struct tars_input input;
    struct tars_sink sink;
    struct tars_err err = {{0}};
    bool started = false;
    tars_status status;

    tars_sink_init(&sink, options->text ? write_shown : write_frames, &started);
    status =
        tars_input_open(&input, fd, options->text ? options->text : options->name, charsets, &err);
    if (status == TARS_OK) {
        status = tars_format_extract(&input, &sink);
        tars_input_close(&input);
    } else {
        tars_sink_end(&sink, status, err.text);
    }
    tars_sink_release(&sink);
    return status;
}

/* Everything that needs files or the kernel's consent, in the one right order. */
static tars_status prepare(const struct options *options, int fd, struct tars_charsets **charsets,
                           struct tars_err *err)
{
    tars_status status = prepare_last_words();

    if (status == TARS_OK)
        status = tars_charsets_new(charsets);
    if (status == TARS_OK)
        status = confine(options, options->self_test ? -1 : fd, err);
    if (status != TARS_OK) {
        (void)fprintf(stderr, "tars-extract: %s\n",
                      err->text[0] ? err->text : tars_status_text(status));
    }
    return status;
}

int main(int argc, char **argv)
{
    struct tars_charsets *charsets = NULL;
    struct tars_err err = {{0}};
    struct options options;
    int fd = TARS_CHILD_FILE_FD;
    tars_status status;

    if (!parse_options(argc, argv, &options))
        return usage();
    if (options.limits) {
        (void)puts(tars_confine_is_strict() ? "strict" : "relaxed");
        return 0;
    }
    /* If the server dies, nobody waits for us. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (options.text)
        fd = open(options.text, O_RDONLY | O_CLOEXEC);
    if (options.text && fd < 0) {
        (void)fprintf(stderr, "tars-extract: %s: %s\n", options.text, strerror(errno));
        return 1;
    }
    if (prepare(&options, fd, &charsets, &err) != TARS_OK)
        return 3;
    if (options.self_test)
        return tars_confine_self_test() ? 0 : 1;
    (void)atexit(on_exit_by_library);
    status = extract(&options, fd, charsets);
    tars_charsets_free(charsets);
    /* Whatever went wrong was told in a frame: nothing to add at exit. */
    atomic_store(&memory_failed, false);
    return status == TARS_OK ? 0 : 1;
}
