/**
 * @file onceward.h
 * @brief Onceward: keeps every event that a terminal captures until the other side confirms it, once.
 *
 * Rules that hold everywhere:
 *
 * - A function that answers an ::ow_status answers ::OW_OK or says why not; ow_last_error_message()
 *   has the words. Outputs are written only on ::OW_OK, but for the store of ow_store_open().
 * - Texts are UTF-8 and given with their size; no zero byte ends them. All inputs are only borrowed for
 *   the call.
 * - A struct that begins with `struct_size` is set to zero first, and `struct_size` to `sizeof` of it.
 *   Later versions add fields at the end; 0 in a field means "not used".
 * - One store may be used from any number of threads at once. Only ow_store_free() must be the last. Of an exchange the
 *   same holds, and ow_exchange_free().
 * - Numbers are never changed or used again; later versions may add some.
 * - A store belongs to the process that opened it. In a child made with fork() every call with its handle
 *   is refused with ::OW_POISONED and the code `GROUND_MOVED`, and so is every call with an exchange; only
 *   ow_store_free() and ow_exchange_free() work, and do nothing to the parent. So open a store after fork(), never before; a program that goes into the background
 *   opens it there. While a child that has the handle lives, the store may stay locked after its parent
 *   was killed, until the child frees it, ends, or runs another program. In a process with several threads
 *   a child may call nothing at all, as POSIX has it, before it runs another program.
 * - While a store is open its directory must not be moved, removed or replaced, nor files in it. It is looked
 *   at before and after each write: what would not be found again under the path is refused as ::OW_POISONED
 *   with the code `GROUND_MOVED`, and is in doubt only if it was written already.
 * - A file that may not grow, by RLIMIT_FSIZE or the file system, is answered as a full disk, ::OW_FULL. But
 *   at RLIMIT_FSIZE the system also sends SIGXFSZ, which ends a process that does not ignore it. A library
 *   does not change that: a program that has such a limit calls `signal(SIGXFSZ, SIG_IGN)`.
 *
 * @code
 * ow_store *store = NULL;
 * if (ow_store_open(ow_text("till-7"), NULL, &store) != OW_OK) {
 *     fprintf(stderr, "%s\n", ow_last_error_message());
 *     return 1;
 * }
 * ow_event sale = {0};
 * sale.struct_size = sizeof sale;
 * sale.key = ow_text("till-7-000042");
 * sale.payload = ow_text("{\"total\":24.50}");
 * sale.payload_is_json = 1;
 * ow_verdict verdict;
 * if (ow_capture(store, &sale, &verdict, NULL) == OW_OK) {
 *     // durable: print the receipt, whether OW_VERDICT_FRESH or OW_VERDICT_DUPLICATE
 * }
 * ow_store_close(store);
 * ow_store_free(store);
 * @endcode
 */
#ifndef ONCEWARD_H
#define ONCEWARD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Put before every function: how it is linked. */
#ifndef OW_API
#if defined(_WIN32) && defined(OW_DLL)
#define OW_API __declspec(dllimport)
#else
#define OW_API
#endif
#endif

/** The version that this header belongs to; ow_version() returns that of the library. */
#define OW_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/** An opened store. */
typedef struct ow_store ow_store;

/** What passes between a store and its upstream, carried by the host: see ow_exchange_start(). */
typedef struct ow_exchange ow_exchange;

/** The answer of a call: what the caller has to do about it. */
typedef enum ow_status {
    OW_OK = 0,           /**< The call worked. */
    OW_NULL = 1,         /**< A pointer that must not be null is null. */
    OW_UTF8 = 2,         /**< A text is not UTF-8. */
    OW_INVALID = 3,      /**< Breaks a documented limit, or the store was closed. Fix the caller. */
    OW_NOT_FOUND = 4,    /**< There is no such store. */
    OW_FULL = 5,         /**< The disk is full. Nothing was stored; retry later. */
    OW_CORRUPT = 6,      /**< Stored bytes are not what was written. Show it to a person. */
    OW_POISONED = 7,     /**< This handle can do no more: close it, free it, and open the store again. */
    OW_FENCED = 8,       /**< Somebody else does this work. */
    OW_LOCKED = 9,       /**< Another process, or another handle, has the store open. */
    OW_UNSUPPORTED = 10, /**< The files, or the request, are of a newer version than this library. */
    OW_IO = 11,          /**< The operating system refused. */
    OW_PANIC = 12,       /**< A bug in the library. The handle then answers ::OW_POISONED only, and so does every
                              exchange of that store. */
    OW_OTHER = 13        /**< A failure of a kind that this interface does not know yet. */
} ow_status;

