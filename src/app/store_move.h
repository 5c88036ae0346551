/* store_move - tars migrate --from KIND --to KIND: all of the store in the data folder into
 * PostgreSQL, or back. */
#ifndef TARS_APP_STORE_MOVE_H
#define TARS_APP_STORE_MOVE_H

#include "app/command.h"

/* from, to: "sqlite" and "postgres", or the other way round; NULL: not given. Returns an exit
 * status. */
int tars_store_move(struct tars_cli *cli, const char *from, const char *to);

#endif
