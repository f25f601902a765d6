# LibTorch, as the imported target tnb_torch. find_package(Torch) of a CUDA build fails where the CUDA toolkit is
# missing, although the CPU part works; so the libraries are taken from the folder in which CMake finds
# TorchConfig.cmake (Torch_DIR, CMAKE_PREFIX_PATH, or the private environment of the launcher).
find_path(TNBENCH_TORCH_CONFIG_DIR TorchConfig.cmake
  HINTS ${Torch_DIR} ENV Torch_DIR
  PATHS ${PROJECT_SOURCE_DIR}/build/libtorch/torch
  PATH_SUFFIXES share/cmake/Torch torch/share/cmake/Torch)
if(NOT TNBENCH_TORCH_CONFIG_DIR)
  message(FATAL_ERROR "LibTorch was not found. Run ./tnbench once (it installs a private copy), or pass "
    "-DCMAKE_PREFIX_PATH=/path/to/libtorch (the archive, or site-packages/torch of a wheel).")
endif()
get_filename_component(TNBENCH_TORCH_ROOT ${TNBENCH_TORCH_CONFIG_DIR}/../../.. ABSOLUTE)
find_library(TNBENCH_TORCH_CPU torch_cpu HINTS ${TNBENCH_TORCH_ROOT}/lib REQUIRED NO_DEFAULT_PATH)
find_library(TNBENCH_C10 c10 HINTS ${TNBENCH_TORCH_ROOT}/lib REQUIRED NO_DEFAULT_PATH)
add_library(tnb_torch INTERFACE IMPORTED)
target_include_directories(tnb_torch SYSTEM INTERFACE
  ${TNBENCH_TORCH_ROOT}/include ${TNBENCH_TORCH_ROOT}/include/torch/csrc/api/include)
target_link_libraries(tnb_torch INTERFACE ${TNBENCH_TORCH_CPU} ${TNBENCH_C10} Threads::Threads)
message(STATUS "LibTorch: ${TNBENCH_TORCH_ROOT}")
