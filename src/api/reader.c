/* reader - see reader.h for the contract.
 *
 * Types, texts and the order of entries are those of the reference's validator (Pydantic 2.5),
 * without the links to its manual.
 */
#include "api/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec/url.h"

#define DETAIL_MAX ((size_t)256 << 10)
#define BLANKS     " \t\r\n\v\f"

struct problem {
    const char *type;
    const char *field; /* NULL: the body as a whole */
    int64_t position;  /* in loc, behind field; negative: none */
    const char *msg;
    const json_t *input; /* NULL: null */
    const char *ctx;     /* JSON object, or NULL */
};

/* ------------------------------------------------------------------------------------- problems */

static void write_input(struct tars_reader *reader, const json_t *input)
{
    char *text = input ? json_dumps(input, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    size_t len = text ? strlen(text) : 0;

    if (text && len <= TARS_READER_ECHO_MAX) {
        tars_json_raw(&reader->writer, "input", text, len);
    } else {
        tars_json_null(&reader->writer, "input");
    }
    free(text);
}

static void add_problem(struct tars_reader *reader, const struct problem *problem)
{
    struct tars_json *w = &reader->writer;

    if (reader->problems++ == 0) {
        reader->words = tars_arena_printf(
            reader->arena, "%s%s%s%s%s", reader->scope ? reader->scope : "",
            reader->scope && problem->field ? "." : "", problem->field ? problem->field : "",
            reader->scope || problem->field ? ": " : "", problem->msg);
    }
    tars_json_object(w, NULL);
    tars_json_text(w, "type", problem->type);
    tars_json_array(w, "loc");
    tars_json_text(w, NULL, reader->place);
    if (reader->scope)
        tars_json_text(w, NULL, reader->scope);
    if (problem->field)
        tars_json_text(w, NULL, problem->field);
    if (problem->position >= 0)
        tars_json_int(w, NULL, problem->position);
    tars_json_end(w);
    tars_json_text(w, "msg", problem->msg);
    write_input(reader, problem->input);
    if (problem->ctx)
        tars_json_raw(w, "ctx", problem->ctx, strlen(problem->ctx));
    tars_json_end(w);
}

static void complain(struct tars_reader *reader, const char *type, const char *field,
                     const json_t *input, const char *msg)
{
    const struct problem problem = {type, field, -1, msg, input, NULL};

    add_problem(reader, &problem);
}

/* The object whose fields are read; NULL when it is none. */
static json_t *fields(const struct tars_reader *reader)
{
    json_t *inner;

    if (!reader->scope)
        return reader->root;
    inner = json_object_get(reader->root, reader->scope);
    return json_is_object(inner) ? inner : NULL;
}

void tars_reader_refuse(struct tars_reader *reader, const char *name, const char *text)
{
    const char *msg = tars_arena_printf(reader->arena, "Value error, %s", text);
    const struct problem problem = {
        "value_error",   name, -1, msg ? msg : "Value error", json_object_get(fields(reader), name),
        "{\"error\":{}}"};

    add_problem(reader, &problem);
}

bool tars_reader_is_bad(const struct tars_reader *reader)
{
    return reader->problems > 0;
}

struct tars_span tars_reader_detail(struct tars_reader *reader)
{
    tars_json_end(&reader->writer);
    return reader->detail.status == TARS_OK ? tars_buf_span(&reader->detail) : tars_span("[]", 2);
}

/* --------------------------------------------------------------------- body */

/* The parser recurses once a level: count brackets outside strings first. */
static bool is_too_deep(struct tars_span body)
{
    size_t depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];

        if (in_string && c == '\\') {
            i++;
        } else if (c == '"') {
            in_string = !in_string;
        } else if (!in_string && (c == '{' || c == '[') && ++depth > TARS_READER_DEPTH_MAX) {
            return true;
        } else if (!in_string && (c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
}

static bool is_json_type(struct tars_span type)
{
    static const char json[] = "application/json";
    size_t end = 0;

    while (end < type.len && type.ptr[end] != ';' && type.ptr[end] != ' ')
        end++;
    if (end == 0)
        return true;
    return (end == sizeof(json) - 1 && strncasecmp(type.ptr, json, end) == 0) ||
           (end > 5 && strncasecmp(type.ptr, "application/", 12) == 0 &&
            strncasecmp(type.ptr + end - 5, "+json", 5) == 0);
}

static bool is_blank(struct tars_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr(" \t\r\n", text.ptr[i]))
            return false;
    }
    return true;
}

static void complain_no_object(struct tars_reader *reader, const json_t *input)
{
    complain(reader, "model_attributes_type", NULL, input,
             "Input should be a valid dictionary or object to extract fields from");
}

