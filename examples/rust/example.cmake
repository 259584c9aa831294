# Built by rustc alone, where that is; no crates.
find_program(COW_RUSTC rustc)
mark_as_advanced(COW_RUSTC)
if(COW_RUSTC AND NOT COW_SANITIZE)
  set(program ${CMAKE_CURRENT_BINARY_DIR}/rust_futures)
  add_custom_command(OUTPUT ${program} DEPENDS ${EXAMPLE_DIR}/main.rs ${EXAMPLE_DIR}/cow.rs cow::shared
    COMMAND ${COW_RUSTC} --edition 2021 -D warnings -o ${program} ${EXAMPLE_DIR}/main.rs
      -L $<TARGET_FILE_DIR:cow::shared> -l dylib=cow -C link-arg=-Wl,-rpath,$<TARGET_FILE_DIR:cow::shared> VERBATIM)
  add_custom_target(${example} ALL DEPENDS ${program})
  if(COW_BUILD_TESTS)
    add_test(NAME examples.${example} COMMAND ${program})
  endif()
elseif(COW_BUILD_TESTS)
  add_test(NAME examples.${example} COMMAND ${CMAKE_COMMAND} -E echo "skipped: no rustc, or a sanitizer (Debian: rustc)")
endif()
if(COW_BUILD_TESTS)
  set_tests_properties(examples.${example} PROPERTIES TIMEOUT 300 LABELS examples SKIP_REGULAR_EXPRESSION "^skipped: ")
endif()
