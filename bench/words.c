/* bench/words - the word index over real text: build time, bytes, and how long questions take.
 *
 *     words build DIR CORPUS [LIMIT]     CORPUS: a passage a line; the index goes into DIR
 *     words serve DIR QUESTIONS [K]      answers commands on standard input, a line of JSON each:
 *         round    asks every question once: microseconds of each
 *         check    compares every answer with that of the exhaustive scorer
 *         typos    misspells a word of every question: microseconds of the processor for each as it
 *                  stands, with words beside it that are spelt nearly so, and for looking for such
 *                  words in the question as it was
 *     words pause DIR CORPUS
 *         saves the index of DIR and adds passages of CORPUS as long: the longest that one took
 *
 * All in English. One thread, but for pause; bench/rows/words.py pins it and takes turns with the
 * peer.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem/arena.h"
#include "base/sys/clock.h"
#include "index/bm25.h"
#include "index/index.h"
#include "index/snapshot.h"
#include "retrieve/typos.h"
#include "text/analyzer.h"

#define ARENA_BYTES ((size_t)1 << 26)
#define K_DEFAULT   10

struct question {
    struct tars_index_query_term *terms; /* (count,) */
    size_t count;
};

struct questions {
    struct question *items;
    size_t count;
    struct tars_arena arena;
};

static int64_t cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void must(tars_status status, const char *what)
{
    if (status == TARS_OK)
        return;
    (void)fprintf(stderr, "%s: %s\n", what, tars_status_text(status));
    exit(EXIT_FAILURE);
}

/* ------------------------------------------------------------------- building */

static void add_line(struct tars_index *index, struct tars_analyzer *analyzer,
                     struct tars_arena *arena, uint64_t id, const char *line, size_t len)
{
    struct tars_term_count *counts;
    struct tars_index_term *made;
    struct tars_terms terms;
    size_t count;
    uint32_t *order;
    size_t places;

    must(tars_analyze(analyzer, arena, TARS_LANG_ENGLISH, line, len, &terms), "analyze");
    must(tars_terms_order(arena, &terms, &order, &places), "order");
    must(tars_terms_tally(arena, &terms, &counts, &count), "tally");
    made = tars_arena_calloc(arena, count + 1, sizeof(*made));
    if (!made)
        exit(EXIT_FAILURE);
    for (size_t i = 0; i < count; i++) {
        made[i] =
            (struct tars_index_term){counts[i].ptr, counts[i].len, counts[i].tf, TARS_INDEX_TEXT};
    }
    must(tars_index_add(index, &(struct tars_index_passage){.id = id,
                                                            .terms = made,
                                                            .term_count = count,
                                                            .words = order,
                                                            .word_count = places,
                                                            .length = (uint32_t)terms.count,
                                                            .lang = TARS_LANG_ENGLISH}),
         "add");
}

static int build(const char *dir, const char *corpus, uint64_t limit)
{
    const struct tars_index_config config = {.dir = dir, .fresh = true};
    struct tars_analyzer *analyzer = NULL;
    struct tars_index *index = NULL;
    struct tars_arena arena;
    FILE *file = fopen(corpus, "r");
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    uint64_t id = 0;
    uint64_t text = 0;
    int64_t start = cpu_ns();
    int64_t added;
    struct stat info;
    char path[4096];

    if (!file)
        return EXIT_FAILURE;
    tars_arena_init(&arena, ARENA_BYTES);
    must(tars_analyzer_new(&analyzer), "analyzer");
    must(tars_index_open(&config, &index, NULL), "open");
    while (id < limit && (len = getline(&line, &cap, file)) > 0) {
        text += (uint64_t)len - 1;
        add_line(index, analyzer, &arena, ++id, line, (size_t)len - 1);
        tars_arena_clear(&arena);
    }
    tars_index_publish(index, id);
    added = cpu_ns();
    must(tars_index_save(index, NULL), "save");
    (void)snprintf(path, sizeof(path), "%s/index.tars", dir);
    if (stat(path, &info) != 0)
        return EXIT_FAILURE;
    (void)printf(
        "{\"passages\":%llu,\"text\":%llu,\"index\":%llu,\"add_s\":%.3f,\"save_s\":%.3f}\n",
        (unsigned long long)id, (unsigned long long)text, (unsigned long long)info.st_size,
        (double)(added - start) / 1e9, (double)(cpu_ns() - added) / 1e9);
    tars_index_close(index);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
    free(line);
    (void)fclose(file);
    return EXIT_SUCCESS;
}