static void complain_not_json(struct tars_reader *reader, int position, const char *why)
{
    json_t *input = json_object();
    json_t *about = json_pack("{s:s}", "error", why);
    char *ctx = about ? json_dumps(about, JSON_COMPACT) : NULL;
    const struct problem problem = {"json_invalid", NULL,
                                    position,       "JSON decode error",
                                    input,          ctx ? ctx : "{\"error\":\"Expecting value\"}"};

    add_problem(reader, &problem);
    free(ctx);
    json_decref(about);
    json_decref(input);
}

static void parse(struct tars_reader *reader, struct tars_span body)
{
    json_error_t error;
    json_t *root;

    if (body.len > TARS_READER_BODY_MAX) {
        complain_not_json(reader, 0, "larger than 4 MiB");
        return;
    }
    if (is_too_deep(body)) {
        complain_not_json(reader, 0, "nested too deeply");
        return;
    }
    root = json_loadb(body.ptr, body.len, JSON_DECODE_ANY, &error);
    /* Integers over 64 bits are JSON too: then all numbers of this body are read as reals. */
    if (!root && json_error_code(&error) == json_error_numeric_overflow)
        root = json_loadb(body.ptr, body.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    if (!root) {
        complain_not_json(reader, error.position, error.text);
        return;
    }
    reader->is_json = true;
    if (!json_is_object(root)) {
        complain_no_object(reader, root);
        json_decref(root);
        return;
    }
    reader->root = root;
}

static void begin(struct tars_reader *reader, struct tars_arena *arena, const char *place)
{
    *reader = (struct tars_reader){.arena = arena, .place = place};
    tars_buf_init(&reader->detail, DETAIL_MAX);
    tars_json_init(&reader->writer, &reader->detail);
    tars_json_array(&reader->writer, NULL);
}

void tars_reader_init(struct tars_reader *reader, struct tars_arena *arena, struct tars_span body,
                      struct tars_span content_type)
{
    begin(reader, arena, "body");
    if (is_blank(body)) {
        complain(reader, "missing", NULL, NULL, "Field required");
    } else if (!is_json_type(content_type)) {
        json_t *text = json_stringn(body.ptr, body.len < 256 ? body.len : 256);

        complain_no_object(reader, text);
        json_decref(text);
    } else {
        parse(reader, body);
    }
}

static void keep_pair(struct tars_reader *reader, struct tars_span raw_name,
                      struct tars_span raw_value)
{
    struct tars_span name = {NULL, 0};
    struct tars_span value = {NULL, 0};
    json_t *text = NULL;

    if (tars_url_decode(reader->arena, raw_name, true, &name) == TARS_OK &&
        tars_url_decode(reader->arena, raw_value, true, &value) == TARS_OK) {
        text = json_stringn(value.ptr, value.len);
    }
    if (!text || json_object_setn_new(reader->root, name.ptr, name.len, text) != 0) {
        complain(reader, "string_type", NULL, NULL,
                 "Input should be UTF-8 text in percent-encoding");
    }
}

void tars_reader_init_query(struct tars_reader *reader, struct tars_arena *arena,
                            struct tars_span query)
{
    struct tars_span name;
    struct tars_span value;

    begin(reader, arena, "query");
    reader->root = json_object();
    if (!reader->root)
        complain(reader, "string_type", NULL, NULL, "too large");
    while (reader->root && tars_url_query_next(&query, &name, &value))
        keep_pair(reader, name, value);
}

void tars_reader_release(struct tars_reader *reader)
{
    json_decref(reader->root);
    reader->root = NULL;
    tars_buf_release(&reader->detail);
}

/* ------------------------------------------------------------------- fields */

/* The field's value; NULL when the default is to be taken, with a problem if it is required. */
static json_t *find(struct tars_reader *reader, const char *name, enum tars_reader_need need)
{
    json_t *from = fields(reader);
    json_t *value;

    if (!from)
        return NULL; /* told already */
    value = json_object_get(from, name);
    if (!value && need == TARS_READER_REQUIRED) {
        complain(reader, "missing", name, reader->place[0] == 'q' ? NULL : from, "Field required");
    }
    return value;
}

const char *tars_reader_text(struct tars_reader *reader, const char *name,
                             enum tars_reader_need need)
{
    json_t *value = find(reader, name, need);
    const char *text;

    if (!value || (json_is_null(value) && need == TARS_READER_OPTIONAL))
        return NULL;
    if (!json_is_string(value)) {
        complain(reader, "string_type", name, value, "Input should be a valid string");
        return NULL;
    }
    text = tars_arena_strndup(reader->arena, json_string_value(value), json_string_length(value));
    if (!text)
        tars_reader_refuse(reader, name, "too large");
    return text;
}

static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* A whole text as a number: decimal digits with a sign, a point and white space around it, as
 * clients write them; no exponents, no names. openapi.json says the same in patterns. */
static bool text_number(const char *text, double *number)
{
    const char *at = text + strspn(text, BLANKS);
    size_t digits;

    *number = strtod(at, NULL);
    at += *at == '+' || *at == '-';
    digits = count_digits(at);
    at += digits;
    if (*at == '.') {
        size_t fraction = count_digits(++at);

        digits += fraction;
        at += fraction;
    }
    at += strspn(at, BLANKS);
    return digits > 0 && *at == '\0' && isfinite(*number);
}

struct number_words {
    const char *type, *type_msg;       /* not a number at all */
    const char *parsing, *parsing_msg; /* a text that is none */
};

static const struct number_words int_words = {
    "int_type", "Input should be a valid integer", "int_parsing",
    "Input should be a valid integer, unable to parse string as an integer"};
static const struct number_words real_words = {
    "float_type", "Input should be a valid number", "float_parsing",
    "Input should be a valid number, unable to parse string as a number"};

/* Take a JSON value as a number, as the reference does; a problem and false if it is none. */
static bool as_number(struct tars_reader *reader, const char *name, const json_t *value,
                      const struct number_words *words, double *number)
{
    bool is_text = json_is_string(value);

    if (json_is_boolean(value)) {
        *number = json_is_true(value);
    } else if (json_is_number(value)) {
        *number = json_number_value(value);
    } else if (!is_text) {
        complain(reader, words->type, name, value, words->type_msg);
        return false;
    } else if (!text_number(json_string_value(value), number)) {
        complain(reader, words->parsing, name, value, words->parsing_msg);
        return false;
    }
    return true;
}

static bool as_int(struct tars_reader *reader, const char *name, const json_t *value,
                   double *number)
{
    if (!as_number(reader, name, value, &int_words, number))
        return false;
    if (*number == floor(*number))
        return true;
    if (json_is_string(value)) {
        complain(reader, int_words.parsing, name, value, int_words.parsing_msg);
    } else {
        complain(reader, "int_from_float", name, value,
                 "Input should be a valid integer, got a number with a fractional part");
    }
    return false;
}

/* Bounds print as whole numbers for integers and as floats otherwise: 1 and 1.0. */
static const char *bound_text(struct tars_arena *arena, double bound, bool is_int)
{
    const char *text = is_int || bound != floor(bound) ? tars_arena_printf(arena, "%.15g", bound)
                                                       : tars_arena_printf(arena, "%.1f", bound);

    return text ? text : "0";
}

static bool within(struct tars_reader *reader, const char *name, const json_t *value, double number,
                   const double bounds[2], bool is_int)
{
    bool is_low = number < bounds[0];
    const char *bound = bound_text(reader->arena, bounds[is_low ? 0 : 1], is_int);
    struct problem problem = {.field = name, .position = -1, .input = value};

    if (!is_low && number <= bounds[1])
        return true;
    problem.type = is_low ? "greater_than_equal" : "less_than_equal";
    /* The words leave out a fraction of zero, the context keeps it. */
    problem.msg = tars_arena_printf(reader->arena, "Input should be %s than or equal to %.15g",
                                    is_low ? "greater" : "less", bounds[is_low ? 0 : 1]);
    problem.ctx = tars_arena_printf(reader->arena, "{\"%s\":%s}", is_low ? "ge" : "le", bound);
    if (!problem.msg)
        problem.msg = "Input is out of range";
    add_problem(reader, &problem);
    return false;
}

/* Bounds are compared as doubles, which hold no more of an integer than this. */
static double exact(int64_t bound)
{
    int64_t most = bound < TARS_READER_INT_MAX ? bound : TARS_READER_INT_MAX;

    return (double)(most > -TARS_READER_INT_MAX ? most : -TARS_READER_INT_MAX);
}

int64_t tars_reader_int(struct tars_reader *reader, const char *name, int64_t absent, int64_t min,
                        int64_t max)
{
    const json_t *value = find(reader, name, TARS_READER_OPTIONAL);
    const double bounds[2] = {exact(min), exact(max)};
    double number;

    if (!value || !as_int(reader, name, value, &number) ||
        !within(reader, name, value, number, bounds, true))
        return absent;
    return (int64_t)number;
}

double tars_reader_real(struct tars_reader *reader, const char *name, double absent, double min,
                        double max)
{
    const json_t *value = find(reader, name, TARS_READER_OPTIONAL);
    const double bounds[2] = {min, max};
    double number;

    if (!value || !as_number(reader, name, value, &real_words, &number) ||
        !within(reader, name, value, number, bounds, false))
        return absent;
    return number;
}

/* 1, 0 or -1: neither. */
static int text_flag(const char *text)
{
    static const char *const words[2][6] = {{"false", "0", "no", "off", "f", "n"},
                                            {"true", "1", "yes", "on", "t", "y"}};

    for (int flag = 0; flag < 2; flag++) {
        for (size_t i = 0; i < 6; i++) {
            if (strcasecmp(text, words[flag][i]) == 0)
                return flag;
        }
    }
    return -1;
}

/* 1, 0 or -1: a number or text that is no flag. */
static int flag_of(const json_t *value)
{
    double number;

    if (json_is_boolean(value))
        return json_is_true(value);
    if (json_is_string(value))
        return text_flag(json_string_value(value));
    number = json_number_value(value);
    return number == 0 || number == 1 ? number == 1 : -1;
}

bool tars_reader_flag(struct tars_reader *reader, const char *name, bool absent)
{
    const json_t *value = find(reader, name, TARS_READER_OPTIONAL);
    int flag;

    if (!value)
        return absent;
    if (!json_is_boolean(value) && !json_is_string(value) && !json_is_number(value)) {
        complain(reader, "bool_type", name, value, "Input should be a valid boolean");
        return absent;
    }
    flag = flag_of(value);
    if (flag >= 0)
        return flag == 1;
    complain(reader, "bool_parsing", name, value,
             "Input should be a valid boolean, unable to interpret input");
    return absent;
}

/* Compact JSON text of value in the arena; a problem of the field when it does not fit. */
static const char *keep_json(struct tars_reader *reader, const char *name, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    const char *kept = text ? tars_arena_strdup(reader->arena, text) : NULL;

    free(text);
    if (!kept)
        tars_reader_refuse(reader, name, "too large");
    return kept;
}

const char *tars_reader_object(struct tars_reader *reader, const char *name)
{
    json_t *value = find(reader, name, TARS_READER_OPTIONAL);

    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_object(value)) {
        complain(reader, "dict_type", name, value, "Input should be a valid dictionary");
        return NULL;
    }
    return keep_json(reader, name, value);
}

