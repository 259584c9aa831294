# Run by cpack on the files that it is about to pack: their time is that of the release, and so is what it writes itself.
if(CPACK_COW_EPOCH)
  set(ENV{SOURCE_DATE_EPOCH} ${CPACK_COW_EPOCH})
  execute_process(COMMAND find ${CPACK_TEMPORARY_DIRECTORY} -exec touch --no-dereference --date=@${CPACK_COW_EPOCH} {} +
    COMMAND_ERROR_IS_FATAL ANY)
endif()