/* --------------------------------------------------------------------- pauses */

struct saving {
    struct tars_index *index;
    atomic_bool over;
    double seconds;
};

static void *finish_save(void *ctx)
{
    struct saving *saving = ctx;
    int64_t start = tars_clock_mono_ns();

    must(tars_index_save_finish(saving->index, NULL), "save");
    saving->seconds = (double)(tars_clock_mono_ns() - start) / 1e9;
    atomic_store(&saving->over, true);
    return NULL;
}

static int measure_pause(const char *dir, const char *corpus)
{
    const struct tars_index_config config = {.dir = dir};
    struct saving saving = {0};
    struct tars_analyzer *analyzer = NULL;
    struct tars_index_stats stats;
    struct tars_arena arena;
    FILE *file = fopen(corpus, "r");
    pthread_t saver;
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    uint64_t added = 0;
    int64_t longest = 0;

    if (!file)
        return EXIT_FAILURE;
    tars_arena_init(&arena, ARENA_BYTES);
    must(tars_analyzer_new(&analyzer), "analyzer");
    must(tars_index_open(&config, &saving.index, NULL), "open");
    tars_index_stats(saving.index, &stats);
    must(tars_index_save_begin(saving.index) ? TARS_OK : TARS_EBUSY, "begin");
    if (pthread_create(&saver, NULL, finish_save, &saving) != 0)
        return EXIT_FAILURE;
    while (!atomic_load(&saving.over) && (len = getline(&line, &cap, file)) > 0) {
        int64_t start = tars_clock_mono_ns();
        int64_t took;

        add_line(saving.index, analyzer, &arena, stats.last_id + ++added, line, (size_t)len - 1);
        tars_index_publish(saving.index, stats.seq + added);
        took = tars_clock_mono_ns() - start;
        longest = took > longest ? took : longest;
        tars_arena_clear(&arena);
    }
    (void)pthread_join(saver, NULL);
    (void)printf("{\"passages\":%llu,\"added\":%llu,\"longest_ms\":%.2f,\"save_s\":%.2f}\n",
                 (unsigned long long)stats.passages, (unsigned long long)added,
                 (double)longest / 1e6, saving.seconds);
    tars_index_close(saving.index);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
    free(line);
    (void)fclose(file);
    return EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ questions */

static void read_questions(const char *path, struct questions *questions)
{
    static const int langs[] = {TARS_LANG_ENGLISH};
    struct tars_analyzer *analyzer = NULL;
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    size_t room = 0;
    ssize_t len;

    if (!file)
        exit(EXIT_FAILURE);
    tars_arena_init(&questions->arena, ARENA_BYTES);
    must(tars_analyzer_new(&analyzer), "analyzer");
    while ((len = getline(&line, &cap, file)) > 0) {
        void *items = questions->items;
        struct question *made;
        struct tars_terms terms;

        must(tars_arena_grow(&questions->arena, &items, &room, questions->count + 1,
                             sizeof(*questions->items)),
             "questions");
        questions->items = items;
        made = &questions->items[questions->count++];
        must(tars_analyze_query(analyzer, &questions->arena, langs, 1, line, (size_t)len - 1,
                                &terms),
             "analyze");
        *made = (struct question){
            tars_arena_calloc(&questions->arena, terms.count + 1, sizeof(*made->terms)),
            terms.count};
        if (!made->terms)
            exit(EXIT_FAILURE);
        for (size_t i = 0; i < terms.count; i++) {
            made->terms[i] = (struct tars_index_query_term){.ptr = terms.items[i].ptr,
                                                            .len = terms.items[i].len,
                                                            .weight = (float)terms.items[i].count};
        }
    }
    tars_analyzer_free(analyzer);
    free(line);
    (void)fclose(file);
}

static void ask_round(const struct tars_index *index, const struct questions *questions, size_t k)
{
    struct tars_index_hit *hits = calloc(k, sizeof(*hits));
    int64_t start = cpu_ns();

    (void)printf("{\"us\":[");
    for (size_t i = 0; hits && i < questions->count; i++) {
        const struct question *question = &questions->items[i];
        int64_t begin = tars_clock_mono_ns();
        size_t n;

        must(tars_index_search_words(index, question->terms, question->count, k, NULL, hits, &n),
             "search");
        (void)printf("%s%.1f", i ? "," : "", (double)(tars_clock_mono_ns() - begin) / 1e3);
    }
    (void)printf("],\"cpu_s\":%.4f}\n", (double)(cpu_ns() - start) / 1e9);
    free(hits);
}

/* Swap two letters of the longest term; false where that has under six. In arena. */
static bool misspell(struct tars_arena *arena, const struct question *question,
                     struct tars_terms *terms)
{
    size_t longest = 0;
    char *word;

    *terms = (struct tars_terms){
        tars_arena_calloc(arena, question->count + 1, sizeof(*terms->items)), question->count};
    if (!terms->items)
        exit(EXIT_FAILURE);
    for (size_t i = 0; i < question->count; i++) {
        terms->items[i].ptr = question->terms[i].ptr;
        terms->items[i].len = question->terms[i].len;
        terms->items[i].count = 1;
        longest = question->terms[i].len > question->terms[longest].len ? i : longest;
    }
    if (question->count == 0 || question->terms[longest].len < 6)
        return false;
    word = tars_arena_strndup(arena, question->terms[longest].ptr, question->terms[longest].len);
    if (!word)
        exit(EXIT_FAILURE);
    word[2] = question->terms[longest].ptr[3];
    word[3] = question->terms[longest].ptr[2];
    terms->items[longest].ptr = word;
    return true;
}

/* Search for terms, the last of which weigh what weights say; in microseconds of the processor
 * from start on. */
static double time_search(const struct tars_index *index, struct tars_arena *arena,
                          const struct tars_terms *terms, size_t own, const float *weights,
                          int64_t start)
{
    struct tars_index_query_term *query =
        tars_arena_calloc(arena, terms->count + 1, sizeof(*query));
    struct tars_index_hit hits[K_DEFAULT];
    size_t n;

    if (!query)
        exit(EXIT_FAILURE);
    for (size_t i = 0; i < terms->count; i++) {
        query[i] = (struct tars_index_query_term){
            .ptr = terms->items[i].ptr,
            .len = (uint32_t)terms->items[i].len,
            .weight = i < own ? 1 : weights[i - own],
        };
    }
    must(tars_index_search_words(index, query, terms->count, K_DEFAULT, NULL, hits, &n), "search");
    return (double)(cpu_ns() - start) / 1e3;
}

/* Each of the three times of a question, which has a word that can be misspelt. */
static void time_typos(const struct tars_index *index, const struct question *question,
                       struct tars_arena *arena, const char *comma)
{
    struct tars_terms terms;
    struct tars_terms clean;
    float *weights;
    size_t own;
    double off;
    double on;
    int64_t start;

    if (!misspell(arena, question, &terms))
        return;
    (void)misspell(arena, question, &clean);
    for (size_t i = 0; i < clean.count; i++)
        clean.items[i].ptr = question->terms[i].ptr;
    off = time_search(index, arena, &terms, terms.count, NULL, cpu_ns());
    start = cpu_ns();
    must(tars_typos_widen(arena, index, &terms, &own, &weights), "widen");
    on = time_search(index, arena, &terms, own, weights, start);
    start = cpu_ns();
    must(tars_typos_widen(arena, index, &clean, &own, &weights), "widen");
    (void)printf("%s[%.1f,%.1f,%.1f]", comma, off, on, (double)(cpu_ns() - start) / 1e3);
}

static void ask_typos(const struct tars_index *index, const struct questions *questions)
{
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA_BYTES);
    (void)printf("{\"us\":[[0,0,0]");
    for (size_t i = 0; i < questions->count; i++) {
        time_typos(index, &questions->items[i], &arena, ",");
        tars_arena_clear(&arena);
    }
    (void)printf("]}\n");
    tars_arena_release(&arena);
}

