/* Namespaces: compiled copies for the pages, what gateways are told of them, and putting new texts into the log. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/record.h"
#include "core/state_key.h"
#include "workers/worker_parts.h"

void rules_put(struct rules *rules)
{
    if (rules == NULL || --rules->refs != 0) return;
    namespace_set_fini(&rules->set);
    free(rules);
}

static enum err add_text(struct rules *rules, struct span text)
{
    struct namespace *ns;
    char why[LIMIT_MESSAGE_BYTES_MAX];
    enum err err = namespace_compile(text, &ns, why, sizeof why);
    if (err != ERR_OK) return err == ERR_MEMORY ? err : ERR_VERSION;
    err = namespace_set_put(&rules->set, ns);
    if (err != ERR_OK) namespace_free(ns);
    return err;
}

static enum err read_all(struct partition *p, struct rules *rules)
{
    struct state_key key;
    char from[STATE_KEY_BYTES_MAX + 1];
    state_key_namespace(&key, SPAN_LITERAL(""));
    struct span prefix = state_key_span(&key), at = prefix;
    for (;;) {
        struct span found, text;
        enum err err = p->reader.seek(p->reader.ctx, STATE_META, at, false, &found, &text);
        if (err != ERR_OK) return err;
        if (found.at == NULL || found.bytes < prefix.bytes || memcmp(found.at, prefix.at, prefix.bytes) != 0) return ERR_OK;
        err = add_text(rules, text);
        if (err != ERR_OK) return err;
        memcpy(from, found.at, found.bytes);
        from[found.bytes] = 0;
        at = span_of(from, found.bytes + 1);
    }
}

static void send_rule(struct worker *worker, uint32_t peer, const struct told_rule *told)
{
    struct link_tell tell = {.kind = LINK_RULES, .space = span_text(told->name), .version = told->version, .presence = told->presence};
    worker_send(worker, peer, &tell);
}

void rules_tell_all(struct worker *worker, uint32_t peer)
{
    for (size_t i = 0; i < worker->told_count; i++) send_rule(worker, peer, &worker->told[i]);
}

/* What differs from what the gateways know is told to all of them. Partitions have the same texts but for moments. */
static void note_rule(struct worker *worker, const struct namespace *ns)
{
    struct told_rule *told = worker->told;
    size_t i = 0;
    while (i < worker->told_count && strcmp(told[i].name, ns->name) != 0) i++;
    if (i == LIMIT_NAMESPACES_MAX) return; /* a set holds no more than these */
    if (i < worker->told_count && told[i].version == ns->version && told[i].presence == ns->presence) return;
    if (i == worker->told_count) worker->told_count++;
    snprintf(told[i].name, sizeof told[i].name, "%s", ns->name);
    told[i].version = ns->version;
    told[i].presence = ns->presence;
    for (const struct peer *peer = worker->peers_first; peer != NULL; peer = peer->next) send_rule(worker, peer->id, &told[i]);
}

enum err rules_load(struct partition *p)
{
    struct rules *rules = calloc(1, sizeof *rules);
    if (rules == NULL) return ERR_MEMORY;
    rules->refs = 1;
    enum err err = read_all(p, rules);
    if (err != ERR_OK) {
        rules_put(rules);
        return err;
    }
    rules_put(p->rules);
    p->rules = rules;
    for (size_t i = 0; i < rules->set.count; i++) note_rule(p->worker, rules->set.items[i]);
    return ERR_OK;
}

/* ---- putting ---- */

static enum err differs(struct partition *p, const struct wanted *wanted, bool *ret_differs)
{
    struct state_key key;
    struct span text;
    state_key_namespace(&key, span_text(wanted->name));
    enum err err = p->reader.get(p->reader.ctx, STATE_META, state_key_span(&key), &text);
    *ret_differs = text.at == NULL || !span_equal(text, span_of(wanted->text, wanted->text_bytes));
    return err;
}

static void arm_retry(struct worker *worker);

