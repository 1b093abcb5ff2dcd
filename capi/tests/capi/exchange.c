/* Drives an exchange with a client of its own, to an upstream in memory, and prints what comes of it: tests/from_c.rs
 * reads it. */
#include "onceward.h"

#include <inttypes.h>
#include <stdio.h>

/* The upstream: the keys that took effect. It speaks just enough Wede. */
static char applied[8][64];
static size_t applied_count = 0;

/* Prints a line for a call that answered a status. */
static void say(const char *what, ow_status status) {
    const int has_words = ow_last_error_message()[0] != 0;
    printf("%s: %d [%s]%s\n", what, (int)status, ow_last_error_code(), has_words ? " words" : "");
}

/* Whether this is the first time that the key comes. */
static int is_new(const char *key) {
    for (size_t at = 0; at < applied_count; at++)
        if (strcmp(applied[at], key) == 0)
            return 0;
    snprintf(applied[applied_count++], sizeof applied[0], "%s", key);
    return 1;
}

/* Applies a request and writes the answer. The body is lent with its size: no zero byte ends it. */
static void upstream(const ow_work *work, char *answer, size_t room) {
    static const char member[] = "\"idempotency_key\":\"";
    char body[4096];
    char events[2048] = "";
    int accepted = 0;
    snprintf(body, sizeof body, "%.*s", (int)work->body.size_bytes, (const char *)work->body.start);
    for (const char *at = strstr(body, member); at; at = strstr(at, member)) {
        char key[64];
        char event[160];
        at += sizeof member - 1;
        snprintf(key, sizeof key, "%.*s", (int)strcspn(at, "\""), at);
        const int is_accepted = is_new(key);
        accepted++;
        snprintf(event, sizeof event, "%s{\"idempotency_key\":\"%s\",\"status\":\"%s\"}",
                 events[0] ? "," : "", key, is_accepted ? "accepted" : "duplicate");
        strncat(events, event, sizeof events - strlen(events) - 1);
    }
    snprintf(answer, room,
             "{\"data\":{\"batch_id\":\"b\",\"status\":\"completed\",\"accepted\":%d,\"rejected\":0,"
             "\"events\":[%s]}}",
             accepted, events);
}

/* Reports an answer. */
static void answer(const ow_exchange *exchange, uint64_t id, uint32_t status, const char *body,
                   uint64_t now_ms) {
    const ow_header headers[] = {
        {ow_text("content-type"), ow_text("application/json")},
        {ow_text("DATE"), ow_text("Tue, 10 Mar 2026 14:22:05 GMT")},
        {ow_text("onceward-horizon"), ow_text("2592000")},
        {ow_text("retry-after"), ow_text("600")},
    };
    ow_response response = {0};
    response.struct_size = sizeof response;
    response.status = status;
    response.headers = headers;
    response.header_count = status == 408 ? 4 : 3;
    response.body = ow_text(body);
    response.key = ow_text("secret");
    say("  answered", ow_exchange_on_response(exchange, id, &response, now_ms));
}

/* Asks what is next and prints it. */
static ow_work next(const ow_exchange *exchange, uint64_t now_ms) {
    static const char *const names[] = {"?", "send", "probe", "wait", "await", "idle", "blocked"};
    ow_work work = {0};
    work.struct_size = sizeof work;
    const ow_status status = ow_exchange_next(exchange, now_ms, &work);
    if (status != OW_OK) {
        say("next", status);
        return work;
    }
    printf("next: %s", names[work.kind]);
    if (work.kind == OW_WORK_SEND)
        printf(" %.*s %.*s, key place %" PRIu32 ", has a body: %d", (int)work.method.size_bytes,
               (const char *)work.method.start, (int)work.path.size_bytes,
               (const char *)work.path.start, work.key_place, work.body.size_bytes > 0);
    if (work.kind == OW_WORK_WAIT)
        printf(", later: %d", work.until_ms > now_ms);
    printf("\n");
    for (size_t at = 0; at < work.header_count; at++)
        printf("  header %.*s\n", (int)work.headers[at].name.size_bytes,
               (const char *)work.headers[at].name.start);
    return work;
}