/** The answer to a capture. All three are answers about durable events. */
typedef enum ow_verdict {
    OW_VERDICT_FRESH = 1,     /**< Stored: the event survives kill -9 and power cut. */
    OW_VERDICT_DUPLICATE = 2, /**< The same event was captured before; nothing was written. */
    OW_VERDICT_CONFLICT = 3   /**< The key was captured with other content; nothing was written. */
} ow_verdict;

/** How far an event is. */
typedef enum ow_state {
    OW_STATE_UNKNOWN = 0,   /**< The key is not remembered. */
    OW_STATE_PENDING = 1,   /**< Stored, and to be sent. */
    OW_STATE_IN_FLIGHT = 2, /**< Sent, and not answered. */
    OW_STATE_ACCEPTED = 3,  /**< The upstream accepted it. */
    OW_STATE_DUPLICATE = 4, /**< The upstream already had it. */
    OW_STATE_REJECTED = 5,  /**< Refused for good, and a person resolved it. */
    OW_STATE_IN_REVIEW = 6, /**< Refused for good; it waits for a person. */
    OW_STATE_UNCERTAIN = 7, /**< Whether the upstream has it cannot be known; it waits for a person. */
    OW_STATE_EXPIRED = 8,   /**< It was too old to be sent. */
    OW_STATE_OTHER = 9,     /**< A state that this interface does not know yet. */
    OW_STATE_OUTCOME_UNKNOWN = 10 /**< The key is taken, and nothing of the event is left, as after damage. */
} ow_state;

/** Borrowed bytes or text. A null `start` with a size of 0 means "not given". */
typedef struct ow_bytes {
    const void *start; /**< The first byte. */
    size_t size_bytes; /**< How many there are; of text without the zero byte that may follow. */
} ow_bytes;

/** Makes ::ow_bytes of a text that ends with a zero byte; null means "not given". */
static inline ow_bytes ow_text(const char *text) {
    ow_bytes bytes;
    bytes.start = text;
    bytes.size_bytes = text ? strlen(text) : 0;
    return bytes;
}

/** In ow_options::flags: answer ::OW_NOT_FOUND instead of making a store. */
#define OW_OPEN_EXISTING 1u

/** What the upstream of a store speaks, in ow_options::dialect. */
typedef enum ow_dialect {
    OW_DIALECT_NONE = 0,   /**< Not said: an event that can never be sent is captured, and goes to review later. */
    OW_DIALECT_FORLOY = 1, /**< `POST /api/v1/transactions/sync`. */
    OW_DIALECT_WEDE = 2    /**< `POST /v1/sync/batch`. */
} ow_dialect;

/** How keys of different scopes are spelled for the upstream, in ow_options::key_rule. */
typedef enum ow_key_rule {
    OW_KEY_RULE_NONE = 0,        /**< The upstream gets events of scope `default` only, under their keys. */
    OW_KEY_RULE_SCOPE_PREFIX = 1 /**< The upstream gets those of other scopes too, under `~scope/key`, at most 255
                                      bytes: what `onceward sync` does with `--wire-keys scope-prefix`. */
} ow_key_rule;

/** Options of ow_store_open(). 0 in a field means its default. */
typedef struct ow_options {
    size_t struct_size;         /**< `sizeof(ow_options)`. */
    uint64_t segment_bytes;     /**< Size of a log segment: 256 KiB to 1 GiB; 1 MiB by default. */
    uint64_t window_ms;         /**< How long a key is remembered at least after its event is settled:
                                     one minute to 400 days; 24 hours by default. */
    uint32_t payload_bytes_max; /**< Largest payload; 64 KiB by default. */
    uint32_t flags;             /**< OW_OPEN_EXISTING, or 0. */
    uint32_t dialect;           /**< An ::ow_dialect: what it can never carry is refused at capture. */
    uint32_t key_rule;          /**< An ::ow_key_rule: events that it gives no key are refused at capture. Only
                                     with a dialect. */
} ow_options;

