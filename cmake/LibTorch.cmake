# LibTorch, as the imported target tnb_torch; at least kTorchLeast below, for its packed int8 and int4 kernels.
#
# Torch_DIR (variable or environment) says where it is: its root, or the folder of its TorchConfig.cmake. Without,
# it is looked for in CMAKE_PREFIX_PATH (its root, or the site-packages that holds torch/), then in build/libtorch,
# where the launcher puts its private copy. An archive from the download page and an installed wheel both do.
#
# find_package(Torch) is not used: in a CUDA build it fails where the CUDA toolkit is missing, although neither
# the CPU nor the CUDA part of the libraries needs it.
set(kTorchLeast 2.5)

string(REPLACE ":" ";" _torch_places "$ENV{CMAKE_PREFIX_PATH}")
set(_torch_places ${CMAKE_PREFIX_PATH} ${_torch_places} ${PROJECT_SOURCE_DIR}/build/libtorch)
if(Torch_DIR OR DEFINED ENV{Torch_DIR})
  set(_torch_places ${Torch_DIR} $ENV{Torch_DIR})
endif()
unset(TNBENCH_TORCH_CONFIG_DIR)
foreach(place ${_torch_places})
  foreach(suffix . share/cmake/Torch torch/share/cmake/Torch)
    if(NOT TNBENCH_TORCH_CONFIG_DIR AND EXISTS ${place}/${suffix}/TorchConfig.cmake)
      get_filename_component(TNBENCH_TORCH_CONFIG_DIR ${place}/${suffix} REALPATH)
    endif()
  endforeach()
endforeach()
if(NOT TNBENCH_TORCH_CONFIG_DIR)
  message(FATAL_ERROR "LibTorch was not found: no TorchConfig.cmake in ${_torch_places}. Run ./tnbench build once "
    "(it installs a private copy), or pass -DTorch_DIR=/path/to/libtorch (the archive, or torch/ of a wheel).")
endif()
get_filename_component(TNBENCH_TORCH_ROOT ${TNBENCH_TORCH_CONFIG_DIR}/../../.. ABSOLUTE)

# The version, as TorchConfigVersion.cmake states it.
block(SCOPE_FOR VARIABLES PROPAGATE TNBENCH_TORCH_VERSION)
  set(PACKAGE_FIND_VERSION ${kTorchLeast})
  include(${TNBENCH_TORCH_CONFIG_DIR}/TorchConfigVersion.cmake)
  set(TNBENCH_TORCH_VERSION ${PACKAGE_VERSION})
endblock()
if(TNBENCH_TORCH_VERSION VERSION_LESS kTorchLeast)
  message(FATAL_ERROR "LibTorch is too old: expected ${kTorchLeast} or later, found ${TNBENCH_TORCH_VERSION} in "
    "${TNBENCH_TORCH_ROOT}. Unset Torch_DIR and CMAKE_PREFIX_PATH to let ./tnbench install a private copy.")
endif()

# The distribution's libraries use the C++11 ABI of std::string; a LibTorch of the older ABI cannot be linked
# with them. Its TorchConfig.cmake says which it is; releases that offer only one say nothing.
file(STRINGS ${TNBENCH_TORCH_CONFIG_DIR}/TorchConfig.cmake _torch_old_abi REGEX "_GLIBCXX_USE_CXX11_ABI=0")
if(_torch_old_abi)
  message(FATAL_ERROR "LibTorch in ${TNBENCH_TORCH_ROOT} is built for the pre-C++11 ABI. Take the cxx11-abi "
    "archive, or a wheel of release 2.7 or later.")
endif()

# A cached path of another LibTorch must not survive a change of Torch_DIR.
foreach(library torch_cpu c10 torch_cuda c10_cuda)
  unset(_torch_${library} CACHE)
  find_library(_torch_${library} ${library} PATHS ${TNBENCH_TORCH_ROOT}/lib NO_DEFAULT_PATH)
  mark_as_advanced(_torch_${library})
endforeach()
foreach(library torch_cpu c10)
  if(NOT _torch_${library})
    message(FATAL_ERROR "LibTorch is incomplete: ${TNBENCH_TORCH_ROOT}/lib has no lib${library}. "
      "Remove that folder and run ./tnbench build.")
  endif()
endforeach()

add_library(tnb_torch INTERFACE IMPORTED GLOBAL)
target_include_directories(tnb_torch SYSTEM INTERFACE
  ${TNBENCH_TORCH_ROOT}/include ${TNBENCH_TORCH_ROOT}/include/torch/csrc/api/include)
target_link_libraries(tnb_torch INTERFACE ${_torch_torch_cpu} ${_torch_c10} Threads::Threads)
if(_torch_torch_cuda AND _torch_c10_cuda)
  # The CUDA kernels register themselves when their library is loaded; no symbol asks for it, so the linker would
  # drop it.
  target_link_libraries(tnb_torch INTERFACE
    -Wl,--push-state,--no-as-needed ${_torch_torch_cuda} ${_torch_c10_cuda} -Wl,--pop-state)
  set(_torch_devices "CPU and CUDA")
else()
  set(_torch_devices "CPU")
endif()
message(STATUS "LibTorch: ${TNBENCH_TORCH_VERSION}, ${_torch_devices}, ${TNBENCH_TORCH_ROOT}")
