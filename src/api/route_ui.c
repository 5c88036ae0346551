/* route_ui - the web page and what it needs, from memory: the build embeds the folder web/. */
#include "api/api_internal.h"

static const struct tars_asset *find(struct tars_span name)
{
    for (size_t i = 0; i < tars_asset_count; i++) {
        if (tars_span_is(name, tars_assets[i].name))
            return &tars_assets[i];
    }
    return NULL;
}

void tars_api_send_asset(struct tars_exchange *ex, struct tars_span name)
{
    const struct tars_asset *asset = find(name);

    if (!asset) {
        tars_exchange_not_found(ex, NULL);
        return;
    }
    tars_exchange_send_bytes(ex, 200, asset->content_type, (const char *)asset->ptr, asset->len);
}

void tars_route_ui(struct tars_exchange *ex)
{
    tars_api_send_asset(ex, ex->parameters[0].len ? ex->parameters[0] : tars_span_of("index.html"));
}
