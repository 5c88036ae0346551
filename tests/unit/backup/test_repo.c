/* repo, pack and keep: backups side by side, what is shared, damaged, interrupted and pruned. */
#include "world.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "support/faults.h"

/* How many files are below the folder's objects; of the first whose bytes hold nothing special, its
 * path. */
static size_t objects(const struct world *world, char *first)
{
    size_t count = 0;

    for (unsigned i = 0; i < 256; i++) {
        char path[FILES_PATH_MAX + 32];
        const struct dirent *entry;
        DIR *folder;

        (void)snprintf(path, sizeof(path), "%s/objects/%02x", world->dest, i);
        folder = opendir(path);
        assert_non_null(folder);
        while ((entry = readdir(folder)) != NULL) {
            if (entry->d_name[0] == '.')
                continue;
            if (first && count == 0) {
                (void)snprintf(first, FILES_PATH_MAX + 128, "%s/objects/%02x/%.64s", world->dest, i,
                               entry->d_name);
            }
            count++;
        }
        (void)closedir(folder);
    }
    return count;
}

static void back_up(struct world *world, const char *tags, int day, char *id)
{
    struct tars_repo *repo = world_open(world, true);
    struct tars_err err = {{0}};

    if (world_back_up(world, repo, tags, day, id, &err) != TARS_OK)
        fail_msg("%s", err.text);
    tars_repo_close(repo);
}

static void expect(struct world *world, const char *id, const char *tags)
{
    struct tars_repo *repo = world_open(world, false);
    struct tars_err err = {{0}};

    if (world_restore(world, repo, id, tags, &err) != TARS_OK)
        fail_msg("%s", err.text);
    tars_repo_close(repo);
}

static void test_only_what_changed_is_new(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *tags;
        size_t objects; /* in the folder, after it */
    } rows[] = {
        {"abcd", 5},       /* four chunks and a list */
        {"abcd", 5},       /* nothing new */
        {"abxd", 7},       /* a chunk and a list */
        {"ab0000000d", 9}, /* zeros once, and a list */
        {"", 9},           /* an empty file */
    };
    char ids[5][TARS_BACKUP_ID_BYTES];

    for (size_t i = 0; i < 5; i++) {
        back_up(world, rows[i].tags, (int)i + 1, ids[i]);
        assert_int_equal(objects(world, NULL), rows[i].objects);
    }
    for (size_t i = 0; i < 5; i++)
        expect(world, ids[i], rows[i].tags);
}

static void test_ids_by_age(void **state)
{
    struct world *world = *state;
    char ids[3][TARS_BACKUP_ID_BYTES];
    const char **found = NULL;
    struct tars_repo *repo;
    size_t count = 0;
    char path[FILES_PATH_MAX];
    char backups[FILES_PATH_MAX + 32];

    back_up(world, "b", 2, ids[1]);
    back_up(world, "a", 1, ids[0]);
    back_up(world, "c", 3, ids[2]);
    (void)snprintf(backups, sizeof(backups), "%s/backups", world->dest);
    files_write(backups, "README.manifest", "x", 1, path);
    repo = world_open(world, false);
    assert_int_equal(tars_repo_ids(repo, &world->arena, &found, &count, NULL), TARS_OK);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(found[i], ids[i]);
    tars_repo_close(repo);
}

struct findings {
    size_t count;
    char last[TARS_ERR_TEXT_MAX];
};

static void note_finding(void *ctx, const char *backup, const char *words)
{
    struct findings *findings = ctx;

    (void)backup;
    findings->count++;
    (void)snprintf(findings->last, sizeof(findings->last), "%s", words);
}

static struct tars_keep_verified verify(struct world *world, struct findings *findings)
{
    const struct tars_pack_watch watch = {.stop = NULL};
    struct tars_keep_verified out = {0};
    struct tars_repo *repo = world_open(world, false);

    *findings = (struct findings){0};
    assert_int_equal(tars_keep_verify(repo, note_finding, findings, &watch, &out, NULL), TARS_OK);
    tars_repo_close(repo);
    return out;
}

