# tests/unit/<room>/test_<module>.c -> test_<room>_<module>, linked to that room and what lies under it.
# malloc, calloc and realloc go through tests/support/faults.c, so that each can be made to fail.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
add_library(tars_test_support OBJECT tests/support/faults.c tests/support/guard.c
                                     tests/support/files.c tests/support/process.c
                                     tests/support/redis.c)
target_include_directories(tars_test_support PUBLIC tests src)
target_link_libraries(tars_test_support PUBLIC PkgConfig::CMOCKA)

file(GLOB_RECURSE unit_tests CONFIGURE_DEPENDS tests/unit/test_*.c)
foreach(source ${unit_tests})
  file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR}/tests/unit ${source})
  string(REGEX MATCH "^[a-z]+" room ${relative})
  get_filename_component(name ${source} NAME_WE)
  string(REPLACE "test_" "test_${room}_" target ${name})
  set(library tars_${room})
  if(relative MATCHES "^extract/formats/")
    set(library tars_formats)
  endif()
  if(TARGET ${library})
    add_executable(${target} ${source})
    target_link_libraries(${target} PRIVATE tars_test_support ${library})
    target_link_options(${target} PRIVATE -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc)
    target_compile_definitions(${target} PRIVATE
      TARS_SOURCE_DIR="${CMAKE_SOURCE_DIR}" TARS_BINARY_DIR="${CMAKE_BINARY_DIR}")
    set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
    add_test(NAME ${target} COMMAND ${target})
    set_tests_properties(${target} PROPERTIES TIMEOUT 600)
  endif()
endforeach()

# tests/golden/<name>_dump.c -> a small program whose output a script compares with the reference's.
file(GLOB golden_dumps CONFIGURE_DEPENDS tests/golden/*_dump.c)
foreach(source ${golden_dumps})
  get_filename_component(target ${source} NAME_WE)
  add_executable(${target} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(${target} PRIVATE tars_text tars_base)
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
endforeach()

if(TARGET test_store_powercut)
  target_sources(test_store_powercut PRIVATE tests/support/powercut_vfs.c)
endif()
# Runs the real program.
if(TARGET test_ingest_ingest AND TARGET tars-extract)
  add_dependencies(test_ingest_ingest tars-extract)
endif()
if(TARGET test_app_tenants AND TARGET tars-extract)
  add_dependencies(test_app_tenants tars-extract)
endif()

# tests/http/test_<name>.py -> http_<name>: clients of the real program.
find_package(Python3 COMPONENTS Interpreter)
if(TARGET tars AND TARGET tars-extract AND Python3_FOUND)
  file(GLOB http_tests CONFIGURE_DEPENDS tests/http/test_*.py)
  foreach(source ${http_tests})
    get_filename_component(name ${source} NAME_WE)
    string(REPLACE "test_" "http_" target ${name})
    add_test(NAME ${target} COMMAND ${Python3_EXECUTABLE} -B ${source})
    set_tests_properties(${target} PROPERTIES TIMEOUT 900
      ENVIRONMENT "TARS_BIN=$<TARGET_FILE:tars>;TARS_EXTRACT=$<TARGET_FILE:tars-extract>")
  endforeach()
endif()
foreach(target test_net_websocket test_net_websocket_ends)
  if(TARGET ${target})
    target_sources(${target} PRIVATE tests/support/ws_bench.c)
  endif()
endforeach()