/** An event to be captured. Only `struct_size` and `key` must be given. */
typedef struct ow_event {
    size_t struct_size;            /**< `sizeof(ow_event)`. */
    ow_bytes scope;                /**< `^[a-z0-9][a-z0-9_-]{0,62}$`; `default` if not given. */
    ow_bytes key;                  /**< Idempotency key, 1 to 255 bytes of text. Make it before the
                                        capture, and use the same one for every retry. */
    ow_bytes kind;                 /**< 1 to 64 bytes of text; `event` if not given. */
    ow_bytes payload;              /**< One JSON value, or any bytes: see payload_is_json. */
    ow_bytes amount;               /**< Decimal text such as `24.50`, at most 4 decimals. */
    ow_bytes lane;                 /**< 1 to 255 bytes of text: events of one lane are sent in order,
                                        one at a time; one that waits for a person holds up those
                                        behind it. */
    const int64_t *captured_at_ms; /**< Unix milliseconds; null means the moment of the capture. */
    uint32_t payload_is_json;      /**< 1: the payload is JSON; 0: bytes. */
    uint32_t is_evictable;         /**< 1: may be dropped to make room; 0: never. */
} ow_event;

/** Where a store's events are, and how much room they take. */
typedef struct ow_counts {
    size_t struct_size;         /**< In: `sizeof(ow_counts)`. Out: how much of it was filled. */
    uint64_t pending;           /**< Events that wait to be sent. */
    uint64_t in_flight;         /**< Events that were sent and are not answered. */
    uint64_t settled;           /**< Events with a final answer whose key is still remembered. */
    uint64_t in_review;         /**< Events that wait for a person. */
    uint64_t bytes;             /**< Bytes of the log on disk. */
    uint64_t oldest_pending_ms; /**< Age of the oldest event that is not settled; 0 if there is none. */
    /** Sum of the amounts of pending events; INT64_MAX or INT64_MIN where it does not fit. */
    int64_t amount_pending_ten_thousandths;
    uint64_t keys;              /**< Keys that are remembered. */
    /** Damaged ranges that opening found: events that were there may be lost. Not 0: show it to a person, who runs
     * `onceward verify`. */
    uint64_t damaged_ranges;
} ow_counts;

/** Options of ow_exchange_start(). `upstream` and `dialect` must be given; 0 in another field means its default. */
typedef struct ow_exchange_options {
    size_t struct_size;        /**< `sizeof(ow_exchange_options)`. */
    ow_bytes upstream;         /**< Address of the upstream, `https://` or `http://`, without credentials. */
    ow_bytes upstream_name;    /**< A name of it, where two upstreams are at one address. */
    ow_bytes device_id;        /**< What the upstream calls this device, in ::OW_DIALECT_WEDE; the number of the store
                                    if not given. */
    ow_bytes scope;            /**< Scope whose events are sent; `default` if not given. */
    uint64_t bytes_per_second; /**< Most bytes of events a second; 0: as many as will go. */
    uint64_t seed;             /**< Another one on each terminal, so that they do not return all at once; 0: made
                                    from the number of the store. */
    uint32_t dialect;          /**< An ::ow_dialect. */
    uint32_t key_rule;         /**< An ::ow_key_rule: needed for a scope but `default` at its first exchange. */
    uint32_t items_max;        /**< Most events in a request; 50 by default, at most what the dialect allows. */
    uint32_t in_flight_max;    /**< Most requests on their way at once; 16 by default. */
    uint32_t is_once;          /**< 1: each event is attempted once; 0: for ever. */
    uint32_t can_probe;        /**< 1: the host can open a connection and send nothing: ::OW_WORK_PROBE; 0: it cannot. */
} ow_exchange_options;

