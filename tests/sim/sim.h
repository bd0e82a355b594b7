/* The simulator: gateways, workers and devices in one process under one seed and a virtual clock.
 *
 * REAL      core/, the hub of gateway/, all of workers/ but the store's file: the very objects of the product.
 * MODELLED  what stands around them: log, links, registry, disks, sockets, devices, the coordinator that assigns partitions.
 * One queue of events ordered by virtual time (microseconds), then by the order in which they were put there. Every delay and
 * every fault comes from the seed. What happens is a plan: lines of text (sim_line.c), written by hand or drawn from a seed
 * (sim_plan.c); so a failing seed is made smaller by leaving lines out, and kept as a file.
 *
 * INVARIANTS
 * 1. The same plan and seed give the same trace, byte for byte: nothing reads a clock, an address or an uninitialised byte.
 * 2. Nothing is called back from inside a call that the seams say it must not be called from: it becomes an event.
 * 3. What is killed has no effect from that moment on; its disk stays.
 * One simulation a process at a time: workers/store.h has no room for a pointer to it (sim_store.c). */
#ifndef TIDEGATE_TESTS_SIM_SIM_H
#define TIDEGATE_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/journal.h"
#include "backends/link.h"
#include "backends/log.h"
#include "backends/registry.h"
#include "core/arena.h"
#include "core/buf.h"
#include "core/owner.h"
#include "gateway/hub.h"
#include "gateway/hub_http.h"
#include "tests/support/chance.h"
#include "tests/support/map_state.h"
#include "workers/host.h"
#include "workers/worker.h"

enum {
    SIM_GATEWAYS_MAX = 3, SIM_WORKERS_MAX = 3, SIM_PARTITIONS_MAX = 4, SIM_DEVICES_MAX = 12, SIM_SPACES_MAX = 6,
    SIM_NAME_BYTES = 40, SIM_CURSOR_BYTES = 128, SIM_WHY_BYTES = 512
};
enum { SIM_CONN_HTTP = 1 }; /* in the history: what goes by a call, not by the session */
#define SIM_EPOCH_MS INT64_C(1700000000000)

struct sim;

/* ---- events (sim_queue.c) ---- */
struct sim_event {
    int64_t at_us;
    uint64_t order;
    size_t heap_at;     /* its place plus one; 0: not in the queue */
    void (*fire)(struct sim *sim, struct sim_event *event);
};
void sim_queue_put(struct sim *sim, struct sim_event *event, int64_t at_us, void (*fire)(struct sim *, struct sim_event *));
void sim_queue_take(struct sim *sim, struct sim_event *event); /* out of the queue, if it is in */
bool sim_queue_step(struct sim *sim, int64_t until_us);        /* fires the next one that is due by then; false: none is */
void sim_queue_fini(struct sim *sim);

/* ---- chance and trace (sim_trace.c) ---- */
enum sim_stream { SIM_NET, SIM_LOG, SIM_LINK, SIM_HOST, SIM_DEVICE, SIM_LIB, SIM_STREAMS };
struct sim_span_us { int64_t least_us, most_us; };
int64_t sim_delay(struct sim *sim, enum sim_stream stream, struct sim_span_us between);
bool sim_chance(struct sim *sim, enum sim_stream stream, unsigned percent);
uint64_t sim_below(struct sim *sim, enum sim_stream stream, uint64_t count);
void sim_mix(struct sim *sim, uint64_t value);                 /* into the trace's hash */
void sim_mix_span(struct sim *sim, struct span text);
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3))); /* a line, when somebody reads */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* the run is over; the first says why */

