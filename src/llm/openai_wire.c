/* openai_wire - see openai_wire.h.
 *
 *     > {"model":"m","messages":[{"role":"system","content":"..."},...],"stream":true,...}
 *     < data: {"choices":[{"delta":{"content":"Staff"},"finish_reason":null}]}
 *     <
 *     < data: [DONE]
 *
 * Every server writes an event's data in one line, so a line is an event here.
 */
#include "llm/openai_wire.h"

#include <jansson.h>
#include <string.h>

#include "base/codec/json_write.h"

static void write_message(struct tars_json *json, const char *role, const char *content)
{
    if (!content || !*content)
        return;
    tars_json_object(json, NULL);
    tars_json_text(json, "role", role);
    tars_json_text(json, "content", content);
    tars_json_end(json);
}

void tars_openai_write(struct tars_buf *out, const char *model,
                       const struct tars_llm_request *request)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "model", model);
    tars_json_array(&json, "messages");
    write_message(&json, "system", request->system);
    for (size_t i = 0; i < request->history_count; i++) {
        write_message(&json, "user", request->history[i].user);
        write_message(&json, "assistant", request->history[i].assistant);
    }
    write_message(&json, "user", request->prompt);
    tars_json_end(&json);
    tars_json_bool(&json, "stream", true);
    tars_json_int(&json, "max_tokens",
                  request->max_tokens ? request->max_tokens : TARS_LLM_MAX_TOKENS_DEFAULT);
    tars_json_fixed(
        &json, "temperature",
        (double)(request->temperature < 0 ? TARS_LLM_TEMPERATURE_DEFAULT : request->temperature),
        4);
    tars_json_fixed(&json, "top_p",
                    (double)(request->top_p > 0 ? request->top_p : TARS_LLM_TOP_P_DEFAULT), 4);
    if (request->seed)
        tars_json_int(&json, "seed", request->seed);
    tars_json_end(&json);
}

static struct tars_span text_of(const json_t *text)
{
    return tars_span(json_string_value(text), json_string_length(text));
}

static void read_error(const json_t *root, struct tars_remote_line *out)
{
    const json_t *error = json_object_get(root, "error");

    if (json_is_object(error))
        error = json_object_get(error, "message");
    if (json_is_string(error)) {
        out->error = text_of(error);
    } else if (json_object_get(root, "error") && !json_is_null(json_object_get(root, "error"))) {
        out->error = tars_span_of("an error without words");
    }
}

tars_status tars_openai_parse(struct tars_span line, struct tars_remote_line *out, void **hold)
{
    static const char field[] = "data:";
    const json_t *choice;
    json_t *root;

    if (line.len < sizeof(field) - 1 || memcmp(line.ptr, field, sizeof(field) - 1) != 0)
        return line.len && line.ptr[0] == '{' ? TARS_EFORMAT : TARS_OK;
    line = tars_span(line.ptr + sizeof(field) - 1, line.len - (sizeof(field) - 1));
    while (line.len && line.ptr[0] == ' ')
        line = tars_span(line.ptr + 1, line.len - 1);
    if (tars_span_is(line, "[DONE]")) {
        out->done = true;
        return TARS_OK;
    }
    root = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, NULL);
    *hold = root;
    if (!json_is_object(root))
        return TARS_EFORMAT;
    read_error(root, out);
    choice = json_array_get(json_object_get(root, "choices"), 0);
    out->text = text_of(json_object_get(json_object_get(choice, "delta"), "content"));
    return TARS_OK;
}
