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
