/* What a peer can do to a link: stop at any byte, lie, say nothing, read nothing. */
#include "tests/support/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/limits.h"
#include "tests/support/tcp_desk.h"

static bool up_0(void *ctx) { return ((struct desk_gateway *)ctx)->up[0]; }
static bool down_0(void *ctx) { return !((struct desk_gateway *)ctx)->up[0]; }
static bool has_asked(void *ctx) { return ((struct desk_owner *)ctx)->asked > 0; }
static bool has_left(void *ctx) { return ((struct desk_owner *)ctx)->left > 0; }
static bool nobody_is_here(void *ctx) { return ((struct desk_owner *)ctx)->left == ((struct desk_owner *)ctx)->joined; }
static bool is_refused(void *ctx) { return tcp_owner_counters(((struct desk_owner *)ctx)->tcp)->refused > 0; }
static bool is_refused_here(void *ctx) { return tcp_gateway_counters(((struct desk_gateway *)ctx)->tcp)->refused > 0; }

static void raw_gateway(struct tcp_desk *desk, struct tcp_peer *peer, const struct desk_owner *owner)
{
    tcp_peer_init(peer, &desk->loop, TCP_GATEWAY, DESK_LOG, DESK_PARTITIONS, DESK_KEY);
    tcp_peer_dial(peer, tcp_owner_address(owner->tcp));
}

static void send_ask(struct tcp_peer *peer)
{
    struct link_ask ask = {.kind = LINK_WHO, .space = SPAN_LITERAL("chat:tea"), .tag = 1};
    struct buf frame;
    struct blob *tail;
    buf_init(&frame, 4096);
    tcp_codec_ask(&frame, &ask, &tail);
    tcp_peer_send(peer, frame.at, frame.bytes);
    buf_fini(&frame);
}

static void a_gateway_cut_at_any_byte_leaves_nothing_behind(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct tcp_peer peer;
    bool whole = false;
    size_t bytes = 1;
    for (; !whole; bytes++) {
        size_t asked = owner->asked, joined = owner->joined;
        owner->last_tag = 0;
        raw_gateway(desk, &peer, owner);
        peer.left = bytes;
        bool proved = tcp_peer_greet(&peer);
        if (proved) send_ask(&peer);
        whole = proved && !peer.stopped;
        if (whole) assert_true(tcp_desk_until(desk, has_asked, owner));
        tcp_peer_close(&peer);
        assert_true(tcp_desk_until(desk, nobody_is_here, owner));
        assert_true(owner->joined - joined <= 1 && owner->asked - asked <= 1);
        assert_true(proved || owner->asked == asked);
    }
    assert_true(bytes > 100 && owner->asked >= 1);
}

static void send_life(struct tcp_peer *peer)
{
    struct link_tell tell = {.kind = LINK_PRESENCE_FRAME, .space = SPAN_LITERAL("chat:tea"), .session = 1};
    struct buf frame;
    struct blob *tail = NULL;
    buf_init(&frame, 4096);
    tell.frame = blob_make(SPAN_LITERAL("{}"));
    tcp_codec_owns(&frame, 0, true);
    tcp_codec_tell(&frame, &tell, &tail);
    buf_add_span(&frame, blob_span(tail));
    tcp_peer_send(peer, frame.at, frame.bytes);
    blob_put(tell.frame);
    buf_fini(&frame);
}

static bool is_told(void *ctx) { return ((struct desk_gateway *)ctx)->told == 1; }

static void an_owner_cut_at_any_byte_is_down_again_or_was_never_up(void **state)
{
    struct tcp_desk *desk = *state;
    bool whole = false;
    size_t bytes = 1, ups = 0;
    for (; !whole; bytes++) {
        struct tcp_peer peer;
        char address[64];
        tcp_peer_init(&peer, &desk->loop, TCP_OWNER, DESK_LOG, DESK_PARTITIONS, DESK_KEY);
        tcp_peer_listen(&peer, address);
        directory_desk_name(&desk->directory, 0, address);
        struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
        assert_true(tcp_peer_accept(&peer));
        peer.left = bytes;
        bool proved = tcp_peer_greet(&peer);
        if (proved) send_life(&peer);
        whole = proved && !peer.stopped;
        if (whole) assert_true(tcp_desk_until(desk, is_told, gateway));
        tcp_peer_close(&peer);
        assert_true(tcp_desk_until(desk, down_0, gateway));
        assert_true(proved || gateway->ups == 0);
        assert_true(gateway->told <= gateway->ups);
        ups += gateway->ups;
        tcp_desk_close_gateway(desk, gateway);
    }
    assert_true(bytes > 100 && ups >= 1);
}

