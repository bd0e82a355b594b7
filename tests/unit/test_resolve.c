/* A push as a whole, and the policies lww, append and manual, one sentence a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/shelf.h"

static const char *const NAMESPACE =
    "{\"namespace\":\"shelf\",\"version\":1,\"access\":\"members\",\"window\":\"1h\",\"collections\":{"
    "\"lww\":{\"policy\":\"lww\"},\"arrival\":{\"policy\":\"lww\",\"order\":\"arrival\"},\"log\":{\"policy\":\"append\"},"
    "\"notes\":{\"policy\":\"manual\"},\"merge\":{\"policy\":\"merge\"},\"mine\":{\"policy\":\"merge\",\"write\":\"self\"},"
    "\"rules\":{\"policy\":\"lww\",\"write\":\"owner\"},"
    "\"typed\":{\"policy\":\"merge\",\"schema\":{\"type\":\"object\",\"properties\":{\"qty\":{\"type\":\"integer\",\"maximum\":999}}}}}}";

enum { HOUR_MS = 3600000 };

static int setup(void **state)
{
    struct shelf *shelf = malloc(sizeof *shelf);
    if (shelf == NULL) return -1;
    shelf_init(shelf, NAMESPACE);
    *state = shelf;
    return 0;
}

static int teardown(void **state)
{
    shelf_fini(*state);
    free(*state);
    return 0;
}

/* One operation: `{"op":"put","collection":"lww","id":"x",...}` from `put lww`, id x and the members that follow. */
#define OP(kind, collection, rest) "{\"op\":\"" kind "\",\"collection\":\"" collection "\",\"id\":\"x\"" rest "}"
#define BODY(text) ",\"body\":" text

static enum resolve_status by(struct shelf *shelf, const char *user, const char *device, const char *ops)
{
    char text[4096];
    snprintf(text, sizeof text, "[%s]", ops);
    return shelf_push(shelf, &(struct shelf_push){.user = user, .device = device, .ops = text});
}
static enum resolve_status ann(struct shelf *shelf, const char *ops) { return by(shelf, "ann", "phone", ops); }
static enum resolve_status bob(struct shelf *shelf, const char *ops) { return by(shelf, "bob", "tablet", ops); }

static void refused(struct shelf *shelf, enum resolve_status status, enum err code, const char *why)
{
    assert_int_equal(status, RESOLVE_REJECTED);
    if (strcmp(shelf->result.why, why) != 0) print_error("%s\n", shelf->result.why);
    assert_int_equal(shelf->result.code, code);
    assert_string_equal(shelf->result.why, why);
    assert_int_equal(shelf->result.losers_count, 0);
    for (size_t i = 0; i < shelf->result.docs_count; i++) assert_false(shelf->result.docs[i].changed);
}

/* ---- the push ---- */

static void resolve__an_empty_push_changes_nothing(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(ann(shelf, ""), RESOLVE_UNCHANGED);
    assert_int_equal(shelf->result.docs_count, 0);
}

static void resolve__operations_apply_in_order_each_on_what_those_before_it_left(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"a\":1,\"b\":2}")) "," OP("patch", "lww", BODY("{\"a\":null,\"c\":3}")) ","
                         OP("delete", "lww", "") "," OP("patch", "lww", BODY("{\"d\":4}"))), RESOLVE_CHANGED);
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"d\":4}");
    assert_int_equal(shelf->result.losers_count, 0);
}

static void resolve__a_rejected_push_changes_nothing(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "lww", BODY("{\"a\":1}")));
    refused(shelf, ann(shelf, OP("put", "lww", BODY("{\"a\":2}")) "," OP("append", "lww", BODY("{}"))), ERR_INVALID,
            "ops[1].op: append does not belong in lww");
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"a\":1}");
    assert_true(span_is(shelf->result.docs[0].after.body, "{\"a\":1}"));
}

static void resolve__documents_are_listed_once_in_order_of_mention(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "lww", BODY("{}")));
    assert_int_equal(ann(shelf, OP("put", "merge", BODY("{}")) "," OP("put", "lww", BODY("{\"a\":1}")) "," OP("patch", "merge", BODY("{\"b\":1}"))),
                     RESOLVE_CHANGED);
    const struct resolve_result *result = &shelf->result;
    assert_int_equal(result->docs_count, 2);
    assert_string_equal(result->docs[0].collection->name, "merge");
    assert_false(result->docs[0].existed);
    assert_true(result->docs[1].existed && result->docs[1].changed);
    assert_true(result->docs[1].before.rev == 1 && result->docs[1].after.rev == 2 && result->docs[1].after.born == 1);
}

