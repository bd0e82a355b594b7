#include "client/work_conditions.h"
#include "client/work_netlink.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

enum { PATH_BYTES = 512, WORD_BYTES = 64, LINE_BYTES = 512, BATTERY_LOW_PERCENT = 15, STORAGE_LOW_PERCENT = 5, STORAGE_LOW_BYTES = 500000000 };
enum { ROUTE_UP = 1, ROUTE_REJECT = 0x200 };

/* The first word that a power supply's file holds; "" where there is none. */
static void read_word(char ret_word[WORD_BYTES], const char *root, const char *supply, const char *file_name)
{
    char path[PATH_BYTES];
    ret_word[0] = '\0';
    if (snprintf(path, sizeof path, "%s/sys/class/power_supply/%s/%s", root, supply, file_name) >= (int)sizeof path) return;
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    if (fgets(ret_word, WORD_BYTES, file) == NULL) ret_word[0] = '\0';
    ret_word[strcspn(ret_word, " \n")] = '\0';
    fclose(file);
}

/* ---- the network ---- */

static bool is_modem(const char *root, const char *name)
{
    static const char *const prefixes[] = {"wwan", "wwp", "ppp", "rmnet"};
    char path[PATH_BYTES], line[LINE_BYTES];
    bool modem = false;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return true;
    if (snprintf(path, sizeof path, "%s/sys/class/net/%s/uevent", root, name) >= (int)sizeof path) return false;
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strcmp(line, "DEVTYPE=wwan\n") == 0) modem = true;
    if (file != NULL) fclose(file);
    return modem;
}

/* False: the kernel does not say. */
static bool ask_kernel(struct work_conditions *conditions)
{
    struct work_netlink found;
    if (!work_netlink_ask(&found)) return false;
    for (size_t i = 0; i < found.ways_count; i++) {
        if (!work_netlink_is_out(&found, i)) continue;
        conditions->network = true;
        if (!is_modem("", found.ways[i].name)) conditions->unmetered = true;
    }
    return true;
}

static void note_route(const char *root, const char *name, unsigned long flags, struct work_conditions *conditions)
{
    if ((flags & ROUTE_UP) == 0 || (flags & ROUTE_REJECT) != 0 || strcmp(name, "lo") == 0) return;
    conditions->network = true;
    if (!is_modem(root, name)) conditions->unmetered = true;
}

/* False: there is no such table. */
static bool read_routes(const char *root, struct work_conditions *conditions)
{
    char path[PATH_BYTES], line[LINE_BYTES], name[WORD_BYTES], destination[WORD_BYTES];
    unsigned long flags, length;
    if (snprintf(path, sizeof path, "%s/proc/net/route", root) >= (int)sizeof path) return false;
    FILE *four = fopen(path, "re");
    while (four != NULL && fgets(line, sizeof line, four) != NULL)
        if (sscanf(line, "%63s %63s %*s %lx", name, destination, &flags) == 3 && strcmp(destination, "00000000") == 0) note_route(root, name, flags, conditions);
    if (four != NULL) fclose(four);
    snprintf(path, sizeof path, "%s/proc/net/ipv6_route", root);
    FILE *six = fopen(path, "re");
    while (six != NULL && fgets(line, sizeof line, six) != NULL)
        if (sscanf(line, "%63s %lx %*s %*s %*s %*s %*s %*s %lx %63s", destination, &length, &flags, name) == 4 && length == 0 && strspn(destination, "0") == 32)
            note_route(root, name, flags, conditions);
    if (six != NULL) fclose(six);
    return four != NULL || six != NULL;
}

/* ---- power ---- */

static void note_supply(const char *root, const char *name, bool *has_battery, struct work_conditions *conditions)
{
    char type[WORD_BYTES], scope[WORD_BYTES], word[WORD_BYTES];
    read_word(type, root, name, "type");
    read_word(scope, root, name, "scope");
    if (strcmp(scope, "Device") == 0) return;
    if (strcmp(type, "Battery") != 0) {
        read_word(word, root, name, "online");
        if (word[0] != '\0' && strcmp(word, "0") != 0) conditions->charging = true;
        return;
    }
    *has_battery = true;
    read_word(word, root, name, "status");
    if (strcmp(word, "Charging") == 0 || strcmp(word, "Full") == 0) conditions->charging = true;
    read_word(word, root, name, "capacity");
    if (word[0] != '\0' && strtol(word, NULL, 10) <= BATTERY_LOW_PERCENT) conditions->battery_low = true;
    read_word(word, root, name, "capacity_level");
    if (strcmp(word, "Low") == 0 || strcmp(word, "Critical") == 0) conditions->battery_low = true;
}

static void read_power(const char *root, struct work_conditions *conditions)
{
    char path[PATH_BYTES];
    bool has_battery = false;
    DIR *folder = snprintf(path, sizeof path, "%s/sys/class/power_supply", root) < (int)sizeof path ? opendir(path) : NULL;
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.') note_supply(root, entry->d_name, &has_battery, conditions);
    if (folder != NULL) closedir(folder);
    if (!has_battery) conditions->charging = true;
}

/* ---- room ---- */

static bool is_storage_low(const char *path)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0 || disk.f_blocks == 0) return false;
    return disk.f_bavail < disk.f_blocks * STORAGE_LOW_PERCENT / 100 && disk.f_bavail * disk.f_frsize < STORAGE_LOW_BYTES;
}

void work_conditions_read(const char *root, const char *path, struct work_conditions *ret_conditions)
{
    struct work_conditions conditions = {.storage_low = is_storage_low(path)};
    if (root == NULL) root = "";
    if (!(root[0] == '\0' && ask_kernel(&conditions)) && !read_routes(root, &conditions)) conditions.network = conditions.unmetered = true;
    read_power(root, &conditions);
    *ret_conditions = conditions;
}
