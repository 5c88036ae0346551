/* powercut_vfs - see powercut_vfs.h. */
#include "support/powercut_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX  8
#define NAME_BYTES 4096
#define SECTOR     512

/* A change of a file that is not synced yet. */
struct change {
    struct change *next;
    int64_t offset; /* of a write */
    int64_t size;   /* bytes of a write; length of a truncation */
    bool truncates;
    unsigned char bytes[];
};

/* A file by name; it outlives its handles. */
struct disk_file {
    char name[NAME_BYTES];
    unsigned char *bytes; /* (size,) what the disk holds */
    int64_t size, cap;
    bool exists; /* on the disk: synced at least once, not deleted */
    struct change *first, *newest;
};

struct handle {
    sqlite3_file base;
    struct disk_file *disk; /* NULL: not watched (shared memory, temporary) */
    sqlite3_file *real;     /* behind this struct */
};

/* The one machine; guarded by lock. */
static struct {
    pthread_mutex_t lock;
    struct disk_file files[FILES_MAX];
    int64_t cut_at, operations;
    uint64_t random;
    bool is_cut, lies;
} machine = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t next_random(void)
{
    machine.random ^= machine.random << 13;
    machine.random ^= machine.random >> 7;
    machine.random ^= machine.random << 17;
    return machine.random;
}

/* --------------------------------------------------------------------- disk */

static void resize(struct disk_file *file, int64_t size)
{
    if (size > file->cap) {
        file->cap = size * 2;
        file->bytes = realloc(file->bytes, (size_t)file->cap);
        if (!file->bytes)
            abort();
    }
    if (size > file->size)
        memset(file->bytes + file->size, 0, (size_t)(size - file->size));
    file->size = size;
}

static void apply(struct disk_file *file, const struct change *change, int64_t bytes)
{
    if (change->truncates) {
        resize(file, change->size);
        return;
    }
    if (change->offset + bytes > file->size)
        resize(file, change->offset + bytes);
    memcpy(file->bytes + change->offset, change->bytes, (size_t)bytes);
}

static void drop_changes(struct disk_file *file)
{
    while (file->first) {
        struct change *next = file->first->next;

        free(file->first);
        file->first = next;
    }
    file->newest = NULL;
}

static void sync_file(struct disk_file *file)
{
    for (struct change *change = file->first; change; change = change->next)
        apply(file, change, change->size);
    file->exists = true;
    drop_changes(file);
}

/* Some of what was under way arrives, in any order of files, a write perhaps only up to a sector.
 */
static void cut(void)
{
    machine.is_cut = true;
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct disk_file *file = &machine.files[i];

        for (struct change *change = file->first; change; change = change->next) {
            uint64_t dice = next_random() % 4;
            int64_t bytes = change->size;

            if (dice < 2 || !file->exists)
                continue;
            if (dice == 2 && !change->truncates)
                bytes = (int64_t)(next_random() % (uint64_t)(bytes / SECTOR + 1)) * SECTOR;
            apply(file, change, bytes);
        }
        drop_changes(file);
    }
}

/* Counts an operation; false when there is no power any more. */
static bool has_power(void)
{
    if (!machine.is_cut && machine.operations++ == machine.cut_at)
        cut();
    return !machine.is_cut;
}

static void note(struct disk_file *file, int64_t offset, int64_t size, const void *bytes)
{
    struct change *change = malloc(sizeof(*change) + (bytes ? (size_t)size : 0));

    if (!change)
        abort();
    *change = (struct change){.offset = offset, .size = size, .truncates = !bytes};
    if (bytes)
        memcpy(change->bytes, bytes, (size_t)size);
    if (file->newest) {
        file->newest->next = change;
    } else {
        file->first = change;
    }
    file->newest = change;
}

static struct disk_file *find(const char *name)
{
    struct disk_file *free_one = NULL;

    for (size_t i = 0; i < FILES_MAX; i++) {
        if (strcmp(machine.files[i].name, name) == 0)
            return &machine.files[i];
        if (!free_one && !machine.files[i].name[0])
            free_one = &machine.files[i];
    }
    if (!free_one)
        abort();
    (void)snprintf(free_one->name, sizeof(free_one->name), "%s", name);
    return free_one;
}

/* ------------------------------------------------------------------ handles */

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct handle *)file)->real;
}

static int do_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int do_read(sqlite3_file *file, void *to, int n, sqlite3_int64 offset)
{
    return real_of(file)->pMethods->xRead(real_of(file), to, n, offset);
}

