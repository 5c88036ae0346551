/* protocol - see protocol.h. */
#include "extract/protocol.h"

#include <assert.h>
#include <string.h>

#include "text/normalize.h"

/* -------------------------------------------------------------------- writing */

static void put_u32(struct tars_buf *out, uint32_t value)
{
    char bytes[4] = {(char)value, (char)(value >> 8), (char)(value >> 16), (char)(value >> 24)};

    tars_buf_append(out, bytes, sizeof(bytes));
}

static void put_u64(struct tars_buf *out, uint64_t value)
{
    put_u32(out, (uint32_t)value);
    put_u32(out, (uint32_t)(value >> 32));
}

static void put_string(struct tars_buf *out, struct tars_span text)
{
    put_u32(out, (uint32_t)text.len);
    if (text.len)
        tars_buf_append(out, text.ptr, text.len);
}

static void put_head(struct tars_buf *out, char type, size_t payload)
{
    assert(payload <= TARS_PROTOCOL_FRAME_MAX);
    put_u32(out, (uint32_t)payload);
    tars_buf_append_char(out, type);
}

void tars_protocol_write_block(struct tars_buf *out, const struct tars_protocol_block *block)
{
    put_head(out, 'B', 6 + block->text.len);
    tars_buf_append_char(out, (char)block->kind);
    tars_buf_append_char(out, (char)block->level);
    put_u32(out, (uint32_t)block->page);
    tars_buf_append(out, block->text.ptr, block->text.len);
}

void tars_protocol_write_document(struct tars_buf *out,
                                  const struct tars_protocol_document *document)
{
    put_head(out, 'D',
             4 + 1 + 4 * (size_t)4 + document->format.len + document->external_id.len +
                 document->title.len + document->metadata.len);
    put_u32(out, (uint32_t)document->page_count);
    tars_buf_append_char(out, document->has_id ? 1 : 0);
    put_string(out, document->format);
    put_string(out, document->external_id);
    put_string(out, document->title);
    put_string(out, document->metadata);
}

void tars_protocol_write_end(struct tars_buf *out, const struct tars_protocol_end *end)
{
    put_head(out, 'E',
             4 + 8 + 3 * (size_t)4 + end->message.len + end->first_error.len + end->format.len);
    put_u32(out, (uint32_t)end->status);
    put_u64(out, end->errors);
    put_string(out, end->message);
    put_string(out, end->first_error);
    put_string(out, end->format);
}

/* -------------------------------------------------------------------- reading */

/* What is left of a payload; bad is sticky, so that a reader looks once. */
struct cursor {
    const unsigned char *at;
    size_t left;
    bool bad;
};

static uint32_t get_u8(struct cursor *cursor)
{
    if (cursor->left < 1) {
        cursor->bad = true;
        return 0;
    }
    cursor->left--;
    return *cursor->at++;
}

static uint32_t get_u32(struct cursor *cursor)
{
    uint32_t value = get_u8(cursor);

    value |= get_u8(cursor) << 8;
    value |= get_u8(cursor) << 16;
    value |= get_u8(cursor) << 24;
    return value;
}

static uint64_t get_u64(struct cursor *cursor)
{
    uint64_t low = get_u32(cursor);

    return low | (uint64_t)get_u32(cursor) << 32;
}

bool tars_protocol_text_is_clean(const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)ptr[i];

        if (c == 0x7F || (c < 0x20 && c != '\n' && c != '\t'))
            return false;
    }
    return tars_utf8_is_valid(ptr, len);
}

static struct tars_span get_clean(struct cursor *cursor, size_t len, size_t max)
{
    struct tars_span text = tars_span((const char *)cursor->at, len);

    if (cursor->bad || len > cursor->left || len > max ||
        !tars_protocol_text_is_clean(text.ptr, len)) {
        cursor->bad = true;
        return tars_span(NULL, 0);
    }
    cursor->at += len;
    cursor->left -= len;
    return text;
}

static struct tars_span get_string(struct cursor *cursor, size_t max)
{
    size_t len = get_u32(cursor);

