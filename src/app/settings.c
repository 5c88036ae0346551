/* settings - see settings.h for the contract.
 *
 * Each source writes over what weaker ones said: defaults first, then .env, environment, command
 * line. Within one source a setting's own name beats its aliases, wherever they stand.
 */
#include "app/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem/arena.h"
#include "base/sys/file.h"

#define ARENA_MAX        ((size_t)4 << 20)
#define DOTENV_MAX       ((size_t)1 << 20)
#define SETTING_NAME_MAX 64 /* bytes of a name with its NUL */

enum { NONE = 0, SECRET = 1, UNUSED = 2, RELOAD = 4 };

/* In the order of the columns of settings.def. NOLINTNEXTLINE(clang-analyzer-optin*) */
struct description {
    const char *name;
    enum tars_setting_type type;
    const char *choices; /* joined by commas, or NULL */
    const char *default_text;
    double min, max; /* of INT and REAL */
    int flags;
    const char *help;
};

#define TEXT         TARS_SETTING_TEXT, NULL
#define INT          TARS_SETTING_INT, NULL
#define REAL         TARS_SETTING_REAL, NULL
#define FLAG         TARS_SETTING_FLAG, NULL
#define CHOICE(list) TARS_SETTING_TEXT, list
static const struct description descriptions[TARS_SETTING_COUNT] = {
#define TARS_SETTING(name, type, default_text, min, max, flags, help) \
    {#name, type, default_text, min, max, flags, help},
#include "app/settings.def"
#undef TARS_SETTING
};
#undef TEXT
#undef INT
#undef REAL
#undef FLAG
#undef CHOICE

/* Other spellings that example files of the reference use. */
static const struct alias {
    const char *name;
    enum tars_setting id;
} aliases[] = {
    {"OLLAMA_BASE_URL", TARS_SET_OLLAMA_HOST},
    {"CHROMADB_HOST", TARS_SET_CHROMA_HOST},
    {"REDIS_CACHE_TTL", TARS_SET_REDIS_EMBEDDING_TTL},
    {"REDIS_CACHE_TTL", TARS_SET_REDIS_RERANKER_TTL},
    {"ENVIRONMENT", TARS_SET_FASTAPI_ENV},
    {"API_PORT", TARS_SET_BACKEND_PORT},
    {"EMBEDDING_MODEL", TARS_SET_EMBED_MODEL},
    {"EMBEDDING_DIMENSION", TARS_SET_EMBED_DIMENSION},
    {"SUPPORTED_EXTENSIONS", TARS_SET_ALLOWED_EXTENSIONS},
    {"WATCH_DIRECTORIES", TARS_SET_NAS_MOUNT_POINT},
};

/* Names of the same files that mean nothing here; they are passed over without a word. */
static const char *const ignored[] = {
    "CHROMADB_PORT",
    "API_HOST",
    "OLLAMA_TIMEOUT",
    "NAS_IP",
    "LOCAL_DOMAIN",
    "NAS_DOMAIN",
    "UI_PORT",
    "FASTAPI_RELOAD",
    "CHROMA_PERSIST_DIRECTORY",
    "NAS_PROTOCOL",
    "NAS_SHARE_PATH",
    "NAS_USERNAME",
    "NAS_PASSWORD",
    "INDEXING_BATCH_SIZE",
    "ENABLE_METRICS",
    "METRICS_PORT",
    "METRICS_PATH",
    "HEALTH_CHECK_INTERVAL",
    "READINESS_CHECK_TIMEOUT",
    "DEBUG_MODE",
    "VERBOSE_LOGGING",
    "PROFILE_REQUESTS",
    "TEST_MODE",
    "MOCK_OLLAMA",
    "MOCK_CHROMADB",
    "BACKUP_ENABLED",
    "BACKUP_SCHEDULE",
    "BACKUP_RETENTION_DAYS",
    "BACKUP_DESTINATION",
    "MAX_CONCURRENT_REQUESTS",
    "REQUEST_TIMEOUT_SECONDS",
    "DB_POOL_SIZE",
    "CACHE_TTL_SECONDS",
    "COMPOSE_PROJECT_NAME",
    "DOCKER_BUILDKIT",
};

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct value {
    const char *text;  /* terminated, in the arena or static */
    const char *shown; /* the same, without a password that an address holds */
    int64_t integer;
    double real;
    bool flag;
    bool by_alias; /* set by an alias: the real name of the same source still wins */
    enum tars_setting_origin origin;
};

struct tars_settings {
    struct tars_arena arena;
    struct value values[TARS_SETTING_COUNT];
};

/* A name and its value as a source gave them. */
struct given {
    const char *name; /* terminated */
    const char *text; /* terminated */
    enum tars_setting_origin origin;
};

struct loader {
    struct tars_settings *settings;
    struct tars_buf *warnings; /* or NULL */
    struct tars_err *err;
};

/* ------------------------------------------------------------------- values */

static bool parse_flag(const char *text, bool *value)
{
    static const char *const yes[] = {"true", "1", "yes", "on", "t", "y"};
    static const char *const no[] = {"false", "0", "no", "off", "f", "n"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *value = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool parse_int(const char *text, int64_t *value)
{
    char *end;
    long long parsed;

    errno = 0;
    parsed = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        return false;
    *value = parsed;
    return true;
}

static bool parse_real(const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

/* The choice as the list spells it, copied into the arena; NULL when it is none of them. */
static const char *find_choice(struct tars_arena *arena, const char *choices, const char *text)
{
    size_t len = strlen(text);

    while (*choices) {
        size_t n = strcspn(choices, ",");

        if (n == len && strncasecmp(choices, text, n) == 0)
            return tars_arena_strndup(arena, choices, n);
        choices += n + (choices[n] == ',');
    }
    return NULL;
}

/* The '@' behind a password in what stands behind "://", and in *colon the ':' before it; or NULL.
 */
static const char *find_password(const char *authority, const char **colon)
{
    size_t len = strcspn(authority, "/?#, \t");
    const char *at = memrchr(authority, '@', len);

    *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
    return *colon ? at : NULL;
}

/* "http://user:password@host" as "http://user:********@host"; several may stand in a text. NULL: no
 * memory. */
static const char *mask(struct tars_arena *arena, const char *text)
{
    const char *slashes = strstr(text, "://");
    const char *shown = NULL;
    struct tars_buf out;

    if (!slashes)
        return text;
    tars_buf_init(&out, ARENA_MAX);
    while (slashes) {
        const char *colon = NULL;
        const char *at = find_password(slashes + 3, &colon);

        if (at) {
            tars_buf_append(&out, text, (size_t)(colon - text));
            tars_buf_append_text(&out, ":********");
            text = at;
        }
        slashes = strstr(at ? at : slashes + 3, "://");
    }
    tars_buf_append_text(&out, text);
    if (out.status == TARS_OK)
        shown = tars_arena_strndup(arena, out.ptr ? out.ptr : "", out.len);
    tars_buf_release(&out);
    return shown;
}

static tars_status reject(const struct given *given, const struct description *about,
                          const char *expected, struct tars_err *err)
{
    bool is_secret = (about->flags & SECRET) != 0;

    return tars_fail(TARS_EINVAL, err, "%s is \"%.100s\" (%s): expected %s", given->name,
                     is_secret ? "********" : given->text, tars_setting_origin_text(given->origin),
                     expected);
}

static tars_status parse_number(const struct given *given, const struct description *about,
                                struct value *value, struct tars_err *err)
{
    char expected[96];
    bool is_int = about->type == TARS_SETTING_INT;
    bool good =
        is_int ? parse_int(given->text, &value->integer) : parse_real(given->text, &value->real);

    if (good && is_int)
        value->real = (double)value->integer;
    if (good && value->real >= about->min && value->real <= about->max)
        return TARS_OK;
    (void)snprintf(expected, sizeof(expected), "a %s from %.10g to %.10g",
                   is_int ? "whole number" : "number", about->min, about->max);
    return reject(given, about, expected, err);
}

static tars_status parse_text(struct tars_settings *settings, const struct given *given,
                              const struct description *about, struct value *value,
                              struct tars_err *err)
{
    char expected[128];

    if (!about->choices)
        return TARS_OK;
    value->text = find_choice(&settings->arena, about->choices, given->text);
    if (value->text)
        return TARS_OK;
    (void)snprintf(expected, sizeof(expected), "one of %s", about->choices);
    return reject(given, about, expected, err);
}

/* Check and keep one value. */
static tars_status keep(struct loader *loader, enum tars_setting id, const struct given *given)
{
    const struct description *about = &descriptions[id];
    struct value value = {.origin = given->origin};
    tars_status status = TARS_OK;

    value.text = tars_arena_strdup(&loader->settings->arena, given->text);
    if (!value.text)
        return TARS_ENOMEM;
    if (about->type == TARS_SETTING_TEXT) {
        status = parse_text(loader->settings, given, about, &value, loader->err);
    } else if (about->type != TARS_SETTING_FLAG) {
        status = parse_number(given, about, &value, loader->err);
    } else if (!parse_flag(given->text, &value.flag)) {
        status = reject(given, about, "true or false", loader->err);
    }
    if (status == TARS_OK)
        value.shown = mask(&loader->settings->arena, value.text);
    if (status == TARS_OK && !value.shown)
        status = TARS_ENOMEM;
    if (status == TARS_OK)
        loader->settings->values[id] = value;
    return status;
}

/* -------------------------------------------------------------------- names */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Levenshtein; names are shorter than SETTING_NAME_MAX. */
static size_t distance(const char *a, const char *b)
{
    size_t row[SETTING_NAME_MAX + 1];
    size_t b_len = strlen(b);

    if (strlen(a) >= SETTING_NAME_MAX || b_len >= SETTING_NAME_MAX)
        return SETTING_NAME_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];

            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_len];
}

/* The nearest known name, or NULL when none is within limit. */
static const char *nearest(const char *name, size_t limit)
{
    const char *best = NULL;

    for (size_t i = 0; i < TARS_SETTING_COUNT; i++) {
        size_t d = distance(name, descriptions[i].name);

        if (d <= limit) {
            best = descriptions[i].name;
            limit = d - (d > 0);
        }
    }
    return best;
}

static bool is_ignored(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++) {
        if (strcmp(name, ignored[i]) == 0)
            return true;
    }
    return false;
}

/* The environment holds other programs' names too: there only what looks like ours is told. */
static void warn_unknown(struct loader *loader, const struct given *given)
{
    bool is_ours = given->origin == TARS_ORIGIN_DOTENV;
    const char *near = nearest(given->name, is_ours ? strlen(given->name) / 3 + 1 : 2);

    if (!loader->warnings || is_ignored(given->name) ||
        (!is_ours && (!near || strncmp(given->name, "TARS_", 5) != 0)))
        return;
    tars_buf_appendf(loader->warnings, "%s (%s) is not a setting", given->name,
                     tars_setting_origin_text(given->origin));
    if (near)
        tars_buf_appendf(loader->warnings, "; did you mean %s?", near);
    tars_buf_append_char(loader->warnings, '\n');
}

static tars_status take_alias(struct loader *loader, const struct given *given, bool *known)
{
    tars_status status = TARS_OK;

    *known = false;
    for (size_t i = 0; i < ARRAY_LEN(aliases) && status == TARS_OK; i++) {
        struct value *value = &loader->settings->values[aliases[i].id];

        if (strcmp(given->name, aliases[i].name) != 0)
            continue;
        *known = true;
        if (value->origin == given->origin && !value->by_alias)
            continue;
        status = keep(loader, aliases[i].id, given);
        value->by_alias = true;
    }
    return status;
}

static tars_status take(struct loader *loader, const struct given *given)
{
    tars_status status;
    bool known;

    for (size_t i = 0; i < TARS_SETTING_COUNT; i++) {
        if (strcmp(given->name, descriptions[i].name) == 0)
            return keep(loader, (enum tars_setting)i, given);
    }
    status = take_alias(loader, given, &known);
    if (status == TARS_OK && !known && given->origin == TARS_ORIGIN_COMMAND_LINE) {
        const char *near = nearest(given->name, strlen(given->name) / 3 + 1);

        return tars_fail(TARS_EINVAL, loader->err, "%s is not a setting%s%s%s", given->name,
                         near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    if (status == TARS_OK && !known)
        warn_unknown(loader, given);
    return status;
}

/* ------------------------------------------------------------------ sources */

static tars_status load_defaults(struct loader *loader)
{
    for (size_t i = 0; i < TARS_SETTING_COUNT; i++) {
        struct given given = {descriptions[i].name, descriptions[i].default_text,
                              TARS_ORIGIN_DEFAULT};
        tars_status status = keep(loader, (enum tars_setting)i, &given);

        if (status != TARS_OK)
            return status;
    }
    return TARS_OK;
}

static char *skip_blank(char *p)
{
    return p + strspn(p, " \t\r");
}

static void trim_end(char *text)
{
    size_t len = strlen(text);

    while (len > 0 && strchr(" \t\r", text[len - 1]))
        text[--len] = '\0';
}

/* The value of one .env line, in place: quotes are taken off, a comment behind " #" is cut. */
static char *dotenv_value(char *text)
{
    char *end;

    text = skip_blank(text);
    if (*text == '"' || *text == '\'') {
        end = strchr(text + 1, *text);
        if (end) {
            *end = '\0';
            return text + 1;
        }
    }
    if (*text == '#')
        *text = '\0';
    end = strstr(text, " #");
    if (end)
        *end = '\0';
    trim_end(text);
    return text;
}

static tars_status take_dotenv_line(struct loader *loader, char *line, int number)
{
    struct given given = {.origin = TARS_ORIGIN_DOTENV};
    char *name = skip_blank(line);
    char *equals;

    if (strncmp(name, "export ", 7) == 0)
        name = skip_blank(name + 7);
    if (*name == '\0' || *name == '#')
        return TARS_OK;
    equals = strchr(name, '=');
    if (!equals)
        return tars_fail(TARS_EINVAL, loader->err, ".env line %d: expected NAME=value", number);
    *equals = '\0';
    trim_end(name);
    given.name = name;
    given.text = dotenv_value(equals + 1);
    return take(loader, &given);
}

static tars_status load_dotenv(struct loader *loader, const char *path)
{
    struct tars_buf text;
    tars_status status;
    int number = 1;

    tars_buf_init(&text, DOTENV_MAX);
    status = tars_file_read(path, &text, loader->err);
    if (status == TARS_ENOTFOUND)
        status = TARS_OK;
    for (char *line = text.ptr; status == TARS_OK && line; number++) {
        char *next = strchr(line, '\n');

        if (next)
            *next++ = '\0';
        status = take_dotenv_line(loader, line, number);
        line = next;
    }
    tars_buf_release(&text);
    return status;
}

static tars_status load_environment(struct loader *loader, const char *const *environment)
{
    tars_status status = TARS_OK;

    for (; environment && *environment && status == TARS_OK; environment++) {
        const char *equals = strchr(*environment, '=');
        char name[SETTING_NAME_MAX];
        struct given given = {name, NULL, TARS_ORIGIN_ENVIRONMENT};

        if (!equals || (size_t)(equals - *environment) >= sizeof(name))
            continue;
        (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - *environment), *environment);
        given.text = equals + 1;
        status = take(loader, &given);
    }
    return status;
}

static tars_status load_overrides(struct loader *loader, const struct tars_settings_config *config)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < config->override_count && status == TARS_OK; i++) {
        struct given given = {config->overrides[i].name, config->overrides[i].value,
                              TARS_ORIGIN_COMMAND_LINE};

        status = take(loader, &given);
    }
    return status;
}

