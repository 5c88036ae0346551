/* postgres_listen - see postgres_listen.h. */
#include "store/postgres_listen.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>

#include "base/sys/clock.h"

/* Take out what was told; true if anything was. */
static bool take(struct tars_pg_conn *conn)
{
    bool any = false;
    PGnotify *told;

    while ((told = PQnotifies(conn->pg)) != NULL) {
        PQfreemem(told);
        any = true;
    }
    return any;
}

bool tars_pg_listen(struct tars_pg_conn *conn, int wake_fd, int64_t wait_ms)
{
    int64_t until_ms = tars_clock_mono_ms() + wait_ms;

    while (!take(conn)) {
        struct pollfd fds[2] = {{.fd = PQsocket(conn->pg), .events = POLLIN},
                                {.fd = wake_fd, .events = POLLIN}};
        int64_t left_ms = until_ms - tars_clock_mono_ms();

        if (fds[0].fd < 0)
            return false;
        if (left_ms <= 0)
            return true;
        if (poll(fds, 2, (int)left_ms) < 0 && errno != EINTR)
            return false;
        if (fds[1].revents)
            return true;
        if (fds[0].revents && !PQconsumeInput(conn->pg))
            return false;
    }
    return true;
}
