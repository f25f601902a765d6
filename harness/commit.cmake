# Writes OUTPUT (a header with TNBENCH_COMMIT) for the repository in SOURCE; "-dirty" when tracked files differ from the
# commit. Run whenever a source file or the commit changes; the header is written only when its content does.
find_program(git git)
set(commit unknown)
if(git)
  execute_process(COMMAND ${git} -C ${SOURCE} rev-parse --short=12 HEAD
    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status ERROR_QUIET)
  if(status EQUAL 0)
    execute_process(COMMAND ${git} -C ${SOURCE} --no-optional-locks status --porcelain --untracked-files=no
      OUTPUT_VARIABLE changes RESULT_VARIABLE status ERROR_QUIET)
    set(commit ${found})
    if(NOT status EQUAL 0 OR NOT changes STREQUAL "")
      string(APPEND commit "-dirty")
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define TNBENCH_COMMIT \"${commit}\"\n")
