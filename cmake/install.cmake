# The library as other projects use it once it is installed: one archive of all rooms, the public
# headers, a CMake package and a pkg-config file. Component `devel`; tools/consumer_test.py.
get_property(rooms GLOBAL PROPERTY HOLDFAST_ROOMS)
list(REMOVE_ITEM rooms hf_update) # the updater's alone
list(TRANSFORM rooms REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)

# Not libholdfast.a: it is no static form of a libholdfast.so, and -lholdfast would prefer that one.
add_library(holdfast_archive STATIC ${objects})
set_target_properties(holdfast_archive PROPERTIES OUTPUT_NAME holdfastpp EXPORT_NAME holdfast
                                                  LINKER_LANGUAGE CXX)
target_include_directories(holdfast_archive
                           INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(holdfast_archive INTERFACE cxx_std_20)
# What the rooms take from other libraries; holdfastConfig.cmake finds each of them again.
target_link_libraries(holdfast_archive PRIVATE PkgConfig::MOSQUITTO OpenSSL::SSL OpenSSL::Crypto
                                               Threads::Threads ${CMAKE_DL_LIBS})
set(HOLDFAST_HAS_AWS_CRT OFF)
if(TARGET AWS::aws-c-mqtt)
  set(HOLDFAST_HAS_AWS_CRT ON)
  target_link_libraries(holdfast_archive PRIVATE AWS::aws-c-mqtt)
endif()

include(CMakePackageConfigHelpers)
set(package ${CMAKE_INSTALL_LIBDIR}/cmake/holdfast)
configure_package_config_file(cmake/holdfastConfig.cmake.in holdfastConfig.cmake
                              INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO)
# Below 1.0 each minor version may change the interface.
write_basic_package_version_file(holdfastConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(DIRECTORY include/holdfast TYPE INCLUDE COMPONENT devel)
install(TARGETS holdfast_archive EXPORT holdfast ARCHIVE COMPONENT devel)
install(EXPORT holdfast NAMESPACE holdfast:: FILE holdfastTargets.cmake DESTINATION ${package}
        COMPONENT devel)
install(FILES ${PROJECT_BINARY_DIR}/holdfastConfig.cmake
              ${PROJECT_BINARY_DIR}/holdfastConfigVersion.cmake
        DESTINATION ${package} COMPONENT devel)

if(HOLDFAST_HAS_AWS_CRT)
  message(STATUS "holdfast.pc: NOT installed, as AWS's libraries have no pkg-config files to name")
  return()
endif()
# The prefix is known only while installing: cmake --install --prefix.
set(prefix "@prefix@")
configure_file(cmake/holdfast.pc.in holdfast.pc.in @ONLY)
install(CODE "set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
configure_file(\"${PROJECT_BINARY_DIR}/holdfast.pc.in\" \"${PROJECT_BINARY_DIR}/holdfast.pc\" @ONLY)"
        COMPONENT devel)
install(FILES ${PROJECT_BINARY_DIR}/holdfast.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
        COMPONENT devel)
