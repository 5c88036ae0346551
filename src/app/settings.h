/* settings - every name that an operator can set, with its type, bounds, default and help.
 *
 * The list is settings.def. A value comes from the first of: command line, environment, file .env
 * (of the working folder, or the one named), default. Names are case-sensitive, as in the wire
 * contract (section 6); its aliases are understood.
 *
 * A wrong value is an error whose words are the name, the value and what was expected. A name in
 * .env that is not known but looks like one that is, is a warning with the nearest known name.
 *
 * Threads   Read-only after loading; safe to share then.
 */
#ifndef TARS_APP_SETTINGS_H
#define TARS_APP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/buf.h"
#include "base/status.h"

enum tars_setting {
#define TARS_SETTING(name, type, default_text, min, max, flags, help) TARS_SET_##name,
#include "app/settings.def"
#undef TARS_SETTING
    TARS_SETTING_COUNT
};

enum tars_setting_type {
    TARS_SETTING_TEXT,
    TARS_SETTING_INT,
    TARS_SETTING_REAL,
    TARS_SETTING_FLAG
};

enum tars_setting_origin {
    TARS_ORIGIN_DEFAULT,
    TARS_ORIGIN_DOTENV,
    TARS_ORIGIN_ENVIRONMENT,
    TARS_ORIGIN_COMMAND_LINE
};

/* "NAME=value" given on the command line. */
struct tars_setting_override {
    const char *name;  /* borrowed for the call */
    const char *value; /* borrowed for the call */
};

struct tars_settings_config {
    const struct tars_setting_override *overrides; /* (override_count,), may be NULL */
    size_t override_count;
    const char *const *environment; /* "NAME=value" texts, NULL at the end; NULL: none */
    const char *dotenv_path;        /* NULL: no file; one that does not exist is no error */
};

struct tars_settings;

/* Read all. TARS_EINVAL with words, TARS_ENOMEM. Warnings, a line each, go to warnings if it is not
 * NULL. */
TARS_MUST_USE tars_status tars_settings_load(const struct tars_settings_config *config,
                                             struct tars_settings **settings,
                                             struct tars_buf *warnings, struct tars_err *err);
void tars_settings_free(struct tars_settings *settings);

/* Values; the function must fit the setting's type. Texts are lent for the settings' life. */
const char *tars_settings_text(const struct tars_settings *settings, enum tars_setting id);
int64_t tars_settings_int(const struct tars_settings *settings, enum tars_setting id);
double tars_settings_real(const struct tars_settings *settings, enum tars_setting id);
bool tars_settings_flag(const struct tars_settings *settings, enum tars_setting id);

enum tars_setting_origin tars_settings_origin(const struct tars_settings *settings,
                                              enum tars_setting id);
const char *tars_setting_origin_text(enum tars_setting_origin origin);

/* What an operator sees of a setting. */
struct tars_setting_info {
    const char *name;
    const char *help;
    enum tars_setting_type type;
    bool is_secret;    /* its value is never shown */
    bool is_unused;    /* understood for compatibility; nothing reads it yet */
    bool is_reloaded;  /* a running server takes a new value with SIGHUP */
    const char *value; /* the effective text; "********" for a secret that is set, and in place of a
                          password within an address */
};
struct tars_setting_info tars_settings_info(const struct tars_settings *settings,
                                            enum tars_setting id);

/* True when both have the same text for it. */
bool tars_settings_same(const struct tars_settings *a, const struct tars_settings *b,
                        enum tars_setting id);

#endif
