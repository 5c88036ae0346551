/* docx_styles - see docx_styles.h. */
#include "extract/formats/docx_styles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "extract/formats/package.h"

#define CHAIN_MAX 12 /* styles based on styles */

static void copy_name(char *to, const char *from)
{
    (void)snprintf(to, TARS_DOCX_STYLE_NAME, "%s", from ? from : "");
}

/* The built-in names are English whatever the language of the program was. */
static int level_of_name(const char *name)
{
    if (strncasecmp(name, "heading ", 8) == 0 && name[8] >= '1' && name[8] <= '9')
        return name[8] - '0';
    if (strcasecmp(name, "title") == 0)
        return 1;
    return strcasecmp(name, "subtitle") == 0 ? 2 : 0;
}

static void read_property(struct tars_docx_style *style, xmlTextReaderPtr reader, const char *name)
{
    char *value = tars_xml_attribute(reader, "val");

    if (!value)
        return;
    if (strcmp(name, "name") == 0) {
        style->level = level_of_name(value);
        style->is_list = strncasecmp(value, "list ", 5) == 0;
    } else if (strcmp(name, "basedOn") == 0) {
        copy_name(style->based_on, value);
    } else if (strcmp(name, "outlineLvl") == 0 && style->level == 0) {
        long level = strtol(value, NULL, 10);

        style->level = level >= 0 && level < 9 ? (int)level + 1 : -1;
    }
    xmlFree(value);
}

static struct tars_docx_style *add_style(struct tars_docx_styles *styles, xmlTextReaderPtr reader)
{
    char *id = tars_xml_attribute(reader, "styleId");
    struct tars_docx_style *style = NULL;

    if (id && styles->count < TARS_DOCX_STYLES_MAX) {
        style = &styles->styles[styles->count++];
        *style = (struct tars_docx_style){.level = 0};
        copy_name(style->id, id);
    }
    xmlFree(id);
    return style;
}

void tars_docx_styles_read(struct tars_docx_styles *styles, struct tars_span xml)
{
    xmlTextReaderPtr reader = tars_xml_open(xml);
    struct tars_docx_style *style = NULL;

    styles->count = 0;
    while (reader && xmlTextReaderRead(reader) == 1) {
        const char *name = tars_xml_name(reader);
        int type = xmlTextReaderNodeType(reader);

        if (type == XML_READER_TYPE_ELEMENT && strcmp(name, "style") == 0) {
            style = add_style(styles, reader);
        } else if (type == XML_READER_TYPE_ELEMENT && style) {
            read_property(style, reader, name);
        } else if (type == XML_READER_TYPE_END_ELEMENT && strcmp(name, "style") == 0) {
            style = NULL;
        }
    }
    xmlFreeTextReader(reader);
}

static const struct tars_docx_style *find(const struct tars_docx_styles *styles, const char *id)
{
    for (size_t i = 0; i < styles->count; i++) {
        if (strncmp(styles->styles[i].id, id, TARS_DOCX_STYLE_NAME - 1) == 0)
            return &styles->styles[i];
    }
    return NULL;
}

int tars_docx_styles_level(const struct tars_docx_styles *styles, const char *id)
{
    for (int i = 0; i < CHAIN_MAX && *id; i++) {
        const struct tars_docx_style *style = find(styles, id);

        if (!style)
            return 0;
        if (style->level)
            return style->level > 0 ? style->level : 0;
        id = style->based_on;
    }
    return 0;
}

bool tars_docx_styles_is_list(const struct tars_docx_styles *styles, const char *id)
{
    const struct tars_docx_style *style = find(styles, id);

    return style && style->is_list;
}
