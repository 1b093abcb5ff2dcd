/* Forks with a store open and prints what parent and child are answered: tests/from_c.rs reads it. */
#define _POSIX_C_SOURCE 200809L
#include "onceward.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Prints a line for a call that answered a status. */
static void say(const char *who, const char *what, ow_status status) {
    printf("%s %s: %d [%s] in doubt: %d\n", who, what, (int)status, ow_last_error_code(),
           (int)ow_last_error_in_doubt());
    fflush(stdout);
}

static void capture(const ow_store *store, const char *who, const char *key) {
    ow_event event = {0};
    ow_verdict verdict = (ow_verdict)0;
    event.struct_size = sizeof event;
    event.key = ow_text(key);
    say(who, key, ow_capture(store, &event, &verdict, NULL));
}

static void outcome(const ow_store *store, const char *who, const char *key) {
    ow_state state = (ow_state)-1;
    say(who, "outcome", ow_outcome(store, ow_text("default"), ow_text(key), &state, NULL));
    printf("  state %d\n", (int)state);
    fflush(stdout);
}

/* Waits for a child that must end by itself. */
static void join(pid_t child) {
    int status = -1;
    waitpid(child, &status, 0);
    printf("child ended: %d\n", status);
    fflush(stdout);
}

/* What a child gets that uses what it inherited, and opens the store itself. */
static void child_of_a_living_parent(ow_store *store, const char *path) {
    ow_store *own = NULL;
    ow_counts counts = {0};
    counts.struct_size = sizeof counts;
    capture(store, "child", "k-child");
    outcome(store, "child", "k-1");
    say("child", "counts", ow_store_status(store, &counts));
    say("child", "open", ow_store_open(ow_text(path), NULL, &own));
    say("child", "close", ow_store_close(store));
    ow_store_free(store);
    say("child", "open", ow_store_open(ow_text(path), NULL, &own));
}

/* What a child gets that opens stores of its own, again and again, while the threads of the parent's are idle: their
   places in memory are taken by the threads that the child starts. */
static void child_with_stores_of_its_own(const char *path) {
    char own_path[4096];
    int turn;
    snprintf(own_path, sizeof own_path, "%s-own", path);
    for (turn = 0; turn < 40; turn++) {
        ow_store *own = NULL;
        ow_event event = {0};
        ow_verdict verdict = (ow_verdict)0;
        event.struct_size = sizeof event;
        event.key = ow_text("k-own");
        if (ow_store_open(ow_text(own_path), NULL, &own) != OW_OK ||
            ow_capture(own, &event, &verdict, NULL) != OW_OK || ow_store_close(own) != OW_OK) {
            say("child", "of its own", OW_IO);
            return;
        }
        ow_store_free(own);
    }
    say("child", "forty of its own", OW_OK);
}

/* As a program that goes into the background: the parent ends, the child goes on. */
static void child_of_a_dead_parent(const char *path) {
    int pipe_of[2];
    ow_store *store = NULL;
    ow_exchange *exchange = NULL;
    ow_exchange_options options = {0};
    ow_work work = {0};
    char byte = 0;
    pid_t parent;
    if (pipe(pipe_of) != 0) {
        exit(1);
    }
    parent = fork();
    if (parent == 0) {
        say("first", "open", ow_store_open(ow_text(path), NULL, &store));
        capture(store, "first", "k-first");
        options.struct_size = sizeof options;
        options.upstream = ow_text("https://hub.example");
        options.dialect = OW_DIALECT_WEDE;
        say("first", "start", ow_exchange_start(store, &options, &exchange));
        if (fork() != 0) {
            _exit(0);
        }
        close(pipe_of[1]);
        while (read(pipe_of[0], &byte, 1) > 0) {
        }
        capture(store, "second", "k-second");
        work.struct_size = sizeof work;
        say("second", "next", ow_exchange_next(exchange, 0, &work));
        say("second", "stop", ow_exchange_stop(exchange));
        ow_exchange_free(exchange);
        ow_store_free(store);
        say("second", "open", ow_store_open(ow_text(path), NULL, &store));
        capture(store, "second", "k-second");
        say("second", "close", ow_store_close(store));
        ow_store_free(store);
        _exit(0);
    }
    waitpid(parent, NULL, 0);
    close(pipe_of[1]);
    close(pipe_of[0]);
}

int main(int count, char **arguments) {
    ow_store *store = NULL;
    pid_t child;
    if (count != 3) {
        return 2;
    }
    /* A call that waits for a thread of the other process would wait for ever. */
    alarm(60);
    say("parent", "open", ow_store_open(ow_text(arguments[1]), NULL, &store));
    capture(store, "parent", "k-1");
    child = fork();
    if (child == 0) {
        alarm(60);
        child_of_a_living_parent(store, arguments[1]);
        exit(0);
    }
    join(child);
    capture(store, "parent", "k-2");
    child = fork();
    if (child == 0) {
        alarm(60);
        /* Ends without a word. */
        exit(0);
    }
    join(child);
    child = fork();
    if (child == 0) {
        alarm(60);
        child_with_stores_of_its_own(arguments[1]);
        exit(0);
    }
    join(child);
    capture(store, "parent", "k-3");
    outcome(store, "parent", "k-child");
    outcome(store, "parent", "k-1");
    say("parent", "close", ow_store_close(store));
    ow_store_free(store);
    child_of_a_dead_parent(arguments[2]);
    return 0;
}
