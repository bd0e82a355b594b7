/* The end of a context on the app's libuv loop: lws closes its handles there, which takes the loop a turn or two, and frees what is
 * left only at a second lws_context_destroy(). Until then a timer of ours keeps the transport. That second call also unloads the code
 * of the handles' callbacks, so it must not come before the last of them. Time does not tell: a loop that is turned late runs its
 * timers first. The loop does: lws starts to close its last handles in the callbacks of those before, so that there is always one
 * closing until it is done. */
#include <stdlib.h>
#include <uv.h>

#include "client/transport_parts.h"

enum { CLOSED_MS = 50 };

struct grave {
    uv_timer_t timer;
    struct transport *transport;
};

static void on_buried(uv_handle_t *handle)
{
    struct grave *grave = handle->data;
    transport_forget(grave->transport);
    free(grave);
}

static void look_whether_closing(uv_handle_t *handle, void *ctx)
{
    bool *closing = ctx;
    if (uv_is_closing(handle)) *closing = true;
}

static void on_closed(uv_timer_t *timer)
{
    struct grave *grave = timer->data;
    bool closing = false; /* also a handle of the app: it is gone at the next look */
    uv_walk(timer->loop, look_whether_closing, &closing);
    if (closing) {
        uv_timer_start(timer, on_closed, CLOSED_MS, 0);
        return;
    }
    lws_context_destroy(grave->transport->context); /* NULL with an lws that has freed it by itself: 4.3 does */
    uv_close((uv_handle_t *)timer, on_buried);
}

void transport_uv_bury(struct transport *transport)
{
    struct grave *grave = calloc(1, sizeof *grave);
    lws_context_destroy(transport->context);
    if (grave == NULL) return; /* kept for good: lws may still call back */
    grave->transport = transport;
    grave->timer.data = grave;
    uv_timer_init(transport->foreign_loop[0], &grave->timer);
    uv_timer_start(&grave->timer, on_closed, CLOSED_MS, 0);
}

struct forgotten {
    struct lws *wsi;
    uv_handle_t *handle; /* NULL: none was found */
};

static void look_for_forgotten(uv_handle_t *handle, void *ctx)
{
    struct forgotten *forgotten = ctx;
    if (handle->type == UV_POLL && handle->data == forgotten->wsi && !uv_is_active(handle) && !uv_is_closing(handle)) forgotten->handle = handle;
}

static void on_forgotten_closed(uv_handle_t *handle) { free(handle); } /* lws allocates by malloc */

/* The socket is closed by then (where it is not, lws closes the handle itself), and its number is nobody else's yet, so that the closing
 * of the handle disturbs nobody. */
void transport_uv_sweep(struct transport *transport, struct lws *wsi)
{
    struct forgotten forgotten = {.wsi = wsi};
    if (lws_get_socket_fd(wsi) >= 0) return;
    uv_walk(transport->foreign_loop[0], look_for_forgotten, &forgotten);
    if (forgotten.handle != NULL) uv_close(forgotten.handle, on_forgotten_closed);
}
