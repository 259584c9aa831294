# Its test kills it at random, and wants the same result.
if(COW_BUILD_TESTS)
  add_test(NAME examples.${example}.killed_at_random COMMAND ${EXAMPLE_DIR}/killed.sh $<TARGET_FILE:${example}> 6000)
  set_tests_properties(examples.${example}.killed_at_random PROPERTIES TIMEOUT 300 LABELS examples)
endif()
