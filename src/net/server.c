/* server - see server.h for the contract.
 *
 *     server --- shard 0: loop, listener, connections
 *            \-- shard 1: ...                          one thread each, nothing shared but counters
 *
 * Stopping: is_stopping makes replies say "connection: close"; a job per loop shuts the door and
 * tells the connections; the owner watches the counter of connections fall, sends a second job when
 * the grace is over, which has what still goes on cut, and a third one that closes the rest. The
 * counters are polled, not waited for: the last thing that a departing reply touches is the
 * counter, so nothing else of the server needs to be alive then.
 *
 * The door: a client whose connection was made, but not accepted when its listener is closed, would
 * be reset with its request unread. So the listener first drops new callers (a packet filter for
 * SYN), accepts those who are there, and is closed a moment later; who calls meanwhile finds the
 * port closed when the kernel tries again.
 */
#include "net/server.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "net/http1.h"
#include "net/session.h"

#define TICK_MS         100
#define THREADS_MAX     64
#define BACKLOG         511
#define CONNECTIONS     1024
#define POLL_US         2000
#define DOOR_MS         200 /* for connections that are being made when the server stops */
#define TCP_FLAGS       13  /* offset in a TCP header */
#define TCP_SYN         0x02
#define TCP_ACK         0x10
#define BIND_TEXT_BYTES 128
#define MIB             ((size_t)1024 * 1024)

struct shard {
    struct tars_loop loop;
    uv_tcp_t listener;
    bool has_loop, is_listening; /* is_listening: the handle is set up; loop thread once it runs */
    bool is_starved;             /* a connection waits in the listener for memory */
    int64_t door_ms;             /* when the listener is to be closed; 0: not yet */
    struct tars_session_env env;
    struct tars_loop_job stop, cut, drop; /* jobs of _stop() */
    struct tars_loop_job renew;           /* of _renew_tls() */
    struct tars_tls_context *next_tls;    /* for it */
    struct tars_session_list waiting, bodies;
    struct tars_conn_group group;
    struct tars_server *server;
};

struct tars_server {
    struct tars_server_config config; /* with every default filled in */
    struct tars_net_shared shared;
    struct tars_tls_context *tls;
    uint16_t port;
    atomic_ullong listeners; /* open ones */
    atomic_llong door_ms;    /* how long they stay open when the server stops */
    atomic_ullong renewing;  /* shards that have the old certificate still */
    bool is_stopped;
    struct shard *shards; /* (config.threads,) */
};

/* ----------------------------------------------------------------- settings */

