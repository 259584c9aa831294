# Fails when a program in C that was compiled against the recorded interface could not run with the library: a function
# gone, another parameter, a member of a structure moved. Arguments: ABIDIFF, ABIDW, LIBRARY (exports the C names alone),
# DUMP. With RECORD set it writes that file instead.
cmake_minimum_required(VERSION 3.22)

if(NOT ABIDIFF OR NOT ABIDW)
  message(STATUS "skipped: there is no abidiff here (Debian: abigail-tools)")
  return()
elseif(NOT RECORD AND NOT EXISTS ${DUMP})
  message(STATUS "skipped: nothing was recorded for this processor: ${DUMP}")
  return()
endif()

set(form --exported-interfaces-only --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed --no-parameter-names)
if(RECORD)
  execute_process(COMMAND ${ABIDW} ${form} --suppressions ${CMAKE_CURRENT_LIST_DIR}/c_abi.suppr --out-file ${DUMP} ${LIBRARY} COMMAND_ERROR_IS_FATAL ANY)
  file(STRINGS ${DUMP} lines)
  list(TRANSFORM lines REPLACE " path='[^']*/src/" " path='src/")
  list(JOIN lines "\n" text)
  file(WRITE ${DUMP} "${text}\n")
  return()
endif()

# Without debug information there are no types to compare. Bit 3 of the result: a break; bit 2: a change that may be none.
execute_process(COMMAND ${ABIDIFF} --no-added-syms --no-corpus-path ${DUMP} ${LIBRARY} RESULT_VARIABLE code
  OUTPUT_VARIABLE text ERROR_VARIABLE text)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "programs that were compiled against ${DUMP} may break (abidiff: ${code}):\n${text}")
endif()
message(STATUS "binary compatible with ${DUMP}")