static void flip(const char *path, off_t at)
{
    int fd = open(path, O_RDWR);
    char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_damage_is_found(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 128];
    char good[TARS_BACKUP_ID_BYTES];
    char bad[TARS_BACKUP_ID_BYTES];
    struct findings findings;
    struct tars_keep_verified found;
    struct tars_err err = {{0}};
    struct tars_repo *repo;
    const char *name;

    back_up(world, "abc", 1, bad);
    assert_int_equal(objects(world, path), 4);
    name = strrchr(path, '/') + 1;
    found = verify(world, &findings);
    assert_int_equal(found.backups, 1);
    assert_int_equal(found.objects, 4);
    assert_int_equal(found.bad_backups + found.bad_objects + findings.count, 0);

    flip(path, 70);
    back_up(world, "z", 2, good);
    found = verify(world, &findings);
    assert_int_equal(found.bad_backups, 1);
    assert_int_equal(found.bad_objects, 1);
    assert_non_null(strstr(findings.last, name));
    repo = world_open(world, false);
    assert_int_not_equal(world_restore(world, repo, bad, "abc", &err), TARS_OK);
    assert_non_null(strstr(err.text, name));
    assert_int_equal(world_restore(world, repo, good, "z", NULL), TARS_OK);
    tars_repo_close(repo);

    assert_int_equal(unlink(path), 0);
    found = verify(world, &findings);
    assert_int_equal(found.bad_backups, 1);
    assert_non_null(strstr(findings.last, "is not there"));
}

static void test_a_damaged_manifest_is_found(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 128];
    char id[TARS_BACKUP_ID_BYTES];
    struct findings findings;

    back_up(world, "abc", 1, id);
    (void)snprintf(path, sizeof(path), "%s/backups/%s.manifest", world->dest, id);
    flip(path, 100);
    assert_int_equal(verify(world, &findings).bad_backups, 1);
    assert_non_null(strstr(findings.last, id));
}

/* As tars backup --verify does it. */
static struct tars_keep_verified verify_and_set_aside(struct world *world)
{
    const struct tars_repo_config config = {.dir = world->dest, .sets_aside = true};
    const struct tars_pack_watch watch = {.stop = NULL};
    struct tars_keep_verified out = {0};
    struct tars_repo *repo = NULL;
    struct findings findings = {0};

    assert_int_equal(tars_repo_open(&config, &repo, NULL), TARS_OK);
    assert_int_equal(tars_keep_verify(repo, note_finding, &findings, &watch, &out, NULL), TARS_OK);
    tars_repo_close(repo);
    return out;
}

static tars_status prune(struct world *world, size_t keep, struct tars_keep_pruned *out)
{
    const struct tars_pack_watch watch = {.stop = NULL};
    struct tars_repo *repo = world_open(world, true);
    tars_status status = tars_keep_prune(repo, keep, &watch, out, NULL);

    tars_repo_close(repo);
    return status;
}

static void test_prune(void **state)
{
    struct world *world = *state;
    char ids[3][TARS_BACKUP_ID_BYTES];
    char path[FILES_PATH_MAX + 128];
    struct tars_keep_pruned out = {0};
    struct findings findings;

    back_up(world, "abc", 1, ids[0]);
    back_up(world, "abx", 2, ids[1]);
    back_up(world, "axy", 3, ids[2]);
    assert_int_equal(prune(world, 0, &out), TARS_EINVAL);
    assert_int_equal(prune(world, 3, &out), TARS_OK);
    assert_int_equal(out.removed + out.removed_objects, 0);
    assert_int_equal(prune(world, 1, &out), TARS_OK);
    assert_int_equal(out.removed, 2);
    assert_int_equal(out.kept, 1);
    assert_true(out.freed_bytes > 0);
    /* a, x, y (1,000 bytes) and their list; the rest is gone */
    assert_int_equal(objects(world, NULL), 4);
    assert_int_equal(verify(world, &findings).bad_backups, 0);
    expect(world, ids[2], "axy");

    /* While it is unknown what a backup needs, nothing is removed. */
    back_up(world, "q", 4, ids[0]);
    (void)snprintf(path, sizeof(path), "%s/backups/%s.manifest", world->dest, ids[0]);
    flip(path, 100);
    assert_int_not_equal(prune(world, 1, &out), TARS_OK);
    expect(world, ids[2], "axy");
}

