# Fails when the first C++ block of the README is not the example that the tests compile and run.
# Arguments: README, EXAMPLE.
cmake_minimum_required(VERSION 3.22)

file(READ ${README} text)
file(READ ${EXAMPLE} example)
string(FIND "${text}" "```cpp\n" start)
if(start EQUAL -1)
  message(FATAL_ERROR "${README} has no C++ block")
endif()
math(EXPR start "${start} + 7")
string(SUBSTRING "${text}" ${start} -1 text)
string(FIND "${text}" "```" length)
string(SUBSTRING "${text}" 0 ${length} block)
if(NOT block STREQUAL example)
  message(FATAL_ERROR "the example in ${README} differs from ${EXAMPLE}")
endif()
