/* status - the one result type of every function that can fail, and the words that go with it.
 *
 * A status says what the caller may do next, not what went wrong inside. Add a value only when some
 * caller would branch on it; everything finer belongs in a message (struct tars_err).
 *
 * TARS_ENOTFOUND and TARS_EAGAIN are answers, not faults: nobody logs them.
 */
#ifndef TARS_BASE_STATUS_H
#define TARS_BASE_STATUS_H

/* The single list: the enum and the texts expand from it. Values end up in logs and metrics, so a
 * number is never changed or used again. */
#define TARS_STATUS_LIST(X)                                   \
    X(TARS_OK, 0, "ok")                                       \
    X(TARS_EINVAL, 1, "invalid argument")                     \
    X(TARS_ENOMEM, 2, "out of memory")                        \
    X(TARS_ENOTFOUND, 3, "not found")                         \
    X(TARS_EAGAIN, 4, "not complete yet")                     \
    X(TARS_ETOOBIG, 5, "over a configured limit")             \
    X(TARS_EIO, 6, "input or output failed")                  \
    X(TARS_EFORMAT, 7, "damaged or unexpected data")          \
    X(TARS_EUNSUPPORTED, 8, "not supported")                  \
    X(TARS_ETIMEOUT, 9, "took too long")                      \
    X(TARS_ECANCELED, 10, "cancelled")                        \
    X(TARS_EBUSY, 11, "in use by somebody else")              \
    X(TARS_EEXIST, 12, "exists already")                      \
    X(TARS_EDENIED, 13, "not permitted")                      \
    X(TARS_EUNAVAILABLE, 14, "a part that is needed is away") \
    X(TARS_EPASSWORD, 15, "needs a password")                 \
    X(TARS_ENOTEXT, 16, "no text layer")                      \
    X(TARS_EMISMATCH, 17, "made by another model or version") \
    X(TARS_EQUOTA, 18, "over a quota")                        \
    X(TARS_ECONFLICT, 19, "not as things are")

typedef enum {
#define X(name, value, text) name = (value),
    TARS_STATUS_LIST(X)
#undef X
} tars_status;

/* A status that is dropped is a bug; the compiler says so. */
#define TARS_MUST_USE __attribute__((warn_unused_result))

/* Static text for a status, never NULL; "unknown status" for a value not in the list. */
const char *tars_status_text(tars_status status);

/* "TARS_EIO": static, for logs and tables; "unknown" for a value not in the list. */
const char *tars_status_name(tars_status status);

#define TARS_ERR_TEXT_MAX 512 /* bytes of a message, with its final NUL */

/* Words for people about the failure that is being returned. Lives on the caller's stack; wherever
 * a function takes one, NULL means that nobody will read it. Untouched on success. */
struct tars_err {
    char text[TARS_ERR_TEXT_MAX]; /* always terminated once set; cut at a character if too long */
};

/* Set the message; err may be NULL. Returns status, so that `return tars_fail(...)` reads well. */
__attribute__((format(printf, 3, 4))) tars_status
tars_fail(tars_status status, struct tars_err *err, const char *format, ...);

#endif
