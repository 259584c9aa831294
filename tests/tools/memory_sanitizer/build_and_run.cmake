# Builds the program of this folder and the library under MemorySanitizer, and runs it: as it is, and with each mistake
# that must be noticed. WORK is a scratch folder.
cmake_minimum_required(VERSION 3.22)

find_program(CLANG NAMES clang++ clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14)
file(MAKE_DIRECTORY ${WORK})
file(WRITE ${WORK}/empty.cpp "int main() { return 0; }\n")
set(result 1)
if(CLANG)
  execute_process(COMMAND ${CLANG} -fsanitize=memory ${WORK}/empty.cpp -o ${WORK}/empty
    RESULT_VARIABLE result ERROR_QUIET)
endif()
if(result EQUAL 0)
  execute_process(COMMAND ${WORK}/empty RESULT_VARIABLE result ERROR_QUIET)
endif()
if(NOT result EQUAL 0)
  message("skipped: no clang that has MemorySanitizer is here")
  return()
endif()

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run(${CMAKE_COMMAND} -S ${HERE} -B ${WORK}/build -G ${GENERATOR} -DCOW_SOURCE_DIR=${COW_SOURCE_DIR}
  -DCMAKE_CXX_COMPILER=${CLANG} -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER} -DCMAKE_BUILD_TYPE=None
  "-DCMAKE_CXX_FLAGS=-O1 -g1 -fsanitize=memory -fno-omit-frame-pointer"
  -DCOW_BUILD_TESTS=OFF -DCOW_BUILD_EXAMPLES=OFF -DCOW_WITH_LIBUNWIND=OFF)
run(${CMAKE_COMMAND} --build ${WORK}/build --target program --parallel 2)

run(${WORK}/build/program)
foreach(mistake in_an_arena behind_what_was_read)
  execute_process(COMMAND ${WORK}/build/program ${mistake} RESULT_VARIABLE result ERROR_VARIABLE text)
  if(result EQUAL 0 OR NOT text MATCHES "use-of-uninitialized-value")
    message(FATAL_ERROR "${mistake}: not noticed; ${result}: ${text}")
  endif()
endforeach()
