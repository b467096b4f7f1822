# A recipe for Yocto (OpenEmbedded), for a layer of your own; docs/install.md says what it needs. Not
# built by our tests, as a build takes a whole Yocto tree.
SUMMARY = "Keeps an IoT device application active, whatever happens to it"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# Where your copy of the sources is, and which commit of it.
SRC_URI = "git://git.example.com/holdfast.git;protocol=https;branch=main"
SRCREV = "${AUTOREV}"
PV = "0.1.0+git${SRCPV}"
S = "${WORKDIR}/git"

# Of meta-openembedded: mosquitto in meta-networking, the last three in meta-oe.
DEPENDS = "mosquitto openssl boost nlohmann-json tomlplusplus cli11"
inherit cmake pkgconfig systemd useradd

PACKAGECONFIG ??= "updater ${@bb.utils.filter('DISTRO_FEATURES', 'systemd', d)}"
PACKAGECONFIG[updater] = ",,curl libarchive"
PACKAGECONFIG[systemd] = ",,systemd"

EXTRA_OECMAKE = "-DCMAKE_BUILD_TYPE=Release -DHOLDFAST_TESTS=OFF -DHOLDFAST_BENCH=OFF -DHOLDFAST_WERROR=OFF"

do_install:append() {
    install -d ${D}${sysconfdir}/holdfast ${D}${systemd_system_unitdir}
    for unit in holdfastd.service holdfastd.socket holdfast-updater.service; do
        install -m 0644 ${S}/deploy/systemd/$unit ${D}${systemd_system_unitdir}
    done
}

PACKAGES =+ "${PN}-updater ${PN}-lab"
FILES:${PN}-updater = "${bindir}/holdfast-updater ${systemd_system_unitdir}/holdfast-updater.service"
FILES:${PN}-lab = "${bindir}/holdfast-lab ${libexecdir}/holdfast ${datadir}/holdfast/lab"
RDEPENDS:${PN}-updater = "${PN}"
RDEPENDS:${PN}-lab = "python3 mosquitto openssl-bin"

SYSTEMD_PACKAGES = "${PN} ${PN}-updater"
SYSTEMD_SERVICE:${PN} = "holdfastd.service holdfastd.socket"
SYSTEMD_SERVICE:${PN}-updater = "holdfast-updater.service"
SYSTEMD_AUTO_ENABLE = "disable"

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir /var/lib/holdfast --shell /sbin/nologin holdfast"