    return get_clean(cursor, len, max);
}

static bool kind_is_known(uint32_t kind)
{
    switch (kind) {
#define X(name, value, text) case (value):
        TARS_BLOCK_KIND_LIST(X)
#undef X
        return true;
    default:
        return false;
    }
}

static bool status_is_known(uint32_t status)
{
    switch (status) {
#define X(name, value, text) case (value):
        TARS_STATUS_LIST(X)
#undef X
        return true;
    default:
        return false;
    }
}

static int get_page(struct cursor *cursor)
{
    uint32_t page = get_u32(cursor);

    if (page > TARS_PROTOCOL_PAGE_MAX)
        cursor->bad = true;
    return cursor->bad ? 0 : (int)page;
}

static void read_block(struct cursor *cursor, struct tars_protocol_block *block)
{
    uint32_t kind = get_u8(cursor);
    uint32_t level = get_u8(cursor);

    if (!kind_is_known(kind) || level > TARS_HEADING_LEVEL_MAX ||
        (kind == TARS_BLOCK_HEADING) != (level > 0)) {
        cursor->bad = true;
    } else {
        block->kind = (enum tars_block_kind)kind;
    }
    block->level = (int)level;
    block->page = get_page(cursor);
    block->text = get_clean(cursor, cursor->left, TARS_PROTOCOL_TEXT_MAX);
    if (block->text.len == 0)
        cursor->bad = true;
}

static void read_document(struct cursor *cursor, struct tars_protocol_document *document)
{
    uint32_t has_id;

    document->page_count = get_page(cursor);
    has_id = get_u8(cursor);
    document->has_id = has_id == 1;
    document->format = get_string(cursor, TARS_PROTOCOL_FORMAT_MAX);
    document->external_id = get_string(cursor, TARS_PROTOCOL_ID_MAX);
    document->title = get_string(cursor, TARS_PROTOCOL_TITLE_MAX);
    document->metadata = get_string(cursor, TARS_PROTOCOL_METADATA_MAX);
    if (has_id > 1 || (!document->has_id && document->external_id.len > 0))
        cursor->bad = true;
    if (document->metadata.len > 0 && (document->metadata.ptr[0] != '{' ||
                                       document->metadata.ptr[document->metadata.len - 1] != '}'))
        cursor->bad = true;
}

static void read_end(struct cursor *cursor, struct tars_protocol_end *end)
{
    uint32_t status = get_u32(cursor);

    if (!status_is_known(status)) {
        cursor->bad = true;
    } else {
        end->status = (tars_status)status;
    }
    end->errors = get_u64(cursor);
    end->message = get_string(cursor, TARS_PROTOCOL_MESSAGE_MAX);
    end->first_error = get_string(cursor, TARS_PROTOCOL_MESSAGE_MAX);
    end->format = get_string(cursor, TARS_PROTOCOL_FORMAT_MAX);
}

tars_status tars_protocol_read(const char *ptr, size_t len, struct tars_protocol_frame *frame,
                               size_t *used)
{
    struct tars_protocol_frame read = {0};
    struct cursor cursor = {.at = (const unsigned char *)ptr, .left = len};
    size_t payload;

    if (len < TARS_PROTOCOL_HEAD_BYTES)
        return TARS_EAGAIN;
    payload = get_u32(&cursor);
    read.type = (char)get_u8(&cursor);
    if (payload > TARS_PROTOCOL_FRAME_MAX)
        return TARS_EFORMAT;
    if (read.type != 'B' && read.type != 'D' && read.type != 'E')
        return TARS_EFORMAT;
    if (payload > cursor.left)
        return TARS_EAGAIN;
    cursor.left = payload;
    if (read.type == 'B') {
        read_block(&cursor, &read.block);
    } else if (read.type == 'D') {
        read_document(&cursor, &read.document);
    } else {
        read_end(&cursor, &read.end);
    }
    if (cursor.bad || cursor.left > 0)
        return TARS_EFORMAT;
    *frame = read;
    *used = TARS_PROTOCOL_HEAD_BYTES + payload;
    return TARS_OK;
}
