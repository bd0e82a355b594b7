/* Internal to transport*.c: the context and what is open in it. */
#ifndef TIDEGATE_CLIENT_TRANSPORT_PARTS_H
#define TIDEGATE_CLIENT_TRANSPORT_PARTS_H

#include <libwebsockets.h>

#include "client/transport.h"
#include "core/buf.h"

enum { TRANSPORT_NUMBER_STEP = 2 };
enum { TRANSPORT_HOST_BYTES = 256, TRANSPORT_PATH_BYTES = 1024, TRANSPORT_WHY_BYTES = 160, TRANSPORT_THREAD_BYTES = 65536, TRANSPORT_PIN_BYTES = 32 };

struct transport_url {
    bool tls;
    char host[TRANSPORT_HOST_BYTES];
    char authority[TRANSPORT_HOST_BYTES + 8]; /* for the Host header */
    int port;
    char base[TRANSPORT_PATH_BYTES];          /* "" or "/prefix" */
};

struct transport {
    struct transport_host host;
    struct lws_context *context;
    struct lws_vhost *vhost;
    void *foreign_loop[1];
    bool is_foreign;
    bool has_url;
    struct transport_url url;
    const char *const *addresses;
    char dial_why[TRANSPORT_WHY_BYTES];
    size_t address_at, address_count; /* which of them the next attempt is for; a name may have lost some by then */
    char *ca_file;
    bool pinned;
    unsigned char pin[TRANSPORT_PIN_BYTES];
    lws_sorted_usec_list_t timer;
    int watch_fd;
    struct lws *watch;
    /* the WebSocket: connections are numbered, so that a callback of one that was given up is known as such; calls are too, by odd
     * numbers, because all end in one callback */
    uintptr_t number;
    struct lws *ws;
    bool ws_wanted, ws_up;
    unsigned close_code;
    struct buf message;
    struct buf scratch;
    uint32_t heard_at_ms;    /* the kernel's measure, as last looked at */
    /* the call */
    uintptr_t call_number;
    struct lws *call;
    bool calling;
    bool body_sent;
    struct buf call_path, call_token, call_body, call_answer;
    size_t call_body_at;
    unsigned call_status;
    int64_t call_retry_ms;
    char why[TRANSPORT_WHY_BYTES];
};

/* transport_url.c: ERR_INVALID with ret_why. */
enum err transport_url_parse(const char *text, struct transport_url *ret_url, char *ret_why, size_t why_bytes);
enum err transport_url_pin(const char *text, unsigned char ret_pin[TRANSPORT_PIN_BYTES], char *ret_why, size_t why_bytes);

/* transport_resolve.c: of the host's addresses the one whose turn it is, in digits; how many there are. 0: none, with ret_why. Blocks for
 * as long as the system's resolver does: less than SYNC_CONNECT_MS where that is DNS by glibc and nobody answers. */
size_t transport_resolve(const struct transport *transport, char ret_address[TRANSPORT_HOST_BYTES], char ret_why[TRANSPORT_WHY_BYTES]);

/* transport.c. NULL: it failed, for `dial_why` where that says anything. */
struct lws *transport_dial(struct transport *transport, const char *method, const char *path, const char *protocol, uintptr_t number);
void transport_kill(struct transport *transport, struct lws *wsi);

void transport_forget(struct transport *transport); /* frees what is left once there is no context */

/* transport_uv.c: destroys the context, then forgets. */
void transport_uv_bury(struct transport *transport);
/* Closes the handle that lws forgets in the loop where it could not as much as begin to connect. Called as the last of a connection. */
void transport_uv_sweep(struct transport *transport, struct lws *wsi);

/* transport_http.c */
int transport_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t bytes);
void transport_http_gone(struct transport *transport, uintptr_t number);
void transport_http_fini(struct transport *transport);

/* transport_tls.c: is the peer's key the pinned one (or none pinned)? */
bool transport_tls_is_pinned(const struct transport *transport, struct lws *wsi);

#endif
