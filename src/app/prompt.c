/* prompt - see prompt.h for the contract. */
#include "app/prompt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C    3
#define CTRL_D    4
#define BACKSPACE 8
#define CTRL_U    21
#define RUBOUT    127

/* A line under way; one byte more than is allowed shows that it is too long. */
struct line {
    char bytes[TARS_PROMPT_BYTES_MAX + 2];
    size_t len;
};

/* One byte; false at the end of the input. */
static bool next(char *byte)
{
    ssize_t n;

    do {
        n = read(STDIN_FILENO, byte, 1);
    } while (n < 0 && errno == EINTR);
    return n == 1;
}

static void erase(struct line *line)
{
    /* A whole character: bytes within one begin with 10. */
    while (line->len > 0) {
        line->len--;
        if (((unsigned char)line->bytes[line->len] & 0xc0U) != 0x80U)
            break;
    }
}

/* True when the line goes on. */
static bool take(struct line *line, char byte, bool is_terminal, tars_status *status)
{
    if (byte == '\n' || (is_terminal && byte == '\r'))
        return false;
    if (is_terminal && (byte == CTRL_C || byte == CTRL_D)) {
        *status = TARS_ECANCELED;
        return false;
    }
    if (is_terminal && (byte == RUBOUT || byte == BACKSPACE)) {
        erase(line);
    } else if (is_terminal && byte == CTRL_U) {
        line->len = 0;
    } else if (line->len <= TARS_PROMPT_BYTES_MAX) {
        line->bytes[line->len++] = byte;
    }
    return true;
}

static tars_status read_line(struct line *line, bool is_terminal)
{
    tars_status status = TARS_OK;
    char byte;

    line->len = 0;
    do {
        if (!next(&byte)) {
            if (line->len == 0)
                status = TARS_ECANCELED;
            break;
        }
    } while (take(line, byte, is_terminal, &status));
    line->bytes[line->len] = '\0';
    return status;
}

/* Byte by byte and without echo, so that Ctrl-C is seen here and the terminal is put back. */
static tars_status ask(const char *words, struct line *line)
{
    struct termios before;
    struct termios quiet;
    tars_status status;

    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return TARS_EIO;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG);
    quiet.c_cc[VMIN] = 1;
    quiet.c_cc[VTIME] = 0;
    /* First quiet, then the question: what is typed after it counts, all of it. */
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    (void)fprintf(stderr, "%s: ", words);
    status = read_line(line, true);
    (void)tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    (void)fputc('\n', stderr);
    return status;
}

static tars_status ask_twice(const char *what, struct line *line, struct tars_err *err)
{
    struct line again;
    tars_status status = ask(what, line);

    if (status == TARS_OK)
        status = ask("The same again", &again);
    if (status == TARS_OK &&
        (line->len != again.len || memcmp(line->bytes, again.bytes, line->len) != 0))
        status = tars_fail(TARS_EINVAL, err, "the two differ");
    explicit_bzero(&again, sizeof(again));
    return status;
}

tars_status tars_prompt_secret(const char *what, struct tars_arena *arena, const char **secret,
                               struct tars_err *err)
{
    struct line line;
    tars_status status =
        isatty(STDIN_FILENO) ? ask_twice(what, &line, err) : read_line(&line, false);

    if (status == TARS_ECANCELED)
        status = tars_fail(status, err, "no secret was given");
    if (status == TARS_OK && (line.len == 0 || line.len > TARS_PROMPT_BYTES_MAX)) {
        status = tars_fail(TARS_EINVAL, err, "a secret has 1 to %d bytes", TARS_PROMPT_BYTES_MAX);
    }
    if (status == TARS_OK) {
        *secret = tars_arena_strndup(arena, line.bytes, line.len);
        status = *secret ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory for the secret");
    }
    explicit_bzero(&line, sizeof(line));
    return status;
}