static void default_size(size_t *value, size_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void default_ms(int64_t *value, int64_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void fill_defaults(struct tars_server_config *config)
{
    if (!config->bind)
        config->bind = "127.0.0.1";
    if (config->threads == 0)
        config->threads = 1;
    default_size(&config->max_connections, CONNECTIONS);
    default_size(&config->max_head_bytes, (size_t)16 * 1024);
    default_size(&config->max_body_bytes, 64 * MIB);
    default_size(&config->max_bodies_bytes, 256 * MIB);
    default_size(&config->max_arena_bytes, 16 * MIB);
    default_size(&config->reply_queue_bytes, (size_t)64 * 1024);
    default_ms(&config->head_timeout_ms, 10000);
    default_ms(&config->body_timeout_ms, 20000);
    default_ms(&config->idle_timeout_ms, 60000);
    default_ms(&config->write_timeout_ms, 20000);
    default_ms(&config->handshake_timeout_ms, 10000);
}

static tars_status check_config(const struct tars_server_config *config, struct tars_err *err)
{
    if (!config->handler)
        return tars_fail(TARS_EINVAL, err, "the server has no handler");
    if (config->threads > THREADS_MAX) {
        return tars_fail(TARS_EINVAL, err, "%u loop threads are too many; at most %d",
                         config->threads, THREADS_MAX);
    }
    if (config->max_head_bytes > TARS_HTTP1_HEAD_MAX) {
        return tars_fail(TARS_EINVAL, err, "a head of %zu bytes is too large; at most %d",
                         config->max_head_bytes, TARS_HTTP1_HEAD_MAX);
    }
    if (config->max_body_bytes > SIZE_MAX / 4 || config->max_bodies_bytes > SIZE_MAX / 4)
        return tars_fail(TARS_EINVAL, err, "the limit of a body is too large");
    if (config->reply_queue_bytes > INT32_MAX / 2)
        return tars_fail(TARS_EINVAL, err, "the queue of a reply is too large");
    if (!config->tls_cert != !config->tls_key)
        return tars_fail(TARS_EINVAL, err, "TLS needs both a certificate and a key");
    if (config->server_name && !tars_http1_value_is_valid(tars_span_of(config->server_name)))
        return tars_fail(TARS_EINVAL, err, "the server's name has control characters");
    return TARS_OK;
}

/* ---------------------------------------------------------------- listening */

static tars_status parse_address(const struct tars_server_config *config,
                                 struct sockaddr_storage *address, struct tars_err *err)
{
    memset(address, 0, sizeof(*address));
    if (uv_ip4_addr(config->bind, config->port, (struct sockaddr_in *)address) == 0)
        return TARS_OK;
    if (uv_ip6_addr(config->bind, config->port, (struct sockaddr_in6 *)address) == 0)
        return TARS_OK;
    return tars_fail(TARS_EINVAL, err, "%s is not an IP address to listen on; try 127.0.0.1",
                     config->bind);
}

static socklen_t address_len(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

static tars_status fail_of_bind(const struct tars_server_config *config, int code,
                                struct tars_err *err)
{
    switch (code) {
    case EADDRINUSE:
        return tars_fail(TARS_EBUSY, err,
                         "port %u of %s is in use; stop who uses it or choose "
                         "another port",
                         (unsigned)config->port, config->bind);
    case EACCES:
        return tars_fail(TARS_EDENIED, err, "port %u may not be used by this user",
                         (unsigned)config->port);
    case EADDRNOTAVAIL:
        return tars_fail(TARS_EINVAL, err, "%s is no address of this machine", config->bind);
    default:
        return tars_fail(TARS_EIO, err, "cannot listen on %s port %u: %s", config->bind,
                         (unsigned)config->port, strerror(code));
    }
}

/* A socket bound to address, or -1 with errno. */
static int bind_socket(const struct sockaddr_storage *address, bool share)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int code;

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!share || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
        bind(fd, (const struct sockaddr *)address, address_len(address)) == 0)
        return fd;
    code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* With SO_REUSEPORT two servers of one user would share a port and never notice; so ask without it
 * first whether anybody listens. A program that is started meanwhile has a copy of the socket until
 * its exec: so it does not listen itself, and in the end it lets those that are bound next be. */
static tars_status check_is_free(const struct tars_server_config *config,
                                 const struct sockaddr_storage *address, struct tars_err *err)
{
    int on = 1;
    int fd;

    if (config->port == 0)
        return TARS_OK;
    fd = bind_socket(address, false);
    if (fd < 0)
        return fail_of_bind(config, errno, err);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    close(fd);
    return TARS_OK;
}

static void accepted(uv_stream_t *listener, int status)
{
    struct shard *shard = listener->data;

    if (status == 0)
        shard->is_starved = !tars_session_accept(&shard->env, listener);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 address = {.sin6_port = 0}; /* sockaddr_in has its port at the same place */
    socklen_t len = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &len))
        return 0;
    return ntohs(address.sin6_port);
}

static tars_status listen_on(struct tars_server *server, struct shard *shard,
                             struct sockaddr_storage *address, struct tars_err *err)
{
    int fd = bind_socket(address, true);
    int code;

    if (fd < 0)
        return fail_of_bind(&server->config, errno, err);
    server->port = port_of(fd);
    /* The other shards take the port that the first one got; in6 has it at the same place. */
    ((struct sockaddr_in *)address)->sin_port = htons(server->port);
    if (uv_tcp_init(&shard->loop.uv, &shard->listener)) {
        close(fd);
        return tars_fail(TARS_ENOMEM, err, "no memory for a listener");
    }
    shard->listener.data = shard;
    shard->is_listening = true;
    atomic_fetch_add(&server->listeners, 1);
    code = uv_tcp_open(&shard->listener, fd);
    if (code) {
        close(fd);
        return fail_of_bind(&server->config, -code, err);
    }
    code = uv_listen((uv_stream_t *)&shard->listener, BACKLOG, accepted);
    return code ? fail_of_bind(&server->config, -code, err) : TARS_OK;
}

/* ----------------------------------------------------------------- shutdown */

static void close_listener(struct shard *shard)
{
    if (!shard->is_listening)
        return;
    uv_close((uv_handle_t *)&shard->listener, NULL);
    shard->is_listening = false;
    atomic_fetch_sub(&shard->server->listeners, 1);
}

/* Let in who is there, and nobody who comes. */
static void shut_door(struct shard *shard)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, TCP_FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TCP_SYN | TCP_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TCP_SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog filter = {sizeof(code) / sizeof(code[0]), code};
    int64_t wait_ms = atomic_load(&shard->server->door_ms);
    uv_os_fd_t fd;

    if (!shard->is_listening)
        return;
    shard->door_ms = tars_clock_mono_ms() + wait_ms;
    if (wait_ms == 0 || uv_fileno((uv_handle_t *)&shard->listener, &fd) ||
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
        close_listener(shard);
}