static void who_connects_and_says_nothing_is_sent_away(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct tcp_peer peer;
    raw_gateway(desk, &peer, owner);
    assert_true(tcp_peer_closed(&peer));
    assert_int_equal(owner->joined, 0);
    tcp_peer_close(&peer);
}

static void a_gateway_that_falls_silent_has_left(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct tcp_peer peer;
    raw_gateway(desk, &peer, owner);
    assert_true(tcp_peer_greet(&peer));
    assert_true(tcp_desk_until(desk, has_left, owner));
    assert_int_equal(owner->joined, 1);
    tcp_peer_close(&peer);
}

static void an_owner_that_falls_silent_is_down(void **state)
{
    struct tcp_desk *desk = *state;
    struct tcp_peer peer;
    char address[64];
    tcp_peer_init(&peer, &desk->loop, TCP_OWNER, DESK_LOG, DESK_PARTITIONS, DESK_KEY);
    tcp_peer_listen(&peer, address);
    directory_desk_name(&desk->directory, 0, address);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    assert_true(tcp_peer_accept(&peer) && tcp_peer_greet(&peer));
    send_life(&peer);
    assert_true(tcp_desk_until(desk, up_0, gateway));
    assert_true(tcp_desk_until(desk, down_0, gateway));
    tcp_peer_close(&peer);
}

static bool ten_beats(void *ctx) { return *(int *)ctx >= 10; }
static void on_beat(uv_timer_t *timer)
{
    int *beats = timer->data;
    if (++*beats == 10) uv_close((uv_handle_t *)timer, NULL);
}

static void links_with_nothing_to_say_stay(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    int beats = 0;
    uv_timer_t timer;
    owner->link->ops->owns(owner->link, 0, true);
    assert_true(tcp_desk_until(desk, up_0, gateway));
    uv_timer_init(&desk->loop, &timer);
    timer.data = &beats;
    uv_timer_start(&timer, on_beat, DESK_HEARTBEAT_MS, DESK_HEARTBEAT_MS);
    assert_true(tcp_desk_until(desk, ten_beats, &beats));
    assert_int_equal(gateway->downs + owner->left, 0);
}