/* Captures an event and prints the answer. */
static void capture(const ow_store *store, const char *key) {
    ow_verdict verdict = (ow_verdict)0;
    ow_event event = {0};
    event.struct_size = sizeof event;
    event.key = ow_text(key);
    event.payload = ow_text("{\"total\":24.50}");
    event.payload_is_json = 1;
    const ow_status status = ow_capture(store, &event, &verdict, NULL);
    printf("capture %s: %d, verdict %d\n", key, (int)status, (int)verdict);
}

/* Prints how far an event is. */
static void outcome(const ow_store *store, const char *key) {
    ow_state state = (ow_state)-1;
    const ow_status status = ow_outcome(store, ow_text(NULL), ow_text(key), &state, NULL);
    printf("outcome %s: %d, state %d\n", key, (int)status, (int)state);
}

/* Counts and prints. */
static void report(const ow_exchange *exchange) {
    ow_report counts = {0};
    counts.struct_size = sizeof counts;
    say("report", ow_exchange_report(exchange, &counts));
    printf("  attempted %" PRIu64 ", accepted %" PRIu64 ", duplicate %" PRIu64 ", rejected %" PRIu64
           ", failures %" PRIu64 ", in flight %" PRIu64 ", blocked %" PRIu32 "\n",
           counts.attempted, counts.accepted, counts.duplicate, counts.rejected, counts.failures,
           counts.in_flight, counts.is_blocked);
}

/* Every way to call with what is not there or not right. */
static void refusals(const ow_store *store, const ow_exchange *exchange) {
    ow_exchange *other = NULL;
    ow_exchange_options options = {0};
    ow_response response = {0};
    ow_work work = {0};
    options.struct_size = sizeof options;
    options.dialect = OW_DIALECT_WEDE;
    say("no options", ow_exchange_start(store, NULL, &other));
    say("no address", ow_exchange_start(store, &options, &other));
    options.upstream = ow_text("ftp://hub.example");
    say("an address of another kind", ow_exchange_start(store, &options, &other));
    options.upstream = ow_text("https://hub.example/");
    say("no store", ow_exchange_start(NULL, &options, &other));
    say("no place for it", ow_exchange_start(store, &options, NULL));
    options.dialect = OW_DIALECT_NONE;
    say("no dialect", ow_exchange_start(store, &options, &other));
    options.dialect = 99;
    say("an unknown dialect", ow_exchange_start(store, &options, &other));
    options.dialect = OW_DIALECT_WEDE;
    options.is_once = 2;
    say("a bad flag", ow_exchange_start(store, &options, &other));
    printf("  handle: %d\n", other != NULL);
    say("no exchange", ow_exchange_next(NULL, 0, &work));
    say("no work", ow_exchange_next(exchange, 0, NULL));
    say("no size", ow_exchange_next(exchange, 0, &work));
    say("no response", ow_exchange_on_response(exchange, 1, NULL, 0));
    response.struct_size = sizeof response;
    say("no status", ow_exchange_on_response(exchange, 1, &response, 0));
    response.status = 200;
    response.header_count = 1;
    say("no headers", ow_exchange_on_response(exchange, 1, &response, 0));
    response.header_count = 0;
    say("nothing on its way", ow_exchange_on_response(exchange, 999, &response, 0));
    say("nothing on its way", ow_exchange_on_no_answer(exchange, 999, ow_text(NULL), 0));
    say("a bad answer of a probe", ow_exchange_on_probe(exchange, 2, 0));
    say("no report", ow_exchange_report(exchange, NULL));
    say("nothing to stop", ow_exchange_stop(NULL));
    ow_exchange_free(NULL);
}

