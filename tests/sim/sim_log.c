/* The log: records a partition, and writers whose appends are delayed, grouped, refused, doubled or left in doubt.
 *
 * A lane is one writer's order in one partition. A group of its oldest is appended at one moment and told of at a later one,
 * so that an owner may have read what its gateway has not heard of yet. When a group fails, everything handed in behind it
 * fails too (log.h, INVARIANT 2), and some first part of it may stand in the log all the same. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

enum { WAITING_MAX = 64, GROUP_MAX = 8, DOWN_RETRY_US = 400000, DOWN_GIVE_UP_US = 4000000 };

struct sim_pending {
    struct sim_pending *next;
    struct blob *record;
    struct log_ack ack;
};

/* ---- records ---- */

static void add_record(struct sim *sim, uint32_t partition, struct blob *bytes)
{
    struct sim_partition *part = &sim->log.parts[partition];
    if (part->count == part->room) {
        part->room = part->room == 0 ? 32 : part->room * 2;
        part->records = realloc(part->records, part->room * sizeof *part->records);
        assert(part->records != NULL);
    }
    struct sim_record *record = &part->records[part->count++];
    *record = (struct sim_record){.offset = part->next++, .time_ms = sim_now_ms(sim) + sim->log.skew_ms, .bytes = blob_take(bytes)};
    sim_mix(sim, record->offset);
    sim_judge_record(sim, partition, record);
    sim_reader_wake(sim, partition);
}

void sim_log_odd(struct sim *sim, uint32_t partition, struct span record)
{
    struct blob *bytes = blob_make(record);
    assert(bytes != NULL);
    add_record(sim, partition, bytes);
    blob_put(bytes);
}

static void drop_records(struct sim_partition *part)
{
    for (size_t i = 0; i < part->count; i++) blob_put(part->records[i].bytes);
    free(part->records);
    part->records = NULL;
    part->count = part->room = 0;
    part->first = part->next = part->committed = 0;
    part->undecided = part->torn = false;
    sim_topics_fini(&part->journal);
    sim_topics_fini(&part->staged);
}

static void name_log(struct sim *sim)
{
    snprintf(sim->log.name, sizeof sim->log.name, "sim%u", ++sim->log.epoch);
}

void sim_log_init(struct sim *sim)
{
    sim->log.partitions = (uint32_t)sim->settings.partitions;
    for (int i = 0; i < SIM_PARTITIONS_MAX; i++) sim->log.parts[i].owner = sim->log.parts[i].moving_to = -1;
    name_log(sim);
}

void sim_log_fini(struct sim *sim)
{
    for (int i = 0; i < SIM_PARTITIONS_MAX; i++) drop_records(&sim->log.parts[i]);
}

/* Nobody reads or writes it now. */
void sim_log_anew(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->log.partitions; i++) drop_records(&sim->log.parts[i]);
    name_log(sim);
    sim_trace(sim, "log     begins anew as %s", sim->log.name);
    sim_judge_log_anew(sim);
}

uint64_t sim_log_cut(struct sim *sim, uint32_t partition, uint64_t count)
{
    struct sim_partition *part = &sim->log.parts[partition];
    uint64_t cut = 0;
    for (; cut < count && part->count > 0; cut++) {
        part->next = part->records[part->count - 1].offset;
        blob_put(part->records[--part->count].bytes);
    }
    sim_trace(sim, "log     p%u loses its newest %llu records, ends at %llu", partition, (unsigned long long)cut, (unsigned long long)part->next);
    return cut;
}

/* ---- writers ---- */

static void answer(struct sim *sim, struct sim_event *event);

static void go_on(struct sim *sim, struct sim_lane *lane)
{
    if (lane->first == NULL || lane->event.heap_at != 0) return;
    lane->since_us = sim->now_us;
    sim_queue_put(sim, &lane->event, sim->now_us + sim_delay(sim, SIM_LOG, sim->settings.append), answer);
}

static size_t lane_count(const struct sim_lane *lane)
{
    size_t count = 0;
    for (const struct sim_pending *pending = lane->first; pending != NULL; pending = pending->next) count++;
    return count;
}

/* Tells of the first ones, in one call. */
static void tell(struct sim *sim, struct sim_event *event)
{
    struct sim_lane *lane = (struct sim_lane *)(void *)event;
    struct sim_writer *writer = lane->writer;
    struct log_ack acks[WAITING_MAX];
    size_t told = lane->told, count = lane->failing ? lane_count(lane) : told;
    lane->told = 0;
    lane->failing = false;
    for (size_t i = 0; i < count; i++) {
        struct sim_pending *pending = lane->first;
        if (i >= told) pending->ack.err = ERR_BUSY;
        lane->first = pending->next;
        if (lane->first == NULL) lane->end = &lane->first;
        acks[i] = pending->ack;
        blob_put(pending->record);
        free(pending);
    }
    writer->waiting -= (uint32_t)count;
    sim_mix(sim, count);
    if (writer->base.acked != NULL) writer->base.acked(writer->base.ctx, acks, count);
    for (int i = 0; i < SIM_GATEWAYS_MAX; i++)
        if (&sim->gateways[i].writer == writer) sim_gateway_touched(sim, i);
    go_on(sim, lane);
}

