/* fuzz_extract_markdown - any bytes as a.md: every frame that comes out must be one that the client
 * takes. */
#include "extract_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    extract_format("a.md", data, size);
    return 0;
}
