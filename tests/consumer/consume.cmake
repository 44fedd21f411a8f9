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