static void resolve__an_unknown_collection_is_named(void **state)
{
    struct shelf *shelf = *state;
    refused(shelf, ann(shelf, OP("put", "lww", BODY("{}")) "," OP("put", "nowhere", BODY("{}"))), ERR_INVALID,
            "ops[1].collection: shelf has no collection nowhere");
    assert_int_equal(shelf->result.docs_count, 1);
}

static void resolve__operations_belong_to_their_policies(void **state)
{
    struct shelf *shelf = *state;
    refused(shelf, ann(shelf, OP("incr", "lww", ",\"field\":\"n\",\"by\":1")), ERR_INVALID, "ops[0].op: incr does not belong in lww");
    refused(shelf, ann(shelf, OP("append", "merge", BODY("{}"))), ERR_INVALID, "ops[0].op: append does not belong in merge");
    refused(shelf, ann(shelf, OP("max", "log", ",\"field\":\"n\",\"value\":1")), ERR_INVALID, "ops[0].op: max does not belong in log");
    refused(shelf, ann(shelf, OP("append", "notes", BODY("{}"))), ERR_INVALID, "ops[0].op: append does not belong in notes");
    refused(shelf, ann(shelf, OP("incr", "notes", ",\"field\":\"n\",\"by\":1")), ERR_INVALID, "ops[0].base: incr needs a base in notes");
    assert_int_equal(ann(shelf, OP("incr", "notes", ",\"field\":\"n\",\"by\":1,\"base\":0")), RESOLVE_CHANGED);
}

static void resolve__if_rejects_the_push_unless_the_document_is_so(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"a\":1}") ",\"if\":\"absent\"")), RESOLVE_CHANGED);
    refused(shelf, ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":\"absent\"")), ERR_PRECONDITION, "ops[0]: lww/x: is not as `if` asks");
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":1")), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":1")), RESOLVE_REJECTED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":0")), RESOLVE_REJECTED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":99")), RESOLVE_REJECTED);
    assert_int_equal(ann(shelf, OP("delete", "lww", ",\"if\":3")), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":8")), RESOLVE_REJECTED); /* not the tombstone's rev */
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":7")), RESOLVE_CHANGED);  /* the tombstone's */
    assert_int_equal(ann(shelf, OP("delete", "lww", "")), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"if\":\"absent\"")), RESOLVE_CHANGED);
}

static void resolve__a_document_that_this_push_changed_matches_no_rev(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "lww", BODY("{}")));
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"a\":1}")) "," OP("put", "lww", BODY("{}") ",\"if\":1")), RESOLVE_REJECTED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"a\":1}")) "," OP("put", "lww", BODY("{}") ",\"if\":3")), RESOLVE_REJECTED);
    assert_int_equal(ann(shelf, OP("delete", "lww", "") "," OP("put", "lww", BODY("{}") ",\"if\":\"absent\"")), RESOLVE_CHANGED);
}

static void resolve__roles_and_rules_say_who_writes(void **state)
{
    struct shelf *shelf = *state;
    struct shelf_push reader = {.role = ROLE_READER, .ops = "[" OP("put", "lww", BODY("{}")) "]"};
    refused(shelf, shelf_push(shelf, &reader), ERR_FORBIDDEN, "ops[0]: lww/x: this user may not write it");
    assert_int_equal(ann(shelf, OP("put", "rules", BODY("{}"))), RESOLVE_REJECTED);
    assert_int_equal(shelf->result.code, ERR_FORBIDDEN);
    struct shelf_push owner = {.role = ROLE_OWNER, .ops = "[" OP("put", "rules", BODY("{}")) "]"};
    assert_int_equal(shelf_push(shelf, &owner), RESOLVE_CHANGED);
    assert_int_equal(by(shelf, "x", "phone", OP("put", "mine", BODY("{}"))), RESOLVE_CHANGED);
    owner.ops = "[" OP("put", "mine", BODY("{}")) "]";
    assert_int_equal(shelf_push(shelf, &owner), RESOLVE_REJECTED);
    assert_int_equal(shelf->result.code, ERR_FORBIDDEN);
}

