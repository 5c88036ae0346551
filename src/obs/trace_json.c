/* trace_json - see trace_json.h for the contract. */
#include "obs/trace_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/version.h"

#define FLAG_SAMPLED       1
#define FLAG_KNOWS_PARENT  0x100 /* whether the parent is remote is known */
#define FLAG_REMOTE_PARENT 0x200

/* JSON of OTLP has 64-bit numbers as text, as protobuf's does. */
static void write_number(struct tars_json *json, const char *key, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    tars_json_text(json, key, text);
}

static void write_id(struct tars_json *json, const char *key, uint64_t id)
{
    char text[TARS_SPAN_ID_DIGITS];

    tars_trace_hex(text, id);
    tars_json_text_n(json, key, text, sizeof(text));
}

static void write_list(struct tars_json *json, struct tars_span text)
{
    tars_json_object(json, "arrayValue");
    tars_json_array(json, "values");
    tars_json_object(json, NULL);
    tars_json_text_n(json, "stringValue", text.ptr, text.len);
    tars_json_end(json);
    tars_json_end(json);
    tars_json_end(json);
}

/* Numbers that JSON has not go as protobuf's JSON has them. */
static void write_real(struct tars_json *json, double real)
{
    if (isnan(real)) {
        tars_json_text(json, "doubleValue", "NaN");
    } else if (isinf(real)) {
        tars_json_text(json, "doubleValue", real > 0 ? "Infinity" : "-Infinity");
    } else {
        tars_json_double(json, "doubleValue", real);
    }
}

static void write_attribute(struct tars_json *json, const struct tars_trace_attribute *attribute)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "key", attribute->key);
    tars_json_object(json, "value");
    switch (attribute->type) {
    case TARS_TRACE_TEXT:
    case TARS_TRACE_SAID:
        tars_json_text_n(json, "stringValue", attribute->value.text.ptr, attribute->value.text.len);
        break;
    case TARS_TRACE_INT:
        write_number(json, "intValue", attribute->value.number);
        break;
    case TARS_TRACE_REAL:
        write_real(json, attribute->value.real);
        break;
    case TARS_TRACE_FLAG:
        tars_json_bool(json, "boolValue", attribute->value.number != 0);
        break;
    case TARS_TRACE_LIST:
        write_list(json, attribute->value.text);
        break;
    }
    tars_json_end(json);
    tars_json_end(json);
}

static void write_said(struct tars_json *json, const char *key, struct tars_span text)
{
    const struct tars_trace_attribute attribute = {key, TARS_TRACE_TEXT, {.text = text}};

    write_attribute(json, &attribute);
}

static void write_attributes(struct tars_json *json, const struct tars_trace_record *record)
{
    if (!record->attribute_count && !record->failure.len)
        return;
    tars_json_array(json, "attributes");
    for (size_t i = 0; i < record->attribute_count; i++)
        write_attribute(json, &record->attributes[i]);
    if (record->failure.len)
        write_said(json, "error.type", record->failure);
    tars_json_end(json);
}

/* What went wrong, as an event when the span ended. */
static void write_event(struct tars_json *json, const struct tars_trace_record *record)
{
    if (!record->words.len)
        return;
    tars_json_array(json, "events");
    tars_json_object(json, NULL);
    write_number(json, "timeUnixNano", record->end_ns);
    tars_json_text(json, "name", "exception");
    tars_json_array(json, "attributes");
    write_said(json, "exception.type", record->failure);
    write_said(json, "exception.message", record->words);
    tars_json_end(json);
    tars_json_end(json);
    tars_json_end(json);
}

static void write_status(struct tars_json *json, const struct tars_trace_record *record)
{
    if (record->verdict == TARS_SPAN_UNSET)
        return;
    tars_json_object(json, "status");
    tars_json_int(json, "code", (int64_t)record->verdict);
    if (record->words.len)
        tars_json_text_n(json, "message", record->words.ptr, record->words.len);
    tars_json_end(json);
}

static void write_span(struct tars_json *json, const struct tars_trace_record *record)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "traceId", record->trace_id);
    write_id(json, "spanId", record->id);
    if (record->state.len)
        tars_json_text_n(json, "traceState", record->state.ptr, record->state.len);
    if (record->parent)
        write_id(json, "parentSpanId", record->parent);
    tars_json_int(json, "flags",
                  FLAG_SAMPLED | FLAG_KNOWS_PARENT |
                      (record->has_remote_parent ? FLAG_REMOTE_PARENT : 0));
    tars_json_text_n(json, "name", record->name.ptr, record->name.len);
    tars_json_int(json, "kind", (int64_t)record->kind);
    write_number(json, "startTimeUnixNano", record->start_ns);
    write_number(json, "endTimeUnixNano", record->end_ns);
    write_attributes(json, record);
    if (record->attributes_dropped)
        tars_json_int(json, "droppedAttributesCount", (int64_t)record->attributes_dropped);
    write_event(json, record);
    write_status(json, record);
    tars_json_end(json);
}

static void write_resource(struct tars_json *json, const struct tars_trace_resource *resource)
{
    tars_json_object(json, "resource");
    tars_json_array(json, "attributes");
    for (size_t i = 0; i < resource->count; i++)
        write_attribute(json, &resource->attributes[i]);
    tars_json_end(json);
    tars_json_end(json);
}

size_t tars_trace_write(struct tars_buf *out, const struct tars_trace_resource *resource,
                        struct tars_span *page, size_t max)
{
    struct tars_trace_record record;
    struct tars_json json;
    size_t count = 0;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_array(&json, "resourceSpans");
    tars_json_object(&json, NULL);
    write_resource(&json, resource);
    tars_json_array(&json, "scopeSpans");
    tars_json_object(&json, NULL);
    tars_json_object(&json, "scope");
    tars_json_text(&json, "name", "tars");
    tars_json_text(&json, "version", TARS_VERSION);
    tars_json_end(&json);
    tars_json_array(&json, "spans");
    for (; count < max && tars_trace_next(page, &record); count++)
        write_span(&json, &record);
    tars_json_end(&json);
    tars_json_text(&json, "schemaUrl", TARS_TRACE_SCHEMA);
    while (json.depth > 0)
        tars_json_end(&json);
    return count;
}
