find_package(SQLite3 3.37)  # the first with STRICT tables
if(NOT SQLite3_FOUND)
  set(missing "SQLite 3.37 or newer (Debian: libsqlite3-dev)")
endif()
