# migrations/<back end>/NNNN_what.sql -> a C table of texts each, so that the binary carries them.
function(migrations_table back_end)
  file(GLOB migration_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/migrations/${back_end}/*.sql)
  list(SORT migration_files)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${migration_files})
  set(migration_rows "")
  foreach(migration_file ${migration_files})
    get_filename_component(migration_name ${migration_file} NAME_WE)
    string(REGEX MATCH "^0*([1-9][0-9]*)_" _ ${migration_name})
    set(migration_version ${CMAKE_MATCH_1})
    file(READ ${migration_file} migration_sql)
    string(REPLACE "\\" "\\\\" migration_sql "${migration_sql}")
    string(REPLACE "\"" "\\\"" migration_sql "${migration_sql}")
    string(REPLACE "\n" "\\n\"\n     \"" migration_sql "${migration_sql}")
    string(APPEND migration_rows
           "    {${migration_version}, \"${migration_name}\",\n     \"${migration_sql}\"},\n")
  endforeach()
  set(migrations_source ${CMAKE_BINARY_DIR}/generated/store/migrations_${back_end}.c)
  file(CONFIGURE OUTPUT ${migrations_source} @ONLY CONTENT
"/* Made from migrations/@back_end@ by cmake/migrations.cmake. */
#include \"store/migrate.h\"

const struct tars_migration tars_migrations_@back_end@[] = {
@migration_rows@    {0, 0, 0},
};
")
  target_sources(tars_store PRIVATE ${migrations_source})
endfunction()

migrations_table(sqlite)
migrations_table(sqlite_analytics)
migrations_table(postgres)
migrations_table(postgres_analytics)
