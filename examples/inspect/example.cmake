# The fault profile shows lines of source, whatever else the build is.
target_compile_options(${example} PRIVATE -g)
