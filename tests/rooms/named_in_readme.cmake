# Checks that src/README.md names each file under src/, so that its tables show the whole house.
# SOURCE_DIR: the project; README: the page. heap/ and files/ have pages of their own.
file(GLOB files RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/src/*/*.hpp ${SOURCE_DIR}/src/*/*.cpp)
list(FILTER files EXCLUDE REGEX "^src/(heap|files)/")
file(READ ${README} page)
foreach(file IN LISTS files)
  cmake_path(GET file STEM room)
  string(FIND "${page}" "`${room}`" at)
  if(at EQUAL -1)
    message(SEND_ERROR "${file} is in no table of ${README}")
  endif()
endforeach()