int main(int argc, char **argv) {
    ow_store *store = NULL;
    ow_exchange *exchange = NULL;
    ow_exchange *second = NULL;
    ow_exchange_options options = {0};
    char body[4096];
    uint64_t now_ms = 5000;
    ow_work work;

    if (argc != 2)
        return 2;
    printf("sizes %zu %zu %zu %zu %zu\n", sizeof(ow_exchange_options), sizeof(ow_header),
           sizeof(ow_work), sizeof(ow_response), sizeof(ow_report));
    say("open", ow_store_open(ow_text(argv[1]), NULL, &store));
    capture(store, "k-1");
    capture(store, "k-2");
    options.struct_size = sizeof options;
    options.upstream = ow_text("https://hub.example");
    options.device_id = ow_text("till-7");
    options.dialect = OW_DIALECT_WEDE;
    options.can_probe = 1;
    say("start", ow_exchange_start(store, &options, &exchange));
    say("start twice", ow_exchange_start(store, &options, &second));
    refusals(store, exchange);

    puts("-- the upstream takes it, and its reply is lost");
    work = next(exchange, now_ms);
    upstream(&work, body, sizeof body);
    next(exchange, now_ms);
    say("no answer", ow_exchange_on_no_answer(exchange, work.id, ow_text("connection reset"), now_ms));
    outcome(store, "k-1");
    work = next(exchange, now_ms);
    now_ms = work.until_ms;
    next(exchange, now_ms);
    say("  not reached", ow_exchange_on_probe(exchange, 0, now_ms));
    work = next(exchange, now_ms);
    now_ms = work.until_ms;
    next(exchange, now_ms);
    say("  reached", ow_exchange_on_probe(exchange, 1, now_ms));
    work = next(exchange, now_ms);
    upstream(&work, body, sizeof body);
    now_ms += 80;
    answer(exchange, work.id, 200, body, now_ms);
    answer(exchange, work.id, 200, body, now_ms);
    outcome(store, "k-1");
    report(exchange);

    puts("-- captured again, and a new one that is accepted");
    capture(store, "k-2");
    next(exchange, now_ms);
    capture(store, "k-3");
    work = next(exchange, now_ms);
    upstream(&work, body, sizeof body);
    answer(exchange, work.id, 200, body, now_ms);
    outcome(store, "k-3");

    puts("-- the key is refused, then another one is there");
    capture(store, "k-4");
    work = next(exchange, now_ms);
    answer(exchange, work.id, 401, "{\"status\":401,\"code\":\"UNAUTHORIZED\"}", now_ms);
    next(exchange, now_ms);
    report(exchange);
    say("new key", ow_exchange_on_new_key(exchange));
    work = next(exchange, now_ms);

    puts("-- the upstream asks for ten minutes, and the line is told to be back");
    answer(exchange, work.id, 408, "{\"status\":408,\"code\":\"REQUEST_TIMEOUT\"}", now_ms);
    work = next(exchange, now_ms);
    printf("  minutes: %d\n", (int)((work.until_ms - now_ms) / 60000));
    say("online", ow_exchange_on_online(exchange));
    work = next(exchange, now_ms);

    puts("-- stopped with a request on its way, and started again");
    say("stop", ow_exchange_stop(exchange));
    say("stop twice", ow_exchange_stop(exchange));
    next(exchange, now_ms);
    ow_exchange_free(exchange);
    options.is_once = 1;
    options.can_probe = 0;
    options.in_flight_max = 2;
    options.items_max = 1000000;
    say("start again", ow_exchange_start(store, &options, &exchange));
    work = next(exchange, 0);
    upstream(&work, body, sizeof body);
    answer(exchange, work.id, 200, body, 0);
    next(exchange, 0);
    report(exchange);
    outcome(store, "k-4");
    printf("applied: %zu\n", applied_count);

    puts("-- a closed store");
    capture(store, "k-5");
    say("close", ow_store_close(store));
    next(exchange, 0);
    ow_exchange_free(exchange);
    ow_store_free(store);
    return 0;
}
