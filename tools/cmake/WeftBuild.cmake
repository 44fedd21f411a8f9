# What every target of the tree shares: the language level, warnings, sanitizers, and the helpers
# weft_library() for a room and weft_unit_tests() for the tests that lie beside its sources.
include(GNUInstallDirs)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Paths relative to the source tree, so that one cache serves every checkout.
find_program(WEFT_CCACHE ccache)
if(WEFT_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1
      "${WEFT_CCACHE}")
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
# The headers beside the sources are public and are installed, save those in a folder detail/.
function(weft_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  set(headers)
  foreach(source IN LISTS arg_SOURCES)
    cmake_path(ABSOLUTE_PATH source NORMALIZE OUTPUT_VARIABLE source)
    cmake_path(GET source PARENT_PATH folder)
    if(NOT folder MATCHES "/detail$")
      file(GLOB beside CONFIGURE_DEPENDS ${folder}/*.hpp)
      list(APPEND headers ${beside})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES headers)
  target_sources(${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
  target_include_directories(${name} PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${name} PUBLIC ${arg_DEPENDS} fmt::fmt
    PRIVATE ${arg_PRIVATE_DEPENDS} $<BUILD_INTERFACE:weft_options>)
  set_property(GLOBAL APPEND PROPERTY weft_libraries ${name})
endfunction()

# weft_unit_tests(NAME SOURCES ... DEPENDS ... [LABELS ...]): one Catch2 program, one CTest test a
# case. A case that lacks an optional input calls WEFT_SKIP (tests/support/skip.hpp): CTest then
# counts it as skipped. LABELS: unit (the default), property, golden, integration, slow (over 2 s).
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
    TIMEOUT 300 SKIP_REGULAR_EXPRESSION "SKIPPED: " DISCOVERY_MODE PRE_TEST)
endfunction()

if(WEFT_TESTS)
  enable_testing()
  find_package(Catch2 2.13 REQUIRED)
  include(Catch)
  # Catch2's main is slow to compile: it is built once, and no test includes it.
  add_library(weft_catch_main STATIC "${PROJECT_SOURCE_DIR}/tests/support/catch_main.cpp")
  target_link_libraries(weft_catch_main PUBLIC Catch2::Catch2)
  target_include_directories(weft_catch_main PUBLIC ${PROJECT_SOURCE_DIR})
  # Real inputs of other tools; optional, so the tests that read them may skip.
  target_compile_definitions(weft_catch_main PUBLIC
    WEFT_SOURCE_DIR="${PROJECT_SOURCE_DIR}" WEFT_SHARED_DATA="${PROJECT_SOURCE_DIR}/../shared/data")
  if(WEFT_SANITIZE)
    target_compile_options(weft_catch_main PRIVATE -fsanitize=${WEFT_SANITIZE})
  endif()
endif()

# Installs the program, the libraries, the public headers and the package file for find_package.
function(weft_install)
  include(CMakePackageConfigHelpers)
  get_property(libraries GLOBAL PROPERTY weft_libraries)
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/weft)
  install(TARGETS ${libraries} EXPORT weft_targets
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/weft)
  install(TARGETS weft RUNTIME)
  install(TARGETS weft_c EXPORT weft_targets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  set(headers ${PROJECT_SOURCE_DIR}/collectives/api/include)
  install(FILES ${headers}/weft.h ${headers}/weft.hpp ${headers}/weft_mpi.h ${headers}/weft_gpu.h
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  # Relative, so that an installed tree can be moved.
  file(RELATIVE_PATH WEFT_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(${PROJECT_SOURCE_DIR}/tools/cmake/weft.pc.in ${PROJECT_BINARY_DIR}/weft.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/weft.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.3)
  file(GLOB commands CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/man/*.1)
  install(FILES ${commands} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
  install(EXPORT weft_targets NAMESPACE weft:: DESTINATION ${package_dir})
  configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/cmake/weft-config.cmake.in
    ${PROJECT_BINARY_DIR}/weft-config.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/weft-config-version.cmake
    COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/weft-config.cmake
    ${PROJECT_BINARY_DIR}/weft-config-version.cmake DESTINATION ${package_dir})
endfunction()

# weft_embed(OUT variable HEADER room/x.hpp FUNCTION f FILES ...): a source that holds the files as
# text; `variable` becomes its path.
function(weft_embed)
  cmake_parse_arguments(E "" "OUT;HEADER;FUNCTION" "FILES" ${ARGN})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${E_FUNCTION}.cpp)
  set(script ${PROJECT_SOURCE_DIR}/tools/cmake/embed.cmake)
  add_custom_command(OUTPUT ${source}
    COMMAND ${CMAKE_COMMAND} -D "OUT=${source}" -D "FILES=${E_FILES}" -D "HEADER=${E_HEADER}"
      -D "FUNCTION=${E_FUNCTION}" -P ${script}
    DEPENDS ${E_FILES} ${script} VERBATIM)
  set(${E_OUT} ${source} PARENT_SCOPE)
endfunction()
