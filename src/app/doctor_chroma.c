/* doctor_chroma - what tars doctor says of ChromaDB, where vectors are wanted there: whether it
 * answers, and whose the collection is. */
#include <string.h>

#include "app/chromas.h"
#include "app/doctor_internal.h"
#include "vectors/chroma.h"
#include "vectors/vectors.h"

/* What the collection says of itself. */
static void judge_collection(struct tars_doctor *doctor)
{
    const struct tars_settings *settings = doctor->cli->settings;
    const char *name = tars_settings_text(settings, TARS_SET_CHROMA_COLLECTION_NAME);
    struct tars_vectors *vectors = NULL;
    struct tars_vectors_state state;
    struct tars_err err = {{0}};
    tars_status status = tars_chromas_open_vectors(settings, &vectors, &err);

    if (status == TARS_OK)
        status = vectors->ops->state(vectors, true, &state, &err);
    tars_vectors_close(vectors);
    if (status != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "chroma collection",
                         "name another in CHROMA_COLLECTION_NAME, or see what is said", "%s",
                         err.text);
    } else if (!state.of.store[0]) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "chroma collection",
                         "the next start of a server makes and fills it", "there is no \"%s\" yet",
                         name);
    } else if (state.windows != state.expected) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "chroma collection",
                         "the next start of a server fills it anew",
                         "\"%s\" has %llu vectors, not %llu", name,
                         (unsigned long long)state.windows, (unsigned long long)state.expected);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "chroma collection", NULL,
                         "\"%s\" has %llu vectors of %s", name, (unsigned long long)state.windows,
                         state.of.model_name);
    }
}

void tars_doctor_chroma(struct tars_doctor *doctor)
{
    struct tars_chroma *chroma = NULL;
    struct tars_chroma_info info;
    struct tars_err err = {{0}};
    tars_status status;

    if (strcmp(tars_settings_text(doctor->cli->settings, TARS_SET_VECTOR_BACKEND), "chroma") != 0)
        return;
    status = tars_chromas_open(doctor->cli->settings, &chroma, &err);
    if (status == TARS_OK)
        status = tars_chroma_ping(chroma, &info, &err);
    if (status == TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "chroma", NULL,
                         "%s answers: ChromaDB, API %s (%s)", tars_chroma_url(chroma),
                         tars_chroma_api_text(info.api), info.version);
        judge_collection(doctor);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "chroma",
                         "start it, or mend CHROMA_HOST and CHROMA_AUTH_TOKEN; until then searches "
                         "are by words alone",
                         "%s", err.text);
    }
    tars_chroma_free(chroma);
}
