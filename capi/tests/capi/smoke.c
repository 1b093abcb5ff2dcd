/* Uses every function of the interface and prints what each answers: tests/from_c.rs reads it. */
#include "onceward.h"

#include <inttypes.h>
#include <stdio.h>

/* Prints a line for a call that answered a status. Of the words only whether there are some: they may
 * name a process, and may be put better one day. */
static void say(const char *what, ow_status status) {
    const int has_words = ow_last_error_message()[0] != 0;
    printf("%s: %d [%s]%s\n", what, (int)status, ow_last_error_code(), has_words ? " words" : "");
}

/* A sale with a key and an amount. */
static ow_event sale(const char *key, const char *json) {
    ow_event event = {0};
    event.struct_size = sizeof event;
    event.scope = ow_text("sales");
    event.key = ow_text(key);
    event.kind = ow_text("purchase");
    event.payload = ow_text(json);
    event.payload_is_json = 1;
    event.amount = ow_text("24.50");
    return event;
}

/* Captures and prints the answer. */
static void capture(const ow_store *store, const char *what, const ow_event *event) {
    ow_verdict verdict = (ow_verdict)0;
    uint64_t lsn = 0;
    ow_status status = ow_capture(store, event, &verdict, &lsn);
    say(what, status);
    printf("  verdict %d, has a number: %d, in doubt: %" PRId32 "\n", (int)verdict, lsn > 0,
           ow_last_error_in_doubt());
}

/* Asks for a key and prints the answer. */
static void outcome(const ow_store *store, const char *key) {
    ow_state state = (ow_state)-1;
    uint64_t lsn = 99;
    say("outcome", ow_outcome(store, ow_text("sales"), ow_text(key), &state, &lsn));
    printf("  state %d, has a number: %d\n", (int)state, lsn > 0);
}

/* Counts and prints the answer. */
static void count(const ow_store *store) {
    ow_counts counts = {0};
    counts.struct_size = sizeof counts;
    say("counts", ow_store_status(store, &counts));
    printf("  pending %" PRIu64 ", in review %" PRIu64 ", amount %" PRId64 ", keys %" PRIu64 "\n",
           counts.pending, counts.in_review, counts.amount_pending_ten_thousandths, counts.keys);
    printf("  has bytes: %d, filled all: %d\n", counts.bytes > 0,
           counts.struct_size == sizeof counts);
}

/* Every way to call with what is not there or not right. */
static void refusals(ow_store *store) {
    ow_event event = sale("k-9", "{}");
    ow_verdict verdict;
    ow_state state;

    say("no event", ow_capture(store, NULL, &verdict, NULL));
    printf("  words: %s\n", ow_last_error_message());
    say("no store", ow_capture(NULL, &event, &verdict, NULL));
    say("no verdict", ow_capture(store, &event, NULL, NULL));
    say("no key", ow_outcome(store, ow_text(NULL), ow_text(NULL), &state, NULL));
    say("no state", ow_outcome(store, ow_text(NULL), ow_text("k-1"), NULL, NULL));
    say("no counts", ow_store_status(store, NULL));
    say("no store to close", ow_store_close(NULL));
    ow_store_free(NULL);

    event.key.size_bytes = 0;
    capture(store, "empty key", &event);
    event = sale("\xff", "{}");
    capture(store, "key not UTF-8", &event);
    event = sale("k-9", "{");
    capture(store, "not JSON", &event);
    event = sale("k-9", "{}");
    event.amount = ow_text("1e3");
    capture(store, "bad amount", &event);
    event.amount = ow_text(NULL);
    event.payload_is_json = 7;
    capture(store, "bad flag", &event);
    event.payload_is_json = 1;
    event.struct_size = 0;
    capture(store, "no size", &event);
    outcome(store, "k-9");
}

