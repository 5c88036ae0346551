/* chromas - the client of ChromaDB, and our collection in it, that the settings ask for. */
#ifndef TARS_APP_CHROMAS_H
#define TARS_APP_CHROMAS_H

#include "app/settings.h"
#include "base/status.h"

struct tars_chroma;
struct tars_vectors;

/* CHROMA_HOST, with CHROMA_AUTH_TOKEN; asks nobody yet. */
TARS_MUST_USE tars_status tars_chromas_open(const struct tars_settings *settings,
                                            struct tars_chroma **chroma, struct tars_err *err);
/* Its collection CHROMA_COLLECTION_NAME as a vector back end; asks nobody yet. */
TARS_MUST_USE tars_status tars_chromas_open_vectors(const struct tars_settings *settings,
                                                    struct tars_vectors **vectors,
                                                    struct tars_err *err);

#endif
