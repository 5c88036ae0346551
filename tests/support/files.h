/* files - temporary folders, and where the shared test data lies. */
#ifndef TARS_TESTS_SUPPORT_FILES_H
#define TARS_TESTS_SUPPORT_FILES_H

#include <stdbool.h>
#include <stddef.h>

#define FILES_PATH_MAX 4096

/* A new empty folder; path has room for FILES_PATH_MAX bytes. Fails the test on error. */
void files_make_dir(char *path);
/* Remove it with all that it holds. */
void files_remove_dir(const char *path);
/* Write (bytes, len) to dir/name and put the path into path. */
void files_write(const char *dir, const char *name, const void *bytes, size_t len, char *path);
/* Path of name below TARS_TEST_DATA, the folder of the judged collections. When it is not there,
 * says what is missing and how to point at it, and skips the test. */
void files_data(const char *name, char *path);
/* The folder of the embedding model that the tests use: TARS_TEST_MODEL, or where scripts/deps puts
 * it. False when it is not there; path is set all the same. */
bool files_model(char *path);

#endif