static void append(struct partition *p, const struct wanted *wanted)
{
    struct worker *worker = p->worker;
    struct log_writer *writer = worker->options.rules_writer;
    struct buf buf;
    buf_init(&buf, 2 * LIMIT_NAMESPACE_BYTES_MAX);
    record_encode_namespace(span_of(wanted->text, wanted->text_bytes), &buf);
    struct blob *record = buf_ok(&buf) ? blob_make(buf_span(&buf)) : NULL;
    enum err err = record == NULL ? ERR_MEMORY : writer->ops->append(writer, p->index, record, p->index);
    if (err == ERR_OK) p->rules_sent++;
    else arm_retry(worker);
    blob_put(record);
    buf_fini(&buf);
}

void rules_check(struct partition *p)
{
    struct worker *worker = p->worker;
    bool in_force = true;
    if (p->state != PARTITION_RUNNING || owner_next_offset(p->owner) < p->target || worker->closing) return;
    if (partition_read_begin(p) != ERR_OK) {
        arm_retry(worker);
        return;
    }
    bool may_send = p->rules_sent == 0;
    for (size_t i = 0; i < worker->wanted_count; i++) {
        bool other = false;
        enum err err = differs(p, &worker->wanted[i], &other);
        if (err != ERR_OK) other = true;
        in_force = in_force && !other;
        if (other && err == ERR_OK && may_send) append(p, &worker->wanted[i]);
    }
    partition_read_end(p);
    p->rules_in_force = in_force;
    if (in_force) p->rules_sent = 0;
}

void rules_retry(struct worker *worker)
{
    worker->retry_armed = false;
    for (uint32_t i = 0; i < worker->partitions_count; i++)
        if (!worker->partitions[i].rules_in_force) rules_check(&worker->partitions[i]);
}

static void arm_retry(struct worker *worker)
{
    if (worker->closing || worker->retry_armed) return;
    worker->retry_armed = true;
    worker->host->ops->arm(worker->host, WORKER_TIMER_RETRY, RETRY_MS);
}

/* A refused append is made again; of a good one the record itself tells. */
void rules_acked(void *ctx, const struct log_ack *acks, size_t count)
{
    struct worker *worker = ctx;
    for (size_t i = 0; i < count; i++) {
        struct partition *p = &worker->partitions[acks[i].tag];
        if (acks[i].err == ERR_OK) continue;
        p->rules_sent = 0;
        arm_retry(worker);
    }
}

static void drop_wanted(struct worker *worker)
{
    for (size_t i = 0; i < worker->wanted_count; i++) free(worker->wanted[i].text);
    free(worker->wanted);
    worker->wanted = NULL;
    worker->wanted_count = 0;
}

void rules_fini(struct worker *worker)
{
    drop_wanted(worker);
    free(worker->told);
}

static enum err want(struct span text, struct wanted *wanted, char *why, size_t why_bytes)
{
    struct namespace *ns;
    struct json_value value;
    if (!json_check(text, &value, NULL)) {
        snprintf(why, why_bytes, "a namespace's text is not JSON");
        return ERR_CONFIG;
    }
    enum err err = namespace_compile(value.raw, &ns, why, why_bytes);
    if (err != ERR_OK) return err == ERR_MEMORY ? err : ERR_CONFIG;
    snprintf(wanted->name, sizeof wanted->name, "%s", ns->name);
    namespace_free(ns);
    wanted->text = malloc(value.raw.bytes);
    if (wanted->text == NULL) return ERR_MEMORY;
    memcpy(wanted->text, value.raw.at, value.raw.bytes);
    wanted->text_bytes = value.raw.bytes;
    return ERR_OK;
}

enum err worker_namespaces_put(struct worker *worker, const struct span *texts, size_t count, char *why, size_t why_bytes)
{
    struct wanted *wanted = calloc(count + 1, sizeof *wanted);
    enum err err = wanted == NULL ? ERR_MEMORY : ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < count; i++) err = want(texts[i], &wanted[i], why, why_bytes);
    if (err != ERR_OK) {
        if (err == ERR_MEMORY) snprintf(why, why_bytes, "%s", err_text(err));
        for (size_t i = 0; wanted != NULL && i < count; i++) free(wanted[i].text);
        free(wanted);
        return err;
    }
    drop_wanted(worker);
    worker->wanted = wanted;
    worker->wanted_count = count;
    for (uint32_t i = 0; i < worker->partitions_count; i++) {
        worker->partitions[i].rules_in_force = false;
        worker->partitions[i].rules_sent = 0;
        rules_check(&worker->partitions[i]);
    }
    return ERR_OK;
}
