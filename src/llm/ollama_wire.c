/* ollama_wire - see ollama_wire.h. */
#include "llm/ollama_wire.h"

#include <jansson.h>

#include "base/codec/json_write.h"

static void write_prompt(struct tars_json *json, const struct tars_llm_request *request)
{
    struct tars_buf text;

    if (request->history_count == 0) {
        tars_json_text(json, "prompt", request->prompt);
        return;
    }
    tars_buf_init(&text, TARS_REMOTE_REQUEST_MAX);
    for (size_t i = 0; i < request->history_count; i++) {
        tars_buf_appendf(&text, "User: %s\n\nAssistant: %s\n\n", request->history[i].user,
                         request->history[i].assistant);
    }
    tars_buf_append_text(&text, request->prompt);
    if (text.status != TARS_OK) {
        json->out->status = text.status;
    } else {
        tars_json_text_n(json, "prompt", text.ptr, text.len);
    }
    tars_buf_release(&text);
}

void tars_ollama_write(struct tars_buf *out, const char *model,
                       const struct tars_llm_request *request)
{
    struct tars_json json;

    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "model", model);
    write_prompt(&json, request);
    tars_json_bool(&json, "stream", true);
    if (request->system)
        tars_json_text(&json, "system", request->system);
    tars_json_object(&json, "options");
    tars_json_fixed(
        &json, "temperature",
        (double)(request->temperature < 0 ? TARS_LLM_TEMPERATURE_DEFAULT : request->temperature),
        4);
    tars_json_int(&json, "num_predict",
                  request->max_tokens ? request->max_tokens : TARS_LLM_MAX_TOKENS_DEFAULT);
    tars_json_fixed(&json, "top_p",
                    (double)(request->top_p > 0 ? request->top_p : TARS_LLM_TOP_P_DEFAULT), 4);
    tars_json_int(&json, "top_k", request->top_k ? request->top_k : TARS_LLM_TOP_K_DEFAULT);
    if (request->seed)
        tars_json_int(&json, "seed", request->seed);
    tars_json_end(&json);
    tars_json_end(&json);
}

static size_t count_at(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 && value < INT32_MAX ? (size_t)value : 0;
}

static struct tars_span text_at(const json_t *object, const char *key)
{
    const json_t *text = json_object_get(object, key);

    return tars_span(json_string_value(text), json_string_length(text));
}

tars_status tars_ollama_parse(struct tars_span line, struct tars_remote_line *out, void **hold)
{
    json_t *root = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, NULL);

    *hold = root;
    if (!json_is_object(root))
        return TARS_EFORMAT;
    out->text = text_at(root, "response");
    out->error = text_at(root, "error");
    out->done = json_is_true(json_object_get(root, "done"));
    out->tokens = count_at(root, "eval_count");
    out->prompt_tokens = count_at(root, "prompt_eval_count");
    return TARS_OK;
}
