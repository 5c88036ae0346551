# tests/e2e/<name>.c -> e2e_<name>: programs that the scripts beside them drive. Built when asked for.
file(GLOB e2e_programs CONFIGURE_DEPENDS tests/e2e/*.c)
foreach(source ${e2e_programs})
  get_filename_component(name ${source} NAME_WE)
  if(TARGET tars_rag)
    add_executable(e2e_${name} EXCLUDE_FROM_ALL ${source})
    target_link_libraries(e2e_${name} PRIVATE tars_rag)
    set_target_properties(e2e_${name} PROPERTIES LINKER_LANGUAGE CXX)
  endif()
endforeach()

# tests/http/<name>.c -> http_<name>: servers built from net alone, for clients that test protocols.
file(GLOB http_programs CONFIGURE_DEPENDS tests/http/*.c)
foreach(source ${http_programs})
  get_filename_component(name ${source} NAME_WE)
  add_executable(http_${name} EXCLUDE_FROM_ALL ${source})
  target_link_libraries(http_${name} PRIVATE tars_net)
endforeach()
