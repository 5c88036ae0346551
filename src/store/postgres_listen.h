/* postgres_listen - wait for what other sessions tell by NOTIFY, on a connection of one's own that
 * has said LISTEN. */
#ifndef TARS_STORE_POSTGRES_LISTEN_H
#define TARS_STORE_POSTGRES_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "store/postgres_conn.h"

/* Until something was told, wake_fd (or -1) can be read, or wait_ms have passed; what was told is
 * taken out. False: the connection is lost. Nothing may be under way on it. */
bool tars_pg_listen(struct tars_pg_conn *conn, int wake_fd, int64_t wait_ms);

#endif
