/* Unit tests of base/sys/notify: a row is a socket's name and whether the words arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/sys/notify.h"
#include "support/files.h"

/* A socket that is bound to name, as a supervisor does it. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '@' ? 0 : 1))),
        0);
    return fd;
}

static void words_arrive(void **state)
{
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
    char abstract[64];
    const char *names[] = {path, abstract};

    (void)state;
    files_make_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/notify", dir);
    (void)snprintf(abstract, sizeof(abstract), "@tars-notify-%ld", (long)getpid());
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int fd = listen_at(names[i]);
        char heard[64];
        ssize_t len;

        assert_int_equal(tars_notify(names[i], "READY=1\n"), TARS_OK);
        len = recv(fd, heard, sizeof(heard), 0);
        assert_int_equal(len, 8);
        assert_memory_equal(heard, "READY=1\n", 8);
        close(fd);
    }
    files_remove_dir(dir);
}

static void nobody_and_nonsense(void **state)
{
    char long_name[256];

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[0] = '/';
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(tars_notify(NULL, "READY=1"), TARS_OK);
    assert_int_equal(tars_notify("", "READY=1"), TARS_OK);
    assert_int_equal(tars_notify("relative", "READY=1"), TARS_EINVAL);
    assert_int_equal(tars_notify(long_name, "READY=1"), TARS_EINVAL);
    assert_int_equal(tars_notify("/nonexistent/notify", "READY=1"), TARS_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_arrive),
        cmocka_unit_test(nobody_and_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
