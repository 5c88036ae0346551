/* notify - tells the program that started this one (systemd, Type=notify) how it is: one datagram
 * of NAME=value lines to the socket that the environment names in NOTIFY_SOCKET.
 */
#ifndef TARS_BASE_SYS_NOTIFY_H
#define TARS_BASE_SYS_NOTIFY_H

#include "base/status.h"

/* socket_name: a path, or '@' and an abstract name; NULL or "": nobody wants to know, which is
 * TARS_OK. Never waits. TARS_EINVAL: a name too long or of neither kind; TARS_EIO: nobody listens.
 */
TARS_MUST_USE tars_status tars_notify(const char *socket_name, const char *lines);

#endif