/* A store that is opened for a dialect takes only what can be sent in it. */
static void dialects(const char *path) {
    ow_store *store = NULL;
    ow_options options = {0};
    char longest[256];
    ow_event event = sale("k-1", "{\"total\":1,\"total\":2}");

    options.struct_size = sizeof options;
    options.key_rule = OW_KEY_RULE_SCOPE_PREFIX;
    say("a rule without a dialect", ow_store_open(ow_text(path), &options, &store));
    options.dialect = 99;
    say("an unknown dialect", ow_store_open(ow_text(path), &options, &store));
    options.dialect = OW_DIALECT_WEDE;
    options.key_rule = 99;
    say("an unknown rule", ow_store_open(ow_text(path), &options, &store));

    options.key_rule = OW_KEY_RULE_NONE;
    say("open for Wede", ow_store_open(ow_text(path), &options, &store));
    event.scope = ow_text(NULL);
    capture(store, "a member twice", &event);
    printf("  words: %s\n", ow_last_error_message());
    event.payload = ow_text("{\"total\":1}");
    capture(store, "sendable", &event);
    event.scope = ow_text("sales");
    capture(store, "a scope without a rule", &event);
    say("close", ow_store_close(store));
    ow_store_free(store);

    options.dialect = OW_DIALECT_FORLOY;
    options.key_rule = OW_KEY_RULE_SCOPE_PREFIX;
    say("open for Forloy", ow_store_open(ow_text(path), &options, &store));
    capture(store, "no purchase", &event);
    event.amount = ow_text(NULL);
    event.payload = ow_text("{\"qr_code_data\":\"c\",\"location_id\":\"l\",\"staff_user_id\":\"s\","
                            "\"purchase_amount\":24.50}");
    capture(store, "a scope with a rule", &event);
    memset(longest, 'k', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    event.key = ow_text(longest);
    capture(store, "too long with its scope", &event);
    event.scope = ow_text(NULL);
    capture(store, "not too long", &event);
    ow_store_free(store);
}

int main(int argc, char **argv) {
    ow_store *store = NULL;
    ow_store *second = NULL;
    ow_options existing = {0};
    ow_event event = sale("k-1", "{ \"total\": 24.50 }");
    const int64_t captured_at_ms = 1700000000000;
    static const unsigned char raw[] = {0, 1, 255};
    char path[4096];

    if (argc != 2) {
        fprintf(stderr, "usage: smoke DIRECTORY\n");
        return 2;
    }
    printf("version %s, header %s\n", ow_version(), OW_VERSION);
    printf("sizes %zu %zu %zu %zu\n", sizeof(ow_bytes), sizeof(ow_options), sizeof(ow_event),
           sizeof(ow_counts));

    existing.struct_size = sizeof existing;
    existing.flags = OW_OPEN_EXISTING;
    say("open existing", ow_store_open(ow_text(argv[1]), &existing, &store));
    say("open", ow_store_open(ow_text(argv[1]), NULL, &store));
    say("open twice", ow_store_open(ow_text(argv[1]), NULL, &second));
    printf("  handle: %d\n", second != NULL);
    existing.flags = 1u << 31;
    say("open with unknown flags", ow_store_open(ow_text(argv[1]), &existing, &second));

    capture(store, "fresh", &event);
    capture(store, "again", &event);
    event.payload = ow_text("{\"total\":99}");
    capture(store, "other content", &event);
    event = sale("k-2", "");
    event.payload.start = raw;
    event.payload.size_bytes = sizeof raw;
    event.payload_is_json = 0;
    event.captured_at_ms = &captured_at_ms;
    event.lane = ow_text("card-1");
    event.is_evictable = 1;
    capture(store, "bytes", &event);
    outcome(store, "k-1");
    outcome(store, "k-3");
    count(store);
    refusals(store);

    say("close", ow_store_close(store));
    capture(store, "after closing", &event);
    say("close twice", ow_store_close(store));
    ow_store_free(store);

    existing.flags = OW_OPEN_EXISTING;
    say("open again", ow_store_open(ow_text(argv[1]), &existing, &store));
    capture(store, "after reopening", &event);
    ow_store_free(store);

    snprintf(path, sizeof path, "%s-for-a-dialect", argv[1]);
    dialects(path);
    return 0;
}
