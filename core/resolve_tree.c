/* The balanced tree of resolve_tree.h: levels fall by one from parent to left child, and by at most one, never twice in
 * a row, to the right; so its height, and the depth of the one recursion here, is at most 2 log2(nodes + 1). */
#include "core/resolve_tree.h"

#include <assert.h>
#include <stddef.h>

struct resolve_tree_node *resolve_tree_find(const struct resolve_tree *tree, const struct resolve_tree_node *like)
{
    struct resolve_tree_node *node = tree->root;
    while (node != NULL) {
        int order = tree->order(like, node);
        if (order == 0) return node;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

static struct resolve_tree_node *skew(struct resolve_tree_node *node)
{
    struct resolve_tree_node *left = node->left;
    if (left == NULL || left->level != node->level) return node;
    node->left = left->right;
    left->right = node;
    return left;
}

static struct resolve_tree_node *split(struct resolve_tree_node *node)
{
    struct resolve_tree_node *right = node->right;
    if (right == NULL || right->right == NULL || right->right->level != node->level) return node;
    node->right = right->left;
    right->left = node;
    right->level++;
    return right;
}

static struct resolve_tree_node *put_below(struct resolve_tree_node *root, struct resolve_tree_node *node, resolve_tree_order *order)
{
    if (root == NULL) return node;
    int side = order(node, root);
    assert(side != 0);
    if (side < 0) root->left = put_below(root->left, node, order);
    else root->right = put_below(root->right, node, order);
    return split(skew(root));
}

void resolve_tree_put(struct resolve_tree *tree, struct resolve_tree_node *node)
{
    *node = (struct resolve_tree_node){.level = 1};
    tree->root = put_below(tree->root, node, tree->order);
}
