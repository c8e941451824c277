# How this project makes targets: one set of flags for all of its own code.

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
find_program(MOLD mold)
if(MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(raftkv_flags INTERFACE)
target_include_directories(raftkv_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(raftkv_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  -Wimplicit-fallthrough -Wunused -fno-omit-frame-pointer)
if(RAFTKV_WERROR)
  target_compile_options(raftkv_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports false positives of these in the standard library at -O2.
  target_compile_options(raftkv_flags INTERFACE
    -Wno-restrict -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-dangling-pointer)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # std::stable_sort of g++ 12's library calls a function that the library itself has deprecated.
  target_compile_options(raftkv_flags INTERFACE -Wno-deprecated-declarations)
endif()
if(RAFTKV_SANITIZE)
  add_compile_options(-fsanitize=${RAFTKV_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RAFTKV_SANITIZE})
  if(RAFTKV_SANITIZE MATCHES "thread")
    # Asio and the standard library use std::atomic_thread_fence, which g++ says it cannot instrument.
    add_compile_options($<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
endif()
if(RAFTKV_PROFILE)
  set(profile ${CMAKE_BINARY_DIR}/profile)
  if(RAFTKV_PROFILE STREQUAL "generate")
    add_compile_options(-fprofile-generate=${profile} -fprofile-update=single)
    add_link_options(-fprofile-generate=${profile})
  elseif(RAFTKV_PROFILE STREQUAL "use")
    # What the training did not come to is compiled as without a profile.
    add_compile_options(-fprofile-use=${profile} -fprofile-partial-training -Wno-missing-profile)
  else()
    message(FATAL_ERROR "RAFTKV_PROFILE is generate, use or empty, not '${RAFTKV_PROFILE}'")
  endif()
endif()
if(RAFTKV_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()

# raftkv_library(raft SOURCES … LINKS …): the static library of one folder, alias raftkv::raft.
# PURE forbids exceptions (floors 0 to 2).
function(raftkv_library name)
  cmake_parse_arguments(ARG "PURE" "" "SOURCES;LINKS" ${ARGN})
  add_library(raftkv_${name} STATIC ${ARG_SOURCES})
  add_library(raftkv::${name} ALIAS raftkv_${name})
  target_link_libraries(raftkv_${name} PUBLIC raftkv_flags fmt::fmt ${ARG_LINKS})
  if(ARG_PURE)
    target_compile_options(raftkv_${name} PRIVATE -fno-exceptions)
  endif()
endfunction()

# What runs simulations for hours allocates with jemalloc: docs/decisions/0011. Sanitizers bring their own.
function(raftkv_allocator name)
  if(JEMALLOC_LIBRARY AND NOT RAFTKV_SANITIZE)
    target_link_libraries(${name} PRIVATE ${JEMALLOC_LIBRARY})
  endif()
endfunction()

# raftkv_program(lincheck SOURCES … LINKS …): an executable in bin/.
function(raftkv_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE raftkv_flags fmt::fmt ${ARG_LINKS})
endfunction()

# raftkv_test(raft SOURCES … LINKS … [LABELS process] [TIMEOUT s] [DEPENDS target …]): one GoogleTest binary; each of its tests is a ctest test.
function(raftkv_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LINKS;LABELS;DEPENDS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name}_tests ${ARG_SOURCES})
  target_link_libraries(${name}_tests PRIVATE raftkv_flags fmt::fmt GTest::gmock GTest::gtest_main ${ARG_LINKS})
  target_compile_definitions(${name}_tests PRIVATE
    RAFTKV_SOURCE_DIR="${CMAKE_SOURCE_DIR}" RAFTKV_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  if(ARG_DEPENDS)
    add_dependencies(${name}_tests ${ARG_DEPENDS})
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  gtest_discover_tests(${name}_tests TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 120
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# raftkv_fuzzer(frames SOURCES … LINKS …): a libFuzzer target fuzz_frames (preset fuzz, clang).
function(raftkv_fuzzer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  if(NOT RAFTKV_FUZZ)
    return()
  endif()
  add_executable(fuzz_${name} ${ARG_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE raftkv_flags fmt::fmt ${ARG_LINKS})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
endfunction()
