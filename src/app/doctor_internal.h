/* doctor_internal - what the files of tars doctor share. */
#ifndef TARS_APP_DOCTOR_INTERNAL_H
#define TARS_APP_DOCTOR_INTERNAL_H

#include "app/command.h"
#include "base/codec/json_write.h"
#include "base/mem/buf.h"

enum tars_verdict { TARS_DOCTOR_WELL, TARS_DOCTOR_POOR, TARS_DOCTOR_BAD };

struct tars_doctor {
    struct tars_cli *cli;
    const char *data;
    bool server_runs;
    struct tars_buf text; /* of the JSON */
    struct tars_json json;
    int counts[TARS_DOCTOR_BAD + 1];
};

/* Tell a finding; remedy is told with one that is not well. */
__attribute__((format(printf, 5, 6))) void tars_doctor_find(struct tars_doctor *doctor,
                                                            enum tars_verdict verdict,
                                                            const char *what, const char *remedy,
                                                            const char *format, ...);

/* doctor_servers.c: those that are wanted; nothing is told of the others. */
void tars_doctor_redis(struct tars_doctor *doctor);
void tars_doctor_postgres(struct tars_doctor *doctor);
void tars_doctor_vectors(struct tars_doctor *doctor); /* in PostgreSQL */
/* doctor_chroma.c, likewise. */
void tars_doctor_chroma(struct tars_doctor *doctor);

#endif