/* Found damaged, it is written anew by the next backup that has it, and every backup is whole. */
static void test_damage_is_mended(void **state)
{
    static const struct {
        const char *name;
        off_t at;
    } rows[] = {{"its bytes", 70}, {"its header", 8}, {"its name", 40}};
    struct world *world = *state;
    char path[FILES_PATH_MAX + 128];
    char bad[FILES_PATH_MAX + 160];
    char first[TARS_BACKUP_ID_BYTES];
    char id[TARS_BACKUP_ID_BYTES];
    struct tars_keep_pruned out = {0};
    struct findings findings;

    back_up(world, "abc", 1, first);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(objects(world, path), 4);
        flip(path, rows[i].at);
        (void)snprintf(bad, sizeof(bad), "%s.bad", path);
        assert_int_equal(verify(world, &findings).bad_backups, i + 1);
        assert_int_not_equal(access(bad, F_OK), 0); /* one that only looks changes nothing */
        assert_int_equal(verify_and_set_aside(world).bad_objects, 1);
        assert_int_equal(access(bad, F_OK), 0);
        assert_int_not_equal(access(path, F_OK), 0);
        if (prune(world, 9, &out) == TARS_OK) /* not where it was a list */
            assert_int_equal(access(bad, F_OK), 0);
        back_up(world, "abc", i + 2, id);
        if (verify(world, &findings).bad_backups != 0)
            fail_msg("%s: %s", rows[i].name, findings.last);
        expect(world, first, "abc");
        expect(world, id, "abc");
        assert_int_equal(prune(world, 9, &out), TARS_OK);
        assert_int_equal(out.removed_objects, 1);
        assert_int_not_equal(access(bad, F_OK), 0);
    }
}

/* One that is cut short within its header is none. */
static void test_cut_short_is_mended(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 128];
    char id[TARS_BACKUP_ID_BYTES];
    struct findings findings;

    back_up(world, "abc", 1, id);
    assert_int_equal(objects(world, path), 4);
    assert_int_equal(truncate(path, TARS_OBJECT_HEADER_BYTES - 1), 0);
    back_up(world, "abc", 2, id);
    assert_int_equal(verify(world, &findings).bad_backups, 0);
}

/* It may be whole. */
static void test_what_cannot_be_read_stays(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 128];
    char kept[FILES_PATH_MAX + 160];
    char id[TARS_BACKUP_ID_BYTES];

    back_up(world, "abc", 1, id);
    assert_int_equal(objects(world, path), 4);
    (void)snprintf(kept, sizeof(kept), "%s/kept", world->dir);
    assert_int_equal(rename(path, kept), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* reading a folder fails as a bad disk does */
    assert_int_equal(verify_and_set_aside(world).bad_objects, 1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rename(kept, path), 0);
    expect(world, id, "abc");
}