static void resolve__a_member_may_always_leave_and_nobody_else_may_be_sent_away(void **state)
{
    struct shelf *shelf = *state;
    struct shelf_push owner = {.role = ROLE_OWNER, .ops = "[" OP("put", "members", BODY("{\"role\":\"reader\"}")) "]"};
    struct shelf_push leaving = {.user = "x", .role = ROLE_READER, .ops = "[" OP("delete", "members", "") "]"};
    assert_int_equal(shelf_push(shelf, &leaving), RESOLVE_REJECTED); /* no member, nothing to leave */
    assert_int_equal(shelf_push(shelf, &owner), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("delete", "members", "")), RESOLVE_REJECTED);
    struct shelf_push rising = {.user = "x", .ops = "[" OP("put", "members", BODY("{\"role\":\"owner\"}")) "]"};
    assert_int_equal(shelf_push(shelf, &rising), RESOLVE_REJECTED);
    assert_int_equal(shelf->result.code, ERR_FORBIDDEN);
    assert_int_equal(shelf_push(shelf, &leaving), RESOLVE_CHANGED);
    assert_string_equal(shelf_body(shelf, "members", "x"), "deleted");
}

static void resolve__the_schema_is_checked_on_what_the_push_would_leave(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(ann(shelf, OP("put", "typed", BODY("{\"qty\":999}"))), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("incr", "typed", ",\"field\":\"qty\",\"by\":1")), RESOLVE_REJECTED);
    assert_int_equal(shelf->result.code, ERR_INVALID);
    assert_int_equal(strncmp(shelf->result.why, "typed/x: qty: ", 14), 0);
    assert_int_equal(ann(shelf, OP("incr", "typed", ",\"field\":\"qty\",\"by\":5") "," OP("incr", "typed", ",\"field\":\"qty\",\"by\":-5")), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("put", "typed", BODY("{\"qty\":\"none\"}")) "," OP("delete", "typed", "")), RESOLVE_CHANGED);
}

static void resolve__a_long_why_is_cut_between_characters(void **state)
{
    struct shelf *shelf = *state;
    for (size_t lead = 0; lead < 3; lead++) {
        struct buf name, ops;
        buf_init(&name, 512);
        buf_init(&ops, 1024);
        for (size_t i = 0; i < lead; i++) buf_add_char(&name, 'a');
        for (size_t i = 0; i < 90; i++) buf_add_text(&name, "\xe2\x82\xac");
        buf_add_text(&ops, "[" OP("put", "merge", BODY("{\"")));
        buf_truncate(&ops, ops.bytes - 1);
        buf_add_span(&ops, buf_span(&name));
        buf_add_text(&ops, "\":\"text\"}},{\"op\":\"incr\",\"collection\":\"merge\",\"id\":\"x\",\"by\":1,\"field\":\"");
        buf_add_span(&ops, buf_span(&name));
        buf_add_text(&ops, "\"}]");
        assert_int_equal(shelf_push_span(shelf, &(struct shelf_push){0}, buf_span(&ops)), RESOLVE_REJECTED);
        size_t bytes = strlen(shelf->result.why);
        assert_true(bytes <= 200 && bytes >= 197);
        assert_memory_equal(shelf->result.why + bytes - 3, "\xe2\x82\xac", 3);
        buf_fini(&name);
        buf_fini(&ops);
    }
}

/* ---- bounds ---- */

static enum resolve_status many(struct shelf *shelf, size_t count, const char *kind, size_t body_bytes)
{
    struct buf buf;
    buf_init(&buf, 16777216);
    for (size_t i = 0; i < count; i++) {
        buf_add_text(&buf, i == 0 ? "[" : ",");
        buf_add_text(&buf, "{\"op\":\"");
        buf_add_text(&buf, kind);
        buf_add_text(&buf, "\",\"collection\":\"lww\",\"id\":\"");
        buf_add_u64(&buf, i);
        buf_add_text(&buf, "\",\"body\":{\"t\":\"");
        for (size_t j = 8; j < body_bytes; j++) buf_add_char(&buf, 't');
        buf_add_text(&buf, "\"}}");
    }
    buf_add_char(&buf, ']');
    assert_true(buf_ok(&buf));
    enum resolve_status status = shelf_push_span(shelf, &(struct shelf_push){0}, buf_span(&buf));
    buf_fini(&buf);
    return status;
}

