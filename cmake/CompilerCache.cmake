# ccache, where it is installed, works (its folder may not be writable), and no other launcher was asked for.
find_program(TNBENCH_CCACHE ccache)
mark_as_advanced(TNBENCH_CCACHE)
if(TNBENCH_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(_ccache_trial ${CMAKE_BINARY_DIR}/CMakeFiles/ccache_trial)
  file(WRITE ${_ccache_trial}.cc "int main() { return 0; }\n")
  execute_process(COMMAND ${TNBENCH_CCACHE} ${CMAKE_CXX_COMPILER} -c ${_ccache_trial}.cc -o ${_ccache_trial}.o
    RESULT_VARIABLE _ccache_status OUTPUT_QUIET ERROR_QUIET)
  if(_ccache_status EQUAL 0)
    # Files with a precompiled header are cached only with this sloppiness (ccache manual, "Precompiled headers").
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${TNBENCH_CCACHE})
  else()
    message(STATUS "ccache does not work here and is not used")
  endif()
endif()
