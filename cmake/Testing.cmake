# Tests, benchmarks and fuzz targets. The folder says which ring a test belongs to (docs/testing.md); the ring says
# its CTest label and its time limit.

# Modules without threads: their unit and contract tests gain nothing from TSan. Every other test carries the label
# "threads", which `./dev check` runs under it.
set(PENSTOCK_THREADLESS_MODULES base mem config http llm redis grpc)

# Seconds per ring. The longest unit program takes well under a second; the limit is for a hang on a loaded machine.
set(PENSTOCK_TIMEOUT_unit 60)
set(PENSTOCK_TIMEOUT_contract 60)
set(PENSTOCK_TIMEOUT_sim 180)
set(PENSTOCK_TIMEOUT_integration 300)
set(PENSTOCK_TIMEOUT_fuzz 60)
set(PENSTOCK_TIMEOUT_bench 60)
set(PENSTOCK_TIMEOUT_tree 60)
set(PENSTOCK_TIMEOUT_soak 7200)

# penstock_test_properties(NAME [USES module...]): label, time limit and environment of a test that this folder adds.
# A test that add_test() registered by hand (a script) is given them by calling this.
function(penstock_test_properties name)
  cmake_parse_arguments(arg "" "" "USES" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  string(REGEX REPLACE "^tests/" "" folder ${folder})
  string(REGEX REPLACE "/.*" "" ring ${folder})
  if(NOT DEFINED PENSTOCK_TIMEOUT_${ring})
    message(FATAL_ERROR "test ${name}: '${ring}' is no ring of tests. Put it under tests/{unit,contract,sim,integration,fuzz,soak,tree}/ or bench/.")
  endif()
  set(labels ${ring})
  set(threaded ${arg_USES})
  list(REMOVE_ITEM threaded ${PENSTOCK_THREADLESS_MODULES})
  if(threaded OR ring STREQUAL "sim" OR ring STREQUAL "integration")
    list(APPEND labels threads)
  endif()
  # No detect_stack_use_after_return: GCC 12 gives its fake frames too little alignment for alignas(64) (GCC PR 110027).
  set(environment
    ASAN_OPTIONS=strict_string_checks=1
    UBSAN_OPTIONS=print_stacktrace=1
    TSAN_OPTIONS=second_deadlock_stack=1
    NODE_PATH=${CMAKE_SOURCE_DIR}/build/node/node_modules
    PENSTOCK_BIN=${CMAKE_BINARY_DIR}/bin
    PENSTOCK_SOURCE=${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT ${PENSTOCK_TIMEOUT_${ring}} ENVIRONMENT "${environment}")
endfunction()

# penstock_test(NAME USES module... [LIBS lib...]): one GoogleTest program of the *_test.cpp files in this folder. One
# program is one CTest test: starting a sanitized program costs more than most of the cases in it.
function(penstock_test name)
  cmake_parse_arguments(arg "" "" "USES;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
  list(TRANSFORM arg_USES PREPEND penstock_ OUTPUT_VARIABLE libraries)
  target_link_libraries(${name} PRIVATE penstock_options ${libraries} ${arg_LIBS} GTest::gtest GTest::gmock GTest::gtest_main Threads::Threads)
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  penstock_test_properties(${name} USES ${arg_USES})
endfunction()

# penstock_bench(NAME USES module... [LIBS lib...]): one Google Benchmark program of the *_bench.cpp files in this folder, run
# once by CTest so that it cannot rot, with PENSTOCK_BENCH_SMOKE=1 in its environment: what takes long whatever
# --benchmark_min_time says does less then. `./dev bench micro` runs all of bin/bench/.
function(penstock_bench name)
  cmake_parse_arguments(arg "" "" "USES;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_bench.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${name} ${sources})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/bench)
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/bench)
  list(TRANSFORM arg_USES PREPEND penstock_ OUTPUT_VARIABLE libraries)
  target_link_libraries(${name} PRIVATE penstock_options ${libraries} ${arg_LIBS} benchmark::benchmark benchmark::benchmark_main Threads::Threads)
  if(PENSTOCK_TESTS)
    add_test(NAME ${name} COMMAND ${name} --benchmark_min_time=0.001)
    penstock_test_properties(${name})
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT PENSTOCK_BENCH_SMOKE=1)
  endif()
endfunction()

# penstock_fuzz(NAME USES module... [LIBS lib...]): fuzz_NAME of NAME_fuzz.cpp in this folder, which defines
# LLVMFuzzerTestOneInput. With PENSTOCK_FUZZ (clang) it is a libFuzzer program, which `./dev fuzz NAME SECONDS` runs;
# otherwise a plain program that replays corpus/NAME, and a test.
function(penstock_fuzz name)
  cmake_parse_arguments(arg "" "" "USES;LIBS" ${ARGN})
  set(target fuzz_${name})
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  if(NOT IS_DIRECTORY ${corpus})
    message(FATAL_ERROR "fuzz target ${name} has no corpus: put a few small inputs into tests/fuzz/corpus/${name}/")
  endif()
  add_executable(${target} ${name}_fuzz.cpp)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/tests)
  list(TRANSFORM arg_USES PREPEND penstock_ OUTPUT_VARIABLE libraries)
  target_link_libraries(${target} PRIVATE penstock_options ${libraries} ${arg_LIBS} Threads::Threads)
  if(PENSTOCK_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    add_test(NAME ${target} COMMAND ${target} ${corpus})
    penstock_test_properties(${target})
  endif()
endfunction()
