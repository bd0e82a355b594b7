/* The judgement of one push, in the order that the protocol gives: repeats, strangers, gaps, then what it says.
 *
 * INVARIANTS
 * 1. A repeat is answered before access is judged: what is in the log stands, whatever its maker lost since.
 * 2. gap, forked and too_many are no outcomes: they leave no trace. Nor does the push of a stranger.
 * 3. Every other push takes its place in the device's entry, refused ones too. */
#include <assert.h>

#include "core/facts.h"
#include "core/name.h"
#include "core/owner_parts.h"

/* What the push came to, as its device entry keeps it. */
struct verdict {
    enum device_status status;
    enum err code;
    struct span why;
};

static struct verdict refused(enum err code, struct span why)
{
    return (struct verdict){.status = DEVICE_REJECTED, .code = code, .why = why.bytes > 0 ? why : span_text(err_text(code))};
}

static void answer(struct owner_case *c, struct owner_out *ret_out, enum owner_answer_kind kind, enum err code, struct span frame)
{
    if (c->push->gateway.bytes == 0) return; /* nobody waits */
    ret_out->has_answer = true;
    ret_out->answer = (struct owner_answer){
        .kind = kind, .gateway = c->push->gateway, .session = c->push->session, .space = c->push->space,
        .user = c->push->user, .device = c->push->device, .id = c->push->id, .place = c->space.head,
        .with_update = ret_out->has_update, .code = code, .frame = frame};
}

static enum err answer_error(struct owner *owner, struct owner_case *c, enum err code, struct owner_out *ret_out)
{
    owner_render_error(owner, c, code, owner->entry.last);
    if (!buf_ok(&owner->answer)) return ERR_MEMORY;
    answer(c, ret_out, OWNER_ERROR, code, buf_span(&owner->answer));
    return ERR_OK;
}

static enum err answer_result(struct owner *owner, struct owner_case *c, const struct verdict *verdict, bool allowed,
                              struct owner_out *ret_out)
{
    if (c->push->gateway.bytes == 0) return ERR_OK;
    enum err err = owner_render_result(owner, c, verdict->status, verdict->code, verdict->why, allowed);
    if (err == ERR_OK) answer(c, ret_out, OWNER_RESULT, verdict->code, buf_span(&owner->answer));
    return err;
}

/* The device's entry, if it still exists by the partition's clock. ret_stored: the bytes are there, hidden or not. */
static enum err read_entry(struct owner *owner, const struct owner_case *c, bool *ret_stored)
{
    struct state_key key;
    struct span stored;
    owner->entry = (struct device_entry){0};
    *ret_stored = false;
    if (!c->push->has_device || c->space.sid == 0) return ERR_OK;
    state_key_device(&key, c->space.sid, c->push->user, c->push->device);
    enum err err = c->reader->get(c->reader->ctx, STATE_DEVICE, state_key_span(&key), &stored);
    if (err != ERR_OK || stored.at == NULL) return err;
    *ret_stored = true;
    err = device_entry_decode(stored, &owner->entry);
    if (err == ERR_OK && owner->entry.last_ms + 2 * c->ns->window_ms < owner->clock_ms) owner->entry = (struct device_entry){0};
    return err;
}

static enum err gather(struct owner *owner, struct owner_case *c, bool *ret_stored)
{
    enum err err = space_state_read(c->reader, c->push->space, &c->space);
    if (err == ERR_OK) err = read_entry(owner, c, ret_stored);
    if (err == ERR_OK)
        err = facts_gather(c->reader, c->ns, &c->space, c->push->space, c->push->user, c->push->granted, &owner->arena, &c->facts);
    if (err == ERR_OK) err = op_digest(c->push->ops, &c->digest);
    if (err != ERR_OK) return err;
    c->malformed = op_decode_all(c->push->ops, &owner->arena, &c->ops, &c->ops_count, c->why, sizeof c->why);
    if (c->malformed == ERR_MEMORY) return ERR_MEMORY;
    if (c->malformed != ERR_OK) c->ops_count = 0;
    c->role = access_role(c->ns, &c->facts);
    c->founding = access_may_found(c->ns, &c->facts); /* by whoever comes first, whatever his token grants besides */
    if (c->founding) c->role = ROLE_OWNER;
    return ERR_OK;
}

