/* fuzz_extract_plain - any bytes as a.txt: every frame that comes out must be one that the client
 * takes. */
#include "extract_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    extract_format("a.txt", data, size);
    return 0;
}