static void stop_job(struct tars_loop_job *job)
{
    struct shard *shard = (struct shard *)((char *)job - offsetof(struct shard, stop));

    shut_door(shard);
    tars_session_stop_all(&shard->group, TARS_SESSION_END);
}

static void cut_job(struct tars_loop_job *job)
{
    struct shard *shard = (struct shard *)((char *)job - offsetof(struct shard, cut));

    close_listener(shard);
    tars_session_stop_all(&shard->group, TARS_SESSION_CUT);
}

static void drop_job(struct tars_loop_job *job)
{
    struct shard *shard = (struct shard *)((char *)job - offsetof(struct shard, drop));

    tars_session_stop_all(&shard->group, TARS_SESSION_DROP);
}

/* until_ms 0: for ever. */
static bool await_zero(const atomic_ullong *counter, int64_t until_ms)
{
    while (atomic_load_explicit(counter, memory_order_acquire)) {
        if (until_ms && tars_clock_mono_ms() >= until_ms)
            return false;
        usleep(POLL_US);
    }
    return true;
}

/* Nobody is there, and nobody can come. */
static bool await_end(const struct tars_server *server, int64_t until_ms)
{
    return await_zero(&server->listeners, until_ms) &&
           await_zero(&server->shared.connections, until_ms);
}

static void post_all(struct tars_server *server, size_t job)
{
    for (unsigned i = 0; i < server->config.threads; i++) {
        struct shard *shard = &server->shards[i];

        if (shard->has_loop && shard->loop.has_thread)
            tars_loop_post(&shard->loop, (struct tars_loop_job *)((char *)shard + job));
    }
}

tars_status tars_server_stop(struct tars_server *server, int64_t grace_ms)
{
    int64_t until_ms = tars_clock_mono_ms() + (grace_ms > 0 ? grace_ms : 1);

    if (server->is_stopped)
        return TARS_OK;
    server->is_stopped = true;
    atomic_store(&server->door_ms, grace_ms / 10 < DOOR_MS ? grace_ms / 10 : DOOR_MS);
    atomic_store(&server->shared.is_stopping, true);
    post_all(server, offsetof(struct shard, stop));
    if (await_end(server, until_ms))
        return TARS_OK;
    post_all(server, offsetof(struct shard, cut));
    if (!await_end(server, tars_clock_mono_ms() + TARS_HTTP_HURRY_MS)) {
        post_all(server, offsetof(struct shard, drop));
        (void)await_zero(&server->shared.connections, 0);
    }
    return TARS_ETIMEOUT;
}

/* ------------------------------------------------------------------ renewal */

/* Connections that are open hold on to what they began with. */
static void renew_job(struct tars_loop_job *job)
{
    struct shard *shard = (struct shard *)((char *)job - offsetof(struct shard, renew));

    shard->env.tls = shard->next_tls;
    atomic_fetch_sub_explicit(&shard->server->renewing, 1, memory_order_release);
}

tars_status tars_server_renew_tls(struct tars_server *server, const char *cert, const char *key,
                                  struct tars_err *err)
{
    struct tars_tls_context *made = NULL;
    tars_status status;

    if (!server->tls)
        return tars_fail(TARS_EINVAL, err, "this server does not speak TLS");
    status = tars_tls_context_new(cert, key, &made, err);
    if (status)
        return status;
    for (unsigned i = 0; i < server->config.threads; i++) {
        server->shards[i].next_tls = made;
        atomic_fetch_add(&server->renewing, 1);
    }
    post_all(server, offsetof(struct shard, renew));
    (void)await_zero(&server->renewing, 0);
    tars_tls_context_free(server->tls);
    server->tls = made;
    return TARS_OK;
}

void tars_server_set_connections(struct tars_server *server, size_t max)
{
    atomic_store(&server->shared.max_connections, max ? max : CONNECTIONS);
}

void tars_server_set_bodies(struct tars_server *server, size_t max_body, size_t max_bodies)
{
    atomic_store(&server->shared.max_body_bytes, max_body);
    atomic_store(&server->shared.max_bodies_bytes, max_bodies);
}

static void release_shards(struct tars_server *server)
{
    for (unsigned i = 0; i < server->config.threads; i++) {
        struct shard *shard = &server->shards[i];

        if (!shard->has_loop)
            continue;
        if (!shard->loop.has_thread)
            close_listener(shard);
        tars_loop_release(&shard->loop);
    }
}