static enum err answer_repeat(struct owner *owner, struct owner_case *c, struct owner_out *ret_out)
{
    const struct device_outcome *kept = device_entry_find(&owner->entry, c->push->id);
    if (kept == NULL || memcmp(&kept->digest, &c->digest, sizeof c->digest) != 0)
        return answer_error(owner, c, ERR_FORKED, ret_out);
    struct verdict verdict = {.status = kept->status, .code = kept->code, .why = kept->why};
    return answer_result(owner, c, &verdict, c->role != ROLE_NONE, ret_out);
}

/* ---- a founder's document ---- */

static struct doc founder_doc(const struct owner_case *c)
{
    struct stamp stamp = {.rev = c->rev, .edited_ms = c->time_ms, .user = c->push->user, .device = c->push->device};
    return (struct doc){.rev = c->rev, .born = c->rev, .time_ms = c->time_ms, .user = c->push->user, .author = c->push->user,
                        .whole = stamp, .body = SPAN_LITERAL("{\"role\":\"owner\"}")};
}

struct step_reader {
    struct owner *owner;
    const struct owner_case *c;
};

/* What a push finds: what is stored, and, where it founds the space, its maker's `members` document. */
static enum err read_for_resolve(void *ctx, struct span collection, struct span id, struct span *ret_stored)
{
    struct step_reader *step = ctx;
    const struct owner_case *c = step->c;
    *ret_stored = span_of(NULL, 0);
    if (c->founding && span_is(collection, "members") && span_equal(id, c->push->user)) {
        struct doc doc = founder_doc(c);
        buf_reset(&step->owner->value);
        doc_encode(&doc, &step->owner->value);
        *ret_stored = arena_copy(&step->owner->arena, buf_span(&step->owner->value));
        return buf_ok(&step->owner->value) && ret_stored->at != NULL ? ERR_OK : ERR_MEMORY;
    }
    if (c->space.sid == 0) return ERR_OK;
    return facts_read_doc(c->reader, c->space.sid, collection, id, ret_stored);
}

/* The founder's document is part of the founding push: put first, unless an operation of the push changed it itself. */
static enum err add_founder(struct owner *owner, struct owner_case *c)
{
    struct resolve_result *result = &c->result;
    const struct collection *members = namespace_collection(c->ns, SPAN_LITERAL("members"));
    assert(members != NULL);
    for (size_t i = 0; i < result->docs_count; i++) {
        struct resolve_doc *doc = &result->docs[i];
        if (doc->collection != members || !span_equal(doc->id, c->push->user)) continue;
        if (!doc->changed) doc->after = founder_doc(c);
        doc->changed = true;
        return ERR_OK;
    }
    struct resolve_doc *docs = arena_take(&owner->arena, (result->docs_count + 1) * sizeof *docs);
    if (docs == NULL) return ERR_MEMORY;
    docs[0] = (struct resolve_doc){.collection = members, .id = c->push->user, .after = founder_doc(c), .changed = true};
    if (result->docs_count > 0) memcpy(docs + 1, result->docs, result->docs_count * sizeof *docs);
    result->docs = docs;
    result->docs_count++;
    return ERR_OK;
}

/* ---- what a change of `members` or of `join` entails ---- */

static struct json_value body_of(const struct doc *doc)
{
    return (struct json_value){.type = JSON_OBJECT, .raw = doc->body};
}

static enum role member_role(const struct doc *doc, bool exists)
{
    return exists && !doc->deleted ? access_role_of_member(body_of(doc)) : ROLE_NONE;
}

static bool joined_open(const struct doc *doc, bool exists)
{
    return exists && !doc->deleted && access_join_is_open(body_of(doc));
}

