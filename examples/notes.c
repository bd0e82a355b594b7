/* Two devices edit one note while neither sees the other; the person decides.
 *
 *     notes FOLDER URL TOKEN USER       asks on the terminal: (m)ine, (t)heirs, (b)oth
 *
 * It shows: the `manual` policy. Of two edits that did not know of each other the second changes nothing on the server. It waits on
 * its device as a record with what was tried, what it was made on and what the server has, through any restart, until it is settled.
 * A text is too dear to be merged by a rule; where an app has a rule of its own, tide_set_resolver() asks it at once. */
#include <stdio.h>
#include <string.h>
#include <tidegate.h>

static char space[160];

static struct tide *device(const char *folder, const char *name, const char *url, const char *token)
{
    char path[512], why[256];
    struct tide *tide = NULL;
    snprintf(path, sizeof path, "%s/%s.db", folder, name);
    struct tide_options options = {.path = path, .url = url, .token = token};
    if (tide_open(&options, &tide, why, sizeof why) != TIDE_OK) fprintf(stderr, "notes: %s\n", why);
    else tide_subscribe(tide, space, NULL);
    return tide;
}

static int sync_now(struct tide *tide)
{
    enum tide_code code = tide_sync(tide, TIDE_BOTH, 60000);
    if (code != TIDE_OK) fprintf(stderr, "notes: %s: %s\n", tide_code_text(code), tide_message(tide));
    return code != TIDE_OK;
}

static void show(struct tide *tide, const char *name)
{
    struct tide_doc *note;
    if (tide_get(tide, space, "notes", "trip", &note) != TIDE_OK) return;
    printf("%-7s %s\n", name, note->body);
    tide_doc_free(note);
}

/* The first record that waits. Its texts are valid during the call alone; its id until it is settled. */
static bool take_first(void *ctx, const struct tide_refusal *refusal)
{
    int64_t *id = ctx;
    *id = refusal->id;
    printf("A conflict (%s).\n  it was made on: %s\n  you wrote:      %s\n  the server has: %s\n", refusal->code, refusal->base, refusal->ops, refusal->server);
    return false;
}

/* What the person decided becomes a new push, made on what the server has now: or nothing at all. */
static enum tide_code settle(struct tide *tide, int64_t id, int choice)
{
    switch (choice) {
    case 't': return tide_refused_drop(tide, id);
    case 'b':
        /* An app would let the person edit both texts into one; here the two are simply kept. */
        return tide_refused_retry(tide, id, "[{\"op\":\"put\",\"collection\":\"notes\",\"id\":\"trip\",\"body\":{\"title\":\"Trip\",\"text\":\"by train; by boat\"}}]", NULL);
    default: return tide_refused_retry(tide, id, NULL, NULL); /* the same operations once more */
    }
}

int main(int argc, char **argv)
{
    int64_t waiting = 0;
    if (argc != 5) {
        fprintf(stderr, "notes FOLDER URL TOKEN USER\n");
        return 64;
    }
    snprintf(space, sizeof space, "notes:%s", argv[4]);
    struct tide *phone = device(argv[1], "phone", argv[2], argv[3]), *laptop = device(argv[1], "laptop", argv[2], argv[3]);
    if (phone == NULL || laptop == NULL) return 1;

    /* A note that both have. */
    tide_put(phone, space, "notes", "trip", "{\"title\":\"Trip\",\"text\":\"?\"}", NULL);
    if (sync_now(phone) || sync_now(laptop)) return 1;

    /* Both edit it, offline. The phone is first at the server. */
    tide_patch(phone, space, "notes", "trip", "{\"text\":\"by train\"}", NULL);
    tide_patch(laptop, space, "notes", "trip", "{\"text\":\"by boat\"}", NULL);
    if (sync_now(phone) || sync_now(laptop)) return 1;

    /* The laptop's edit was rolled back there, and waits. */
    tide_refused(laptop, take_first, &waiting);
    if (waiting == 0) {
        fprintf(stderr, "notes: no conflict\n");
        return 1;
    }
    printf("(m)ine, (t)heirs or (b)oth? ");
    fflush(stdout);
    int choice = getchar();
    if (settle(laptop, waiting, choice) != TIDE_OK) fprintf(stderr, "notes: %s\n", tide_message(laptop));
    if (sync_now(laptop) || sync_now(phone)) return 1;
    show(phone, "phone");
    show(laptop, "laptop");
    tide_close(phone);
    tide_close(laptop);
    return 0;
}
