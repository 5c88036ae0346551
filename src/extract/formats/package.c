/* package - see package.h. */
#include "extract/formats/package.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <zip.h>

struct tars_package {
    zip_t *zip;
};

tars_status tars_package_open(struct tars_span bytes, struct tars_package **package,
                              struct tars_err *err)
{
    struct tars_package *made = calloc(1, sizeof(*made));
    zip_error_t error;
    zip_source_t *source;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "out of memory");
    zip_error_init(&error);
    source = zip_source_buffer_create(bytes.ptr, bytes.len, 0, &error);
    if (source)
        made->zip = zip_open_from_source(source, ZIP_RDONLY, &error);
    if (!made->zip) {
        tars_status status =
            tars_fail(TARS_EFORMAT, err, "the archive is damaged (%s)", zip_error_strerror(&error));

        if (source)
            zip_source_free(source);
        zip_error_fini(&error);
        free(made);
        return status;
    }
    zip_error_fini(&error);
    *package = made;
    return TARS_OK;
}

void tars_package_close(struct tars_package *package)
{
    if (!package)
        return;
    zip_discard(package->zip);
    free(package);
}

static tars_status read_all(zip_file_t *file, size_t size, const char *name, struct tars_span *part,
                            struct tars_err *err)
{
    char *bytes = malloc(size + 1);
    size_t len = 0;

    if (!bytes)
        return tars_fail(TARS_ENOMEM, err, "out of memory");
    while (len < size) {
        zip_int64_t n = zip_fread(file, bytes + len, size - len);

        if (n <= 0)
            break;
        len += (size_t)n;
    }
    if (len < size) {
        free(bytes);
        return tars_fail(TARS_EFORMAT, err, "the file is damaged: part %s cannot be unpacked",
                         name);
    }
    bytes[len] = '\0';
    *part = tars_span(bytes, len);
    return TARS_OK;
}

tars_status tars_package_read(struct tars_package *package, const char *name,
                              struct tars_span *part, struct tars_err *err)
{
    zip_int64_t index = zip_name_locate(package->zip, name, ZIP_FL_NOCASE);
    zip_stat_t info;
    zip_file_t *file;
    tars_status status;

    if (index < 0)
        return TARS_ENOTFOUND;
    if (zip_stat_index(package->zip, (zip_uint64_t)index, 0, &info) != 0 ||
        !(info.valid & ZIP_STAT_SIZE))
        return tars_fail(TARS_EFORMAT, err, "the file is damaged: part %s has no size", name);
    if (info.size > TARS_PACKAGE_PART_MAX) {
        return tars_fail(TARS_ETOOBIG, err, "part %s unpacks to more than %zu MiB", name,
                         TARS_PACKAGE_PART_MAX / ((size_t)1024 * 1024));
    }
    if ((info.valid & ZIP_STAT_ENCRYPTION_METHOD) && info.encryption_method != ZIP_EM_NONE) {
        return tars_fail(TARS_EPASSWORD, err,
                         "the file is encrypted and needs a password; save it without one");
    }
    file = zip_fopen_index(package->zip, (zip_uint64_t)index, 0);
    if (!file)
        return tars_fail(TARS_EFORMAT, err, "the file is damaged: part %s cannot be opened", name);
    status = read_all(file, (size_t)info.size, name, part, err);
    (void)zip_fclose(file);
    return status;
}

const char *tars_package_name(const struct tars_package *package, size_t index)
{
    zip_int64_t count = zip_get_num_entries(package->zip, 0);

    if (count < 0 || index >= (size_t)count)
        return NULL;
    return zip_get_name(package->zip, index, 0);
}

static void be_silent(void *ctx, xmlErrorPtr error)
{
    (void)ctx;
    (void)error;
}

xmlTextReaderPtr tars_xml_open(struct tars_span bytes)
{
    xmlTextReaderPtr reader;

    if (bytes.len > INT_MAX)
        return NULL;
    reader = xmlReaderForMemory(bytes.ptr, (int)bytes.len, NULL, NULL,
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                    XML_PARSE_COMPACT | XML_PARSE_RECOVER);
    if (reader)
        xmlTextReaderSetStructuredErrorHandler(reader, be_silent, NULL);
    return reader;
}

const char *tars_xml_name(xmlTextReaderPtr reader)
{
    const xmlChar *name = xmlTextReaderConstLocalName(reader);

    return name ? (const char *)name : "";
}

char *tars_xml_attribute(xmlTextReaderPtr reader, const char *name)
{
    char *value = NULL;

    if (xmlTextReaderMoveToFirstAttribute(reader) == 1) {
        do {
            if (strcmp(tars_xml_name(reader), name) == 0) {
                value = (char *)xmlTextReaderValue(reader);
                break;
            }
        } while (xmlTextReaderMoveToNextAttribute(reader) == 1);
        (void)xmlTextReaderMoveToElement(reader);
    }
    return value;
}