/* ---- the log (sim_log.c) ---- */
struct sim_record {
    uint64_t offset;
    int64_t time_ms;
    struct blob *bytes;
};
/* A journal's topics as they stand: records in their order, encoded (core/journal_record.h), compacted now and then. */
struct sim_topics {
    size_t count, room, compact_at;
    uint64_t batches;
    struct sim_topic_record {
        int topic;                 /* enum journal_topic */
        size_t key_bytes, value_bytes;
        bool has_value;
        struct blob *bytes;        /* key, value, mark */
    } *records;
};
void sim_topics_fini(struct sim_topics *topics);
struct sim_partition {
    uint64_t first, next;          /* offsets held: [first, next), perhaps with gaps */
    size_t count, room;
    struct sim_record *records;
    int owner;                     /* the worker that the coordinator assigned it to; -1: none */
    uint32_t generation;           /* of that assignment */
    int moving_to;                 /* who gets it when the old owner has let go; -1: nobody waits */
    uint64_t committed;            /* how far an owner in good standing has journalled it */
    struct sim_topics journal;
    bool undecided, torn;          /* a commit is written and neither done nor undone; a record of the journal's last batch is missing */
    uint64_t staged_next;
    struct sim_topics staged;      /* the journal as that commit would have it */
};
struct sim_pending;
struct sim_writer {
    struct log_writer base;        /* first */
    struct sim *sim;
    bool dead, held;               /* `held`: what is handed in waits, for as long as that */
    uint32_t waiting;
    struct sim_lane {
        struct sim_event event;    /* the broker answers */
        struct sim_writer *writer;
        uint32_t partition;
        struct sim_pending *first, **end;
        size_t told;               /* of the first ones it is decided what is told; 0: they wait to be appended */
        bool failing;              /* what is handed in before that is told fails too */
        int64_t since_us;          /* when the first began to wait */
    } lanes[SIM_PARTITIONS_MAX];
};
struct sim_reader {
    struct log_reader base;        /* first */
    struct sim *sim;
    int worker;
    bool dead;
    struct sim_reading {
        struct sim_event event;    /* the next batch comes */
        struct sim_reader *reader;
        uint32_t partition, generation;
        bool assigned, started, paused, telling, leaving;
        uint64_t at, silent_below;
        struct sim_event news;     /* an assignment or a revocation is on its way */
    } parts[SIM_PARTITIONS_MAX];
};
struct sim_log {
    char name[SIM_NAME_BYTES];
    unsigned epoch;
    uint32_t partitions;
    struct sim_partition parts[SIM_PARTITIONS_MAX];
    struct sim_event balance;
    bool down;                     /* every append is refused */
    unsigned fail_next;            /* so many of the next groups fail */
    unsigned lose_next;            /* so many are appended and reported as perhaps appended */
    unsigned double_next;          /* so many are appended twice */
    int64_t skew_ms;               /* the broker's clock against the true one */
};
void sim_log_init(struct sim *sim);
void sim_log_fini(struct sim *sim);
void sim_log_odd(struct sim *sim, uint32_t partition, struct span record); /* somebody else wrote that */
void sim_log_anew(struct sim *sim);                               /* lost, and begun again under another name */
uint64_t sim_log_cut(struct sim *sim, uint32_t partition, uint64_t count); /* the newest are gone; how many were */
void sim_writer_open(struct sim *sim, struct sim_writer *writer);
void sim_writer_give_up(struct sim_writer *writer);                /* what waits is told as failed */
void sim_writer_kill(struct sim_writer *writer);
void sim_reader_open(struct sim *sim, struct sim_reader *reader, int worker);
void sim_reader_kill(struct sim_reader *reader);
/* The coordinator: `worker` -1 takes it from all. A holder that does not listen loses it all the same, and goes on unknowing. */
void sim_log_assign(struct sim *sim, uint32_t partition, int worker);
bool sim_log_is_owner(const struct sim *sim, int worker, uint32_t partition); /* as the coordinator sees it */
void sim_log_balance(struct sim *sim);                            /* partitions without a living owner find one */
void sim_log_worker_gone(struct sim *sim, int worker);            /* its partitions are nobody's; noticed after a while */
void sim_reader_wake(struct sim *sim, uint32_t partition);        /* there is something to read */
void sim_reader_learn(struct sim_reader *reader);                 /* a zombie hears what it lost */

/* ---- links (sim_link.c) ---- */
struct sim_message;
struct sim_wire {                  /* one direction of a connection */
    struct sim_event event;
    struct sim_link *link;
    bool to_worker;
    struct sim_message *first, **end;
};
struct sim_link {                  /* a gateway with a worker */
    struct sim *sim;
    int gateway, worker;
    bool stands, cut;              /* `cut`: it cannot stand until it is mended */
    uint32_t peer;
    struct sim_event join;         /* it is made again */
    struct sim_wire up, down;
    bool owned[SIM_PARTITIONS_MAX];    /* what the worker says of itself */
    uint64_t said[SIM_PARTITIONS_MAX]; /* when the gateway heard it say so; 0: it does not */
    struct arena arena;
};
void sim_link_open(struct sim *sim);
void sim_link_fini(struct sim *sim);
void sim_link_cut(struct sim *sim, int gateway, int worker, bool cut);
void sim_link_alive(struct sim *sim, int gateway, int worker);    /* either began: both ends look for each other; -1: all */
void sim_link_dead(struct sim *sim, int gateway, int worker);     /* either was killed; -1: all */
void sim_link_gateway_end(struct sim *sim, int gateway, struct link_gateway *link);
void sim_link_worker_end(struct sim *sim, int worker, struct link_owner *link);

