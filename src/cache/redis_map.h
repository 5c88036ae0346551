/* redis_map - which server of Redis has a key: the one, the master of sentinels, or a cluster's.
 *
 *     key -> slot -> slots[] -> nodes[]          one server: every slot is its
 *
 * Learned   By the keeper alone: from SENTINEL get-master-addr-by-name and ROLE, or from CLUSTER
 *           SLOTS; at the start, while a server is away, when a server says that somebody else has
 *           it (MOVED, READONLY), and now and then.
 * Bounds    TARS_REDIS_NODES_MAX servers; a server that has no slot any more gives its place away.
 * Threads   Looking up takes no lock. _tend() is the keeper's.
 */
#ifndef TARS_CACHE_REDIS_MAP_H
#define TARS_CACHE_REDIS_MAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/redis_node.h"
#include "cache/redis_slots.h"

#define TARS_REDIS_NODES_MAX 128 /* at most 255: slots[] holds bytes */
#define TARS_REDIS_SEEDS_MAX 32

enum tars_redis_mode { TARS_REDIS_ONE, TARS_REDIS_SENTINELS, TARS_REDIS_CLUSTER };

struct tars_redis_map {
    enum tars_redis_mode mode;
    struct tars_redis_node_config node_config;
    struct tars_redis_conn_config sentinel_config;
    char *master; /* name that the sentinels know; borrowed */
    struct tars_redis_address seeds[TARS_REDIS_SEEDS_MAX]; /* the server, sentinels, or nodes */
    size_t seed_count;
    size_t seed_at;       /* the one that answered last; the keeper's */
    int64_t due_ms;       /* when to ask again; the keeper's */
    atomic_bool is_stale; /* somebody said that the map is wrong */
    pthread_mutex_t lock; /* guards adding nodes, and error */
    atomic_size_t count;  /* nodes[] that are made; they stay */
    struct tars_redis_node nodes[TARS_REDIS_NODES_MAX];
    atomic_bool is_used[TARS_REDIS_NODES_MAX]; /* has slots, or somebody was sent there */
    atomic_uchar slots[TARS_REDIS_SLOTS];      /* number of the node and one; 0: not known */
    char error[TARS_ERR_TEXT_MAX];             /* why nothing could be learned; "": it could */
};

/* seeds, mode, the configs and master are set by the caller before. */
void tars_redis_map_init(struct tars_redis_map *map);
void tars_redis_map_release(struct tars_redis_map *map);

/* NULL: not known (yet). */
struct tars_redis_node *tars_redis_map_node(struct tars_redis_map *map, struct tars_span key);
/* Where a reply of node sends its reader, which is noted; false: the reply does not. */
bool tars_redis_map_follow(struct tars_redis_map *map, struct tars_redis_node *node,
                           const struct tars_redis_reply *reply, struct tars_redis_node **to,
                           bool *is_ask);
/* The map is wrong: learn it again soon. */
void tars_redis_map_doubt(struct tars_redis_map *map);

/* Keeper: learn what is to be learned, and tend the nodes. */
void tars_redis_map_tend(struct tars_redis_map *map);
/* Those that have slots; returns how many. */
size_t tars_redis_map_masters(struct tars_redis_map *map,
                              struct tars_redis_node *nodes[TARS_REDIS_NODES_MAX]);
/* Every key has a server that answers. If not, err says why. */
bool tars_redis_map_is_up(struct tars_redis_map *map, struct tars_err *err);

#endif
