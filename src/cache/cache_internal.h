/* cache_internal - what the files of this room share: a look into one level, counted as such. */
#ifndef TARS_CACHE_CACHE_INTERNAL_H
#define TARS_CACHE_CACHE_INTERNAL_H

#include "cache/cache.h"

/* As the op get. TARS_EUNAVAILABLE: nobody looked, because the level is known to be away. */
TARS_MUST_USE tars_status tars_cache_look(struct tars_cache *level, enum tars_cache_kind kind,
                                          struct tars_span key, struct tars_arena *arena,
                                          struct tars_span *value);
/* As the op get_near. */
TARS_MUST_USE tars_status tars_cache_look_near(struct tars_cache *level, enum tars_cache_kind kind,
                                               struct tars_span key, struct tars_arena *arena,
                                               struct tars_span *value);

#endif
