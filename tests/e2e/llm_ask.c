/* llm_ask - one generation through a back end, for llm_servers.py.
 *
 *     llm_ask ollama|openai BASE_URL MODEL PROMPT [DEADLINE_MS [ATTEMPTS [TIMES [PAUSE_MS]]]]
 *
 * Prints the text as it comes, then a line with what happened; exit status is the status. With the
 * prompt "-" it asks for the server's health instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "llm/llm_ollama.h"
#include "llm/llm_openai.h"

#define RETRY_WAIT_MS 100

static bool print_token(void *ctx, const char *ptr, size_t len)
{
    (void)ctx;
    (void)fwrite(ptr, 1, len, stdout);
    return true;
}

static tars_status open_backend(char **argv, int attempts, struct tars_client *client,
                                struct tars_llm **llm, struct tars_err *err)
{
    if (strcmp(argv[1], "ollama") == 0) {
        const struct tars_llm_ollama_config config = {.client = client,
                                                      .base_url = argv[2],
                                                      .model = argv[3],
                                                      .attempts = attempts,
                                                      .retry_wait_ms = RETRY_WAIT_MS};

        return tars_llm_ollama_open(&config, llm, err);
    }
    const struct tars_llm_openai_config config = {.client = client,
                                                  .base_url = argv[2],
                                                  .api_key = "test-key",
                                                  .model = argv[3],
                                                  .attempts = attempts,
                                                  .retry_wait_ms = RETRY_WAIT_MS};

    return tars_llm_openai_open(&config, llm, err);
}

static tars_status ask(struct tars_llm *llm, const char *prompt, long deadline_ms,
                       struct tars_err *err)
{
    const struct tars_llm_sink sink = {print_token, NULL};
    const struct tars_llm_request request = {.prompt = prompt, .max_tokens = 24};
    struct tars_llm_result result;
    struct tars_call call = {.deadline_ms = 0};
    tars_status status;

    if (deadline_ms)
        call.deadline_ms = tars_clock_mono_ms() + deadline_ms;
    if (strcmp(prompt, "-") == 0)
        return tars_llm_health(llm, &call, err);
    status = tars_llm_generate(llm, &request, &call, &sink, &result, err);
    printf("\n[%s, %zu tokens, %s]\n", result.started ? "started" : "not started", result.tokens,
           result.model);
    return status;
}

static void nap(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&time, NULL);
}

static long number_or(int argc, char **argv, int at, long otherwise)
{
    return argc > at ? strtol(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    const long times = number_or(argc, argv, 7, 1);
    const struct tars_client_config client_config = {.max_idle = 0};
    struct tars_client *client = NULL;
    struct tars_llm *llm = NULL;
    struct tars_err err = {.text = ""};
    tars_status status;

    if (argc < 5)
        return 100;
    status = tars_client_global_init();
    if (status == TARS_OK)
        status = tars_client_new(&client_config, &client);
    if (status == TARS_OK)
        status = open_backend(argv, (int)number_or(argc, argv, 6, 3), client, &llm, &err);
    for (long i = 0; llm && i < times; i++) {
        if (i > 0)
            nap(number_or(argc, argv, 8, 0));
        status = ask(llm, argv[4], number_or(argc, argv, 5, 0), &err);
    }
    if (status != TARS_OK)
        printf("%s: %s\n", tars_status_text(status), err.text);
    tars_llm_free(llm);
    tars_client_free(client);
    tars_client_global_cleanup();
    return (int)status;
}