static void resolve__a_push_touches_at_most_128_documents(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(many(shelf, LIMIT_PUSH_DOCS_MAX, "put", 8), RESOLVE_CHANGED);
    assert_int_equal(shelf->result.docs_count, LIMIT_PUSH_DOCS_MAX);
    refused(shelf, many(shelf, LIMIT_PUSH_DOCS_MAX + 1, "put", 8), ERR_TOO_LARGE, "ops[128]: a push touches at most 128 documents");
}

static void resolve__a_push_leaves_behind_at_most_a_mebibyte_of_bodies(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(many(shelf, 4, "put", LIMIT_DOCUMENT_BYTES_MAX), RESOLVE_CHANGED);
    refused(shelf, many(shelf, 5, "put", LIMIT_DOCUMENT_BYTES_MAX), ERR_TOO_LARGE, "ops: a push leaves behind at most 1048576 bytes of bodies");
}

static void resolve__a_patch_that_grows_a_document_past_its_limit_is_too_large(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(many(shelf, 1, "put", LIMIT_DOCUMENT_BYTES_MAX), RESOLVE_CHANGED);
    const char *patch = "[{\"op\":\"patch\",\"collection\":\"lww\",\"id\":\"0\",\"body\":{\"n\":1}}]";
    refused(shelf, shelf_push(shelf, &(struct shelf_push){.ops = patch}), ERR_TOO_LARGE, "lww/0: past 262144 bytes");
}

/* ---- lww ---- */

static void lww__of_two_that_did_not_know_of_each_other_the_later_in_time_wins(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"a\":1}") ",\"age\":1000")), RESOLVE_CHANGED);
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{\"b\":1}") ",\"age\":2000")), RESOLVE_LOST);
    assert_int_equal(shelf->result.code, ERR_LOST);
    assert_string_equal(shelf_losers(shelf), "lww/x * {\"b\":1} bob/tablet 2 998000\n");
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"a\":1}");
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{\"b\":1}") ",\"age\":500")), RESOLVE_CHANGED);
    assert_string_equal(shelf_losers(shelf), "lww/x * {\"a\":1} ann/phone 1 999000\n");
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"b\":1}");
}

static void lww__who_knew_the_value_is_later_whatever_the_clocks_say(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "lww", BODY("{\"a\":1}")));
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{\"b\":1}") ",\"age\":99999,\"base\":1")), RESOLVE_CHANGED);
    assert_int_equal(shelf->result.losers_count, 0);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"c\":1}") ",\"age\":999999,\"base\":3")), RESOLVE_LOST); /* past the head: no base */
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{\"d\":1}") ",\"age\":999999")), RESOLVE_CHANGED);           /* his own */
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"d\":1}");
}

static void lww__an_unknown_age_is_the_last_push_or_older_than_all(void **state)
{
    struct shelf *shelf = *state;
    struct shelf_push push = {.user = "bob", .device = "tablet", .ops = "[" OP("put", "lww", BODY("{\"b\":1}") ",\"age\":null") "]"};
    ann(shelf, OP("put", "lww", BODY("{\"a\":1}") ",\"age\":1000"));
    assert_int_equal(shelf_push(shelf, &push), RESOLVE_LOST);
    push.last_push_ms = 998999;
    assert_int_equal(shelf_push(shelf, &push), RESOLVE_LOST);
    push.last_push_ms = 999001;
    assert_int_equal(shelf_push(shelf, &push), RESOLVE_CHANGED);
}

static void lww__at_equal_times_the_greater_user_and_device_wins(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{\"b\":1}"))), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"a\":1}"))), RESOLVE_LOST);
    assert_int_equal(by(shelf, "bob", "watch", OP("put", "lww", BODY("{\"w\":1}"))), RESOLVE_CHANGED);
    assert_int_equal(by(shelf, "bob", "", OP("put", "lww", BODY("{\"s\":1}"))), RESOLVE_LOST);
}

