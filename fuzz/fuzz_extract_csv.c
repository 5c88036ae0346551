/* fuzz_extract_csv - any bytes as a.csv: every frame that comes out must be one that the client
 * takes. */
#include "extract_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    extract_format("a.csv", data, size);
    return 0;
}
