# Debian packages and an archive: `cmake --workflow --preset package`, or cpack in any build folder of the library.
# The library alone, what programs are compiled with, and the tools. Nothing is installed from here.
# Who makes a package answers for it, as with Debian's own tools; there is nobody who answers for all.
set(maintainer "Local build of cow <nobody@example.org>")
if(NOT "$ENV{DEBFULLNAME}" STREQUAL "" AND NOT "$ENV{DEBEMAIL}" STREQUAL "")
  set(maintainer "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(COW_MAINTAINER "${maintainer}" CACHE STRING "Who answers for the packages: name and address")
# Below -1, which would be Debian's own first one: that takes the place of these.
set(COW_DEBIAN_REVISION 0cow1)
set(CPACK_PACKAGE_NAME cow)
set(CPACK_PACKAGE_CONTACT "${COW_MAINTAINER}")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # which would be the first line of each
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_COMPONENTS_ALL cow_library cow_dev cow_tools)
set(CPACK_GENERATOR DEB TGZ)

# The archive has all of it, and may be unpacked anywhere.
set(CPACK_ARCHIVE_COMPONENT_INSTALL OFF)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${COW_DEBIAN_REVISION})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")

set(about "An arena is memory whose content can be snapshotted, rolled back and cloned
inside one process, page by page, the way fork() shares a process in two.")
set(exact_library "libcow${PROJECT_VERSION_MAJOR} (= ${PROJECT_VERSION}-${COW_DEBIAN_REVISION})")

set(CPACK_DEBIAN_COW_LIBRARY_PACKAGE_NAME libcow${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_COW_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_COW_LIBRARY_DESCRIPTION "copy-on-write memory arenas - shared library\n${about}")
# Loaded when they are wanted, by reports; the library does without.
set(reports "")
if(COW_LIBUNWIND_HEADERS)
  list(APPEND reports libunwind8)
endif()
if(COW_LIBDW_HEADERS)
  list(APPEND reports libdw1)
endif()
list(JOIN reports ", " CPACK_DEBIAN_COW_LIBRARY_PACKAGE_SUGGESTS)

set(CPACK_DEBIAN_COW_DEV_PACKAGE_NAME libcow-dev)
set(CPACK_DEBIAN_COW_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_COW_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_COW_DEV_PACKAGE_DEPENDS "${exact_library}, libboost-dev (>= 1.74)")
if(cow_zstd_flag)
  string(APPEND CPACK_DEBIAN_COW_DEV_PACKAGE_DEPENDS ", libzstd-dev")  # for the static library
endif()
set(CPACK_DEBIAN_COW_DEV_DESCRIPTION "copy-on-write memory arenas - headers\n${about}\nHeaders for C and C++, the static library, and files for CMake and pkg-config.")

set(CPACK_DEBIAN_COW_TOOLS_PACKAGE_NAME libcow-tools)
set(CPACK_DEBIAN_COW_TOOLS_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_COW_TOOLS_PACKAGE_SUGGESTS gdb)
set(CPACK_DEBIAN_COW_TOOLS_DESCRIPTION "copy-on-write memory arenas - tools\n${about}\nCommands for gdb and tools for saved files.")

# Of the same source the same packages: all that bears a time bears that of the release, or what the caller wants.
if("$ENV{SOURCE_DATE_EPOCH}" STREQUAL "")
  file(STRINGS ${PROJECT_SOURCE_DIR}/CHANGELOG.md release REGEX "^## ${PROJECT_VERSION}, [0-9-]+$")
  string(REGEX REPLACE ".*, " "" release "${release}")
  execute_process(COMMAND date --utc --date "${release}" +%s OUTPUT_VARIABLE epoch RESULT_VARIABLE failed
    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed AND release)
    set(ENV{SOURCE_DATE_EPOCH} ${epoch})
  endif()
endif()
set(CPACK_COW_EPOCH "$ENV{SOURCE_DATE_EPOCH}")
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_SOURCE_DIR}/packages/dates.cmake)

# What Debian wants beside the files: who may copy them, and what changed.
string(TIMESTAMP COW_YEAR "%Y" UTC)
string(TIMESTAMP COW_RELEASE_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(READ ${PROJECT_SOURCE_DIR}/LICENSE licence)
string(REGEX REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REGEX REPLACE "\n$" "" licence "${licence}")
string(REPLACE "\n" "\n " COW_LICENCE "${licence}")
configure_file(packages/copyright.in packages/copyright @ONLY)
configure_file(packages/changelog.in packages/changelog.Debian @ONLY)
if(COW_GZIP)
  execute_process(COMMAND ${COW_GZIP} -9 -n -c ${CMAKE_CURRENT_BINARY_DIR}/packages/changelog.Debian
    OUTPUT_FILE ${CMAKE_CURRENT_BINARY_DIR}/packages/changelog.Debian.gz COMMAND_ERROR_IS_FATAL ANY)
endif()
foreach(component LIBRARY DEV TOOLS)
  string(TOLOWER cow_${component} name)
  foreach(file copyright changelog.Debian.gz)
    install(FILES ${CMAKE_CURRENT_BINARY_DIR}/packages/${file} COMPONENT ${name} EXCLUDE_FROM_ALL
      DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_COW_${component}_PACKAGE_NAME})
  endforeach()
endforeach()
set(CPACK_DEBIAN_COW_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_SOURCE_DIR}/packages/triggers)
set(CPACK_POST_BUILD_SCRIPTS ${CMAKE_CURRENT_SOURCE_DIR}/packages/ldconfig.cmake)

include(CPack)
