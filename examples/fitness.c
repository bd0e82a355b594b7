/* A workout where there is no network: nothing of it is lost, whatever happens to the program, and it is on the server once.
 *
 *     fitness DB log USER [SAMPLES]         logs a workout with a sample a moment; stop it as you like: Ctrl-C, kill -9, the battery
 *     fitness DB background URL TOKEN       what the system's scheduler calls: does what is due, or says why nothing is
 *     fitness DB upload URL TOKEN           a button: sends what is not on the server yet; again and again does no harm
 *     fitness DB show                       what waits
 *
 * It shows: a write is on the disk when it returns, the outbox outlives the process, and a push takes effect once, however often the
 * upload was tried or cut. The upload is background work, kept in the store with its constraints and its backoff. On a phone `background` is
 * called by WorkManager or BGTaskScheduler (client/bindings/ has both), here by cron or systemd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tidegate.h>

static int fail(struct tide *tide, enum tide_code code)
{
    fprintf(stderr, "fitness: %s: %s\n", tide_code_text(code), tide_message(tide));
    return 1;
}

/* ---- logging: no network, no server, no account needed ---- */

/* Uploaded when there is a network, whoever starts us then. KEEP: one such work, however much waits. Asked for after each write, because the
 * one before may be done by now: a long workout is uploaded in parts. */
static enum tide_code want_upload(struct tide *tide)
{
    return tide_work_add(tide, &(struct tide_work){.name = "upload", .network = TIDE_NETWORK_ANY}, TIDE_KEEP);
}

static int log_workout(struct tide *tide, const char *user, long samples)
{
    char space[160], workout[40], body[160];
    snprintf(space, sizeof space, "workouts:%s", user);
    /* To be kept in step from now on, whenever that becomes possible. */
    enum tide_code code = tide_subscribe(tide, space, NULL);
    if (code != TIDE_OK) return fail(tide, code);

    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(workout, sizeof workout, "w%lld-%09ld", (long long)now.tv_sec, now.tv_nsec);
    snprintf(body, sizeof body, "{\"kind\":\"run\",\"started\":%lld000}", (long long)now.tv_sec);
    code = tide_put(tide, space, "workouts", workout, body, NULL);
    if (code != TIDE_OK) return fail(tide, code);
    if ((code = want_upload(tide)) != TIDE_OK) return fail(tide, code);
    printf("workout %s\n", workout);

    for (long i = 0; i < samples || samples == 0; i++) {
        char id[64];
        snprintf(id, sizeof id, "%s.%ld", workout, i);
        snprintf(body, sizeof body, "{\"workout\":\"%s\",\"t\":%ld,\"bpm\":%ld}", workout, i, 120 + i % 40);
        code = tide_append(tide, space, "samples", id, body, NULL);
        if (code == TIDE_OK) code = want_upload(tide);
        if (code != TIDE_OK) return fail(tide, code);
        /* Whatever is printed here can be killed now: it is on the disk. */
        printf("sample %s\n", id);
        fflush(stdout);
    }
    return 0;
}

/* ---- uploading ---- */

static int background(struct tide *tide)
{
    struct tide_due due;
    struct tide_status status;
    struct tide_reason reason;
    /* Who started us has seen to the network; the rest the library asks Linux. */
    tide_set_conditions(tide, &(struct tide_conditions){.network = TIDE_YES});
    /* At most 25 s, as a background task of a phone has 30. What is not done then stays due. */
    enum tide_code code = tide_run_due(tide, 25000, &due);
    if (code != TIDE_OK) return fail(tide, code);
    tide_status(tide, &status);
    tide_why_not(tide, "upload", &reason);
    printf("%llu wait; %s\n", (unsigned long long)status.pending, due.well > 0 ? "uploaded" : reason.sentence);
    return 0;
}

static int upload(struct tide *tide)
{
    struct tide_status status;
    enum tide_code code = tide_sync(tide, TIDE_BOTH, 25000);
    tide_status(tide, &status);
    if (code == TIDE_OFFLINE || code == TIDE_TIMEOUT) {
        printf("no network; %llu wait\n", (unsigned long long)status.pending);
        return 0; /* no failure: it is what this is for */
    }
    if (code != TIDE_OK) return fail(tide, code);
    printf("uploaded; %llu wait, %llu refused\n", (unsigned long long)status.pending, (unsigned long long)status.refused);
    return 0;
}

static bool show_space(void *ctx, const struct tide_space *space)
{
    (void)ctx;
    printf("%s: %llu wait\n", space->name, (unsigned long long)space->pending);
    return true;
}

int main(int argc, char **argv)
{
    struct tide *tide = NULL;
    char why[256];
    int exit_code = 64;
    const char *command = argc > 2 ? argv[2] : "";
    struct tide_options options = {.path = argc > 1 ? argv[1] : NULL, .background = true /* syncing does not make the person look online */};
    bool in_background = strcmp(command, "background") == 0 && argc == 5, uploads = strcmp(command, "upload") == 0 && argc == 5;
    if (uploads || in_background) {
        options.url = argv[3];
        options.token = argv[4];
    }
    if (!uploads && !in_background && strcmp(command, "show") != 0 && (strcmp(command, "log") != 0 || argc < 4)) {
        fprintf(stderr, "fitness DB log USER [SAMPLES]\nfitness DB background URL TOKEN\nfitness DB upload URL TOKEN\nfitness DB show\n");
        return exit_code;
    }
    /* One process may log while another uploads: the store takes both. */
    if (tide_open(&options, &tide, why, sizeof why) != TIDE_OK) {
        fprintf(stderr, "fitness: %s\n", why);
        return 1;
    }
    if (uploads) exit_code = upload(tide);
    else if (in_background) exit_code = background(tide);
    else if (strcmp(command, "show") == 0) exit_code = tide_spaces(tide, show_space, NULL) != TIDE_OK;
    else exit_code = log_workout(tide, argv[3], argc > 4 ? strtol(argv[4], NULL, 10) : 0);
    tide_close(tide);
    return exit_code;
}
