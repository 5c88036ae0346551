/* Any bytes as a safetensors file: either refused with words, or every tensor can be read whole. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_safetensors *file = NULL;
    struct tars_err err = {""};
    const struct tars_tensor *tensor;

    if (tars_safetensors_parse(tars_span((const char *)data, size), &file, &err) != TARS_OK)
        return 0;
    tensor = tars_safetensors_find(file, "t");
    if (tensor && tensor->type != TARS_TENSOR_OTHER) {
        float *out = malloc((tensor->count + 1) * sizeof(*out));

        if (!out || tensor->bytes > size ||
            tars_tensor_read_f32(tensor, 0, tensor->count, out) != TARS_OK)
            abort();
        free(out);
    }
    tars_safetensors_close(file);
    return 0;
}
