/* What must hold at the end of a play. */
#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "tests/support/play.h"

enum { WORK_HOLD_MS = 60000 };

void play_everything_has_its_outcome(struct play *play)
{
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        struct tide_status status;
        tide_status(play->clients[i].tide, &status);
        if (status.pending > 0 || !status.whole)
            fprintf(stderr, "device %zu: pending %llu, whole %d, state %d %s\n", i, (unsigned long long)status.pending, status.whole, status.state, status.why);
        PLAY_MUST(status.pending == 0 && status.whole);
        play_look_at_refusals(play, i, false);
    }
}

static bool count_unending(void *ctx, const struct tide_work_state *state)
{
    *(unsigned *)ctx += state->work.every_ms == 0;
    return true;
}

/* What is asked for once is done once the world lets it, however often it failed before. */
void play_work_comes_to_its_end(struct play *play)
{
    enum { ROUNDS = 64, WORK_MS = 3600000 };
    for (size_t i = 0; i < PLAY_CLIENTS && !play->bare; i++) {
        struct client *client = &play->clients[i];
        unsigned left = 1;
        for (int round = 0; round < ROUNDS && left > 0; round++) {
            struct tide_due due;
            tide_set_conditions(client->tide, &(struct tide_conditions){.charging = TIDE_YES});
            PLAY_MUST(client_run_due(client, &due) == TIDE_OK);
            left = 0;
            PLAY_MUST(tide_work_list(client->tide, count_unending, &left) == TIDE_OK);
            PLAY_MUST(left == 0 || due.next_ms >= 0);
            play->world.rig.now_ms += due.next_ms > 0 && due.next_ms < WORK_MS ? due.next_ms : WORK_MS;
            hub_tick(play->world.rig.hub, play->world.rig.now_ms);
        }
        if (left > 0) fprintf(stderr, "device %zu: %u pieces of work are left\n", i, left);
        PLAY_MUST(left == 0);
    }
    client_settle(play->all, PLAY_CLIENTS, WORK_HOLD_MS);
}

static int64_t counter(struct play *play, const char *field)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < 3; i++) {
        char id[8];
        struct json_value body;
        int64_t value = 0;
        snprintf(id, sizeof id, "i%u", i);
        char *text = client_body(&play->clients[0], play_spaces[0], "items", id);
        if (text != NULL && json_check(span_text(text), &body, NULL) && json_integer(json_find(body, field), &value)) sum += value;
        free(text);
    }
    return sum;
}

static void all_increments_count_once(struct play *play)
{
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        char field[8];
        snprintf(field, sizeof field, "c%zu", i);
        int64_t value = counter(play, field), made = play->made[i], least = made - (int64_t)play->uncertain[i], most = made + (int64_t)play->again[i];
        if (value < least || value > most)
            fprintf(stderr, "device %zu: %lld increments took effect, of %lld made, %u uncertain, %u made again\n", i, (long long)value, (long long)made, play->uncertain[i], play->again[i]);
        PLAY_MUST(value >= least && value <= most);
    }
}

static void all_messages_are_there(struct play *play)
{
    for (size_t i = 0; i < play->messages_count; i++) {
        const struct play_message *message = &play->messages[i];
        char *body = client_body(&play->clients[0], play_spaces[message->sealed ? 3 : 1], message->sealed ? "samples" : "messages", message->id);
        if (body == NULL && !message->refused && !message->lost) fprintf(stderr, "message %s of device %zu is gone\n", message->id, message->client);
        PLAY_MUST(body != NULL || message->refused || message->lost);
        PLAY_MUST(body == NULL || strcmp(body, message->body) == 0);
        free(body);
    }
}

/* Another process shows the same as the one that syncs. */
static void second_processes_see_it_all(struct play *play)
{
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        struct tide *first = play->clients[i].tide;
        if (play->beside[i] == NULL) continue;
        tide_poll(play->beside[i]);
        play->clients[i].tide = play->beside[i];
        for (size_t k = 0; k < play_spaces_count(play, i); k++) PLAY_MUST(client_is_like_owner(&play->clients[i], play_space(i, k)));
        play->clients[i].tide = first;
    }
}

void play_nothing_is_lost_or_doubled(struct play *play)
{
    all_increments_count_once(play);
    all_messages_are_there(play);
    for (size_t i = 0; i < PLAY_CLIENTS; i++) {
        for (size_t k = 0; k < play_spaces_count(play, i); k++) PLAY_MUST(client_is_like_owner(&play->clients[i], play_space(i, k)));
        PLAY_MUST(play->clients[i].differed == 0); /* nor was it ever found to be another one, and taken again */
    }
    second_processes_see_it_all(play);
    if (!play->bare) play_secrets_are_kept(play);
}
