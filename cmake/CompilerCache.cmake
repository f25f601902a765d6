# ccache, where it is installed and no other launcher was asked for.
find_program(TNBENCH_CCACHE ccache)
mark_as_advanced(TNBENCH_CCACHE)
if(TNBENCH_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Files with a precompiled header are cached only with this sloppiness (ccache manual, "Precompiled headers").
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${TNBENCH_CCACHE})
endif()