/* ---- the worker's process (sim_worker.c, sim_host.c, sim_store.c) ---- */
struct sim_disk {                  /* one partition's store of one worker */
    int worker;
    bool made, open, doubtful;     /* `doubtful`: the machine went down while it was open */
    char log[SIM_NAME_BYTES];
    struct map_state state;
    uint64_t next_offset, last_hash;
    size_t dead;
    struct map_state older;        /* before the last batch, where writes are not synced */
    uint64_t older_next, older_hash;
    bool has_older;
};
struct sim_host {
    struct worker_host base;       /* first */
    struct sim *sim;
    int worker;
    bool dead;
    struct sim_timer { struct sim_event event; struct sim_host *host; enum worker_timer which; } timers[WORKER_TIMERS];
    struct sim_job *jobs;          /* under way */
    int64_t journal_free_us;       /* when the journal's lane is free again */
};
struct sim_worker {
    int at;
    bool alive, failed, isolated;  /* `isolated`: the coordinator does not reach it */
    char failure[128];
    struct worker *worker;
    struct sim_host host;
    struct sim_reader reader;
    struct sim_writer rules_writer;
    struct link_owner link;
    struct sim_disk disks[SIM_PARTITIONS_MAX], making[SIM_PARTITIONS_MAX]; /* `making`: by a restore */
    unsigned rules;                /* which texts it puts: sim_rules.c */
    struct journal journal;
    bool dies_at_commit, dies_amid_commit, dying;    /* `dying`: nothing reaches its disk any more */
    struct sim_event death;
};
void sim_journal_open(struct journal *journal);
void sim_journal_decide(struct sim *sim, uint32_t partition, bool commit); /* what a dead owner left undecided, if anything */
void sim_journal_tear(struct sim *sim, uint32_t partition, bool torn);
void sim_worker_start(struct sim *sim, int at);
void sim_worker_kill(struct sim *sim, int at);
void sim_worker_lose_disk(struct sim *sim, int at);
void sim_worker_lose_unsynced(struct sim *sim, int at);
void sim_worker_rules(struct sim *sim, int at, unsigned rules);
void sim_host_open(struct sim *sim, struct sim_host *host, int worker);
void sim_host_drop(struct sim_host *host);                        /* of a dead one: jobs end without having run */
void sim_store_fini(struct sim_disk *disk);

/* ---- the gateway's process (sim_gateway.c, sim_registry.c, sim_edge.c) ---- */
struct sim_gateway {
    int at;
    bool alive;
    char name[24];
    struct hub *hub;
    struct sim_writer writer;
    struct link_gateway link;
    struct registry registry;
    struct sim_event tick, turn;
    int routes[SIM_PARTITIONS_MAX]; /* the worker that said last that it owns this; -1: none */
};
void sim_gateway_start(struct sim *sim, int at);
void sim_gateway_kill(struct sim *sim, int at);
void sim_gateway_touched(struct sim *sim, int at);                /* something was handed in: a turn will end */
void sim_registry_open(struct sim *sim, int gateway, struct registry *registry);
void sim_registry_empty(struct sim *sim);
void sim_registry_forget(struct sim *sim, int gateway);
void sim_registry_fini(struct sim *sim);

/* A device's connection. Both ends may think that it lives long after the path is gone. */
struct sim_conn {
    struct sim_conn *next;         /* all of the run */
    struct sim *sim;
    struct sim_device *device;
    int gateway;
    uint32_t number;
    struct hub_session *session;   /* NULL: the gateway's end is gone */
    bool device_end;               /* the device's end stands */
    bool path;                     /* what is sent arrives */
    bool closing, full;
    unsigned code;                 /* it is being closed with */
    int64_t up_us, down_us;        /* when the last thing on its way arrives */
    size_t down_bytes;
};
struct sim_packet;
struct sim_conn *sim_edge_connect(struct sim *sim, struct sim_device *device, int gateway);
void sim_edge_say(struct sim_conn *conn, struct span text);       /* the device's */
void sim_edge_leave(struct sim_conn *conn);                       /* the device closes it */
void sim_edge_cut(struct sim_conn *conn);                         /* both ends learn at once */
void sim_edge_cut_all(struct sim *sim);
void sim_edge_half_open(struct sim_conn *conn);                   /* nobody learns */
void sim_edge_gateway_died(struct sim *sim, int gateway);
void sim_edge_fini(struct sim *sim);
extern const struct hub_edge_ops sim_edge_ops;