/* Counts owners after the push; lists whom it removes. */
static enum err follow_members(struct owner *owner, struct owner_case *c, struct owner_update *update)
{
    struct span *removed = arena_take(&owner->arena, (c->result.docs_count + 1) * sizeof *removed);
    if (removed == NULL) return ERR_MEMORY;
    update->removed = removed;
    for (size_t i = 0; i < c->result.docs_count; i++) {
        const struct resolve_doc *doc = &c->result.docs[i];
        /* A founder's own document counts as new, though the push found it there. */
        bool existed = doc->existed && doc->before.rev != c->rev;
        if (!doc->changed) continue;
        if (strcmp(doc->collection->name, "members") == 0) {
            enum role before = member_role(&doc->before, existed), after = member_role(&doc->after, true);
            if (before == ROLE_OWNER) c->space.owners--;
            if (after == ROLE_OWNER) c->space.owners++;
            if (before != ROLE_NONE && after == ROLE_NONE) removed[update->removed_count++] = doc->id;
        } else if (c->ns->has_room && strcmp(doc->collection->name, "room") == 0 && span_is(doc->id, "settings")) {
            if (joined_open(&doc->before, existed) && !joined_open(&doc->after, true)) update->recheck_all = true;
        }
    }
    return ERR_OK;
}

/* ---- the verdict ---- */

static enum err judge(struct owner *owner, struct owner_case *c, struct owner_update *update, struct verdict *ret_verdict)
{
    struct verdict verdict = {.status = DEVICE_APPLIED};
    c->result.status = RESOLVE_UNCHANGED;
    if (c->role == ROLE_NONE) verdict = refused(ERR_FORBIDDEN, SPAN_LITERAL(""));
    else if (c->malformed != ERR_OK) verdict = refused(c->malformed, span_text(c->why));
    if (verdict.status == DEVICE_REJECTED || c->ops_count == 0) {
        *ret_verdict = verdict;
        return ERR_OK;
    }
    struct step_reader step = {.owner = owner, .c = c};
    struct resolve_reader reader = {.ctx = &step, .read = read_for_resolve};
    struct resolve_push push = {
        .ns = c->ns, .user = c->push->user, .device = c->push->device, .role = c->role, .rev = c->rev, .head = c->space.head,
        .time_ms = c->time_ms, .last_push_ms = owner->entry.exists ? owner->entry.last_ms : -1,
        .window_clock_ms = owner->clock_ms, .ops = c->ops, .ops_count = c->ops_count};
    enum err err = resolve_push(&push, &reader, &owner->arena, &c->result);
    if (err != ERR_OK) return err;
    switch (c->result.status) {
    case RESOLVE_CHANGED: {
        uint64_t owners = c->space.owners;
        if (c->founding && (err = add_founder(owner, c)) != ERR_OK) return err;
        if ((err = follow_members(owner, c, update)) != ERR_OK) return err;
        if (c->founding) update->recheck_all = true; /* who had it open because anybody could found it */
        if (c->space.owners > 0 || c->ns->access != NAMESPACE_MEMBERS || access_is_named(c->ns, c->push->space)) break;
        if (owners == 0 && !c->founding) break; /* nobody's by a grant: there is no last owner to keep */
        c->space.owners = owners;
        *update = (struct owner_update){0};
        c->result.status = RESOLVE_REJECTED;
        c->result.losers_count = 0;
        verdict = refused(ERR_PRECONDITION, SPAN_LITERAL("members: a space keeps at least one owner"));
        break;
    }
    case RESOLVE_UNCHANGED: break;
    case RESOLVE_LOST: verdict.code = ERR_LOST; verdict.why = span_text(err_text(ERR_LOST)); break;
    case RESOLVE_CONFLICT:
        verdict = refused(ERR_CONFLICT, span_text(c->result.why));
        verdict.status = DEVICE_CONFLICT;
        break;
    case RESOLVE_REJECTED: verdict = refused(c->result.code, span_text(c->result.why)); break;
    }
    *ret_verdict = verdict;
    return ERR_OK;
}

/* Does the maker still read the space after his own push (who leaves does not)? */
static bool reads_after(const struct owner_case *c, const struct owner_update *update)
{
    struct access_facts facts = c->facts;
    if (c->founding) return true;
    for (size_t i = 0; i < update->removed_count; i++)
        if (span_equal(update->removed[i], c->push->user)) facts.member = ROLE_NONE;
    if (update->recheck_all) facts.join_open = false;
    return access_role(c->ns, &facts) != ROLE_NONE;
}

