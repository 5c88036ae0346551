/* chromas - see chromas.h for the contract. */
#include "app/chromas.h"

#include "vectors/chroma.h"
#include "vectors/vectors_chroma.h"

tars_status tars_chromas_open(const struct tars_settings *settings, struct tars_chroma **chroma,
                              struct tars_err *err)
{
    const struct tars_chroma_config config = {
        .url = tars_settings_text(settings, TARS_SET_CHROMA_HOST),
        .token = tars_settings_text(settings, TARS_SET_CHROMA_AUTH_TOKEN),
        .batch_rows = (size_t)tars_settings_int(settings, TARS_SET_CHROMA_MAX_BATCH_SIZE),
    };

    return tars_chroma_new(&config, chroma, err);
}

tars_status tars_chromas_open_vectors(const struct tars_settings *settings,
                                      struct tars_vectors **vectors, struct tars_err *err)
{
    struct tars_vectors_chroma_config config = {
        .collection = tars_settings_text(settings, TARS_SET_CHROMA_COLLECTION_NAME),
        .space = tars_settings_text(settings, TARS_SET_CHROMA_DISTANCE_METRIC),
        .query_ms = tars_settings_int(settings, TARS_SET_VECTOR_TIMEOUT_MS),
    };
    tars_status status = tars_chromas_open(settings, &config.chroma, err);

    return status ? status : tars_vectors_chroma_open(&config, vectors, err);
}
