# Every library comes from Debian 12 (scripts/setup); nothing is downloaded by the build.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(leveldb REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(prometheus-cpp CONFIG REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
find_library(JEMALLOC_LIBRARY jemalloc)  # of the simulator's programs; without it, the C library's malloc
if(RAFTKV_TESTS)
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
  include(GoogleTest)
endif()
if(RAFTKV_BENCH)
  find_package(benchmark REQUIRED)
endif()
