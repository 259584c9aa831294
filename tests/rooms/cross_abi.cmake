# Records the C interface as a cross compiler sees it: the folder that has the C names is compiled alone, and not linked
# with the rest. Arguments: CXX, SOURCE_DIR, WORK (a scratch folder), ABIDW, DUMP.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
file(GLOB sources ${SOURCE_DIR}/src/capi/*.cpp)
set(objects "")
foreach(source IN LISTS sources)
  cmake_path(GET source STEM name)
  execute_process(COMMAND ${CXX} -std=c++20 -g -O1 -fPIC -fvisibility=hidden -fvisibility-inlines-hidden
    -I ${SOURCE_DIR}/include -I ${SOURCE_DIR}/src -idirafter /usr/include -c ${source} -o ${WORK}/${name}.o
    COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND objects ${WORK}/${name}.o)
endforeach()
execute_process(COMMAND ${CXX} -shared -o ${WORK}/libcow_c_abi.so ${objects} -Wl,-soname,libcow.so.0
  -Wl,--version-script=${CMAKE_CURRENT_LIST_DIR}/c_names_only.map COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -DRECORD=ON -DABIDIFF=${ABIDW} -DABIDW=${ABIDW} -DLIBRARY=${WORK}/libcow_c_abi.so
  -DDUMP=${DUMP} -P ${CMAKE_CURRENT_LIST_DIR}/abi.cmake COMMAND_ERROR_IS_FATAL ANY)
