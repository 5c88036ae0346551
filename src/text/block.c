/* block - see block.h. */
#include "text/block.h"

const char *tars_block_kind_text(enum tars_block_kind kind)
{
    switch (kind) {
#define X(name, value, text) \
    case name:               \
        return text;
        TARS_BLOCK_KIND_LIST(X)
#undef X
    }
    return "paragraph";
}
