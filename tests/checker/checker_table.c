#include "tests/checker/checker_table.h"

#include <assert.h>
#include <stdlib.h>

#include "core/hash.h"

enum { SLOTS_MIN = 64, BLOCK_BYTES = 65536, ALIGN = 16, ARRAY_MIN = 16 };

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0x7f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 31)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 29);
}

static struct checker_slot *slot_of(const struct checker_table *table, uint64_t a, uint64_t b)
{
    size_t at = (size_t)mix(a, b) & (table->room - 1);
    while (table->slots[at].value != TABLE_NONE && !(table->slots[at].a == a && table->slots[at].b == b)) at = (at + 1) & (table->room - 1);
    return &table->slots[at];
}

uint32_t checker_table_find(const struct checker_table *table, uint64_t a, uint64_t b)
{
    return table->count == 0 ? TABLE_NONE : slot_of(table, a, b)->value;
}

static void widen(struct checker_table *table)
{
    struct checker_table wider = {.room = table->room == 0 ? SLOTS_MIN : table->room * 2};
    wider.slots = malloc(wider.room * sizeof *wider.slots);
    assert(wider.slots != NULL);
    for (size_t i = 0; i < wider.room; i++) wider.slots[i].value = TABLE_NONE;
    for (size_t i = 0; i < table->room; i++)
        if (table->slots[i].value != TABLE_NONE) *slot_of(&wider, table->slots[i].a, table->slots[i].b) = table->slots[i];
    wider.count = table->count;
    free(table->slots);
    *table = wider;
}

void checker_table_put(struct checker_table *table, uint64_t a, uint64_t b, uint32_t value)
{
    if ((table->count + 1) * 3 > table->room * 2) widen(table);
    struct checker_slot *slot = slot_of(table, a, b);
    assert(slot->value == TABLE_NONE && value != TABLE_NONE);
    *slot = (struct checker_slot){a, b, value};
    table->count++;
}

void checker_table_set(struct checker_table *table, uint64_t a, uint64_t b, uint32_t value)
{
    if (checker_table_find(table, a, b) == TABLE_NONE) checker_table_put(table, a, b, value);
    else slot_of(table, a, b)->value = value;
}

void checker_table_reset(struct checker_table *table)
{
    for (size_t i = 0; table->count > 0 && i < table->room; i++) table->slots[i].value = TABLE_NONE;
    table->count = 0;
}

void checker_table_fini(struct checker_table *table)
{
    free(table->slots);
    *table = (struct checker_table){0};
}

void *checker_grow(void **at, size_t *count, size_t *room, size_t size)
{
    if (*count == *room) {
        *room = *room == 0 ? ARRAY_MIN : *room * 2;
        *at = realloc(*at, *room * size);
        assert(*at != NULL);
    }
    char *made = (char *)*at + (*count)++ * size;
    memset(made, 0, size);
    return made;
}

/* ---- memory ---- */

struct checker_block {
    struct checker_block *next;
    size_t room, used, reserved;
    unsigned char content[];
};

void *checker_heap_take(struct checker_heap *heap, size_t bytes)
{
    size_t rounded = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (bytes == 0) return NULL;
    while (heap->current != NULL && heap->current->room - heap->current->used < rounded && heap->current->next != NULL) heap->current = heap->current->next;
    if (heap->current == NULL || heap->current->room - heap->current->used < rounded) {
        size_t room = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        struct checker_block *block = malloc(sizeof *block + room);
        assert(block != NULL);
        *block = (struct checker_block){.room = room};
        if (heap->current != NULL) heap->current->next = block;
        else heap->first = block;
        heap->current = block;
    }
    void *taken = heap->current->content + heap->current->used;
    heap->current->used += rounded;
    return taken;
}

void checker_heap_reset(struct checker_heap *heap)
{
    for (struct checker_block *block = heap->first; block != NULL; block = block->next) block->used = 0;
    heap->current = heap->first;
}

void checker_heap_fini(struct checker_heap *heap)
{
    while (heap->first != NULL) {
        struct checker_block *block = heap->first;
        heap->first = block->next;
        free(block);
    }
    heap->current = NULL;
}

/* ---- names ---- */

uint32_t checker_name(struct checker_names *names, struct span name)
{
    if (name.bytes == 0 && names->count > 0) return 0;
    if (names->count == 0) *(struct span *)checker_grow((void **)&names->list, &names->count, &names->room, sizeof *names->list) = span_of("", 0);
    if (name.bytes == 0) return 0;
    uint64_t hash = hash_64(name);
    for (uint64_t again = 0;; again++) { /* two names of one hash stand one behind the other */
        uint32_t number = checker_table_find(&names->by_hash, hash, again);
        if (number == TABLE_NONE) {
            struct span *made = checker_grow((void **)&names->list, &names->count, &names->room, sizeof *made);
            char *copy = checker_heap_take(names->heap, name.bytes);
            memcpy(copy, name.at, name.bytes);
            *made = span_of(copy, name.bytes);
            number = (uint32_t)names->count - 1;
            checker_table_put(&names->by_hash, hash, again, number);
            return number;
        }
        if (span_equal(names->list[number], name)) return number;
    }
}

void checker_names_reset(struct checker_names *names)
{
    checker_table_reset(&names->by_hash);
    names->count = 0;
}

void checker_names_fini(struct checker_names *names)
{
    checker_table_fini(&names->by_hash);
    free(names->list);
    *names = (struct checker_names){0};
}
