# Tests that the answers are apt's: for the sample, and for what is installed here. Skipped where apt cannot answer.
find_package(Threads REQUIRED)
target_link_libraries(${example} PRIVATE Threads::Threads)

function(add_comparison name database)
  set(test examples.${example}.agrees_with_apt.${name})
  add_test(NAME ${test} COMMAND ${EXAMPLE_DIR}/compare_with_apt.sh $<TARGET_FILE:${example}> ${database})
  set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS examples)
endfunction()

if(COW_BUILD_TESTS)
  add_comparison(on_a_sample ${EXAMPLE_DIR}/sample.status)
  add_comparison(on_this_machine /var/lib/dpkg/status)
endif()