/** What the host is to do, in ow_work::kind. */
typedef enum ow_work_kind {
    OW_WORK_SEND = 1,   /**< Send the request, then call ow_exchange_on_response() or ow_exchange_on_no_answer(). Ask
                             for the next work at once: several requests may be on their way. */
    OW_WORK_PROBE = 2,  /**< Open a connection to the upstream, send nothing, close it, and call
                             ow_exchange_on_probe(). */
    OW_WORK_WAIT = 3,   /**< Ask again at ow_work::until_ms, or earlier after a report or a capture. */
    OW_WORK_AWAIT = 4,  /**< Ask again after the next report. */
    OW_WORK_IDLE = 5,   /**< Nothing to send: ask again after a capture. With ow_exchange_options::is_once it is over. */
    OW_WORK_BLOCKED = 6 /**< The upstream refuses the key or the version: call ow_exchange_on_new_key() when there is
                             another key, or stop. With ow_exchange_options::is_once it is over. */
} ow_work_kind;

/** Where the key of the terminal goes, in ow_work::key_place. The library never sees it. */
typedef enum ow_key_place {
    OW_KEY_PLACE_NOWHERE = 0, /**< Nowhere. */
    OW_KEY_PLACE_BEARER = 1,  /**< `Authorization: Bearer KEY`. */
    OW_KEY_PLACE_HEADER = 2   /**< The key alone, in the header of the name ow_work::key_header. */
} ow_key_place;

/** A header of a request or of an answer. */
typedef struct ow_header {
    ow_bytes name;  /**< Its name; of answers in any case. */
    ow_bytes value; /**< Its value. */
} ow_header;

/**
 * What the host is to do next. Fields that do not belong to its kind are 0.
 *
 * All that it points to belongs to the exchange and is only lent: until the answer to this request is reported, or the
 * exchange is stopped or freed. A client that needs it longer makes a copy.
 */
typedef struct ow_work {
    size_t struct_size;       /**< In: `sizeof(ow_work)`. Out: how much of it was filled. */
    uint32_t kind;            /**< An ::ow_work_kind. */
    uint32_t key_place;       /**< Of a request: an ::ow_key_place. */
    uint64_t id;              /**< Of a request: its number, to report with. */
    uint64_t until_ms;        /**< Of a wait: when to ask again, by the clock of the host. */
    ow_bytes method;          /**< Of a request: such as `POST`. */
    ow_bytes path;            /**< Of a request: follows the address of the upstream, less the slash at its end. */
    ow_bytes key_header;      /**< Of a request with ::OW_KEY_PLACE_HEADER: the name of that header. */
    ow_bytes body;            /**< Of a request: what it carries; of a `GET`, not to be sent. */
    const ow_header *headers; /**< Of a request: its headers, besides the key and those of the client's own, such as
                                   `Host` and `Content-Length`. */
    size_t header_count;      /**< How many. */
} ow_work;

/**
 * An answer, whatever its status. Redirects are not to be followed, and the body must be there whole and without
 * compression; otherwise call ow_exchange_on_no_answer(). All of it is only borrowed for the call.
 */
typedef struct ow_response {
    size_t struct_size;       /**< `sizeof(ow_response)`. */
    const ow_header *headers; /**< All headers that came. `Date` tells the upstream's clock, and `Onceward-Horizon` for
                                   how many seconds it remembers keys. */
    size_t header_count;      /**< How many. */
    ow_bytes body;            /**< The body. */
    ow_bytes key;             /**< The key that was sent: where the answer quotes it, it is taken out of whatever is
                                   kept. May be left out. */
    uint32_t status;          /**< Status of HTTP, 100 to 999. */
    uint32_t reserved;        /**< Must be 0. */
} ow_response;

/** What an exchange has done since its start. */
typedef struct ow_report {
    size_t struct_size;        /**< In: `sizeof(ow_report)`. Out: how much of it was filled. */
    uint64_t attempted;        /**< Events sent, resends counted. */
    uint64_t accepted;         /**< Events that took effect now. */
    uint64_t duplicate;        /**< Events that the upstream already had. */
    uint64_t rejected;         /**< Events that went to review. */
    uint64_t batches;          /**< Requests with events. */
    uint64_t bytes;            /**< Bytes of events sent. */
    uint64_t failures;         /**< Requests without an outcome. */
    uint64_t behind;           /**< Events that wait in their lane behind one that waits for a person. */
    uint64_t in_flight;        /**< Requests that are on their way. */
    uint32_t is_unreachable;   /**< 1: the last attempt reached nobody who speaks the dialect. */
    uint32_t is_blocked;       /**< 1: the key or the version is refused. */
    uint32_t is_full;          /**< 1: the disk had no room for what came of it. */
    uint32_t is_misconfigured; /**< 1: the upstream took nothing of what it was sent: a wrong address or dialect. */
} ow_report;

