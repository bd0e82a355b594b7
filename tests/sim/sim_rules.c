/* The namespaces of a run: by number, so that they can change under way, and two workers can want different ones. */
#include "tests/sim/sim.h"

static const char *const texts[][2] = {
    {"{\"namespace\":\"chat\",\"version\":1,\"access\":\"members\",\"window\":\"90d\",\"presence\":true,\"collections\":{"
     "\"messages\":{\"policy\":\"append\",\"schema\":{\"type\":\"object\",\"required\":[\"text\"]}},"
     "\"receipts\":{\"policy\":\"merge\",\"write\":\"self\"},\"room\":{\"policy\":\"merge\",\"write\":\"owner\"}}}",
     "{\"namespace\":\"cart\",\"version\":1,\"access\":\"owner\",\"window\":\"90d\",\"collections\":{"
     "\"items\":{\"policy\":\"merge\"},\"checkout\":{\"policy\":\"manual\"},\"prefs\":{\"policy\":\"lww\"}}}"},
    {"{\"namespace\":\"chat\",\"version\":2,\"access\":\"members\",\"window\":\"90d\",\"presence\":false,\"collections\":{"
     "\"messages\":{\"policy\":\"append\",\"schema\":{\"type\":\"object\",\"required\":[\"text\"]}},\"reactions\":{\"policy\":\"merge\"},"
     "\"receipts\":{\"policy\":\"merge\",\"write\":\"self\"},\"room\":{\"policy\":\"merge\",\"write\":\"owner\"}}}",
     "{\"namespace\":\"cart\",\"version\":2,\"access\":\"owner\",\"window\":\"90d\",\"collections\":{"
     "\"items\":{\"policy\":\"merge\",\"schema\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}}},"
     "\"checkout\":{\"policy\":\"manual\"},\"prefs\":{\"policy\":\"lww\",\"order\":\"arrival\"}}}"},
};

size_t sim_rules_texts(unsigned rules, struct span *ret_texts, size_t room)
{
    size_t count = sizeof texts[0] / sizeof *texts[0], which = rules < 2 ? 0 : 1;
    for (size_t i = 0; i < count && i < room; i++) ret_texts[i] = span_text(texts[which][i]);
    return count;
}
