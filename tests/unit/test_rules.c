/* Schemas, namespaces, access and records: which rules are taken, and what they say. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "core/access.h"
#include "core/record.h"

static bool fits(const char *schema_text, const char *value_text, char *why, size_t why_bytes)
{
    struct schema *schema = NULL;
    struct json_value value;
    char refused[200] = "";
    if (schema_compile(span_text(schema_text), &schema, refused, sizeof refused) != ERR_OK) fail_msg("%s: %s", schema_text, refused);
    assert_true(json_check(span_text(value_text), &value, NULL));
    bool good = schema_fits(schema, value, why, why_bytes);
    schema_free(schema);
    return good;
}

static void schema__an_unknown_keyword_is_refused_by_name(void **state)
{
    static const char *const bad[][2] = {{"{\"pattern\":\"(a\"}", "pattern"}, {"{\"properties\":{\"a\":{\"formats\":\"date\"}}}", "formats"}, {"{\"$ref\":\"#a\"}", "$ref"},
        {"{\"type\":\"strin\"}", "type"}, {"{\"minimum\":\"1\"}", "minimum"}, {"{\"required\":[1]}", "required"}, {"{\"allOf\":[]}", "allOf"}, {"3", "schema"}, {"{\"multipleOf\":0}", "multipleOf"}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct schema *schema = NULL;
        char why[200] = "";
        assert_int_equal(schema_compile(span_text(bad[i][0]), &schema, why, sizeof why), ERR_INVALID);
        assert_non_null(strstr(why, bad[i][1]));
    }
}

static void schema__numbers_are_judged_exactly(void **state)
{
    char why[200];
    (void)state;
    assert_true(fits("{\"type\":\"integer\"}", "1.0", why, sizeof why));
    assert_false(fits("{\"type\":\"integer\"}", "1.5", why, sizeof why));
    assert_false(fits("{\"maximum\":9007199254740992}", "9007199254740993", why, sizeof why));
    assert_true(fits("{\"enum\":[9007199254740993]}", "9007199254740993", why, sizeof why));
    assert_false(fits("{\"enum\":[9007199254740993]}", "9007199254740992", why, sizeof why));
    assert_true(fits("{\"multipleOf\":0.01}", "19.99", why, sizeof why));
    assert_true(fits("{\"const\":1}", "1.0", why, sizeof why));
}

static void schema__says_which_member_does_not_fit(void **state)
{
    char why[200];
    (void)state;
    assert_false(fits("{\"properties\":{\"qty\":{\"maximum\":999}}}", "{\"qty\":1000}", why, sizeof why));
    assert_string_equal(why, "qty: greater than 999");
    assert_false(fits("{\"required\":[\"text\"]}", "{}", why, sizeof why));
    assert_non_null(strstr(why, "text"));
    assert_false(fits("{\"properties\":{\"tags\":{\"items\":{\"type\":\"string\"}}}}", "{\"tags\":[\"a\",1]}", why, sizeof why));
    assert_non_null(strstr(why, "tags.[1]"));
    assert_false(fits("{\"maxLength\":2}", "\"\\ud83d\\ude00ab\"", why, sizeof why));
    assert_true(fits("{\"maxLength\":3}", "\"\\ud83d\\ude00ab\"", why, sizeof why));
}

static void schema__combines(void **state)
{
    char why[200];
    (void)state;
    assert_true(fits("{\"oneOf\":[{\"type\":\"string\"},{\"minimum\":5}]}", "7", why, sizeof why));
    assert_false(fits("{\"oneOf\":[{\"minimum\":1},{\"minimum\":5}]}", "7", why, sizeof why));
    assert_false(fits("{\"not\":{\"type\":\"null\"}}", "null", why, sizeof why));
    assert_true(fits("{\"anyOf\":[{\"type\":\"null\"},{\"minLength\":1}]}", "null", why, sizeof why));
    assert_false(fits("{\"additionalProperties\":false,\"properties\":{\"a\":true}}", "{\"b\":1}", why, sizeof why));
    assert_false(fits("{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]", why, sizeof why));
    assert_false(fits("false", "1", why, sizeof why));
}

static struct namespace *compiled(const char *text)
{
    struct namespace *ns = NULL;
    char why[200] = "";
    if (namespace_compile(span_text(text), &ns, why, sizeof why) != ERR_OK) fail_msg("%s", why);
    return ns;
}

static void namespace__a_typo_is_refused_by_name(void **state)
{
    static const char *const bad[][2] = {
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"owner\",\"windw\":\"1d\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}", "windw"},
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"everyone\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}", "access"},
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"owner\",\"collections\":{\"c\":{\"policy\":\"crdt\"}}}", "policy"},
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"owner\",\"collections\":{\"members\":{\"policy\":\"lww\"}}}", "members"},
        {"{\"namespace\":\"A\",\"version\":1,\"access\":\"owner\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}", "namespace"},
        {"{\"namespace\":\"a\",\"version\":0,\"access\":\"owner\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}", "version"},
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"owner\",\"window\":\"1w\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}", "window"},
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"owner\",\"collections\":{}}", "collections"},
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"owner\"}", "collections"}, {"[]", "JSON object"},
        {"{\"namespace\":\"a\",\"version\":1,\"access\":\"owner\",\"collections\":{\"c\":{\"policy\":\"lww\",\"schema\":{\"pattern\":\"x)\"}}}}", "pattern"}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct namespace *ns = NULL;
        char why[200] = "";
        assert_int_equal(namespace_compile(span_text(bad[i][0]), &ns, why, sizeof why), ERR_INVALID);
        if (strstr(why, bad[i][1]) == NULL) fail_msg("%s does not name %s", why, bad[i][1]);
    }
}

static void namespace__members_are_built_in_but_where_grants_decide(void **state)
{
    struct namespace *owner = compiled("{\"namespace\":\"a\",\"version\":3,\"access\":\"owner\",\"window\":\"36h\",\"collections\":{\"c\":{\"policy\":\"manual\",\"order\":\"arrival\",\"write\":\"self\"}}}");
    struct namespace *grant = compiled("{\"namespace\":\"g\",\"version\":1,\"access\":\"grant\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}");
    (void)state;
    assert_true(owner->window_ms == INT64_C(129600000) && owner->version == 3 && !owner->presence);
    assert_non_null(namespace_collection(owner, SPAN_LITERAL("members")));
    assert_null(namespace_collection(grant, SPAN_LITERAL("members")));
    const struct collection *c = namespace_collection(owner, SPAN_LITERAL("c"));
    assert_true(c->policy == POLICY_MANUAL && c->order == ORDER_ARRIVAL && c->write == WRITE_SELF);
    namespace_free(owner);
    namespace_free(grant);
}

static void access__is_name_grant_membership_and_open_rooms_together(void **state)
{
    struct namespace *chat = compiled("{\"namespace\":\"chat\",\"version\":1,\"access\":\"members\",\"collections\":{\"room\":{\"policy\":\"merge\"}}}");
    struct namespace *cart = compiled("{\"namespace\":\"cart\",\"version\":1,\"access\":\"owner\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}");
    struct namespace *feed = compiled("{\"namespace\":\"feed\",\"version\":1,\"access\":\"grant\",\"collections\":{\"c\":{\"policy\":\"lww\"}}}");
    struct access_facts facts = {.space = SPAN_LITERAL("cart:ana"), .user = SPAN_LITERAL("ana")};
    (void)state;
    assert_int_equal(access_role(cart, &facts), ROLE_OWNER);
    facts.user = SPAN_LITERAL("bob");
    assert_int_equal(access_role(cart, &facts), ROLE_NONE);
    assert_false(access_may_found(cart, &facts));
    facts.member = ROLE_WRITER;
    assert_int_equal(access_role(cart, &facts), ROLE_WRITER);
    facts = (struct access_facts){.space = SPAN_LITERAL("chat:lobby"), .user = SPAN_LITERAL("bob")};
    assert_true(access_may_found(chat, &facts));
    facts.founded = facts.join_open = true;
    assert_false(access_may_found(chat, &facts));
    assert_int_equal(access_role(chat, &facts), ROLE_WRITER);
    facts.granted = ROLE_OWNER;
    assert_int_equal(access_role(chat, &facts), ROLE_OWNER);
    facts = (struct access_facts){.space = SPAN_LITERAL("chat:bob"), .user = SPAN_LITERAL("bob")};
    assert_int_equal(access_role(chat, &facts), ROLE_NONE); /* only chat:bob:... is his by name */
    facts.space = SPAN_LITERAL("chat:bob:x");
    assert_int_equal(access_role(chat, &facts), ROLE_OWNER);
    facts.user = SPAN_LITERAL("eve");
    assert_false(access_may_found(chat, &facts));
    facts = (struct access_facts){.space = SPAN_LITERAL("feed:bob"), .user = SPAN_LITERAL("bob"), .member = ROLE_OWNER, .join_open = true, .granted = ROLE_READER};
    assert_int_equal(access_role(feed, &facts), ROLE_READER);
    namespace_free(chat);
    namespace_free(cart);
    namespace_free(feed);
}

