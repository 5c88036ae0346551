# The folder web/ and the client clients/js/tars.js as C arrays inside the binary (web_assets.c), and
# src/api/openapi.json (openapi_source.c); both are part of the room api.
#
# Included by CMakeLists.txt it adds the rules; run as a script (cmake -P) it writes one of the files:
#   cmake -DWEB_FILES="web/a.js;clients/js/tars.js" -DOUT=web_assets.c -P cmake/web.cmake
#   cmake -DOPENAPI=src/api/openapi.json -DOUT=openapi_source.c -P cmake/web.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  # The bytes of a file as "0x..,0x..,", and how many they are.
  function(read_bytes file bytes size)
    file(READ ${file} hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR n "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," text "${hex}")
    set(${bytes} "${text}" PARENT_SCOPE)
    set(${size} ${n} PARENT_SCOPE)
  endfunction()

  if(OPENAPI)
    read_bytes(${OPENAPI} bytes size)
    file(WRITE ${OUT}.new "/* Made from src/api/openapi.json by cmake/web.cmake. */\n#include \"api/openapi.h\"\n\n"
      "const unsigned char tars_openapi_source[] = {${bytes}0};\n"
      "const size_t tars_openapi_source_len = ${size};\n")
  else()
    set(types_html "text/html; charset=utf-8")
    set(types_js "text/javascript; charset=utf-8")
    set(types_css "text/css; charset=utf-8")
    set(types_svg "image/svg+xml")
    set(arrays "")
    set(rows "")
    set(count 0)
    foreach(file ${WEB_FILES})
      read_bytes(${file} bytes size)
      get_filename_component(name ${file} NAME)
      string(REGEX REPLACE "^.*\\." "" extension ${name})
      string(APPEND arrays "static const unsigned char asset_${count}[] = {${bytes}0};\n")
      string(APPEND rows "    {\"${name}\", \"${types_${extension}}\", asset_${count}, ${size}},\n")
      math(EXPR count "${count} + 1")
    endforeach()
    file(WRITE ${OUT}.new "/* Made from web/ and clients/js/ by cmake/web.cmake. */\n#include \"api/api_internal.h\"\n\n${arrays}\n"
      "const struct tars_asset tars_assets[] = {\n${rows}};\n"
      "const size_t tars_asset_count = ${count};\n")
  endif()
  file(RENAME ${OUT}.new ${OUT})
elseif(TARGET tars_api)
  file(GLOB web_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/web/*.html ${CMAKE_SOURCE_DIR}/web/*.js
                                        ${CMAKE_SOURCE_DIR}/web/*.css ${CMAKE_SOURCE_DIR}/web/*.svg)
  list(APPEND web_files ${CMAKE_SOURCE_DIR}/clients/js/tars.js)
  list(SORT web_files)
  set(web_script ${CMAKE_SOURCE_DIR}/cmake/web.cmake)
  set(web_out ${CMAKE_BINARY_DIR}/generated/web_assets.c)
  add_custom_command(
    OUTPUT ${web_out}
    COMMAND ${CMAKE_COMMAND} "-DWEB_FILES=${web_files}" -DOUT=${web_out} -P ${web_script}
    DEPENDS ${web_files} ${web_script}
    COMMENT "Embedding web/" VERBATIM)
  set(openapi_in ${CMAKE_SOURCE_DIR}/src/api/openapi.json)
  set(openapi_out ${CMAKE_BINARY_DIR}/generated/openapi_source.c)
  add_custom_command(
    OUTPUT ${openapi_out}
    COMMAND ${CMAKE_COMMAND} -DOPENAPI=${openapi_in} -DOUT=${openapi_out} -P ${web_script}
    DEPENDS ${openapi_in} ${web_script}
    COMMENT "Embedding openapi.json" VERBATIM)
  target_sources(tars_api PRIVATE ${web_out} ${openapi_out})
endif()