/* HTTP calls (sim_http.c): a background sync of the device's beside its session. A gateway that dies answers nothing. */
struct sim_call;
void sim_http_sync(struct sim *sim, struct sim_device *device, size_t space, int gateway);
void sim_http_call(struct sim *sim, struct sim_device *device, struct span body, int gateway, unsigned number); /* of one on the client library */
void sim_http_gateway_dies(struct sim *sim, int gateway); /* before its hub is closed */
void sim_http_fini(struct sim *sim);

/* ---- devices (sim_device*.c) ---- */
struct sim_doc {
    char key[SIM_NAME_BYTES];      /* collection/id */
    uint64_t rev, born, sum;
    bool deleted, named;           /* `named`: in the run from nothing that is under way */
};
struct sim_push {
    uint64_t id, after;
    bool settled;
    bool has_if;                   /* on a rev */
    bool before_reset;             /* made before the newest reset: its bases count for nothing */
    bool unsure;                   /* of a restored store, sent before it heard how far its former life had got: `pushed` may speak of that */
    int64_t first_sent_ms;         /* by the server's time; 0: never */
    unsigned edited_boot;          /* which boot it was made in, and what the clocks said */
    int64_t edited_ms, edited_wall_ms, edited_ahead_ms;
    bool edited_knows;             /* `edited_ahead_ms`, the server's clock less the wall clock, was known */
    int64_t by;                    /* what it adds to a counter, "": to none */
    char counter[SIM_NAME_BYTES];
    struct blob *ops;              /* `~A~` stands for the age, `~B7~` for the base 7 */
};
struct sim_lib;
struct sim_copy {                  /* a device's copy of a space: all of it on its disk, but what is said to be of the session */
    bool wanted, purged, in_run, reset_run;
    char cursor[SIM_CURSOR_BYTES]; /* "": null */
    uint64_t place, last_id, sent_id, known;
    uint64_t seen_rev;             /* the greatest that any frame named */
    int64_t window_ms;
    size_t docs_count, docs_room, pushes_count, pushes_room;
    struct sim_doc *docs;
    struct sim_push *pushes;
    unsigned refused;              /* records of refused pushes that wait for their user */
    char refusal[24];              /* the newest one's code */
    uint64_t tail;
    bool has_tail;
    /* the session's */
    bool live, once;
    uint64_t told_id, told_sent, sent_here; /* the greatest id that was heard to be in the log; what had been sent by then; what has by now */
    unsigned stale_gaps;
    unsigned ref;
    int64_t resend_ms;             /* 0: nothing to send again */
    int64_t reopen_ms;
};
struct sim_store {                 /* what a device has on its disk */
    char id[64];
    char log[SIM_NAME_BYTES];
    uint64_t next_id;
    struct sim_copy copies[SIM_SPACES_MAX];
};
/* Less than twice the window of the namespaces in force: an older backup brings back pushes that the log has forgotten. */
#define SIM_BACKUP_MS_MAX (INT64_C(170) * 86400000)
struct sim_device {
    struct sim *sim;
    int at;
    char name[SIM_NAME_BYTES], user[SIM_NAME_BYTES];
    struct sim_lib *lib;           /* it is one on the client library (sim_lib.h): then nothing of its store is here */
    struct sim_store store, *backup;
    int64_t backup_ms;             /* when that was made, in true time */
    int64_t restored_ms;           /* when the backup was made that it goes on from under its old id; 0: none */
    unsigned ids;                  /* it has gone by so many device ids */
    bool wants_on, background, slow, retired;
    bool in_call;                  /* what it hears now is an HTTP call's answer */
    struct sim_conn *conn;
    bool welcome;
    unsigned next_ref, backoff;
    int64_t left_ms;               /* when it last gave a connection up, by its boot clock: the gateway may think that one newer */
    int64_t heard_ms;
    unsigned boot;
    int64_t boot_ms;               /* its boot clock minus the true one */
    int64_t wall_ms;               /* its wall clock minus the true one */
    bool knows_ahead;              /* it was welcome once since its wall clock was last set */
    int64_t welcome_ms;            /* welcome.time, and the true time when it came */
    int64_t welcome_at_ms;
    int prefers;                   /* a gateway; -1: any */
    int forked_space;              /* -1: none; outlives connections and reboots */
    uint64_t forked_after;
    struct sim_event timer;
    uint64_t frames;
};
struct sim_device *sim_device_find(struct sim *sim, struct span name);
struct sim_device *sim_device_make(struct sim *sim, struct span name, struct span user, bool lib);
void sim_device_fini(struct sim_device *device);
void sim_device_go(struct sim_device *device, int gateway);       /* online; -1: any gateway */
void sim_device_stop(struct sim_device *device);                  /* offline */
void sim_device_retire(struct sim_device *device);                /* it does not come back */
void sim_device_crash(struct sim_device *device);                 /* its process: what is on its disk stays */
void sim_device_reboot(struct sim_device *device);
void sim_device_set_clock(struct sim_device *device, int64_t wall_ms);
void sim_device_reinstall(struct sim_device *device);
int64_t sim_device_store_ms(const struct sim_device *device); /* how old a backup made now is: a restored store, as what it was restored from */
void sim_device_backup(struct sim_device *device);
bool sim_device_can_restore(const struct sim_device *device, const struct sim_device *from);
void sim_device_restore(struct sim_device *device, const struct sim_device *from); /* from its backup; of another: a copy of that one, which may live on */
void sim_device_open(struct sim_device *device, size_t space);
void sim_device_close(struct sim_device *device, size_t space);
/* `counter` (NULL: none) gets `by` more, if it is applied. */
void sim_device_push(struct sim_device *device, size_t space, struct span ops, bool has_if, int64_t by, const char *counter);
void sim_device_history(struct sim_device *device, size_t space, const char *collection, uint64_t before, unsigned limit);
void sim_device_resend(struct sim_device *device, size_t space, uint64_t past); /* everything unanswered past that */
void sim_device_reopen(struct sim_device *device, size_t space);  /* from its own cursor, at once */
void sim_device_welcome(struct sim_device *device, struct span log, int64_t time_ms);
/* The body of a background sync of one space that has a cursor; and what its answer brings. */
void sim_device_say_sync(struct sim_device *device, size_t space, struct buf *text);
void sim_device_hear_sync(struct sim_device *device, struct span body);
void sim_device_refuse(struct sim_device *device, size_t space, struct sim_push *push, const char *code); /* a record for its user */
void sim_device_lost(struct sim_device *device, struct sim_conn *conn, unsigned code); /* its connection is gone; 0: cut */
void sim_device_hear(struct sim_device *device, struct sim_conn *conn, struct span message);
void sim_device_pinged(struct sim_device *device);
bool sim_device_is_idle(const struct sim_device *device);
void sim_device_fork(struct sim_device *device, size_t space, uint64_t after);
void sim_device_go_on_forking(struct sim_device *device);
void sim_device_record(struct sim_device *device, int kind, size_t space, uint64_t id); /* of enum checker_kind */
void sim_device_new_id(struct sim_device *device);
void sim_device_arm(struct sim_device *device);
void sim_device_enqueued(struct sim_device *device, size_t space, const struct sim_push *push); /* joins the history */
int64_t sim_device_clock_ms(const struct sim_device *device);     /* the boot clock */
/* sim_copy.c */
struct sim_doc *sim_copy_find(struct sim_copy *copy, const char *key);
struct sim_doc *sim_copy_put(struct sim_copy *copy, const char *key);
void sim_copy_drop_docs(struct sim_copy *copy);
void sim_copy_set_cursor(struct sim_copy *copy, struct span text);
struct sim_push *sim_copy_push(struct sim_copy *copy, uint64_t id);
void sim_copy_settled(struct sim_copy *copy);                     /* moves `known`, forgets what lies below */
void sim_copy_drop_settled(struct sim_copy *copy);                /* wherever they stand: its pushes are to be numbered anew */
void sim_store_clone(const struct sim_store *from, struct sim_store *ret_to);
void sim_store_drop(struct sim_store *store);

