/* names - see names.h for the contract. */
#include "backup/names.h"

#include <stdlib.h>
#include <string.h>

#define CAP_FIRST 1024

void tars_names_init(struct tars_names *names)
{
    *names = (struct tars_names){.slots = NULL};
}

void tars_names_release(struct tars_names *names)
{
    free(names->slots);
    tars_names_init(names);
}

/* Where the name is, or the empty slot where it would be. There is one: half of them are empty. */
static struct tars_names_entry *look(const struct tars_names *names,
                                     const struct tars_object_name *name)
{
    uint64_t hash;
    size_t at;

    memcpy(&hash, name->bytes, sizeof(hash));
    for (at = (size_t)hash & (names->cap - 1); names->slots[at].is_used;
         at = (at + 1) & (names->cap - 1)) {
        if (memcmp(&names->slots[at].name, name, sizeof(*name)) == 0)
            break;
    }
    return &names->slots[at];
}

static tars_status grow(struct tars_names *names)
{
    struct tars_names larger = {.cap = names->cap ? 2 * names->cap : CAP_FIRST,
                                .count = names->count};

    if (larger.cap > TARS_NAMES_MAX)
        return TARS_ETOOBIG;
    larger.slots = calloc(larger.cap, sizeof(*larger.slots));
    if (!larger.slots)
        return TARS_ENOMEM;
    for (size_t i = 0; i < names->cap; i++) {
        if (names->slots[i].is_used)
            *look(&larger, &names->slots[i].name) = names->slots[i];
    }
    free(names->slots);
    *names = larger;
    return TARS_OK;
}

tars_status tars_names_add(struct tars_names *names, const struct tars_object_name *name,
                           struct tars_names_entry **entry, bool *is_new)
{
    tars_status status = 2 * (names->count + 1) > names->cap ? grow(names) : TARS_OK;
    struct tars_names_entry *found;

    if (status != TARS_OK)
        return status;
    found = look(names, name);
    *is_new = !found->is_used;
    if (*is_new) {
        *found = (struct tars_names_entry){.name = *name, .is_used = true};
        names->count++;
    }
    *entry = found;
    return TARS_OK;
}

const struct tars_names_entry *tars_names_find(const struct tars_names *names,
                                               const struct tars_object_name *name)
{
    const struct tars_names_entry *found = names->cap ? look(names, name) : NULL;

    return found && found->is_used ? found : NULL;
}
