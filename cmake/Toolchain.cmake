# Language level, warnings, hardening, sanitizers, ccache: what every target shares.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(PENSTOCK_CCACHE ccache)
if(PENSTOCK_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PENSTOCK_CCACHE})
endif()

# penstock_warnings: the language alone, enough to check that a header stands on its own.
add_library(penstock_warnings INTERFACE)
target_compile_options(penstock_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wimplicit-fallthrough -Wswitch -fno-strict-aliasing)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees dangling and uninitialised values where inlined library code has none.
  target_compile_options(penstock_warnings INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds)
  # The same checks run again at link time with LTO, where the switches of single files no longer count.
  target_link_options(penstock_warnings INTERFACE -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds)
endif()

# penstock_options: what every object of ours is compiled with.
add_library(penstock_options INTERFACE)
target_link_libraries(penstock_options INTERFACE penstock_warnings)
# Static libraries with PIC for executables only: nobody replaces a symbol at load time, so let the compiler inline.
target_compile_options(penstock_options INTERFACE -fstack-protector-strong -fno-semantic-interposition)
# A crash names what crashed (src/app/crash_report.hpp). Distributions' compilers do this by themselves, others do not.
target_link_options(penstock_options INTERFACE -Wl,--build-id)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT PENSTOCK_SANITIZE)
  target_compile_definitions(penstock_options INTERFACE _FORTIFY_SOURCE=2)
  target_link_options(penstock_options INTERFACE -Wl,-z,relro,-z,now)
endif()
if(PENSTOCK_SANITIZE)
  target_compile_options(penstock_options INTERFACE -fsanitize=${PENSTOCK_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(penstock_options INTERFACE -fsanitize=${PENSTOCK_SANITIZE})
endif()
if(PENSTOCK_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "PENSTOCK_FUZZ needs clang (libFuzzer): use the preset, cmake --preset fuzz")
  endif()
  # Coverage counters everywhere, so that the fuzzer sees into the modules; main() only in the targets.
  target_compile_options(penstock_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