/* Lines of this test's log that hold a text. */
static size_t count_lines(const char *path, const char *text)
{
    char line[1024];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

static void a_wrong_key_is_one_line_and_a_close(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    char dir[RIG_PATH_BYTES], path[RIG_PATH_BYTES + 8];
    struct tcp_peer peer;
    rig_dir_make(dir);
    snprintf(path, sizeof path, "%s/log", dir);
    int kept = dup(STDERR_FILENO), file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(kept >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    raw_gateway(desk, &peer, owner);
    peer.key.secret[0] ^= 1;
    bool proved = tcp_peer_greet(&peer);
    bool closed = tcp_peer_closed(&peer);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(file);
    assert_false(proved);
    assert_int_equal(peer.kind, TCP_REFUSAL);
    assert_int_equal(peer.fields[0], TCP_REFUSED_KEY);
    assert_true(closed);
    assert_int_equal(owner->joined, 0);
    assert_int_equal(count_lines(path, "link_refused"), 1);
    assert_int_equal(count_lines(path, "another key"), 1);
    assert_int_equal(count_lines(path, ""), 1);
    tcp_peer_close(&peer);
    rig_dir_remove(dir);
}

static void a_gateway_does_not_trust_an_owner_without_the_key(void **state)
{
    struct tcp_desk *desk = *state;
    struct tcp_peer peer;
    char address[64];
    tcp_peer_init(&peer, &desk->loop, TCP_OWNER, DESK_LOG, DESK_PARTITIONS, "another key, quite as long as it");
    tcp_peer_listen(&peer, address);
    directory_desk_name(&desk->directory, 0, address);
    struct desk_gateway *gateway = tcp_desk_gateway(desk, 0, &desk->key, DESK_LOG);
    assert_true(tcp_peer_accept(&peer));
    /* It takes the gateway's proof without looking, and gives its own. */
    assert_false(tcp_peer_greet(&peer));
    tcp_peer_frame(&peer, TCP_PROOF, span_of((const char *)peer.theirs.nonce, TCP_PROOF_BYTES));
    send_life(&peer);
    assert_true(tcp_desk_until(desk, is_refused_here, gateway));
    assert_int_equal(gateway->ups, 0);
    tcp_peer_close(&peer);
}

/* What says who it is must be what proved: a recorded proof is worth nothing on another connection. */
static void a_proof_heard_before_opens_nothing(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct tcp_peer peer;
    unsigned char old[TCP_PROOF_BYTES];
    struct buf hello;
    buf_init(&hello, TCP_HELLO_BYTES_MAX);
    raw_gateway(desk, &peer, owner);
    assert_true(tcp_peer_greet(&peer));
    tcp_hello_encode(&hello, &peer.hello);
    assert_true(tcp_key_proof(&peer.key, TCP_GATEWAY, buf_span(&hello), span_of(peer.their_fields, peer.their_bytes), old));
    tcp_peer_close(&peer);
    raw_gateway(desk, &peer, owner);
    tcp_peer_frame(&peer, TCP_HELLO, buf_span(&hello)); /* the very same, nonce too */
    assert_true(tcp_peer_read(&peer) && peer.kind == TCP_HELLO);
    tcp_peer_frame(&peer, TCP_PROOF, span_of((const char *)old, sizeof old));
    assert_true(tcp_peer_read(&peer) && peer.kind == TCP_REFUSAL);
    assert_int_equal(peer.fields[0], TCP_REFUSED_KEY);
    assert_int_equal(owner->joined, 1);
    tcp_peer_close(&peer);
    buf_fini(&hello);
}

static void refused_with(struct tcp_desk *desk, struct tcp_peer *peer, unsigned refusal)
{
    assert_false(tcp_peer_greet(peer));
    assert_int_equal(peer->kind, TCP_REFUSAL);
    assert_int_equal(peer->fields[0], refusal);
    tcp_peer_close(peer);
    assert_int_equal(desk->owners[0].joined, 0);
}

static void another_version_log_count_or_role_is_refused_by_name(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct tcp_peer peer;
    raw_gateway(desk, &peer, owner);
    peer.hello.least = peer.hello.most = TCP_VERSION + 1;
    refused_with(desk, &peer, TCP_REFUSED_VERSION);
    raw_gateway(desk, &peer, owner);
    snprintf(peer.hello.log, sizeof peer.hello.log, "log-2");
    refused_with(desk, &peer, TCP_REFUSED_LOG);
    raw_gateway(desk, &peer, owner);
    peer.hello.partitions++;
    refused_with(desk, &peer, TCP_REFUSED_LOG);
    /* An owner's hello, sent by who dials. */
    struct buf hello;
    buf_init(&hello, TCP_HELLO_BYTES_MAX);
    raw_gateway(desk, &peer, owner);
    peer.hello.role = TCP_OWNER;
    tcp_hello_encode(&hello, &peer.hello);
    tcp_peer_frame(&peer, TCP_HELLO, buf_span(&hello));
    assert_true(tcp_peer_read(&peer) && peer.kind == TCP_REFUSAL);
    assert_int_equal(peer.fields[0], TCP_REFUSED_ROLE);
    tcp_peer_close(&peer);
    buf_fini(&hello);
}

static void a_newer_peer_that_still_speaks_this_version_is_taken(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct tcp_peer peer;
    raw_gateway(desk, &peer, owner);
    peer.hello.most = TCP_VERSION + 5;
    assert_true(tcp_peer_greet(&peer));
    tcp_peer_close(&peer);
}

static void garbage_before_and_after_the_handshake_costs_the_connection(void **state)
{
    static const char http[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct tcp_peer peer;
    raw_gateway(desk, &peer, owner);
    tcp_peer_send(&peer, http, sizeof http - 1);
    assert_true(tcp_peer_closed(&peer));
    tcp_peer_close(&peer);
    assert_true(is_refused(owner));
    static const struct { const char *at; size_t bytes; } bad[] = {
        {"\0\0\0\0\6", 5}, {"\xff\xff\xff\xff\6", 5}, {"\2\0\0\0\6\x7f", 6}, {"\2\0\0\0\7\1", 6}, {"\1\0\0\0\1", 5}, {"\1\0\0\0\x63", 5}, {"\2\0\0\0\4x", 6}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        raw_gateway(desk, &peer, owner);
        assert_true(tcp_peer_greet(&peer));
        tcp_peer_send(&peer, bad[i].at, bad[i].bytes);
        assert_true(tcp_peer_closed(&peer));
        tcp_peer_close(&peer);
    }
    assert_true(tcp_desk_until(desk, nobody_is_here, owner));
    assert_int_equal(owner->asked, 0);
}

static void tell_owner(struct desk_owner *owner, enum link_tell_kind kind, struct blob *blob, enum err *ret_err)
{
    struct link_tell tell = {.kind = kind, .space = SPAN_LITERAL("chat:tea"), .tag = 1, .frame = blob};
    *ret_err = owner->link->ops->send(owner->link, owner->peer, &tell);
}

static void who_reads_nothing_is_cut_at_the_bound(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct blob *blob = blob_make_room(1048576);
    struct tcp_peer peer;
    enum err err = ERR_OK;
    size_t taken = 0;
    memset(blob->text, 'x', blob->bytes);
    raw_gateway(desk, &peer, owner);
    assert_true(tcp_peer_greet(&peer));
    for (; err == ERR_OK; taken += err == ERR_OK) tell_owner(owner, LINK_UPDATE, blob, &err);
    assert_int_equal(err, ERR_BUSY);
    assert_in_range(taken, LIMIT_LINK_TELLS_BYTES / 1048576, LIMIT_LINK_TELLS_BYTES / 1048576 + 1);
    assert_true(tcp_desk_until(desk, has_left, owner));
    assert_int_equal(blob->refs, 1);
    blob_put(blob);
    tcp_peer_close(&peer);
}

static void who_reads_nothing_of_a_little_is_cut_after_a_while(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct blob *blob = blob_make_room(16777216);
    struct tcp_peer peer;
    enum err err;
    memset(blob->text, 'x', blob->bytes);
    raw_gateway(desk, &peer, owner);
    assert_true(tcp_peer_greet(&peer));
    /* Alive, as far as it says; and so many pages that nothing more is read from it. */
    tell_owner(owner, LINK_BODY, blob, &err);
    tell_owner(owner, LINK_BODY, blob, &err);
    tell_owner(owner, LINK_BODY, blob, &err);
    assert_int_equal(err, ERR_OK);
    assert_true(tcp_desk_until(desk, has_left, owner));
    assert_int_equal(blob->refs, 1);
    blob_put(blob);
    tcp_peer_close(&peer);
}

struct slow {
    struct tcp_peer *peer;
    size_t bytes, small_at; /* where the small frame stood in what was read */
};
static bool reads_it(void *ctx)
{
    struct slow *slow = ctx;
    char room[65536];
    tcp_peer_frame(slow->peer, TCP_PING, span_of("", 0));
    ssize_t count = read(slow->peer->fd, room, sizeof room);
    if (count <= 0) return false;
    if (slow->small_at == 0 && memmem(room, (size_t)count, "urgent", 6) != NULL) slow->small_at = slow->bytes + (size_t)count;
    slow->bytes += (size_t)count;
    return slow->bytes > 8 * 1048576;
}

static void what_is_urgent_passes_pages_that_wait_and_none_is_lost(void **state)
{
    struct tcp_desk *desk = *state;
    struct desk_owner *owner = tcp_desk_owner(desk, 0, &desk->key);
    struct blob *blob = blob_make_room(1048576), *small = blob_make(SPAN_LITERAL("urgent"));
    struct tcp_peer peer;
    enum err err;
    memset(blob->text, 'x', blob->bytes);
    raw_gateway(desk, &peer, owner);
    assert_true(tcp_peer_greet(&peer));
    for (int i = 0; i < 8; i++) tell_owner(owner, LINK_BODY, blob, &err);
    uv_run(&desk->loop, UV_RUN_NOWAIT);
    tell_owner(owner, LINK_UPDATE, small, &err);
    struct slow slow = {&peer, 0, 0};
    assert_true(tcp_desk_until(desk, reads_it, &slow)); /* slowly: a buffer a turn */
    assert_int_equal(owner->left, 0);
    assert_true(slow.small_at > 0 && slow.small_at < 6 * 1048576);
    blob_put(blob);
    blob_put(small);
    tcp_peer_close(&peer);
}

int main(void)
{
#define FAULT_TEST(name) cmocka_unit_test_setup_teardown(name, tcp_desk_setup, tcp_desk_teardown)
    const struct CMUnitTest tests[] = {
        FAULT_TEST(a_gateway_cut_at_any_byte_leaves_nothing_behind),
        FAULT_TEST(an_owner_cut_at_any_byte_is_down_again_or_was_never_up),
        FAULT_TEST(who_connects_and_says_nothing_is_sent_away),
        FAULT_TEST(a_gateway_that_falls_silent_has_left),
        FAULT_TEST(an_owner_that_falls_silent_is_down),
        FAULT_TEST(links_with_nothing_to_say_stay),
        FAULT_TEST(a_wrong_key_is_one_line_and_a_close),
        FAULT_TEST(a_gateway_does_not_trust_an_owner_without_the_key),
        FAULT_TEST(a_proof_heard_before_opens_nothing),
        FAULT_TEST(another_version_log_count_or_role_is_refused_by_name),
        FAULT_TEST(a_newer_peer_that_still_speaks_this_version_is_taken),
        FAULT_TEST(garbage_before_and_after_the_handshake_costs_the_connection),
        FAULT_TEST(who_reads_nothing_is_cut_at_the_bound),
        FAULT_TEST(who_reads_nothing_of_a_little_is_cut_after_a_while),
        FAULT_TEST(what_is_urgent_passes_pages_that_wait_and_none_is_lost),
    };
    return cmocka_run_group_tests_name("tcp_faults", tests, NULL, NULL);
}
