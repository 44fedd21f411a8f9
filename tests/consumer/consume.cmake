# cmake -DBUILD=... -DSOURCE=... -DWORK=... -P consume.cmake
set(prefix ${WORK}/prefix)
set(project ${WORK}/project)
file(REMOVE_RECURSE ${prefix} ${project})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix}
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -G Ninja -S ${SOURCE}/project -B ${project}
  -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_BUILD_TYPE=Debug COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${project} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${project}/consumer OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
if(NOT said STREQUAL "83.89 us for 4 MiB\n")
  message(FATAL_ERROR "the consumer said: ${said}")
endif()

foreach(program IN ITEMS allreduce allreduce_cpp)
  execute_process(COMMAND ${project}/${program} OUTPUT_VARIABLE said TIMEOUT 60
    COMMAND_ERROR_IS_FATAL ANY)
  if(NOT said MATCHES "^sum: (3 20 40|4)\n$")
    message(FATAL_ERROR "${program} said: ${said}")
  endif()
endforeach()

# The same by pkg-config, without CMake's help.
file(GLOB_RECURSE found ${prefix}/*/weft.pc)
cmake_path(GET found PARENT_PATH folder)
cmake_path(GET folder PARENT_PATH libraries)
execute_process(COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${folder}
  sh -c "cc -o by_pkg_config ${SOURCE}/project/allreduce.c $(pkg-config --cflags --libs weft)"
  WORKING_DIRECTORY ${WORK}
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${libraries} ${WORK}/by_pkg_config
  OUTPUT_VARIABLE said TIMEOUT 60 COMMAND_ERROR_IS_FATAL ANY)
if(NOT said STREQUAL "sum: 3 20 40\n")
  message(FATAL_ERROR "by pkg-config: ${said}")
endif()
# It shows what weft.h declares, and no more.
execute_process(COMMAND nm -D --defined-only ${libraries}/libweft.so OUTPUT_VARIABLE symbols
  COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" symbols "${symbols}")
list(FILTER symbols EXCLUDE REGEX " weft_[a-z_]+$")
if(symbols)
  message(FATAL_ERROR "libweft.so also shows ${symbols}")
endif()
