# Version, commit and kind of build, for `penstock version` and build_info; only src/app sees them.
execute_process(COMMAND git -C ${CMAKE_SOURCE_DIR} rev-parse --short=12 HEAD
  OUTPUT_VARIABLE PENSTOCK_COMMIT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(PENSTOCK_COMMIT unknown)
endif()
set(flags ${CMAKE_BUILD_TYPE})
if(PENSTOCK_SANITIZE)
  string(APPEND flags " ${PENSTOCK_SANITIZE}")
endif()
target_compile_definitions(penstock_app PRIVATE
  PENSTOCK_VERSION="${PROJECT_VERSION}" PENSTOCK_COMMIT="${PENSTOCK_COMMIT}"
  PENSTOCK_BUILD="${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}, ${flags}")
