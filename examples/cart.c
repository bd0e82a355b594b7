/* One person's cart on two devices that are both offline, and then are not.
 *
 *     cart FOLDER URL TOKEN USER
 *
 * It shows: the `merge` policy. The phone adds two packets of tea, the laptop one, neither knowing of the other: the cart holds
 * three, on both. The phone renames the item while the laptop sets its price: both stay. No code here decides anything.
 *
 * Two stores in one process stand for two devices: a handle is a device, and a process may have several. */
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
    if (tide_open(&options, &tide, why, sizeof why) != TIDE_OK) fprintf(stderr, "cart: %s\n", why);
    else tide_subscribe(tide, space, NULL);
    return tide;
}

/* Counters are changed by saying by how much, never to what: so that nobody's part is lost. */
static void put_in(struct tide *tide, const char *item, int64_t how_many)
{
    int64_t least = 0, most = 999; /* the count stays within these, whatever comes together */
    if (tide_incr(tide, space, "items", item, "qty", how_many, &least, &most, NULL) != TIDE_OK) fprintf(stderr, "cart: %s\n", tide_message(tide));
}

static void set(struct tide *tide, const char *item, const char *fields)
{
    if (tide_patch(tide, space, "items", item, fields, NULL) != TIDE_OK) fprintf(stderr, "cart: %s\n", tide_message(tide));
}

static void show(struct tide *tide, const char *name, char *ret_body, size_t room)
{
    struct tide_doc *tea;
    ret_body[0] = '\0';
    if (tide_get(tide, space, "items", "tea", &tea) != TIDE_OK) {
        printf("%-7s has no tea\n", name);
        return;
    }
    snprintf(ret_body, room, "%s", tea->body);
    printf("%-7s %s%s\n", name, tea->body, tea->pending ? "   (not on the server yet)" : "");
    tide_doc_free(tea);
}

/* Once, by one HTTP round trip where nothing stands in the way. */
static int sync_now(struct tide *tide)
{
    enum tide_code code = tide_sync(tide, TIDE_BOTH, 60000);
    if (code != TIDE_OK) fprintf(stderr, "cart: %s: %s\n", tide_code_text(code), tide_message(tide));
    return code != TIDE_OK;
}

int main(int argc, char **argv)
{
    char on_phone[512], on_laptop[512];
    if (argc != 5) {
        fprintf(stderr, "cart FOLDER URL TOKEN USER\n");
        return 64;
    }
    snprintf(space, sizeof space, "cart:%s", argv[4]);
    struct tide *phone = device(argv[1], "phone", argv[2], argv[3]), *laptop = device(argv[1], "laptop", argv[2], argv[3]);
    if (phone == NULL || laptop == NULL) return 1;

    /* Nothing here touches the network. */
    put_in(phone, "tea", 2);
    set(phone, "tea", "{\"name\":\"Assam\"}");
    put_in(laptop, "tea", 1);
    set(laptop, "tea", "{\"price\":4.50}");
    printf("offline:\n");
    show(phone, "phone", on_phone, sizeof on_phone);
    show(laptop, "laptop", on_laptop, sizeof on_laptop);

    /* Phone up; laptop up and down; phone down. */
    if (sync_now(phone) || sync_now(laptop) || sync_now(phone)) return 1;
    printf("in step:\n");
    show(phone, "phone", on_phone, sizeof on_phone);
    show(laptop, "laptop", on_laptop, sizeof on_laptop);
    tide_close(phone);
    tide_close(laptop);
    return strcmp(on_phone, on_laptop) == 0 ? 0 : 1;
}
