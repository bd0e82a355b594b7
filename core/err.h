/* Operating failures: one list of name, text and what to do about it. docs/errors.md is made from it.
 *
 * A bug is an assert; a normal alternative (a repeat, a hole, a conflict) has an enum of its own. */
#ifndef TIDEGATE_CORE_ERR_H
#define TIDEGATE_CORE_ERR_H

/* X(symbol, wire name, kind, sentence). Kind: RETRY again later, REFUSE never as it is, FATAL for the process. */
#define ERR_LIST(X)                                                                                                      \
    X(ERR_UNAUTHENTICATED, "unauthenticated", REFUSE, "the token is missing, malformed, expired, or not signed by a configured key") \
    X(ERR_FORBIDDEN, "forbidden", REFUSE, "this user may not do that in this space")                                     \
    X(ERR_BAD_FRAME, "bad_frame", REFUSE, "the frame is not one of the protocol's")                                      \
    X(ERR_TOO_LARGE, "too_large", REFUSE, "a frame, document or push is past its limit")                                 \
    X(ERR_TOO_MANY, "too_many", RETRY, "more at once than the limit allows")                                             \
    X(ERR_UNKNOWN_SPACE, "unknown_space", REFUSE, "no namespace of that name is in force")                               \
    X(ERR_INVALID, "invalid", REFUSE, "the push, or what it would leave behind, does not fit its schema")                \
    X(ERR_PRECONDITION, "precondition", REFUSE, "the document is not in the state that the push asked for")              \
    X(ERR_GAP, "gap", RETRY, "the log lacks the push that `after` names")                                                \
    X(ERR_FORKED, "forked", REFUSE, "this id was used before for something else: take a new device id")                  \
    X(ERR_LOG, "log", REFUSE, "made under another log")                                                                  \
    X(ERR_CONFLICT, "conflict", REFUSE, "the document changed meanwhile: settle it and push again on that base")         \
    X(ERR_LOST, "lost", REFUSE, "a later edit won")                                                                      \
    X(ERR_UNKNOWN, "unknown", REFUSE, "what became of this push can no longer be known")                                 \
    X(ERR_BUSY, "busy", RETRY, "the server cannot take this now")                                                        \
    X(ERR_INTERNAL, "internal", RETRY, "a failure of the server")                                                        \
    X(ERR_MEMORY, "memory", FATAL, "out of memory")                                                                      \
    X(ERR_IO, "io", FATAL, "the disk refused a read or a write")                                                         \
    X(ERR_FULL, "full", FATAL, "the disk is full")                                                                       \
    X(ERR_FOREIGN, "foreign", FATAL, "the data directory belongs to something else")                                     \
    X(ERR_CORRUPT, "corrupt", FATAL, "stored bytes do not read back as written")                                         \
    X(ERR_VERSION, "version", FATAL, "written under rules that this version does not know")                              \
    X(ERR_KEY, "key", FATAL, "a key is not there, or does not open what it should")                                      \
    X(ERR_CONFIG, "config", FATAL, "a setting is wrong")

enum err_kind { ERR_KIND_NONE, ERR_KIND_RETRY, ERR_KIND_REFUSE, ERR_KIND_FATAL };

#define ERR_AS_ENUM(symbol, name, kind, text) symbol,
enum err { ERR_OK = 0, ERR_LIST(ERR_AS_ENUM) ERR_COUNT };
#undef ERR_AS_ENUM

const char *err_name(enum err err);    /* the wire's code; "ok" for ERR_OK */
const char *err_text(enum err err);    /* one sentence */
enum err_kind err_kind(enum err err);
enum err err_find(const char *name, unsigned long name_bytes); /* ERR_COUNT where there is none */

#endif
