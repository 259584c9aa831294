# No program is built: Python loads the shared library. Run in the tests where a Python has numpy, with pictures where it
# has matplotlib.
if(COW_SANITIZE)
  return()  # its runtime would have to be loaded first
endif()
add_custom_target(${example} ALL DEPENDS ${EXAMPLE_DIR}/what_if.py)
add_dependencies(${example} cow::shared)
if(NOT COW_BUILD_TESTS)
  return()
endif()

set(python "")
foreach(candidate python3 /usr/bin/python3)
  execute_process(COMMAND ${candidate} -c "import numpy" RESULT_VARIABLE code OUTPUT_QUIET ERROR_QUIET)
  if(python STREQUAL "" AND code EQUAL 0)
    set(python ${candidate})
  endif()
endforeach()

function(python_test name)
  if(python STREQUAL "")
    add_test(NAME examples.${name} COMMAND ${CMAKE_COMMAND} -E echo "skipped: no Python with numpy (Debian: python3-numpy)")
  else()
    add_test(NAME examples.${name} COMMAND ${CMAKE_COMMAND} -E env COW_LIBRARY=$<TARGET_FILE:cow::shared>
      ${python} -B ${ARGN})
  endif()
  set_tests_properties(examples.${name} PROPERTIES TIMEOUT 300 LABELS examples SKIP_REGULAR_EXPRESSION "^skipped: ")
endfunction()

set(pictures "")
if(python)
  execute_process(COMMAND ${python} -c "import matplotlib" RESULT_VARIABLE code OUTPUT_QUIET ERROR_QUIET)
  if(code EQUAL 0)
    set(pictures --pictures ${CMAKE_CURRENT_BINARY_DIR}/${example})
  endif()
endif()
python_test(python_numpy.binding ${EXAMPLE_DIR}/check.py)
python_test(python_numpy ${EXAMPLE_DIR}/what_if.py --futures 10 ${pictures})
