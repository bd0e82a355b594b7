/* Internal to tcp_codec*.c: which groups of fields each kind of message carries. */
#ifndef TIDEGATE_BACKENDS_TCP_TCP_CODEC_PARTS_H
#define TIDEGATE_BACKENDS_TCP_TCP_CODEC_PARTS_H

#include "backends/tcp/tcp_codec.h"

enum {
    ASK_TAG = 1,      /* tag */
    ASK_RUN = 2,      /* run, collection, docs_max, parts_only */
    ASK_HISTORY = 4,  /* collection, before, limit */
    ASK_WAITERS = 8,  /* waiters */
    ASK_SESSION = 16, /* session */
    ASK_WHOM = 32,    /* user, device, state, meta */
    ASK_RECORD = 64,  /* the tail is the record */
    ASK_FRAME = 128   /* the tail is the frame */
};
static const unsigned ask_groups[] = {
    [LINK_INTEREST] = 0,
    [LINK_UNINTEREST] = 0,
    [LINK_PULL] = ASK_TAG | ASK_RUN | ASK_WAITERS,
    [LINK_HISTORY] = ASK_TAG | ASK_HISTORY | ASK_WAITERS,
    [LINK_CONFLICTS] = ASK_TAG | ASK_WAITERS,
    [LINK_WHO] = ASK_TAG | ASK_WAITERS,
    [LINK_OUTCOME] = ASK_RECORD,
    [LINK_PRESENCE] = ASK_SESSION | ASK_WHOM,
    [LINK_WATCH] = ASK_SESSION,
    [LINK_SIGNAL] = ASK_SESSION | ASK_FRAME,
};
enum {
    TELL_RULES = 1,   /* version, presence */
    TELL_PLACE = 2,   /* place */
    TELL_UPDATE = 4,  /* prev, rev, push, removed, recheck_all */
    TELL_WHOM = 8,    /* user, device */
    TELL_SESSION = 16, /* session */
    TELL_ANSWER = 32, /* id, is_error, with_update, code */
    TELL_TAG = 64,    /* tag, err */
    TELL_PAGE = 128,  /* page, or that there is none */
    TELL_BODY = 256,  /* at, more */
    TELL_FRAME = 512, /* the tail must be there, unless err says why not */
};
static const unsigned tell_groups[] = {
    [LINK_RULES] = TELL_RULES,
    [LINK_HEAD] = TELL_PLACE,
    [LINK_UPDATE] = TELL_PLACE | TELL_UPDATE | TELL_WHOM,
    [LINK_ANSWER] = TELL_PLACE | TELL_WHOM | TELL_SESSION | TELL_ANSWER | TELL_FRAME,
    [LINK_PAGE] = TELL_TAG | TELL_PAGE,
    [LINK_BODY] = TELL_TAG | TELL_BODY | TELL_FRAME,
    [LINK_PRESENCE_FRAME] = TELL_SESSION | TELL_FRAME,
    [LINK_SIGNAL_FRAME] = TELL_SESSION | TELL_FRAME,
};
enum { ASK_KINDS = sizeof ask_groups / sizeof *ask_groups, TELL_KINDS = sizeof tell_groups / sizeof *tell_groups };
enum { RUN_FROM_NOTHING = 1, RUN_HAS_FLOOR = 2, RUN_STARTED = 4, RUN_HAS_TAIL = 8 };
enum { PAGE_RESET = 1, PAGE_FROM_NULL = 2, PAGE_FROM_HAS_FLOOR = 4, PAGE_TO_HAS_FLOOR = 8, PAGE_MORE = 16 };

#endif
