/* places - where things are: the data folder, models, and what a running server says of itself.
 *
 *     DATA/server.json   {"pid", "url", "token"} of the server that has the data folder; 0600, so
 *                        that who can read it may do what the folder's owner may
 *
 * Texts are allocated in the arena.
 */
#ifndef TARS_APP_PLACES_H
#define TARS_APP_PLACES_H

#include "app/settings.h"
#include "base/mem/arena.h"
#include "base/status.h"

/* TARS_DATA, or ${XDG_DATA_HOME:-~/.local/share}/tars. EINVAL when neither is known. */
TARS_MUST_USE tars_status tars_places_data(const struct tars_settings *settings,
                                           struct tars_arena *arena, const char **dir,
                                           struct tars_err *err);

/* The folder of the embedding model: EMBED_MODEL itself if it is a folder, else its last part below
 * one of TARS_MODELS, DATA/models, /usr/share/tars/models, ${XDG_CACHE_HOME:-~/.cache}/tars/models.
 * ENOTFOUND with the folders that were tried. */
TARS_MUST_USE tars_status tars_places_model(const struct tars_settings *settings, const char *data,
                                            struct tars_arena *arena, const char **dir,
                                            struct tars_err *err);
/* The same for the reranker's folder, RERANK_MODEL. */
TARS_MUST_USE tars_status tars_places_reranker(const struct tars_settings *settings,
                                               const char *data, struct tars_arena *arena,
                                               const char **dir, struct tars_err *err);

/* path made absolute, links resolved; as given but absolute when it is not there. NULL without
 * memory. */
const char *tars_places_absolute(struct tars_arena *arena, const char *path);

struct tars_server_note {
    const char *url;   /* "http://127.0.0.1:8000" */
    const char *token; /* the owner's */
    int64_t pid;
};
TARS_MUST_USE tars_status tars_note_write(const char *data, const struct tars_server_note *note,
                                          struct tars_err *err);
/* ENOTFOUND when there is none, or its process is gone. */
TARS_MUST_USE tars_status tars_note_read(const char *data, struct tars_arena *arena,
                                         struct tars_server_note *note, struct tars_err *err);
void tars_note_remove(const char *data);

#endif
