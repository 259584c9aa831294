# Fails when the shared library exports other names of the project's than recorded: public ones are marked by COW_API.
# Arguments: NM, LIBRARY, RECORDED (one demangled name a line). With RECORD set it writes that file instead.
cmake_minimum_required(VERSION 3.22)

execute_process(COMMAND ${NM} --dynamic --defined-only --demangle ${LIBRARY} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE ";" "," text "${text}")
string(REGEX MATCHALL "[^\n]+" lines "${text}")
list(FILTER lines INCLUDE REGEX "cow")
list(TRANSFORM lines REPLACE "^[0-9a-f]+ . " "")
# Templates of the standard library, instantiated for types of ours, are the compiler's business.
list(FILTER lines INCLUDE REGEX "^(typeinfo (name )?for |vtable for )?cow")
list(REMOVE_DUPLICATES lines)
list(SORT lines)

if(RECORD)
  list(JOIN lines "\n" text)
  file(WRITE ${RECORDED} "${text}\n")
  return()
endif()

file(STRINGS ${RECORDED} recorded)
foreach(line IN LISTS lines)
  if(NOT line IN_LIST recorded)
    message(SEND_ERROR "exported, but not recorded as public: ${line}")
  endif()
endforeach()
foreach(line IN LISTS recorded)
  if(NOT line IN_LIST lines)
    message(SEND_ERROR "recorded as public, but not exported: ${line}")
  endif()
endforeach()
list(LENGTH lines count)
message(STATUS "checked ${count} exported names")
