/* password - see password.h. */
#include "auth/password.h"

#include <stdlib.h>

#include <argon2.h>
#include <pthread.h>

#include "base/crypto/digest.h"

#define SLOTS_DEFAULT   2
#define WAITING_DEFAULT 8
#define LANES           1
#define SALT_BYTES      16
#define HASH_BYTES      32

struct tars_password {
    uint32_t memory_kib, passes;
    size_t slots, waiting_max;
    pthread_mutex_t lock; /* guards inside and waiting */
    pthread_cond_t left;  /* somebody went out */
    size_t inside;        /* hashes under way, at most slots */
    size_t waiting;       /* callers behind them, at most waiting_max */
};

tars_status tars_password_new(const struct tars_password_config *config,
                              struct tars_password **password)
{
    struct tars_password *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->memory_kib = config->memory_kib ? config->memory_kib : TARS_PASSWORD_MEMORY_KIB;
    made->passes = config->passes ? config->passes : TARS_PASSWORD_PASSES;
    made->slots = config->slots ? config->slots : SLOTS_DEFAULT;
    made->waiting_max = config->waiting ? config->waiting : WAITING_DEFAULT;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->left, NULL);
    *password = made;
    return TARS_OK;
}

void tars_password_free(struct tars_password *password)
{
    if (!password)
        return;
    pthread_cond_destroy(&password->left);
    pthread_mutex_destroy(&password->lock);
    free(password);
}

static tars_status enter(struct tars_password *password)
{
    tars_status status = TARS_OK;

    pthread_mutex_lock(&password->lock);
    if (password->inside == password->slots) {
        if (password->waiting == password->waiting_max) {
            status = TARS_EAGAIN;
        } else {
            password->waiting++;
            while (password->inside == password->slots)
                pthread_cond_wait(&password->left, &password->lock);
            password->waiting--;
        }
    }
    if (status == TARS_OK)
        password->inside++;
    pthread_mutex_unlock(&password->lock);
    return status;
}

static void leave(struct tars_password *password)
{
    pthread_mutex_lock(&password->lock);
    password->inside--;
    pthread_cond_signal(&password->left);
    pthread_mutex_unlock(&password->lock);
}

static tars_status status_of(int code)
{
    switch (code) {
    case ARGON2_OK:
        return TARS_OK;
    case ARGON2_VERIFY_MISMATCH:
        return TARS_EDENIED;
    case ARGON2_MEMORY_ALLOCATION_ERROR:
        return TARS_ENOMEM;
    default:
        return TARS_EFORMAT;
    }
}

static tars_status hash(const struct tars_password *password, struct tars_span secret,
                        char *encoded, size_t size)
{
    unsigned char salt[SALT_BYTES];

    if (tars_random_bytes(salt, sizeof(salt)) != TARS_OK)
        return TARS_EIO;
    return status_of(argon2id_hash_encoded(password->passes, password->memory_kib, LANES,
                                           secret.ptr, secret.len, salt, sizeof(salt), HASH_BYTES,
                                           encoded, size));
}

tars_status tars_password_hash(struct tars_password *password, struct tars_span secret,
                               struct tars_arena *arena, const char **encoded)
{
    size_t size = argon2_encodedlen(password->passes, password->memory_kib, LANES, SALT_BYTES,
                                    HASH_BYTES, Argon2_id);
    char *text;
    tars_status status;

    if (secret.len == 0 || secret.len > TARS_PASSWORD_BYTES_MAX)
        return TARS_EINVAL;
    text = tars_arena_alloc(arena, size);
    if (!text)
        return TARS_ENOMEM;
    status = enter(password);
    if (status != TARS_OK)
        return status;
    status = hash(password, secret, text, size);
    leave(password);
    if (status == TARS_OK)
        *encoded = text;
    return status;
}

/* As much work as a comparison, and no. */
static tars_status pretend(const struct tars_password *password, struct tars_span secret)
{
    static const unsigned char salt[SALT_BYTES];
    unsigned char out[HASH_BYTES];
    tars_status status =
        status_of(argon2id_hash_raw(password->passes, password->memory_kib, LANES, secret.ptr,
                                    secret.len, salt, sizeof(salt), out, sizeof(out)));

    return status == TARS_OK ? TARS_EDENIED : status;
}

tars_status tars_password_verify(struct tars_password *password, const char *encoded,
                                 struct tars_span secret)
{
    tars_status status;

    if (secret.len > TARS_PASSWORD_BYTES_MAX)
        return TARS_EDENIED;
    if (secret.len == 0)
        secret = tars_span("", 0); /* never NULL */
    status = enter(password);
    if (status != TARS_OK)
        return status;
    if (encoded && *encoded) {
        status = status_of(argon2id_verify(encoded, secret.ptr, secret.len));
    } else {
        status = pretend(password, secret);
    }
    leave(password);
    return status;
}
