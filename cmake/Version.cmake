# Version, commit and kind of build, for `penstock version` and build_info; only src/app sees them.
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE PENSTOCK_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(PENSTOCK_COMMIT unknown)
endif()
# A commit or checkout since then: configure again, so that a program always says what it was built from.
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} rev-parse --path-format=absolute --git-path logs/HEAD
  OUTPUT_VARIABLE git_log OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(EXISTS "${git_log}")
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${git_log}")
endif()
set(flags ${CMAKE_BUILD_TYPE})
if(PENSTOCK_SANITIZE)
  string(APPEND flags " ${PENSTOCK_SANITIZE}")
endif()
target_compile_definitions(penstock_app PRIVATE
  PENSTOCK_VERSION="${PROJECT_VERSION}" PENSTOCK_COMMIT="${PENSTOCK_COMMIT}"
  PENSTOCK_BUILD="${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, ${flags}")
