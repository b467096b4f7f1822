// Goal: what ModemManager says of a modem is told in its own words.
// Method: properties by hand, as they come over the bus. The real ModemManager: lab/modem_test.py.
#include "host/modem_manager.h"

#include <gtest/gtest.h>

namespace holdfast::host {
namespace {

template <class Plain>
BusValue value(Plain plain) {
  BusValue made;
  made.plain = plain;
  return made;
}

BusValue quality(std::uint64_t percent, bool recent) {
  BusValue made;
  made.list = {value(percent), value(recent)};
  return made;
}

BusValue object() {
  BusValue modem;
  modem.dict["Manufacturer"] = value(std::string("Quectel"));
  modem.dict["Model"] = value(std::string("EC25"));
  modem.dict["PrimaryPort"] = value(std::string("cdc-wdm0"));
  modem.dict["State"] = value(std::int64_t{11});
  modem.dict["AccessTechnologies"] = value(std::uint64_t{1U << 5 | 1U << 14});
  modem.dict["SignalQuality"] = quality(64, true);
  BusValue network;
  network.dict["RegistrationState"] = value(std::uint64_t{5});
  network.dict["OperatorName"] = value(std::string("FakeNet"));
  network.dict["OperatorCode"] = value(std::string("99899"));
  BusValue all;
  all.dict["org.freedesktop.ModemManager1.Modem"] = modem;
  all.dict["org.freedesktop.ModemManager1.Modem.Modem3gpp"] = network;
  return all;
}

TEST(ModemManager, AModemIsToldInItsWords) {
  const ModemState modem = modem_of(object());
  EXPECT_EQ(modem.name, "Quectel EC25");
  EXPECT_EQ(modem.port, "cdc-wdm0");
  EXPECT_EQ(modem.state, "connected");
  EXPECT_EQ(modem.technology, "umts/lte");
  EXPECT_EQ(modem.registration, "roaming");
  EXPECT_TRUE(modem.roaming());
  EXPECT_EQ(modem.operator_name, "FakeNet");
  EXPECT_EQ(modem.operator_code, "99899");
  EXPECT_EQ(modem.signal, 64U);
  EXPECT_TRUE(modem.signal_recent);
}

TEST(ModemManager, WhatIsMissingOrStrangeIsNotGuessed) {
  const ModemState nothing = modem_of(BusValue{});
  EXPECT_EQ(nothing.name, "");
  EXPECT_EQ(nothing.registration, "");
  EXPECT_EQ(nothing.signal, 0U);
  BusValue strange = object();
  strange.dict["org.freedesktop.ModemManager1.Modem"].dict["State"] = value(std::int64_t{-1});
  EXPECT_EQ(modem_of(strange).state, "failed");
  strange.dict["org.freedesktop.ModemManager1.Modem"].dict["State"] = value(std::int64_t{99});
  strange.dict["org.freedesktop.ModemManager1.Modem"].dict["SignalQuality"] = quality(900, false);
  strange.dict["org.freedesktop.ModemManager1.Modem.Modem3gpp"].dict["RegistrationState"] =
      value(std::uint64_t{77});
  const ModemState read = modem_of(strange);
  EXPECT_EQ(read.state, "unknown");
  EXPECT_EQ(read.signal, 100U);
  EXPECT_EQ(read.registration, "unknown");
}

}  // namespace
}  // namespace holdfast::host