/* How many of the answers are not, to the bit, those of the exhaustive scorer. */
static void check_all(const char *dir, const struct questions *questions, size_t k)
{
    struct tars_index_hit *fast = calloc(k, sizeof(*fast));
    struct tars_index_hit *slow = calloc(k, sizeof(*slow));
    struct tars_shadow *shadow = NULL;
    struct tars_bm25 bm25;
    char path[4096];
    uint64_t seq;
    size_t wrong = 0;

    (void)snprintf(path, sizeof(path), "%s/index.tars", dir);
    must(tars_snapshot_open(path, 0, "", false, &shadow, &seq, NULL), "open");
    bm25 = (struct tars_bm25){.postings = &shadow->postings,
                              .passages = &shadow->passages,
                              .view = tars_passages_look(&shadow->passages),
                              .k1 = 1.2,
                              .b = 0.75};
    for (size_t i = 0; fast && slow && i < questions->count; i++) {
        const struct question *question = &questions->items[i];
        size_t n = 0;
        size_t m = 0;

        must(tars_bm25_search(&bm25, question->terms, question->count, k, NULL, fast, &n), "fast");
        must(tars_bm25_search_all(&bm25, question->terms, question->count, k, NULL, slow, &m),
             "slow");
        wrong += n != m;
        for (size_t h = 0; n == m && h < n; h++) {
            if (fast[h].id != slow[h].id || fast[h].score != slow[h].score) {
                wrong++;
                break;
            }
        }
    }
    (void)printf("{\"questions\":%zu,\"wrong\":%zu}\n", questions->count, wrong);
    tars_shadow_free(shadow);
    free(fast);
    free(slow);
}

