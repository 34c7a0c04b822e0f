# What a program with vem inside is built on: found here for vem's own build and for find_package(vem) alike.
# vem::torch     LibTorch, with the C++ standard that its headers ask for
# vem::program   link options of programs, so that they load the fast BLAS and malloc
# VEM_TORCH      folder with include/ and lib/ of a LibTorch, such as that of the Python package; empty: the system's
set(VEM_TORCH "${VEM_TORCH}" CACHE PATH "folder with include/ and lib/ of a LibTorch; empty: the system's")
find_package(fmt REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(ICU REQUIRED COMPONENTS uc i18n)

# LibTorch as plain libraries: find_package(Torch) asks for nvcc with some builds and mixes versions where two are
# installed.
set(_vem_where)
if(VEM_TORCH)
  set(_vem_where PATHS ${VEM_TORCH} PATH_SUFFIXES lib include NO_DEFAULT_PATH)
endif()
foreach(_vem_found VEM_TORCH_CPU VEM_C10 VEM_TORCH_INCLUDE)
  unset(${_vem_found} CACHE)  # VEM_TORCH may have changed
endforeach()
find_library(VEM_TORCH_CPU torch_cpu ${_vem_where} REQUIRED)
find_library(VEM_C10 c10 ${_vem_where} REQUIRED)
find_path(VEM_TORCH_INCLUDE ATen/ATen.h ${_vem_where} REQUIRED)

set(_vem_api ${VEM_TORCH_INCLUDE}/torch/csrc/api/include)
foreach(_vem_file torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
  if(EXISTS ${VEM_TORCH_INCLUDE}/${_vem_file})
    file(STRINGS ${VEM_TORCH_INCLUDE}/${_vem_file} _vem_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
    string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*" "\\1.\\2" VEM_TORCH_VERSION "${_vem_lines}")
    break()
  endif()
endforeach()
file(STRINGS ${_vem_api}/torch/all.h _vem_lines REGEX "error C\\+\\+[0-9]+ or later")
set(VEM_CXX_STANDARD 17)
if(_vem_lines MATCHES "C\\+\\+([0-9]+)" AND CMAKE_MATCH_1 GREATER 17)
  set(VEM_CXX_STANDARD ${CMAKE_MATCH_1})
endif()
# What a compiler needs for a file that includes headers of vem, beside their folder.
set(VEM_COMPILE_FLAGS "-std=c++${VEM_CXX_STANDARD} -DFMT_HEADER_ONLY=1 -fopenmp")
foreach(_vem_folder ${VEM_TORCH_INCLUDE} ${_vem_api})
  if(NOT _vem_folder STREQUAL "/usr/include")
    string(APPEND VEM_COMPILE_FLAGS " -isystem ${_vem_folder}")
  endif()
endforeach()
message(STATUS "LibTorch ${VEM_TORCH_VERSION}: ${VEM_TORCH_CPU}, C++${VEM_CXX_STANDARD}")

# Debian's alternatives prefer the BLAS flavour whose threads fight with LibTorch's (a training step 4 to 7 times
# slower). A DT_RPATH on the program makes the OpenMP flavour win, for libtorch's own dependency too, without touching
# the system.
set(VEM_RUN_PATHS)
if(VEM_TORCH)
  list(APPEND VEM_RUN_PATHS ${VEM_TORCH}/lib)
else()
  find_path(VEM_BLAS_DIR libopenblas.so.0 PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp NO_DEFAULT_PATH)
  if(VEM_BLAS_DIR)
    list(APPEND VEM_RUN_PATHS ${VEM_BLAS_DIR})
  else()
    message(WARNING "openblas-openmp was not found (apt: libopenblas-openmp-dev); matrix products may be many times slower")
  endif()
endif()

# Tensors come and go by the dozen each training step: this malloc takes a twentieth off a step at batch 20.
find_library(VEM_MALLOC NAMES libtcmalloc_minimal.so.4 tcmalloc_minimal)

if(NOT TARGET vem::torch)
  add_library(vem::torch INTERFACE IMPORTED GLOBAL)
  target_include_directories(vem::torch INTERFACE ${VEM_TORCH_INCLUDE} ${_vem_api})
  target_link_libraries(vem::torch INTERFACE -Wl,--no-as-needed ${VEM_TORCH_CPU} ${VEM_C10} -Wl,--as-needed)
  target_compile_features(vem::torch INTERFACE cxx_std_${VEM_CXX_STANDARD})
  add_library(vem::program INTERFACE IMPORTED GLOBAL)
  if(VEM_MALLOC)
    target_link_libraries(vem::program INTERFACE -Wl,--push-state,--no-as-needed ${VEM_MALLOC} -Wl,--pop-state)
  endif()
  foreach(_vem_path ${VEM_RUN_PATHS})
    target_link_options(vem::program INTERFACE -Wl,--disable-new-dtags -Wl,-rpath,${_vem_path})
  endforeach()
endif()
