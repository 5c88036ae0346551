/* notify - see notify.h for the contract. */
#include "base/sys/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

tars_status tars_notify(const char *socket_name, const char *lines)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = socket_name ? strlen(socket_name) : 0;
    size_t size = strlen(lines);
    ssize_t sent;
    int fd;

    if (len == 0)
        return TARS_OK;
    if ((socket_name[0] != '/' && socket_name[0] != '@') || len >= sizeof(address.sun_path))
        return TARS_EINVAL;
    memcpy(address.sun_path, socket_name, len);
    if (socket_name[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return TARS_EIO;
    sent = sendto(fd, lines, size, MSG_NOSIGNAL, (const struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
                              (socket_name[0] == '/' ? 1 : 0)));
    close(fd);
    return sent == (ssize_t)size ? TARS_OK : TARS_EIO;
}