tars_status tars_settings_load(const struct tars_settings_config *config,
                               struct tars_settings **settings, struct tars_buf *warnings,
                               struct tars_err *err)
{
    struct tars_settings *made = calloc(1, sizeof(*made));
    struct loader loader = {made, warnings, err};
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the settings");
    tars_arena_init(&made->arena, ARENA_MAX);
    status = load_defaults(&loader);
    if (status == TARS_OK && config->dotenv_path)
        status = load_dotenv(&loader, config->dotenv_path);
    if (status == TARS_OK)
        status = load_environment(&loader, config->environment);
    if (status == TARS_OK)
        status = load_overrides(&loader, config);
    if (status != TARS_OK) {
        tars_settings_free(made);
        return status;
    }
    *settings = made;
    return TARS_OK;
}

void tars_settings_free(struct tars_settings *settings)
{
    if (!settings)
        return;
    tars_arena_release(&settings->arena);
    free(settings);
}

/* ------------------------------------------------------------------ reading */

const char *tars_settings_text(const struct tars_settings *settings, enum tars_setting id)
{
    return settings->values[id].text;
}

int64_t tars_settings_int(const struct tars_settings *settings, enum tars_setting id)
{
    return settings->values[id].integer;
}

double tars_settings_real(const struct tars_settings *settings, enum tars_setting id)
{
    return settings->values[id].real;
}

bool tars_settings_flag(const struct tars_settings *settings, enum tars_setting id)
{
    return settings->values[id].flag;
}

enum tars_setting_origin tars_settings_origin(const struct tars_settings *settings,
                                              enum tars_setting id)
{
    return settings->values[id].origin;
}

const char *tars_setting_origin_text(enum tars_setting_origin origin)
{
    static const char *const texts[] = {"default", ".env", "environment", "command line"};

    return texts[origin];
}

struct tars_setting_info tars_settings_info(const struct tars_settings *settings,
                                            enum tars_setting id)
{
    const struct description *about = &descriptions[id];
    bool is_secret = (about->flags & SECRET) != 0;
    const char *value = settings->values[id].shown;

    return (struct tars_setting_info){
        .name = about->name,
        .help = about->help,
        .type = about->type,
        .is_secret = is_secret,
        .is_unused = (about->flags & UNUSED) != 0,
        .is_reloaded = (about->flags & RELOAD) != 0,
        .value = is_secret && value[0] ? "********" : value,
    };
}

bool tars_settings_same(const struct tars_settings *a, const struct tars_settings *b,
                        enum tars_setting id)
{
    return strcmp(a->values[id].text, b->values[id].text) == 0;
}
