#include "workers/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

struct journal {
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    /* under the lock */
    struct journal_job *first, *last;
    struct journal_job *done_first, *done_last;
    bool stopping;
    /* the loop's */
    uv_async_t async;
    void *ctx;
    void (*done)(void *ctx, struct journal_job *job);
    void *closed_ctx;
    void (*closed)(void *ctx);
};

static void push(struct journal_job **first, struct journal_job **last, struct journal_job *job)
{
    job->next = NULL;
    if (*last == NULL) *first = job;
    else (*last)->next = job;
    *last = job;
}

static void run(void *ctx)
{
    struct journal *journal = ctx;
    for (;;) {
        uv_mutex_lock(&journal->lock);
        while (journal->first == NULL && !journal->stopping) uv_cond_wait(&journal->wake, &journal->lock);
        struct journal_job *job = journal->first;
        if (job != NULL) journal->first = job->next;
        if (journal->first == NULL) journal->last = NULL;
        uv_mutex_unlock(&journal->lock);
        if (job == NULL) return;
        uint64_t began_ns = uv_hrtime();
        job->err = store_apply(job->store, &job->batch);
        job->took_us = (uv_hrtime() - began_ns) / 1000;
        uv_mutex_lock(&journal->lock);
        push(&journal->done_first, &journal->done_last, job);
        uv_mutex_unlock(&journal->lock);
        uv_async_send(&journal->async);
    }
}

static void on_async(uv_async_t *async)
{
    struct journal *journal = async->data;
    uv_mutex_lock(&journal->lock);
    struct journal_job *job = journal->done_first, *next;
    journal->done_first = journal->done_last = NULL;
    uv_mutex_unlock(&journal->lock);
    for (; job != NULL; job = next) {
        next = job->next;
        journal->done(journal->ctx, job);
    }
}

enum err journal_open(struct uv_loop_s *loop, void *ctx, void (*done)(void *ctx, struct journal_job *job), struct journal **ret_journal)
{
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL) return ERR_MEMORY;
    journal->ctx = ctx;
    journal->done = done;
    int code = uv_mutex_init(&journal->lock);
    if (code == 0) code = uv_cond_init(&journal->wake);
    if (code == 0) code = uv_async_init(loop, &journal->async, on_async);
    journal->async.data = journal;
    if (code == 0) code = uv_thread_create(&journal->thread, run, journal);
    if (code != 0) return ERR_INTERNAL; /* no threads or descriptors at start: the process ends, and this with it */
    *ret_journal = journal;
    return ERR_OK;
}

void journal_submit(struct journal *journal, struct journal_job *job)
{
    uv_mutex_lock(&journal->lock);
    push(&journal->first, &journal->last, job);
    uv_cond_signal(&journal->wake);
    uv_mutex_unlock(&journal->lock);
}

static void on_closed(uv_handle_t *handle)
{
    struct journal *journal = handle->data;
    void *ctx = journal->closed_ctx;
    void (*closed)(void *) = journal->closed;
    uv_mutex_destroy(&journal->lock);
    uv_cond_destroy(&journal->wake);
    free(journal);
    closed(ctx);
}

void journal_close(struct journal *journal, void *ctx, void (*closed)(void *ctx))
{
    uv_mutex_lock(&journal->lock);
    assert(journal->first == NULL && journal->done_first == NULL);
    journal->stopping = true;
    uv_cond_signal(&journal->wake);
    uv_mutex_unlock(&journal->lock);
    uv_thread_join(&journal->thread);
    journal->closed_ctx = ctx;
    journal->closed = closed;
    uv_close((uv_handle_t *)&journal->async, on_closed);
}
