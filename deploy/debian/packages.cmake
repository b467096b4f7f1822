# What CPack is told about the packages.
set(CPACK_GENERATOR DEB)
set(CPACK_CMAKE_GENERATOR ${CMAKE_GENERATOR})
set(CPACK_PACKAGE_NAME holdfast)
set(CPACK_PACKAGE_VERSION ${HOLDFAST_PACKAGE_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each component has its own
set(CPACK_PACKAGE_CONTACT ${HOLDFAST_MAINTAINER})
set(CPACK_COMPONENTS_ALL ${components})
set(CPACK_SET_DESTDIR ON) # some places are absolute
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

foreach(component ${components})
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${PACKAGE_${component}})
endforeach()
set(same "(= ${HOLDFAST_PACKAGE_VERSION})")

set(CPACK_DEBIAN_AGENT_PACKAGE_SECTION net)
set(CPACK_DEBIAN_AGENT_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_AGENT_PACKAGE_DEPENDS
    "init-system-helpers (>= 1.54~), systemd | systemd-standalone-sysusers | passwd")
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_AGENT_PACKAGE_SUGGESTS "holdfast-updater, holdfast-fleet, holdfast-lab")
set(CPACK_DEBIAN_AGENT_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_SOURCE_DIR}/agent/postinst ${CMAKE_CURRENT_SOURCE_DIR}/agent/prerm
    ${CMAKE_CURRENT_SOURCE_DIR}/agent/postrm)
set(CPACK_COMPONENT_AGENT_DESCRIPTION "agent and command line that keep a device connected
Holdfast keeps an IoT device application active: messages are on disk before
they count as accepted, the connection to an MQTT broker or AWS IoT Core comes
back whatever ended it, and every message is accounted for.
.
This package has the agent holdfastd, which programs in any language use over
a local socket, and the command line holdfast.")

set(CPACK_DEBIAN_UPDATER_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_UPDATER_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_UPDATER_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~), holdfast ${same}")
set(CPACK_DEBIAN_UPDATER_PACKAGE_CONTROL_EXTRA
    ${CMAKE_CURRENT_SOURCE_DIR}/updater/postinst ${CMAKE_CURRENT_SOURCE_DIR}/updater/prerm
    ${CMAKE_CURRENT_SOURCE_DIR}/updater/postrm)
set(CPACK_COMPONENT_UPDATER_DESCRIPTION "carries out AWS IoT Jobs and updates of a device
Programs, reboots, downloads, and new versions of applications that prove
themselves, the connection to the cloud included, or are taken back by the
device itself. A power cut at any instant leaves a device that goes on or goes
back. It connects through the agent of the package holdfast.")

set(CPACK_DEBIAN_DEVEL_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVEL_PACKAGE_DEPENDS "libmosquitto-dev, libssl-dev (>= 3.0), pkg-config")
set(CPACK_DEBIAN_DEVEL_PACKAGE_SUGGESTS holdfast)
set(CPACK_COMPONENT_DEVEL_DESCRIPTION "library that keeps a device application connected
Holdfast as a C++20 library for an application of one's own: headers, a static
library, a CMake package and a pkg-config file. Messages are on disk before
they count as accepted, the connection comes back by itself whatever ended it,
and every message is accounted for.")

set(CPACK_DEBIAN_FLEET_PACKAGE_SECTION net)
set(CPACK_DEBIAN_FLEET_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_FLEET_PACKAGE_SUGGESTS "holdfast, prometheus")
set(CPACK_COMPONENT_FLEET_DESCRIPTION "shows a fleet of devices with Holdfast to Prometheus
Hears presence, outages and reports of many devices over their MQTT broker, or
from AWS IoT Core, and serves them as metrics. It runs where Prometheus runs,
not on the devices.")

set(CPACK_DEBIAN_LAB_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_LAB_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LAB_PACKAGE_DEPENDS "python3 (>= 3.9), mosquitto (>= 2.0), openssl")
set(CPACK_DEBIAN_LAB_PACKAGE_RECOMMENDS "holdfast, mosquitto-clients")
set(CPACK_COMPONENT_LAB_DESCRIPTION "local AWS IoT Core, and what will go wrong with the way to it
Runs a local AWS IoT Core for any device program, without an account and
without a network: certificates and policies, shadows, jobs, provisioning.
A relay before it, or before any other MQTT broker, breaks connections in
forty ways. Device programs are tested by it, and get a report.")

set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION "library that keeps a device application connected (C interface)
Holdfast as a shared library with an interface in C, for programs in any
language. Messages are on disk before they count as accepted, the connection
comes back by itself whatever ended it, and every message is accounted for.")
if("runtime" IN_LIST components)
  string(APPEND CPACK_DEBIAN_DEVEL_PACKAGE_DEPENDS ", libholdfast0 ${same}")
endif()

include(CPack)
