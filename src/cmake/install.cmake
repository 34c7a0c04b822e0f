# cmake --install: headers, libraries, the program, find_package(vem) and pkg-config. Any prefix; it may move afterwards.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/vem)

install(TARGETS vem RUNTIME)
install(TARGETS ${VEM_LIBRARIES} EXPORT vemTargets ARCHIVE INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/vem TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
install(EXPORT vemTargets NAMESPACE vem:: DESTINATION ${package})
configure_package_config_file(src/cmake/vemConfig.cmake.in vemConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(vemConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES src/cmake/dependencies.cmake ${PROJECT_BINARY_DIR}/vemConfig.cmake
              ${PROJECT_BINARY_DIR}/vemConfigVersion.cmake DESTINATION ${package})

# The same in the words of a compiler. Static libraries: each before those that it uses.
set(VEM_PC_LIBS)
foreach(layer cli models train infer dist data core)
  string(APPEND VEM_PC_LIBS "-lvem_${layer} ")
endforeach()
string(APPEND VEM_PC_LIBS "-Wl,--no-as-needed ${VEM_TORCH_CPU} ${VEM_C10} -Wl,--as-needed -fopenmp -pthread -ldl")
foreach(folder ${VEM_RUN_PATHS})
  string(APPEND VEM_PC_LIBS " -Wl,--disable-new-dtags -Wl,-rpath,${folder}")
endforeach()
file(RELATIVE_PATH VEM_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" VEM_PC_PREFIX "${VEM_PC_PREFIX}")
configure_file(src/cmake/vem.pc.in vem.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/vem.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
