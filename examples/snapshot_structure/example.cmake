# The audits must be able to fail: without the gate, some views are of a bank in the middle of a transfer.
find_package(Threads REQUIRED)
target_link_libraries(${example} PRIVATE Threads::Threads)

if(COW_BUILD_TESTS)
  add_test(NAME examples.${example}.is_torn_without_the_gate COMMAND ${example} --no-gate --seconds 1)
  set_tests_properties(examples.${example}.is_torn_without_the_gate PROPERTIES
    PASS_REGULAR_EXPRESSION "violations +[1-9]" TIMEOUT 300 LABELS examples)
endif()
