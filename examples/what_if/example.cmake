# Tests that the answers are apt's: for the sample, and for what is installed here. Skipped where apt cannot answer.
find_package(Threads REQUIRED)
target_link_libraries(${example} PRIVATE Threads::Threads)

if(COW_BUILD_TESTS)
  foreach(database IN ITEMS ${EXAMPLE_DIR}/sample.status /var/lib/dpkg/status)
    get_filename_component(place ${database} DIRECTORY)
    get_filename_component(place ${place} NAME)
    set(test examples.${example}.agrees_with_apt.${place})
    add_test(NAME ${test} COMMAND ${EXAMPLE_DIR}/compare_with_apt.sh $<TARGET_FILE:${example}> ${database})
    set_tests_properties(${test} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300 LABELS examples)
  endforeach()
endif()