/* ---- the judge (sim_judge.c, sim_history.c) ---- */
struct sim_judge;
void sim_judge_open(struct sim *sim);
void sim_judge_close(struct sim *sim);
void sim_judge_record(struct sim *sim, uint32_t partition, const struct sim_record *record); /* it is durable */
void sim_judge_log_anew(struct sim *sim);
void sim_judge_told(struct sim *sim, int worker, const struct link_tell *tell);              /* a worker sends this */
void sim_judge_calm(struct sim *sim);
void sim_judge_end(struct sim *sim);
struct checker_event;
void sim_judge_event(struct sim *sim, struct checker_event *event);                          /* joins the history */

/* ---- plans (sim_line.c, sim_plan.c, sim_rules.c) ---- */
struct sim_plan {
    size_t count, room;
    char **lines;
};
void sim_plan_add(struct sim_plan *plan, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_plan_fini(struct sim_plan *plan);
/* In the plans of seeds that it divides, about every other device is on the client library (SQLite makes such a plan five times as long). A prime:
 * whatever the number of processes that share a sweep, each gets its part. */
#define SIM_LIB_PLANS 31
void sim_plan_draw(uint64_t seed, struct sim_plan *ret_plan);
bool sim_plan_read(const char *path, struct sim_plan *ret_plan);
bool sim_plan_is_fixed(const char *line); /* a setting or a device: the shrinker leaves it */
void sim_line_run(struct sim *sim, const char *line);
size_t sim_rules_texts(unsigned rules, struct span *ret_texts, size_t room);

/* ---- the whole (sim.c) ---- */
struct sim_settings {
    uint64_t seed;
    int gateways, workers, partitions;
    bool journaled;                /* workers have a journal, and the log forgets what it holds */
    bool serve;                    /* gateway and worker are one process, the log is trimmed at once */
    bool fsync;
    bool chaos;                    /* faults come by themselves, by the percentages below */
    struct sim_span_us net, append, link, journal, page, deliver;
    unsigned fail_percent, lose_percent, double_percent, busy_percent, headless_percent;
};
struct sim {
    struct sim_settings settings;
    int64_t now_us;
    uint64_t order;
    struct sim_event **heap;
    size_t heap_count, heap_room;
    struct chance streams[SIM_STREAMS];
    uint64_t hash;
    struct buf *out;               /* the trace; NULL: nobody reads */
    char why[SIM_WHY_BYTES];       /* of the first failure; "": none */
    bool begun, calm, stopped; /* `stopped`: the plan ends here, without calm */
    struct sim_log log;
    struct sim_gateway gateways[SIM_GATEWAYS_MAX];
    struct sim_worker workers[SIM_WORKERS_MAX];
    struct sim_link links[SIM_GATEWAYS_MAX][SIM_WORKERS_MAX];
    uint32_t next_peer, next_conn;
    uint64_t sayings;
    bool registry_down;
    void *registry;
    struct sim_conn *conns;
    struct sim_packet *packets;    /* on their way */
    struct sim_call *calls;
    size_t spaces_count;
    char spaces[SIM_SPACES_MAX][SIM_NAME_BYTES];
    size_t devices_count;
    struct sim_device devices[SIM_DEVICES_MAX];
    struct sim_judge *judge;
    unsigned rules;
    uint64_t events, checks;
    size_t line;                   /* of the plan, from 1 */
};
struct sim_result {
    uint64_t hash, events, checks;
    int64_t virtual_ms;
    char why[SIM_WHY_BYTES];       /* "": all is well */
};
int64_t sim_now_ms(const struct sim *sim);
size_t sim_space(struct sim *sim, struct span name); /* made where it is new */
void sim_begin(struct sim *sim);                     /* settings are known: processes start */
void sim_pass(struct sim *sim, int64_t us);
void sim_settle(struct sim *sim);                    /* until nobody waits for anything */
void sim_leap(struct sim *sim, int64_t ms);          /* everything stands still for that long */
void sim_calm(struct sim *sim);                      /* faults end, all come back */
/* Runs a plan, and ends it by calm, convergence and the judge's word. `dropped` (NULL: none): lines to leave out. `out`: the
 * trace; NULL: none. */
void sim_run(const struct sim_plan *plan, const bool *dropped, struct buf *out, struct sim_result *ret_result);
struct sim *sim_current(void);

#endif
