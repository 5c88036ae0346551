/* Any bytes as an object of a folder of backups, sealed or not. Nothing that was sealed under a key
 * that nobody has may be opened; what is opened is what its name says, and goes in and out again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backup/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct tars_coder *coder, const struct tars_buf *plain)
{
    struct tars_object_name name;
    struct tars_buf object;
    struct tars_buf again;

    tars_buf_init(&object, TARS_OBJECT_MAX);
    tars_buf_init(&again, TARS_OBJECT_PLAIN_MAX + 1);
    if (tars_object_name(coder, TARS_OBJECT_CHUNK, tars_buf_span(plain), &name) != TARS_OK ||
        tars_object_encode(coder, TARS_OBJECT_CHUNK, &name, tars_buf_span(plain), &object) !=
            TARS_OK ||
        tars_object_decode(coder, TARS_OBJECT_CHUNK, &name, tars_buf_span(&object), &again, NULL) !=
            TARS_OK ||
        !tars_span_equal(tars_buf_span(plain), tars_buf_span(&again)))
        abort();
    tars_buf_release(&again);
    tars_buf_release(&object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tars_object_keys keys[2] = {{.is_set = false},
                                                    {.is_set = true, .seal = "\x9c\x1f\x83"}};

    for (int i = 0; i < 2; i++) {
        struct tars_coder *coder = NULL;
        struct tars_buf plain;

        if (tars_coder_new(&keys[i], &coder) != TARS_OK)
            return 0;
        tars_buf_init(&plain, TARS_OBJECT_PLAIN_MAX + 1);
        if (tars_object_decode(coder, TARS_OBJECT_CHUNK, NULL, tars_span((const char *)data, size),
                               &plain, NULL) == TARS_OK) {
            if (keys[i].is_set)
                abort();
            check(coder, &plain);
        }
        tars_buf_release(&plain);
        tars_coder_free(coder);
    }
    return 0;
}