static void lww__two_pushes_of_a_backend_are_not_one_device(void **state)
{
    struct shelf *shelf = *state;
    by(shelf, "shop", "", OP("put", "lww", BODY("{\"a\":1}")));
    assert_int_equal(by(shelf, "shop", "", OP("put", "lww", BODY("{\"b\":1}") ",\"age\":5")), RESOLVE_LOST);
    assert_int_equal(by(shelf, "shop", "", OP("put", "lww", BODY("{\"c\":1}"))), RESOLVE_CHANGED); /* of one millisecond: the log's order */
    assert_int_equal(by(shelf, "shop", "", OP("put", "lww", BODY("{\"d\":1}")) "," OP("put", "lww", BODY("{\"e\":1}") ",\"age\":500")), RESOLVE_CHANGED);
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"e\":1}");
}

static void lww__under_arrival_the_log_decides_and_what_was_not_known_is_kept(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "arrival", BODY("{\"a\":1}")));
    assert_int_equal(bob(shelf, OP("put", "arrival", BODY("{\"b\":1}") ",\"age\":5000")), RESOLVE_CHANGED);
    assert_string_equal(shelf_losers(shelf), "arrival/x * {\"a\":1} ann/phone 1 1000000\n");
}

static void lww__a_deletion_takes_part_like_any_edit(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "lww", BODY("{\"a\":1}") ",\"age\":50"));
    assert_int_equal(bob(shelf, OP("delete", "lww", ",\"age\":60")), RESOLVE_LOST);
    assert_string_equal(shelf_losers(shelf), "lww/x * null bob/tablet 2 999940\n");
    assert_int_equal(bob(shelf, OP("delete", "lww", ",\"age\":40")), RESOLVE_CHANGED);
    assert_string_equal(shelf_losers(shelf), "lww/x * {\"a\":1} ann/phone 1 999950\n");
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{\"a\":2}") ",\"age\":45")), RESOLVE_LOST);
    assert_int_equal(ann(shelf, OP("patch", "lww", BODY("{\"a\":3,\"b\":null}") ",\"age\":30")), RESOLVE_CHANGED);
    assert_string_equal(shelf_losers(shelf), "lww/x * null bob/tablet 3 999960\n");
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"a\":3}");
    struct doc doc;
    assert_true(shelf_doc(shelf, "lww", "x", &doc));
    assert_true(doc.born == 5 && span_is(doc.author, "ann") && span_is(doc.user, "ann"));
}

static void lww__deleting_what_never_was_leaves_a_tombstone(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(bob(shelf, OP("delete", "lww", "")), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("put", "lww", BODY("{}") ",\"age\":5")), RESOLVE_LOST);
    assert_string_equal(shelf_body(shelf, "lww", "x"), "deleted");
}

static void lww__a_tombstone_past_the_window_never_was(void **state)
{
    struct shelf *shelf = *state;
    bob(shelf, OP("delete", "lww", ""));
    struct shelf_push late = {.time_ms = 1000000 + HOUR_MS, .ops = "[" OP("put", "lww", BODY("{\"a\":1}") ",\"age\":3700000") "]"};
    assert_int_equal(shelf_push(shelf, &late), RESOLVE_LOST);
    late.time_ms++;
    assert_int_equal(shelf_push(shelf, &late), RESOLVE_CHANGED);
    assert_false(shelf->result.docs[0].existed);
    assert_int_equal(shelf->result.docs[0].after.born, 3);
}

static void lww__a_winning_edit_counts_even_with_the_same_bytes(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "lww", BODY("{\"a\":1}") ",\"age\":9"));
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{\"a\":1}"))), RESOLVE_CHANGED);
    assert_int_equal(shelf->result.losers_count, 0);
    assert_int_equal(shelf->result.docs[0].after.rev, 2);
}

static void lww__a_body_comes_out_byte_for_byte(void **state)
{
    struct shelf *shelf = *state;
    const char *body = "{ \"z\\u0061\" : 1234567890123456789 ,\"b\":[ 1.10, \"\\/\" ] }";
    char ops[256];
    snprintf(ops, sizeof ops, "{\"op\":\"put\",\"collection\":\"lww\",\"id\":\"x\",\"body\":%s}", body);
    ann(shelf, ops);
    assert_string_equal(shelf_body(shelf, "lww", "x"), body);
    ann(shelf, OP("patch", "lww", BODY("{\"c\": {\"d\" : null}}")));
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"z\\u0061\":1234567890123456789,\"b\":[ 1.10, \"\\/\" ],\"c\":{\"d\" : null}}");
    ann(shelf, OP("patch", "lww", BODY("{\"za\":2}")));
    assert_string_equal(shelf_body(shelf, "lww", "x"), "{\"z\\u0061\":2,\"b\":[ 1.10, \"\\/\" ],\"c\":{\"d\" : null}}");
}

