/* kind_embedded - the index of this process, in a temporary folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kinds.h"
#include "support/files.h"
#include "vectors/vectors_embedded.h"

static char dir[FILES_PATH_MAX];

static void start(void)
{
    files_make_dir(dir);
}

static void stop(void)
{
    files_remove_dir(dir);
}

static void clear(void)
{
    files_remove_dir(dir);
    files_make_dir(dir);
}

static struct tars_vectors *open_it(void)
{
    struct tars_vectors *vectors = NULL;

    assert_int_equal(tars_vectors_embedded_open(dir, &vectors, NULL), TARS_OK);
    return vectors;
}

const struct kind kind_embedded = {.name = "embedded",
                                   .passages = 300,
                                   .start = start,
                                   .stop = stop,
                                   .clear = clear,
                                   .open = open_it};
