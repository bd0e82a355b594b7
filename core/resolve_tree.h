/* A balanced search tree of nodes that live inside somebody's structs: the fields of a body, the values of a set.
 *
 * An AA tree (A. Andersson, Balanced Search Trees Made Simple, 1993). Not a hash table: names and values come from
 * outsiders, a pure function has no secret to seed a hash with, and a push must not be able to choose its own cost. */
#ifndef TIDEGATE_CORE_RESOLVE_TREE_H
#define TIDEGATE_CORE_RESOLVE_TREE_H

struct resolve_tree_node {
    struct resolve_tree_node *left, *right;
    unsigned level;
};

/* The order of two nodes: <0, 0, >0. A total order on equivalence classes. */
typedef int resolve_tree_order(const struct resolve_tree_node *a, const struct resolve_tree_node *b);

struct resolve_tree {
    struct resolve_tree_node *root;
    resolve_tree_order *order;
};

/* The node equal to `like`, or NULL. */
struct resolve_tree_node *resolve_tree_find(const struct resolve_tree *tree, const struct resolve_tree_node *like);
/* `node` must not equal one that is in. Its owner keeps it where it is. */
void resolve_tree_put(struct resolve_tree *tree, struct resolve_tree_node *node);

#endif