/** The library's version, such as `0.1.0`. Never null, never freed. */
OW_API const char *ow_version(void);

/**
 * Returns what went wrong in the last call on this thread that answered an ::ow_status: one line, empty after
 * ::OW_OK. Never null. Borrowed until the next such call, or ow_store_free(), on this thread.
 */
OW_API const char *ow_last_error_message(void);

/** Returns the stable name of that failure, such as `KEY_INVALID`, for programs that translate. Borrowed likewise. */
OW_API const char *ow_last_error_code(void);

/**
 * Returns 1 if the event of the failed ow_capture() may yet be found after the store is opened again: ask for it
 * with ow_outcome(), or capture it once more under the same key. 0 if it was surely not stored.
 */
OW_API int32_t ow_last_error_in_doubt(void);

/**
 * Opens the store in the directory `path`, and makes one if there is none.
 *
 * @param path    Directory.
 * @param options Null means all defaults.
 * @param store   Receives the handle, or null on failure. Give it back with ow_store_free().
 *
 * Dialect and rule count for this opening and change nothing of what is in the store. Unknown numbers of them, or
 * unknown flags, are answered ::OW_UNSUPPORTED; a rule without a dialect ::OW_INVALID, code `OPTION_INVALID`.
 */
OW_API ow_status ow_store_open(ow_bytes path, const ow_options *options, ow_store **store);

/**
 * Stores an event, unless its key was seen before, and returns once it is durable.
 *
 * In a store that was opened for a dialect, an event that this dialect can never carry, or that has no key by the
 * rule, is answered ::OW_INVALID with the code `UNSENDABLE` and the member at fault in the words; nothing of it is
 * stored, and its key stays free.
 *
 * @param store   The store.
 * @param event   The event.
 * @param verdict Receives the answer.
 * @param lsn     Receives the event's number; of a duplicate or conflict, the original's. May be null.
 */
OW_API ow_status ow_capture(const ow_store *store, const ow_event *event, ow_verdict *verdict,
                            uint64_t *lsn);

/**
 * Returns how far the event of a key is, also after its payload is gone.
 *
 * @param store The store.
 * @param scope The event's scope; `default` if not given.
 * @param key   The event's key.
 * @param state Receives the answer; ::OW_STATE_UNKNOWN is one too.
 * @param lsn   Receives the event's number, 0 if the key is unknown. May be null.
 */
OW_API ow_status ow_outcome(const ow_store *store, ow_bytes scope, ow_bytes key, ow_state *state,
                            uint64_t *lsn);

/**
 * Counts a store's events and bytes.
 *
 * @param store  The store.
 * @param counts Receives them; its struct_size must be set.
 */
OW_API ow_status ow_store_status(const ow_store *store, ow_counts *counts);

/**
 * Closes a store in order, once the calls that run have returned. After it, whatever it answers, the
 * handle refuses everything but ow_store_free(), and the store may be opened again.
 */
OW_API ow_status ow_store_close(const ow_store *store);

/**
 * Gives a handle back; null is fine. No other call may use it, now or later. A store that was not closed
 * is left as by a crash: nothing durable is lost, and the next opening looks it through.
 */
OW_API void ow_store_free(ow_store *store);

/**
 * Begins to send the events of a scope, with a client of the host's that carries the requests.
 *
 * The library opens no socket and no thread, and has no clock for this. The host asks with ow_exchange_next() what is to
 * be done, does it, and reports. `now_ms` is in all calls the time of one clock of the host's that never goes back, in
 * milliseconds, such as `CLOCK_MONOTONIC`; where it begins makes no difference.
 *
 * @code
 * ow_exchange_options options = {0};
 * options.struct_size = sizeof options;
 * options.upstream = ow_text("https://hub.example");
 * options.dialect = OW_DIALECT_FORLOY;
 * ow_exchange *exchange = NULL;
 * if (ow_exchange_start(store, &options, &exchange) != OW_OK)
 *     return 1;
 * for (;;) {
 *     ow_work work = {0};
 *     work.struct_size = sizeof work;
 *     if (ow_exchange_next(exchange, now_ms(), &work) != OW_OK)
 *         break;
 *     if (work.kind == OW_WORK_SEND)
 *         client_send(&work);               // calls ow_exchange_on_response() when the answer is there
 *     else
 *         client_run_until(work.until_ms);  // or until an answer or a capture
 * }
 * ow_exchange_stop(exchange);
 * ow_exchange_free(exchange);
 * @endcode
 *
 * One exchange may be used from several threads; calls go one after the other, and may wait for the disk. A store has
 * one exchange for each scope at a time: a second one is answered ::OW_FENCED, code `DRAINING`. A closed store answers ::OW_INVALID from its exchange too; one that is freed without being closed stays open until
 * its exchanges are freed.
 *
 * @param store    The store.
 * @param options  Where to, and how.
 * @param exchange Receives the handle, or null on failure. Give it back with ow_exchange_free().
 */