static enum err stand(struct owner *owner, struct owner_case *c, const struct verdict *verdict, bool entry_stored)
{
    bool fresh_space = c->space.sid == 0;
    struct device_entry *entry = &owner->entry;
    if (fresh_space) {
        if (!c->push->has_device && c->result.status != RESOLVE_CHANGED) return ERR_OK;
        c->space.sid = c->rev;
    }
    enum err err = owner_write_push(owner, c);
    if (err != ERR_OK) return err;
    if (!c->push->has_device && c->result.status != RESOLVE_CHANGED && c->result.losers_count == 0) return ERR_OK;
    owner_write_space(owner, c); /* owner.h, INVARIANT 5 */
    if (!c->push->has_device) return ERR_OK;
    assert(entry->count < LIMIT_INFLIGHT_MAX);
    entry->outcomes[entry->count++] = (struct device_outcome){.id = c->push->id, .rev = c->rev, .digest = c->digest,
                                                              .status = verdict->status, .code = verdict->code, .why = verdict->why};
    entry->exists = true;
    entry->last = c->push->id;
    entry->last_ms = c->time_ms;
    owner_write_entry(owner, c, entry, !entry_stored);
    return ERR_OK;
}

/* Where the push stands among its device's: ERR_OK next in line; else which error it is answered with. */
static enum err place_in_line(struct owner *owner, const struct owner_case *c)
{
    if (!c->push->has_device) return ERR_OK;
    if (c->push->after > owner->entry.last) return ERR_GAP;
    if (c->push->after < owner->entry.last) return ERR_FORKED; /* the device forgot pushes of its own: an old backup */
    device_entry_prune(&owner->entry, c->push->known);
    return owner->entry.count < LIMIT_INFLIGHT_MAX ? ERR_OK : ERR_TOO_MANY;
}

enum err owner_push_step(struct owner *owner, struct owner_case *c, bool ask, struct owner_out *ret_out)
{
    bool entry_stored = false;
    struct verdict verdict;
    c->ns = namespace_find(&owner->namespaces, name_namespace(c->push->space));
    if (c->ns == NULL) {
        verdict = refused(ERR_UNKNOWN_SPACE, SPAN_LITERAL(""));
        return ask ? ERR_OK : answer_result(owner, c, &verdict, false, ret_out);
    }
    enum err err = gather(owner, c, &entry_stored);
    if (err != ERR_OK) return err;
    /* Who asks again for what its device has said to know needs no answer, and `forked` would be a false one. */
    if (ask && c->push->id <= owner->entry.known) return ERR_OK;
    if (c->push->has_device && c->push->id <= owner->entry.last) return answer_repeat(owner, c, ret_out);
    if (ask) return ERR_OK; /* still to come in the log */
    if (c->role == ROLE_NONE && !owner->entry.exists) {
        verdict = refused(ERR_FORBIDDEN, SPAN_LITERAL(""));
        return answer_result(owner, c, &verdict, false, ret_out);
    }
    err = place_in_line(owner, c);
    if (err != ERR_OK) return answer_error(owner, c, err, ret_out);
    uint64_t prev = c->space.head;
    struct owner_update update = {0};
    err = judge(owner, c, &update, &verdict);
    if (err == ERR_OK) err = stand(owner, c, &verdict, entry_stored);
    if (err != ERR_OK) return err;
    if (c->result.status == RESOLVE_CHANGED) {
        owner_render_update(owner, c, prev);
        if (!buf_ok(&owner->frame)) return ERR_MEMORY;
        update.space = c->push->space;
        update.prev = prev;
        update.place = update.rev = c->rev;
        update.user = c->push->user;
        update.device = c->push->device;
        update.push = c->push->id;
        update.frame = buf_span(&owner->frame);
        ret_out->has_update = true;
        ret_out->update = update;
    }
    return answer_result(owner, c, &verdict, c->role != ROLE_NONE && reads_after(c, &update), ret_out);
}
