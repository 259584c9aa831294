# Fails when an object file that runs in the signal handler calls what it must not.
# Arguments: NM, OBJECTS (a file that lists object files), ROOMS (the sources concerned), ALLOWED (what they may call).
cmake_minimum_required(VERSION 3.22)

# Sets `result` to the lines of `nm`, each "name type ...".
function(symbols_of object which result)
  execute_process(COMMAND ${NM} -P ${which} ${object} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" lines "${text}")
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

file(STRINGS ${OBJECTS} objects)
file(STRINGS ${ROOMS} rooms REGEX "^[^#]")
file(STRINGS ${ALLOWED} allowed REGEX "^[^#]")

set(handler_objects "")
foreach(room IN LISTS rooms)
  set(found ${objects})
  list(FILTER found INCLUDE REGEX "/${room}\\.cpp\\.o$")
  list(LENGTH found count)
  if(NOT count EQUAL 1)
    message(SEND_ERROR "${room} of ${ROOMS} has ${count} object files")
  endif()
  list(APPEND handler_objects ${found})
endforeach()

foreach(object IN LISTS handler_objects)
  symbols_of(${object} --defined-only lines)
  list(TRANSFORM lines REPLACE " .*" "")
  list(APPEND allowed ${lines})
endforeach()

foreach(object IN LISTS handler_objects)
  cmake_path(GET object FILENAME name)
  symbols_of(${object} --undefined-only lines)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE " .*" "" symbol "${line}")
    if(NOT symbol IN_LIST allowed)
      message(SEND_ERROR "${name} calls ${symbol}, which is not for the signal handler")
    endif()
  endforeach()
endforeach()
list(LENGTH handler_objects count)
message(STATUS "checked the calls of ${count} object files")
