# What every target of the tree shares: the language level, warnings, sanitizers, and two helpers,
# weft_library() for a room and weft_unit_tests() for the tests that lie beside its sources.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set_property(GLOBAL PROPERTY USE_FOLDERS ON)

find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${WEFT_CCACHE}")
endif()

find_package(fmt REQUIRED)
find_package(Threads REQUIRED)

add_library(weft_options INTERFACE)
# No contracted floating point: a result must not depend on what the processor can fuse.
target_compile_options(weft_options INTERFACE -Wall -Wextra -Wconversion -Wno-sign-conversion
  -Werror -ffp-contract=off)
# g++ 12 warns of what it inlines from its own library (GCC bugs 105329, 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(weft_options INTERFACE -Wno-restrict -Wno-missing-field-initializers)
else()
  target_compile_options(weft_options INTERFACE -Wno-missing-field-initializers)
endif()
if(WEFT_SANITIZE)
  target_compile_options(weft_options INTERFACE -fsanitize=${WEFT_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(weft_options INTERFACE -fsanitize=${WEFT_SANITIZE})
endif()

# weft_library(NAME SOURCES ... [DEPENDS ...] [PRIVATE_DEPENDS ...])
function(weft_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${arg_DEPENDS} fmt::fmt
    PRIVATE ${arg_PRIVATE_DEPENDS} weft_options)
endfunction()

# weft_unit_tests(NAME SOURCES ... DEPENDS ... [LABELS ...]): one Catch2 program, one CTest test a case.
function(weft_unit_tests name)
  if(NOT WEFT_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPENDS} weft_catch_main weft_options)
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES LABELS "${arg_LABELS}"
    TIMEOUT 300 DISCOVERY_MODE PRE_TEST)
endfunction()

if(WEFT_TESTS)
  enable_testing()
  find_package(Catch2 2.13 REQUIRED)
  include(Catch)
  file(WRITE "${CMAKE_BINARY_DIR}/catch_main.cpp.in"
       "#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n")
  configure_file("${CMAKE_BINARY_DIR}/catch_main.cpp.in" "${CMAKE_BINARY_DIR}/catch_main.cpp" COPYONLY)
  add_library(weft_catch_main STATIC "${CMAKE_BINARY_DIR}/catch_main.cpp")
  target_link_libraries(weft_catch_main PUBLIC Catch2::Catch2)
  if(WEFT_SANITIZE)
    target_compile_options(weft_catch_main PRIVATE -fsanitize=${WEFT_SANITIZE})
  endif()
endif()