/* More than are looked at: nothing is pruned by half a list. */
static void test_too_many_backups(void **state)
{
    struct world *world = *state;
    struct tars_keep_pruned out = {0};
    const char **ids = NULL;
    struct tars_repo *repo;
    struct tars_err err = {{0}};
    char path[FILES_PATH_MAX + 96];
    char id[TARS_BACKUP_ID_BYTES];
    size_t count = 0;

    back_up(world, "abc", 1, id);
    for (unsigned i = 0; i < 65536; i++) {
        int fd;

        (void)snprintf(path, sizeof(path), "%s/backups/20990101T000000.000000Z-%08x.manifest",
                       world->dest, i);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    repo = world_open(world, false);
    assert_int_equal(tars_repo_ids(repo, &world->arena, &ids, &count, &err), TARS_ETOOBIG);
    assert_non_null(strstr(err.text, "more than 65536"));
    tars_repo_close(repo);
    assert_int_equal(prune(world, 1, &out), TARS_ETOOBIG);
    assert_int_equal(objects(world, NULL), 4);
}

/* A restore would not understand it. */
static void test_no_bad_manifest(void **state)
{
    struct world *world = *state;
    const struct tars_manifest_file file = {.name = "../up", .mode = 0600};
    struct tars_manifest manifest = {.program = "1",
                                     .data = "/d",
                                     .id = "20261126T153024.123456Z-1a2b3c4d",
                                     .files = &file,
                                     .file_count = 1};
    struct tars_repo *repo = world_open(world, true);
    const char **ids = NULL;
    size_t count = 1;
    struct tars_err err = {{0}};

    assert_int_equal(tars_repo_add(repo, &manifest, &err), TARS_EFORMAT);
    assert_non_null(strstr(err.text, "no good backup"));
    assert_int_equal(tars_repo_ids(repo, &world->arena, &ids, &count, NULL), TARS_OK);
    assert_int_equal(count, 0);
    tars_repo_close(repo);
}

/* What lies in tmp under the name of what is put is none of ours. */
static void test_leftovers_are_not_taken(void **state)
{
    struct world *world = *state;
    char tmp[FILES_PATH_MAX + 16];
    char path[FILES_PATH_MAX];
    char hex[TARS_OBJECT_HEX_BYTES];
    struct tars_object_name name;
    struct tars_buf out;
    struct tars_repo *repo = world_open(world, true);

    assert_int_equal(tars_repo_put(repo, tars_span_of("text"), &name, NULL), TARS_OK);
    tars_repo_close(repo);
    repo = world_open(world, true);
    (void)snprintf(tmp, sizeof(tmp), "%s/tmp", world->dest);
    tars_object_hex(&name, hex);
    files_write(tmp, hex, "half", 4, path);
    for (int i = 0; i < 2; i++) /* the second waits in the batch */
        assert_int_equal(tars_repo_put(repo, tars_span_of("text"), &name, NULL), TARS_OK);
    assert_int_equal(tars_repo_counts(repo).new_objects, 1);
    assert_int_equal(tars_repo_flush(repo, NULL), TARS_OK);
    tars_buf_init(&out, 100);
    assert_int_equal(tars_repo_get(repo, &name, &out, NULL), TARS_OK);
    assert_true(tars_span_equal(tars_buf_span(&out), tars_span_of("text")));
    tars_buf_release(&out);
    tars_repo_close(repo);
}

/* What a writer that was killed left. */
static void test_leftovers_go(void **state)
{
    struct world *world = *state;
    struct tars_keep_pruned out = {0};
    char id[TARS_BACKUP_ID_BYTES];
    char tmp[FILES_PATH_MAX + 16];
    char path[FILES_PATH_MAX];

    back_up(world, "abc", 1, id);
    (void)snprintf(tmp, sizeof(tmp), "%s/tmp", world->dest);
    files_write(tmp, "0123", "half", 4, path);
    tars_repo_close(world_open(world, false));
    assert_int_equal(access(path, F_OK), 0);
    tars_repo_close(world_open(world, true));
    assert_int_not_equal(access(path, F_OK), 0);
    expect(world, id, "abc");
    (void)snprintf(tmp, sizeof(tmp), "%s/backups", world->dest);
    files_write(tmp, "20261126T153024.123456Z-1a2b3c4d.manifest.tmp.77", "half", 4, path);
    assert_int_equal(prune(world, 1, &out), TARS_OK);
    assert_int_not_equal(access(path, F_OK), 0);
}

/* What the folder says of itself and of its key is there twice. */
static void test_what_it_says_of_itself_is_lost(void **state)
{
    static const char *const names[] = {"tars-backup.json", "backups/tars-backup.json"};
    static const char unsealed[] = "{\"format\":\"tars-backup-folder\",\"version\":1,\"key\":null}";
    struct world *world = *state;
    struct tars_repo_config config = {.dir = world->dest, .makes = true, .writes = true};
    struct tars_repo *repo = NULL;
    char paths[2][FILES_PATH_MAX + 32];
    char path[FILES_PATH_MAX];
    char id[TARS_BACKUP_ID_BYTES];
    struct tars_err err = {{0}};

    assert_int_equal(mkdir(world->dest, 0700), 0);
    files_write(world->dest, "tars-backup.json.tmp.12", "{", 1,
                path); /* a kill while it was made */
    back_up(world, "abc", 1, id);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", world->dest, names[i]);
        assert_int_equal(unlink(paths[i]), 0);
        expect(world, id, "abc");
        tars_repo_close(world_open(world, true));
        assert_int_equal(access(paths[i], F_OK), 0);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(unlink(paths[i]), 0);
    for (int i = 0; i < 2; i++) {
        config.makes = i == 0;
        assert_int_equal(tars_repo_open(&config, &repo, &err), TARS_EFORMAT);
        assert_non_null(strstr(err.text, "are lost"));
        assert_int_not_equal(access(paths[i], F_OK), 0);
    }
    files_write(world->dest, "tars-backup.json", unsealed, sizeof(unsealed) - 1, path);
    expect(world, id, "abc");
}

/* One that is closed without a manifest leaves nothing under a name. */
static void test_given_up(void **state)
{
    struct world *world = *state;
    struct tars_repo *repo = world_open(world, true);
    struct tars_object_name name;

    assert_int_equal(tars_repo_put(repo, tars_span_of("text"), &name, NULL), TARS_OK);
    tars_repo_close(repo);
    assert_int_equal(objects(world, NULL), 0);
}

static void test_stopped(void **state)
{
    struct world *world = *state;
    const atomic_bool stop = true;
    const struct tars_pack_watch watch = {.stop = &stop};
    struct tars_manifest_file file = {.name = "a", .mode = 0600};
    struct tars_repo *repo = world_open(world, true);
    int fd = world_file(world, "abc", 10);

    assert_int_equal(tars_pack_put(repo, fd, &watch, &world->arena, &file, NULL), TARS_ECANCELED);
    close(fd);
    tars_repo_close(repo);
    assert_int_equal(objects(world, NULL), 0);
}

static void test_one_writer(void **state)
{
    struct world *world = *state;
    struct tars_repo_config config = {.dir = world->dest, .writes = true};
    struct tars_repo *writer = world_open(world, true);
    struct tars_repo *other = NULL;
    struct tars_err err = {{0}};

    assert_int_equal(tars_repo_open(&config, &other, &err), TARS_EBUSY);
    config.writes = false;
    assert_int_equal(tars_repo_open(&config, &other, NULL), TARS_EBUSY);
    tars_repo_close(writer);
    assert_int_equal(tars_repo_open(&config, &other, NULL), TARS_OK);
    writer = world_open(world, false); /* two readers */
    tars_repo_close(other);
    tars_repo_close(writer);
}

static void test_folders_refused(void **state)
{
    struct world *world = *state;
    static const char newer[] = "{\"format\":\"tars-backup-folder\",\"version\":9}";
    struct tars_repo_config config = {.dir = world->dir, .makes = true, .writes = true};
    struct tars_repo *repo = NULL;
    char path[FILES_PATH_MAX];
    struct tars_err err = {{0}};

    files_write(world->dir, "letter.txt", "x", 1, path);
    assert_int_equal(tars_repo_open(&config, &repo, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "other things"));
    config = (struct tars_repo_config){.dir = world->dest};
    assert_int_equal(tars_repo_open(&config, &repo, &err), TARS_ENOTFOUND);
    tars_repo_close(world_open(world, true));
    files_write(world->dest, "tars-backup.json", "{}", 2, path);
    assert_int_equal(tars_repo_open(&config, &repo, &err), TARS_EFORMAT);
    files_write(world->dest, "tars-backup.json", newer, sizeof(newer) - 1, path);
    assert_int_equal(tars_repo_open(&config, &repo, &err), TARS_EUNSUPPORTED);
}

/* In a process of its own, which may write files of a few bytes only: as when the disk is full. */
static void test_full_disk(void **state)
{
    struct world *world = *state;
    char id[TARS_BACKUP_ID_BYTES];
    struct findings findings;
    int code = 0;
    pid_t child;

    back_up(world, "abc", 1, id);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {.rlim_cur = 50, .rlim_max = 50};
        struct tars_repo *repo = world_open(world, true);
        struct tars_object_name name;
        struct tars_err err = {{0}};
        tars_status status;

        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
        status = tars_repo_put(repo, tars_span_of("new bytes"), &name, &err);
        tars_repo_close(repo);
        _exit(status == TARS_EIO && strstr(err.text, "earlier backups are untouched") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    assert_int_equal(objects(world, NULL), 4);
    assert_int_equal(verify(world, &findings).bad_backups, 0);
    expect(world, id, "abc");
}

static void back_up_and_verify(void *ctx)
{
    static struct world world;
    const struct tars_repo_config config = {.dir = world.dest, .makes = true, .writes = true};
    const struct tars_pack_watch watch = {.stop = NULL};
    struct tars_keep_verified verified;
    struct tars_keep_pruned pruned;
    struct findings findings;
    char id[TARS_BACKUP_ID_BYTES];
    struct tars_repo *repo = NULL;
    tars_status status;

    (void)ctx;
    world_init(&world);
    status = tars_repo_open(&config, &repo, NULL);
    if (status == TARS_OK)
        status = world_back_up(&world, repo, "ab", 1, id, NULL);
    if (status == TARS_OK)
        status = world_restore(&world, repo, id, "ab", NULL);
    if (status == TARS_OK)
        status = tars_keep_verify(repo, note_finding, &findings, &watch, &verified, NULL);
    if (status == TARS_OK)
        status = tars_keep_prune(repo, 1, &watch, &pruned, NULL);
    if (status != TARS_OK)
        assert_true(faults_happened());
    tars_repo_close(repo);
    tars_arena_release(&world.arena);
    files_remove_dir(world.dir);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(faults_each(back_up_and_verify, NULL) > 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_only_what_changed_is_new),
        TEST(test_ids_by_age),
        TEST(test_damage_is_found),
        TEST(test_a_damaged_manifest_is_found),
        TEST(test_prune),
        TEST(test_damage_is_mended),
        TEST(test_cut_short_is_mended),
        TEST(test_what_cannot_be_read_stays),
        TEST(test_too_many_backups),
        TEST(test_no_bad_manifest),
        TEST(test_leftovers_are_not_taken),
        TEST(test_leftovers_go),
        TEST(test_what_it_says_of_itself_is_lost),
        TEST(test_given_up),
        TEST(test_stopped),
        TEST(test_one_writer),
        TEST(test_folders_refused),
        TEST(test_full_disk),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