void tars_server_close(struct tars_server *server)
{
    if (!server)
        return;
    if (server->shards) {
        tars_status status = tars_server_stop(server, 0); /* what was dropped is of no interest */

        (void)status;
        (void)await_zero(&server->shared.handles, 0);
        release_shards(server);
    }
    free(server->shards);
    tars_tls_context_free(server->tls);
    free(server);
}

/* ------------------------------------------------------------------ opening */

static void tick(void *ctx)
{
    struct shard *shard = ctx;

    tars_conn_tick(&shard->group);
    if (shard->door_ms && tars_clock_mono_ms() >= shard->door_ms)
        close_listener(shard);
    if (shard->is_starved && shard->is_listening)
        accepted((uv_stream_t *)&shard->listener, 0);
}

static tars_status open_shard(struct tars_server *server, struct shard *shard,
                              struct sockaddr_storage *address, struct tars_err *err)
{
    shard->server = server;
    shard->stop.run = stop_job;
    shard->cut.run = cut_job;
    shard->renew.run = renew_job;
    shard->drop.run = drop_job;
    shard->group.loop = &shard->loop;
    shard->group.write_timeout_ms = server->config.write_timeout_ms;
    shard->group.handshake_timeout_ms = server->config.handshake_timeout_ms;
    shard->group.timeouts = &server->shared.timeouts;
    shard->group.tls_failures = &server->shared.tls_failures;
    shard->env = (struct tars_session_env){.config = &server->config,
                                           .shared = &server->shared,
                                           .group = &shard->group,
                                           .waiting = &shard->waiting,
                                           .bodies = &shard->bodies,
                                           .tls = server->tls};
    if (tars_loop_init(&shard->loop, tick, shard, TICK_MS))
        return tars_fail(TARS_ENOMEM, err, "an event loop could not be made");
    shard->has_loop = true;
    return listen_on(server, shard, address, err);
}

static tars_status open_all(struct tars_server *server, struct tars_err *err)
{
    struct sockaddr_storage address;
    tars_status status = parse_address(&server->config, &address, err);

    if (!status)
        status = check_is_free(&server->config, &address, err);
    if (!status && server->config.tls_cert) {
        status = tars_tls_context_new(server->config.tls_cert, server->config.tls_key, &server->tls,
                                      err);
    }
    for (unsigned i = 0; i < server->config.threads && !status; i++)
        status = open_shard(server, &server->shards[i], &address, err);
    for (unsigned i = 0; i < server->config.threads && !status; i++) {
        if (tars_loop_start(&server->shards[i].loop))
            status = tars_fail(TARS_EIO, err, "a thread could not be started");
    }
    return status;
}

static void share_limits(struct tars_server *server)
{
    struct tars_net_shared *shared = &server->shared;

    atomic_init(&shared->max_connections, server->config.max_connections);
    atomic_init(&shared->max_body_bytes, server->config.max_body_bytes);
    atomic_init(&shared->max_bodies_bytes, server->config.max_bodies_bytes);
    shared->max_arena_bytes = server->config.max_arena_bytes;
    shared->reply_queue_bytes = server->config.reply_queue_bytes;
    shared->write_timeout_ms = server->config.write_timeout_ms;
    shared->server_name = server->config.server_name;
}

tars_status tars_server_open(const struct tars_server_config *config, struct tars_server **server,
                             struct tars_err *err)
{
    struct tars_server_config filled = *config;
    struct tars_server *made;
    tars_status status;

    fill_defaults(&filled);
    status = check_config(&filled, err);
    if (status)
        return status;
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the server");
    made->config = filled;
    made->shards = calloc(filled.threads, sizeof(*made->shards));
    if (!made->shards) {
        free(made);
        return tars_fail(TARS_ENOMEM, err, "no memory for the server");
    }
    share_limits(made);
    status = open_all(made, err);
    if (status) {
        tars_server_close(made);
        return status;
    }
    *server = made;
    return TARS_OK;
}

uint16_t tars_server_port(const struct tars_server *server)
{
    return server->port;
}

struct tars_server_stats tars_server_stats(const struct tars_server *server)
{
    const struct tars_net_shared *shared = &server->shared;

    return (struct tars_server_stats){
        .accepted = atomic_load(&shared->accepted),
        .requests = atomic_load(&shared->requests),
        .rejected = atomic_load(&shared->rejected),
        .evicted = atomic_load(&shared->evicted),
        .timeouts = atomic_load(&shared->timeouts),
        .tls_failures = atomic_load(&shared->tls_failures),
        .connections = atomic_load(&shared->connections),
        .in_flight = atomic_load(&shared->handles),
        .bodies_bytes = atomic_load(&shared->bodies_bytes),
    };
}