static void access__the_widest_grant_counts(void **state)
{
    struct json_value spaces;
    (void)state;
    assert_true(json_check(SPAN_LITERAL("{\"chat:*\":\"r\",\"chat:a\":\"rw\",\"cart:bob\":\"x\"}"), &spaces, NULL));
    assert_int_equal(access_granted(spaces, false, SPAN_LITERAL("chat:a")), ROLE_WRITER);
    assert_int_equal(access_granted(spaces, false, SPAN_LITERAL("chat:b")), ROLE_READER);
    assert_int_equal(access_granted(spaces, false, SPAN_LITERAL("cart:bob")), ROLE_NONE);
    assert_int_equal(access_granted(spaces, true, SPAN_LITERAL("cart:bob")), ROLE_OWNER);
}

static void record__comes_back_as_it_went_in(void **state)
{
    struct arena arena;
    struct buf buf;
    struct record record;
    struct record_push push = {.space = SPAN_LITERAL("cart:ana"), .user = SPAN_LITERAL("a\"na\xc3\xa9"), .granted = ROLE_WRITER, .ns_version = 7, .has_device = true,
        .device = SPAN_LITERAL("phone-0001"), .id = 9007199254740991, .after = 5, .known = 4, .gateway = SPAN_LITERAL("g1"), .session = 77,
        .ops = {.type = JSON_ARRAY, .raw = SPAN_LITERAL("[ {\"op\":\"put\",\"body\":{\"n\": 1.10}} ]")}};
    (void)state;
    arena_init(&arena, 100000);
    buf_init(&buf, 10000);
    record_encode_push(&push, &buf);
    assert_int_equal(record_decode(buf_span(&buf), &arena, &record), ERR_OK);
    assert_true(span_equal(record.push.space, push.space) && span_equal(record.push.user, push.user) && span_equal(record.push.ops.raw, push.ops.raw));
    assert_true(record.push.id == push.id && record.push.session == 77 && record.push.granted == ROLE_WRITER && record.push.ns_version == 7);
    assert_int_equal(record_decode(SPAN_LITERAL("{\"v\":2}"), &arena, &record), ERR_VERSION);
    assert_int_equal(record_decode(SPAN_LITERAL("{\"v\":1,\"kind\":\"push\"}"), &arena, &record), ERR_CORRUPT);
    arena_fini(&arena);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema__an_unknown_keyword_is_refused_by_name), cmocka_unit_test(schema__numbers_are_judged_exactly),
        cmocka_unit_test(schema__says_which_member_does_not_fit), cmocka_unit_test(schema__combines), cmocka_unit_test(namespace__a_typo_is_refused_by_name),
        cmocka_unit_test(namespace__members_are_built_in_but_where_grants_decide), cmocka_unit_test(access__is_name_grant_membership_and_open_rooms_together),
        cmocka_unit_test(access__the_widest_grant_counts), cmocka_unit_test(record__comes_back_as_it_went_in)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