const char *tars_reader_objects(struct tars_reader *reader, const char *name)
{
    json_t *value = find(reader, name, TARS_READER_OPTIONAL);
    int problems = reader->problems;

    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_array(value)) {
        complain(reader, "list_type", name, value, "Input should be a valid list");
        return NULL;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *item = json_array_get(value, i);
        const struct problem problem = {
            "dict_type", name, (int64_t)i, "Input should be a valid dictionary", item, NULL};

        if (!json_is_object(item))
            add_problem(reader, &problem);
    }
    return reader->problems == problems ? keep_json(reader, name, value) : NULL;
}

void tars_reader_enter(struct tars_reader *reader, const char *name)
{
    json_t *value = find(reader, name, TARS_READER_REQUIRED);

    if (value && !json_is_object(value)) {
        complain(reader, "model_attributes_type", name, value,
                 "Input should be a valid dictionary or object to extract fields from");
    }
    reader->scope = name;
}

void tars_reader_leave(struct tars_reader *reader)
{
    reader->scope = NULL;
}

void tars_reader_drop_nulls(struct tars_reader *reader)
{
    const char *name;
    json_t *value;
    void *next;

    json_object_foreach_safe(fields(reader), next, name, value)
    {
        if (json_is_null(value))
            json_object_del(fields(reader), name);
    }
}

