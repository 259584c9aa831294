# Runs a check on something broken and fails unless the check fails and says why. Arguments: SAYS (a regular
# expression), and after "--" the check's command.
cmake_minimum_required(VERSION 3.22)

set(command "")
set(in_command FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(in_command)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(in_command TRUE)
  endif()
endforeach()

execute_process(COMMAND ${command} RESULT_VARIABLE code OUTPUT_VARIABLE text ERROR_VARIABLE text)
string(REGEX REPLACE "[ \n]+" " " text "${text}")
if(code EQUAL 0)
  message(FATAL_ERROR "the check passed what is broken")
elseif(NOT text MATCHES "${SAYS}")
  message(FATAL_ERROR "the check failed without saying '${SAYS}': ${text}")
endif()
