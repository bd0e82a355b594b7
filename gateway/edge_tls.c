/* TLS: is a pair usable, and reading it again.
 *
 * lws_tls_cert_updated() of lws 4.1.6 says that all is well also when it is not, and may leave a certificate with
 * another's key: so the pair is tried on a context of its own first. Old connections keep what they were made with. */
#include <stdio.h>
#include <unistd.h>

#include "gateway/edge_parts.h"

static bool is_usable(const char *cert, const char *key)
{
    struct lws_context_creation_info info = {0};
    info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.max_http_header_pool = 1;
    lws_set_log_level(0, NULL);
    struct lws_context *context = lws_create_context(&info);
    if (context == NULL) return false;
    info.ssl_cert_filepath = cert;
    info.ssl_private_key_filepath = key;
    bool usable = lws_create_vhost(context, &info) != NULL;
    lws_context_destroy(context);
    return usable;
}

enum err edge_tls_check(const char *cert, const char *key, char *why, size_t why_bytes)
{
    /* lws takes a file that is not there for one that is yet to come. */
    if (access(cert, R_OK) != 0) snprintf(why, why_bytes, "--tls-cert %s: cannot be read", cert);
    else if (access(key, R_OK) != 0) snprintf(why, why_bytes, "--tls-key %s: cannot be read", key);
    else if (!is_usable(cert, key)) snprintf(why, why_bytes, "--tls-cert %s, --tls-key %s: are not a PEM certificate chain and its private key", cert, key);
    else return ERR_OK;
    return ERR_CONFIG;
}

enum err edge_tls_reload(struct edge *edge, char *why, size_t why_bytes)
{
    const struct edge_options *options = &edge->options;
    if (options->tls_cert == NULL) return ERR_OK;
    enum err err = edge_tls_check(options->tls_cert, options->tls_key, why, why_bytes);
    if (err == ERR_OK) (void)lws_tls_cert_updated(edge->context, options->tls_cert, options->tls_key, NULL, 0, NULL, 0);
    return err;
}