/* One change: into the list, then into the real file. */
static int change_file(sqlite3_file *file, const void *bytes, int64_t size, int64_t offset)
{
    struct handle *handle = (struct handle *)file;
    bool powered = true;

    if (handle->disk) {
        pthread_mutex_lock(&machine.lock);
        powered = has_power();
        if (powered)
            note(handle->disk, offset, size, bytes);
        pthread_mutex_unlock(&machine.lock);
    }
    if (!powered)
        return SQLITE_IOERR;
    if (!bytes)
        return handle->real->pMethods->xTruncate(handle->real, size);
    return handle->real->pMethods->xWrite(handle->real, bytes, (int)size, offset);
}

static int do_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset)
{
    return change_file(file, bytes, n, offset);
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return change_file(file, NULL, size, 0);
}

static int do_sync(sqlite3_file *file, int flags)
{
    struct handle *handle = (struct handle *)file;
    bool powered = true;

    (void)flags;
    if (handle->disk) {
        pthread_mutex_lock(&machine.lock);
        powered = has_power();
        if (powered && !machine.lies)
            sync_file(handle->disk);
        pthread_mutex_unlock(&machine.lock);
    }
    return powered ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

static int do_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int do_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int do_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int do_check_lock(sqlite3_file *file, int *result)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), result);
}

static int do_control(sqlite3_file *file, int op, void *arg)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int do_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

/* Nothing is promised: no atomic writes, no safe append. */
static int do_traits(sqlite3_file *file)
{
    (void)file;
    return 0;
}

static int do_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ptr)
{
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ptr);
}

static int do_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void do_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int do_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = do_close,
    .xRead = do_read,
    .xWrite = do_write,
    .xTruncate = do_truncate,
    .xSync = do_sync,
    .xFileSize = do_file_size,
    .xLock = do_lock,
    .xUnlock = do_unlock,
    .xCheckReservedLock = do_check_lock,
    .xFileControl = do_control,
    .xSectorSize = do_sector_size,
    .xDeviceCharacteristics = do_traits,
    .xShmMap = do_shm_map,
    .xShmLock = do_shm_lock,
    .xShmBarrier = do_shm_barrier,
    .xShmUnmap = do_shm_unmap,
};

/* ---------------------------------------------------------------------- vfs */

static sqlite3_vfs *real_vfs(const sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct handle *handle = (struct handle *)file;
    int watched = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    int rc;

    handle->real = (sqlite3_file *)(handle + 1);
    handle->disk = NULL;
    rc = real_vfs(vfs)->xOpen(real_vfs(vfs), name, handle->real, flags, out);
    handle->base.pMethods = rc == SQLITE_OK ? &methods : NULL;
    if (rc == SQLITE_OK && name && (flags & watched)) {
        pthread_mutex_lock(&machine.lock);
        handle->disk = find(name);
        pthread_mutex_unlock(&machine.lock);
    }
    return rc;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    bool powered;

    pthread_mutex_lock(&machine.lock);
    powered = has_power();
    if (powered) {
        struct disk_file *file = find(name);

        drop_changes(file);
        file->size = 0;
        file->exists = false;
    }
    pthread_mutex_unlock(&machine.lock);
    return powered ? real_vfs(vfs)->xDelete(real_vfs(vfs), name, sync) : SQLITE_IOERR_DELETE;
}

void powercut_begin(int64_t cut_at, uint64_t seed, bool lies)
{
    static sqlite3_vfs vfs;

    if (!vfs.zName) {
        sqlite3_vfs *real = sqlite3_vfs_find(NULL);

        vfs = *real;
        vfs.zName = POWERCUT_VFS;
        vfs.pAppData = real;
        vfs.szOsFile = (int)sizeof(struct handle) + real->szOsFile;
        vfs.xOpen = vfs_open;
        vfs.xDelete = vfs_delete;
        vfs.pNext = NULL;
        if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
            abort();
    }
    machine.cut_at = cut_at;
    machine.operations = 0;
    machine.random = seed * UINT64_C(2654435769) + 88172645463325252U;
    machine.is_cut = false;
    machine.lies = lies;
}

int64_t powercut_operations(void)
{
    return machine.operations;
}

bool powercut_happened(void)
{
    return machine.is_cut;
}

static void write_out(const struct disk_file *file, const char *dir)
{
    char path[2 * NAME_BYTES];
    const char *slash = strrchr(file->name, '/');
    FILE *out;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, slash ? slash + 1 : file->name);
    out = fopen(path, "wb");
    if (!out || fwrite(file->bytes, 1, (size_t)file->size, out) != (size_t)file->size)
        abort();
    (void)fclose(out);
}

void powercut_end(const char *dir)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct disk_file *file = &machine.files[i];

        if (file->exists)
            write_out(file, dir);
        drop_changes(file);
        free(file->bytes);
        memset(file, 0, sizeof(*file));
    }
}