const char *tars_reader_words(struct tars_reader *reader)
{
    if (reader->problems == 0)
        return "";
    return reader->words ? reader->words : "out of memory";
}

const char *const *tars_reader_texts(struct tars_reader *reader, const char *name,
                                     enum tars_reader_need need, size_t *count)
{
    json_t *value = find(reader, name, need);
    const char **texts;
    bool has_room;
    size_t n;

    *count = 0;
    if (!value)
        return NULL;
    if (!json_is_array(value)) {
        complain(reader, "list_type", name, value, "Input should be a valid list");
        return NULL;
    }
    n = json_array_size(value);
    texts = tars_arena_calloc(reader->arena, n + 1, sizeof(*texts));
    has_room = texts != NULL;
    for (size_t i = 0; texts && i < n; i++) {
        const json_t *item = json_array_get(value, i);
        const struct problem problem = {
            "string_type", name, (int64_t)i, "Input should be a valid string", item, NULL};

        if (json_is_string(item)) {
            texts[i] = tars_arena_strdup(reader->arena, json_string_value(item));
            has_room = has_room && texts[i];
        } else {
            add_problem(reader, &problem);
        }
    }
    if (!has_room)
        tars_reader_refuse(reader, name, "too large");
    *count = has_room ? n : 0;
    return has_room ? texts : NULL;
}