/* ---- append ---- */

static void append__the_same_id_with_the_same_body_changes_nothing(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(ann(shelf, OP("append", "log", BODY("{\"t\":1}"))), RESOLVE_CHANGED);
    assert_int_equal(bob(shelf, OP("append", "log", BODY("{\"t\":1}"))), RESOLVE_UNCHANGED);
    refused(shelf, ann(shelf, OP("append", "log", BODY("{\"t\": 1}"))), ERR_PRECONDITION, "ops[0]: log/x: exists already, with another body");
    assert_int_equal(ann(shelf, OP("patch", "log", BODY("{\"t\":2}")) "," OP("append", "log", BODY("{\"t\":2}"))), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("delete", "log", "")), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("append", "log", BODY("{\"t\":2}"))), RESOLVE_REJECTED);
    assert_int_equal(shelf->result.code, ERR_PRECONDITION);
}

static void append__only_its_author_changes_a_document_and_an_owner_may_delete_it(void **state)
{
    struct shelf *shelf = *state;
    refused(shelf, ann(shelf, OP("put", "log", BODY("{}"))), ERR_PRECONDITION, "ops[0]: log/x: does not exist");
    ann(shelf, OP("append", "log", BODY("{\"t\":1}")));
    refused(shelf, bob(shelf, OP("put", "log", BODY("{}"))), ERR_FORBIDDEN, "ops[0]: log/x: is its author's to change");
    assert_int_equal(bob(shelf, OP("delete", "log", "")), RESOLVE_REJECTED);
    assert_int_equal(by(shelf, "ann", "laptop", OP("put", "log", BODY("{\"t\":2}"))), RESOLVE_LOST); /* laptop < phone at the same time */
    struct shelf_push owner = {.user = "bob", .role = ROLE_OWNER, .ops = "[" OP("patch", "log", BODY("{}")) "]"};
    assert_int_equal(shelf_push(shelf, &owner), RESOLVE_REJECTED);
    owner.ops = "[" OP("delete", "log", "") "]";
    assert_int_equal(shelf_push(shelf, &owner), RESOLVE_CHANGED);
}

static void append__a_document_keeps_its_place_and_author_through_edits_and_deletion(void **state)
{
    struct shelf *shelf = *state;
    struct doc doc;
    ann(shelf, OP("append", "log", BODY("{\"t\":1}")));
    ann(shelf, OP("put", "log", BODY("{\"t\":2}")));
    ann(shelf, OP("delete", "log", ""));
    assert_int_equal(ann(shelf, OP("put", "log", BODY("{\"t\":3}"))), RESOLVE_CHANGED);
    assert_true(shelf_doc(shelf, "log", "x", &doc));
    assert_true(doc.born == 1 && doc.rev == 4 && span_is(doc.author, "ann"));
}

/* ---- manual ---- */

static void manual__an_edit_on_another_base_is_a_conflict_and_changes_nothing(void **state)
{
    struct shelf *shelf = *state;
    assert_int_equal(ann(shelf, OP("put", "notes", BODY("{\"a\":1}"))), RESOLVE_CHANGED);
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{}")) "," OP("put", "notes", BODY("{\"b\":1}"))), RESOLVE_CONFLICT);
    assert_int_equal(shelf->result.code, ERR_CONFLICT);
    assert_int_equal(shelf->result.docs_count, 2);
    assert_false(shelf->result.docs[0].changed || shelf->result.docs[1].changed);
    assert_true(span_is(shelf->result.docs[1].after.body, "{\"a\":1}"));
    assert_string_equal(shelf_body(shelf, "lww", "x"), "absent");
    assert_int_equal(bob(shelf, OP("put", "notes", BODY("{\"b\":1}") ",\"base\":1")), RESOLVE_CHANGED);
    assert_int_equal(shelf->result.losers_count, 0);
}

