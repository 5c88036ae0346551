# The folder web/ as C arrays inside the binary: web_assets.c, part of the room api.
#
# Included by CMakeLists.txt it adds the rule; run as a script (cmake -P) it writes the file:
#   cmake -DWEB_DIR=web -DOUT=web_assets.c -P cmake/web.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  set(types_html "text/html; charset=utf-8")
  set(types_js "text/javascript; charset=utf-8")
  set(types_css "text/css; charset=utf-8")
  set(types_svg "image/svg+xml")
  file(GLOB files RELATIVE ${WEB_DIR} ${WEB_DIR}/*.html ${WEB_DIR}/*.js ${WEB_DIR}/*.css ${WEB_DIR}/*.svg)
  list(SORT files)
  set(arrays "")
  set(rows "")
  set(count 0)
  foreach(name ${files})
    file(READ ${WEB_DIR}/${name} hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "^.*\\." "" extension ${name})
    string(APPEND arrays "static const unsigned char asset_${count}[] = {${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", \"${types_${extension}}\", asset_${count}, ${size}},\n")
    math(EXPR count "${count} + 1")
  endforeach()
  file(WRITE ${OUT}.new "/* Made from web/ by cmake/web.cmake. */\n#include \"api/api_internal.h\"\n\n${arrays}\n"
    "const struct tars_asset tars_assets[] = {\n${rows}};\n"
    "const size_t tars_asset_count = ${count};\n")
  file(RENAME ${OUT}.new ${OUT})
elseif(TARGET tars_api)
  file(GLOB web_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/*)
  set(web_out ${CMAKE_BINARY_DIR}/generated/web_assets.c)
  add_custom_command(
    OUTPUT ${web_out}
    COMMAND ${CMAKE_COMMAND} -DWEB_DIR=${CMAKE_SOURCE_DIR}/web -DOUT=${web_out} -P ${CMAKE_SOURCE_DIR}/cmake/web.cmake
    DEPENDS ${web_files} ${CMAKE_SOURCE_DIR}/cmake/web.cmake
    COMMENT "Embedding web/")
  target_sources(tars_api PRIVATE ${web_out})
endif()