OW_API ow_status ow_exchange_start(const ow_store *store, const ow_exchange_options *options,
                                   ow_exchange **exchange);

/**
 * Returns what the host is to do next, and does the store's housekeeping when nothing is on its way.
 *
 * Before a request is returned the store has noted, durably, that it goes. After a failure nothing is lost, and asking
 * again is allowed.
 *
 * @param exchange The exchange.
 * @param now_ms   The time.
 * @param work     Receives it; its struct_size must be set. What it points to is the exchange's: see ::ow_work.
 */
OW_API ow_status ow_exchange_next(const ow_exchange *exchange, uint64_t now_ms, ow_work *work);

/**
 * Applies the answer to a request; what it confirms is durable then. From here on nothing that the request's ::ow_work
 * pointed to may be used, whatever is answered, but for ::OW_NULL, ::OW_UNSUPPORTED and the codes `STATUS_INVALID`,
 * `STRUCT_SIZE_INVALID`, `SIZE_INVALID` and `MISALIGNED`: then the answer was not looked at, and may be reported again.
 *
 * @param exchange The exchange.
 * @param id       The request's number. One that is not on its way changes nothing.
 * @param response The answer.
 * @param now_ms   The time.
 */
OW_API ow_status ow_exchange_on_response(const ow_exchange *exchange, uint64_t id,
                                         const ow_response *response, uint64_t now_ms);

/**
 * Applies that no answer came, or none that was whole. Whether the upstream has the events is unknown then: they go
 * again under their keys, after a probe or a wait. The request's ::ow_work is as after an answer.
 *
 * @param exchange The exchange.
 * @param id       The request's number. One that is not on its way changes nothing.
 * @param why      Why, for a person; without credentials. May be left out.
 * @param now_ms   The time.
 */
OW_API ow_status ow_exchange_on_no_answer(const ow_exchange *exchange, uint64_t id, ow_bytes why,
                                          uint64_t now_ms);

/**
 * Applies whether the connection that ::OW_WORK_PROBE asked for came about.
 *
 * @param exchange   The exchange.
 * @param is_reached 1: it did; 0: it did not.
 * @param now_ms     The time.
 */
OW_API ow_status ow_exchange_on_probe(const ow_exchange *exchange, uint32_t is_reached, uint64_t now_ms);

/** Applies that the line is back, as the host has heard: no wait goes on. Ask for the next work. */
OW_API ow_status ow_exchange_on_online(const ow_exchange *exchange);

/** Applies that the host has another key: goes on after a refusal of the old one. Ask for the next work. */
OW_API ow_status ow_exchange_on_new_key(const ow_exchange *exchange);

/**
 * Counts what was done since the start.
 *
 * @param exchange The exchange.
 * @param report   Receives it; its struct_size must be set.
 */
OW_API ow_status ow_exchange_report(const ow_exchange *exchange, ow_report *report);

/**
 * Stops an exchange. What is on its way is abandoned and goes again, under its keys, with the next exchange of the scope,
 * which may be started at once. After it everything but ow_exchange_free() is refused.
 */
OW_API ow_status ow_exchange_stop(const ow_exchange *exchange);

/** Gives a handle back, and stops it if that was not done; null is fine. No other call may use it, now or later. */
OW_API void ow_exchange_free(ow_exchange *exchange);

#ifdef __cplusplus
}
#endif

#endif /* ONCEWARD_H */