static void manual__nobody_conflicts_with_himself(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "notes", BODY("{\"a\":1}")));
    assert_int_equal(ann(shelf, OP("patch", "notes", BODY("{\"a\":2}")) "," OP("incr", "notes", ",\"field\":\"a\",\"by\":1,\"base\":0")), RESOLVE_CHANGED);
    assert_string_equal(shelf_body(shelf, "notes", "x"), "{\"a\":3}");
    assert_int_equal(by(shelf, "ann", "laptop", OP("patch", "notes", BODY("{\"a\":4}"))), RESOLVE_CONFLICT);
    assert_int_equal(by(shelf, "ann", "laptop", OP("incr", "notes", ",\"field\":\"a\",\"by\":4,\"base\":1")), RESOLVE_CONFLICT);
    assert_int_equal(by(shelf, "ann", "laptop", OP("delete", "notes", ",\"base\":2")), RESOLVE_CHANGED);
    assert_int_equal(ann(shelf, OP("put", "notes", BODY("{\"a\":5}") ",\"base\":2")), RESOLVE_CONFLICT); /* a tombstone has a base too */
}

static void manual__a_rejection_beats_a_conflict_wherever_it_stands(void **state)
{
    struct shelf *shelf = *state;
    ann(shelf, OP("put", "notes", BODY("{\"a\":1}")));
    assert_int_equal(bob(shelf, OP("put", "notes", BODY("{\"b\":1}")) "," OP("put", "lww", BODY("{}") ",\"if\":77")), RESOLVE_REJECTED);
    assert_int_equal(bob(shelf, OP("put", "lww", BODY("{}") ",\"if\":77") "," OP("put", "notes", BODY("{\"b\":1}"))), RESOLVE_REJECTED);
    assert_int_equal(bob(shelf, OP("put", "notes", BODY("{\"b\":1}")) "," OP("put", "typed", BODY("{\"qty\":1e9}"))), RESOLVE_REJECTED);
    assert_int_equal(shelf->result.code, ERR_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(resolve__an_empty_push_changes_nothing),
        TEST(resolve__operations_apply_in_order_each_on_what_those_before_it_left),
        TEST(resolve__a_rejected_push_changes_nothing),
        TEST(resolve__documents_are_listed_once_in_order_of_mention),
        TEST(resolve__an_unknown_collection_is_named),
        TEST(resolve__operations_belong_to_their_policies),
        TEST(resolve__if_rejects_the_push_unless_the_document_is_so),
        TEST(resolve__a_document_that_this_push_changed_matches_no_rev),
        TEST(resolve__roles_and_rules_say_who_writes),
        TEST(resolve__a_member_may_always_leave_and_nobody_else_may_be_sent_away),
        TEST(resolve__the_schema_is_checked_on_what_the_push_would_leave),
        TEST(resolve__a_long_why_is_cut_between_characters),
        TEST(resolve__a_push_touches_at_most_128_documents),
        TEST(resolve__a_push_leaves_behind_at_most_a_mebibyte_of_bodies),
        TEST(resolve__a_patch_that_grows_a_document_past_its_limit_is_too_large),
        TEST(lww__of_two_that_did_not_know_of_each_other_the_later_in_time_wins),
        TEST(lww__who_knew_the_value_is_later_whatever_the_clocks_say),
        TEST(lww__an_unknown_age_is_the_last_push_or_older_than_all),
        TEST(lww__at_equal_times_the_greater_user_and_device_wins),
        TEST(lww__two_pushes_of_a_backend_are_not_one_device),
        TEST(lww__under_arrival_the_log_decides_and_what_was_not_known_is_kept),
        TEST(lww__a_deletion_takes_part_like_any_edit),
        TEST(lww__deleting_what_never_was_leaves_a_tombstone),
        TEST(lww__a_tombstone_past_the_window_never_was),
        TEST(lww__a_winning_edit_counts_even_with_the_same_bytes),
        TEST(lww__a_body_comes_out_byte_for_byte),
        TEST(append__the_same_id_with_the_same_body_changes_nothing),
        TEST(append__only_its_author_changes_a_document_and_an_owner_may_delete_it),
        TEST(append__a_document_keeps_its_place_and_author_through_edits_and_deletion),
        TEST(manual__an_edit_on_another_base_is_a_conflict_and_changes_nothing),
        TEST(manual__nobody_conflicts_with_himself),
        TEST(manual__a_rejection_beats_a_conflict_wherever_it_stands),
    };
    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
