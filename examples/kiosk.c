/* A kiosk that is online for one minute a day: it sells all day, and in its minute sales go up and prices come down.
 *
 *     kiosk DB sell NAME ITEM COUNT         a sale; needs no network, ever. NAME: the kiosk's own
 *     kiosk DB minute NAME URL TOKEN        the minute: everything up, everything down, then it ends
 *     kiosk DB prices NAME                  as this kiosk knows them
 *
 * It shows: a namespace of the app's own (kiosk.json), whose refusals come at once; an `append` collection that goes only up; and how
 * to use a short connection well. A crontab runs it:  59 3 * * *  kiosk /var/lib/kiosk.db minute k17 https://... "$(cat token)" */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>

/* The namespace as the server has it. Known here, a sale that it would refuse is refused at the till, not at night. */
static const char *const namespaces[] = {
    "{\"namespace\":\"kiosk\",\"version\":1,\"access\":\"owner\",\"collections\":{"
    "\"prices\":{\"policy\":\"lww\"},"
    "\"sales\":{\"policy\":\"append\",\"schema\":{\"type\":\"object\",\"required\":[\"item\",\"count\"],"
    "\"properties\":{\"item\":{\"type\":\"string\"},\"count\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":99}}}}}}"};

static int fail(struct tide *tide, enum tide_code code)
{
    fprintf(stderr, "kiosk: %s: %s\n", tide_code_text(code), tide_message(tide));
    return 1;
}

static int sell(struct tide *tide, const char *space, const char *item, const char *count)
{
    char body[256];
    uint64_t push;
    snprintf(body, sizeof body, "{\"item\":\"%s\",\"count\":%ld}", item, strtol(count, NULL, 10));
    enum tide_code code = tide_append(tide, space, "sales", NULL, body, &push);
    if (code != TIDE_OK) return fail(tide, code);
    printf("sold %s\n", body);
    return 0;
}

static int minute(struct tide *tide, const char *space)
{
    struct tide_status status;
    /* tail 0: of sales, which are a stream, the server's own are not wanted back; prices come whole. */
    enum tide_code code = tide_subscribe(tide, space, &(struct tide_space_options){.tail = 0});
    /* Resumes wherever yesterday's minute was cut: pushes that arrived are not sent twice, pages go on where they were. */
    if (code == TIDE_OK) code = tide_sync(tide, TIDE_BOTH, 55000);
    tide_status(tide, &status);
    printf("%llu sales wait, %llu were refused\n", (unsigned long long)status.pending, (unsigned long long)status.refused);
    if (code == TIDE_OFFLINE || code == TIDE_TIMEOUT) return 0; /* tomorrow, then */
    return code == TIDE_OK ? 0 : fail(tide, code);
}

static bool show_price(void *ctx, const struct tide_doc *doc)
{
    (void)ctx;
    printf("%s %s\n", doc->id, doc->body);
    return true;
}

static int prices(struct tide *tide, const char *space)
{
    enum tide_code code = tide_query(tide, &(struct tide_query){.space = space, .collection = "prices"}, show_price, NULL);
    return code == TIDE_OK ? 0 : fail(tide, code);
}

int main(int argc, char **argv)
{
    struct tide *tide = NULL;
    char space[160], why[256];
    const char *command = argc > 3 ? argv[2] : "";
    bool sells = strcmp(command, "sell") == 0 && argc == 6, syncs = strcmp(command, "minute") == 0 && argc == 6;
    if (!sells && !syncs && (strcmp(command, "prices") != 0 || argc != 4)) {
        fprintf(stderr, "kiosk DB sell NAME ITEM COUNT\nkiosk DB minute NAME URL TOKEN\nkiosk DB prices NAME\n");
        return 64;
    }
    struct tide_options options = {.path = argv[1], .namespaces = namespaces, .namespaces_count = 1, .background = true};
    if (syncs) {
        options.url = argv[4];
        options.token = argv[5];
    }
    if (tide_open(&options, &tide, why, sizeof why) != TIDE_OK) {
        fprintf(stderr, "kiosk: %s\n", why);
        return 1;
    }
    snprintf(space, sizeof space, "kiosk:%s", argv[3]);
    int exit_code = sells ? sell(tide, space, argv[4], argv[5]) : syncs ? minute(tide, space) : prices(tide, space);
    tide_close(tide);
    return exit_code;
}