static int serve(const char *dir, const char *path, size_t k)
{
    const struct tars_index_config config = {.dir = dir};
    struct questions questions = {0};
    struct tars_index *index = NULL;
    char command[64];

    read_questions(path, &questions);
    must(tars_index_open(&config, &index, NULL), "open");
    while (fgets(command, sizeof(command), stdin)) {
        if (strncmp(command, "round", 5) == 0) {
            ask_round(index, &questions, k);
        } else if (strncmp(command, "check", 5) == 0) {
            check_all(dir, &questions, k);
        } else if (strncmp(command, "typos", 5) == 0) {
            ask_typos(index, &questions);
        }
        (void)fflush(stdout);
    }
    tars_index_close(index);
    tars_arena_release(&questions.arena);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc >= 4 && strcmp(argv[1], "build") == 0)
        return build(argv[2], argv[3], argc > 4 ? strtoull(argv[4], NULL, 10) : UINT64_MAX);
    if (argc >= 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], argv[3], argc > 4 ? strtoull(argv[4], NULL, 10) : K_DEFAULT);
    if (argc >= 4 && strcmp(argv[1], "pause") == 0)
        return measure_pause(argv[2], argv[3]);
    (void)fprintf(stderr, "words build DIR CORPUS [LIMIT] | words serve DIR QUESTIONS [K] | "
                          "words pause DIR CORPUS\n");
    return EXIT_FAILURE;
}