/* All of the lane: the first `appended` of them stand in the log. */
static void fail_all(struct sim *sim, struct sim_lane *lane, size_t appended)
{
    size_t at = 0;
    for (struct sim_pending *pending = lane->first; pending != NULL; pending = pending->next, at++) {
        if (at < appended) add_record(sim, lane->partition, pending->record);
        pending->ack.err = at < appended || sim_below(sim, SIM_LOG, 2) == 0 ? ERR_INTERNAL : ERR_BUSY;
    }
    lane->told = at;
    lane->failing = true;
    sim_trace(sim, "log     p%u: %zu appends fail, %zu of them stand in the log", lane->partition, at, appended);
}

static void append_group(struct sim *sim, struct sim_lane *lane, size_t count)
{
    bool twice = sim->log.double_next > 0 || sim_chance(sim, SIM_LOG, sim->settings.double_percent);
    if (sim->log.double_next > 0) sim->log.double_next--;
    for (int round = 0; round <= twice; round++) {
        struct sim_pending *pending = lane->first;
        for (size_t i = 0; i < count; i++, pending = pending->next) add_record(sim, lane->partition, pending->record);
    }
    if (twice) sim_trace(sim, "log     p%u: %zu appended twice", lane->partition, count);
    lane->told = count;
}

static bool spend(unsigned *left)
{
    if (*left == 0) return false;
    --*left;
    return true;
}

/* The broker answers: a group is appended, or everything fails. */
static void answer(struct sim *sim, struct sim_event *event)
{
    struct sim_lane *lane = (struct sim_lane *)(void *)event;
    size_t waiting = lane_count(lane);
    if (lane->writer->held) {
        sim_queue_put(sim, event, sim->now_us + DOWN_RETRY_US, answer);
        return;
    }
    if (sim->log.down) {
        if (sim->now_us - lane->since_us < DOWN_GIVE_UP_US) {
            sim_queue_put(sim, event, sim->now_us + DOWN_RETRY_US, answer);
            return;
        }
        fail_all(sim, lane, 0);
    } else if (spend(&sim->log.fail_next) || sim_chance(sim, SIM_LOG, sim->settings.fail_percent)) {
        fail_all(sim, lane, (size_t)sim_below(sim, SIM_LOG, waiting + 1));
    } else if (spend(&sim->log.lose_next) || sim_chance(sim, SIM_LOG, sim->settings.lose_percent)) {
        fail_all(sim, lane, waiting);
    } else {
        size_t most = waiting < GROUP_MAX ? waiting : GROUP_MAX;
        append_group(sim, lane, 1 + (size_t)sim_below(sim, SIM_LOG, most));
    }
    sim_queue_put(sim, event, sim->now_us + sim_delay(sim, SIM_LOG, sim->settings.append), tell);
}

static enum err append(struct log_writer *base, uint32_t partition, struct blob *record, uint64_t tag)
{
    struct sim_writer *writer = (struct sim_writer *)(void *)base;
    struct sim *sim = writer->sim;
    struct sim_lane *lane = &writer->lanes[partition];
    if (writer->dead || writer->waiting >= WAITING_MAX || sim_chance(sim, SIM_LOG, sim->settings.busy_percent)) return ERR_BUSY;
    struct sim_pending *pending = calloc(1, sizeof *pending);
    assert(pending != NULL);
    *pending = (struct sim_pending){.record = blob_take(record), .ack = {.tag = tag}};
    *lane->end = pending;
    lane->end = &pending->next;
    writer->waiting++;
    go_on(sim, lane);
    return ERR_OK;
}

void sim_writer_open(struct sim *sim, struct sim_writer *writer)
{
    static const struct log_writer_ops ops = {append};
    *writer = (struct sim_writer){.base = {.ops = &ops, .partitions = sim->log.partitions, .name = sim->log.name}, .sim = sim};
    for (uint32_t i = 0; i < SIM_PARTITIONS_MAX; i++) {
        writer->lanes[i] = (struct sim_lane){.writer = writer, .partition = i};
        writer->lanes[i].end = &writer->lanes[i].first;
    }
}

void sim_writer_give_up(struct sim_writer *writer)
{
    for (uint32_t i = 0; i < writer->base.partitions; i++) {
        struct sim_lane *lane = &writer->lanes[i];
        size_t waiting = lane_count(lane);
        if (waiting == 0) continue;
        if (lane->told > 0) {
            lane->failing = true; /* what was appended is told of; what waits behind it fails */
            continue;
        }
        fail_all(writer->sim, lane, writer->sim->log.down ? 0 : (size_t)sim_below(writer->sim, SIM_LOG, waiting + 1));
        sim_queue_put(writer->sim, &lane->event, writer->sim->now_us, tell);
    }
}

/* What is on its way to the broker may still get there. */
void sim_writer_kill(struct sim_writer *writer)
{
    struct sim *sim = writer->sim;
    writer->dead = true;
    for (uint32_t i = 0; i < SIM_PARTITIONS_MAX; i++) {
        struct sim_lane *lane = &writer->lanes[i];
        size_t waiting = lane_count(lane);
        size_t arrive = lane->told > 0 || sim->log.down ? 0 : (size_t)sim_below(sim, SIM_LOG, waiting + 1);
        sim_queue_take(sim, &lane->event);
        for (size_t at = 0; lane->first != NULL; at++) {
            struct sim_pending *pending = lane->first;
            lane->first = pending->next;
            if (at < arrive) add_record(sim, i, pending->record);
            blob_put(pending->record);
            free(pending);
        }
        lane->end = &lane->first;
        lane->told = 0;
    }
}
