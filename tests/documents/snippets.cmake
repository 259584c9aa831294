# Every C++ block of the README and the guide's pages is compiled into the tests of documents, and runs there.
file(GLOB pages RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/include/*.md)
set(page_files ${pages})
list(TRANSFORM page_files PREPEND ${PROJECT_SOURCE_DIR}/)
set(snippets ${CMAKE_CURRENT_BINARY_DIR}/snippets_test.cpp)

add_executable(extract_snippets documents/extract/extract.cpp)
add_custom_command(OUTPUT ${snippets} COMMAND extract_snippets ${snippets} ${pages}
  DEPENDS ${page_files} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} VERBATIM)
target_sources(test_documents PRIVATE ${snippets})
target_compile_definitions(test_documents PRIVATE COW_PROJECT="${PROJECT_SOURCE_DIR}")

# And each program in C, by C's own compiler.
if(NOT COW_SANITIZE)
  add_test(NAME documents.programs_in_c_compile_and_print_what_they_say
    COMMAND ${CMAKE_COMMAND} -DDOCUMENT=${PROJECT_SOURCE_DIR}/include/README.md -DCC=${CMAKE_C_COMPILER}
      -DCXX=${CMAKE_CXX_COMPILER} -DLIBRARY=$<TARGET_FILE:cow> "-DLINKS=-pthread;-ldl;-Wl,-rpath,$<TARGET_FILE_DIR:cow>;$<$<BOOL:${COW_ZSTD_LIBRARY}>:-lzstd>"
      -DINCLUDE=${PROJECT_SOURCE_DIR}/include -DWORK=${CMAKE_CURRENT_BINARY_DIR}/c_programs
      -P ${CMAKE_CURRENT_SOURCE_DIR}/documents/c_programs.cmake)
  set_tests_properties(documents.programs_in_c_compile_and_print_what_they_say PROPERTIES TIMEOUT 120 LABELS documents)
endif()
