# Also run on what is installed here; and tests of its parts.
target_link_libraries(${example} PRIVATE SQLite::SQLite3)

if(COW_BUILD_TESTS)
  if(EXISTS /var/lib/dpkg/status)
    add_test(NAME examples.${example}.on_this_machine COMMAND ${example} --rounds 1 /var/lib/dpkg/status)
    set_tests_properties(examples.${example}.on_this_machine PROPERTIES TIMEOUT 300 LABELS examples)
  endif()

  # One process builds the database, another has it back.
  set(saved ${CMAKE_CURRENT_BINARY_DIR}/${example}.cow)
  set(packages ${EXAMPLE_DIR}/../what_if/sample.status)
  add_test(NAME examples.${example}.save COMMAND ${example} --save ${saved} ${packages})
  add_test(NAME examples.${example}.load COMMAND ${example} --load ${saved} ${packages})
  set_tests_properties(examples.${example}.save PROPERTIES TIMEOUT 300 LABELS examples FIXTURES_SETUP ${example}_saved)
  set_tests_properties(examples.${example}.load PROPERTIES TIMEOUT 300 LABELS examples FIXTURES_REQUIRED ${example}_saved)

  find_package(GTest REQUIRED)
  include(GoogleTest)
  file(GLOB test_sources CONFIGURE_DEPENDS ${EXAMPLE_DIR}/tests/*.cpp)
  add_executable(test_${example} ${test_sources})
  target_include_directories(test_${example} PRIVATE ${EXAMPLE_DIR} ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(test_${example} PRIVATE cow::cow SQLite::SQLite3 GTest::gtest_main)
  gtest_discover_tests(test_${example} TEST_PREFIX "${example}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 30
    PROPERTIES TIMEOUT 300 LABELS ${example})
endif()
